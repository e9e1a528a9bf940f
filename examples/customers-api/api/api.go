// Package api is the example's HTTP API: the shop's customers as JSON, behind a
// static key. It stands for a service that knows nothing of weir, and so
// returns everything it has to whoever holds the key.
package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/weir-gateway/weir/examples/shop"
)

// Bounds of what a client may ask for and send.
const (
	defaultLimit = 20
	maxLimit     = 1000
	maxBody      = 64 << 10 // bytes
)

// API answers requests. It is safe for concurrent use.
type API struct {
	key     [sha256.Size]byte
	log     *slog.Logger
	refunds refunds

	mu        sync.RWMutex
	customers []shop.Customer // by id; a removed one has id 0
	orders    map[int][]Order // by customer
}

// Order is an order as the API gives it.
type Order struct {
	ID       int    `json:"id"`
	Customer int    `json:"customer"`
	Status   string `json:"status"`
	Note     string `json:"note,omitempty"`
}

// page is the answer to GET /customers.
type page struct {
	Customers []shop.Customer `json:"customers"`
	Total     int             `json:"total"`
	Next      string          `json:"next,omitempty"` // where the following page is
}

// New makes the API over a shop's customers. Requests must carry the key as
// "Authorization: Bearer <key>".
func New(s *shop.Shop, key string, log *slog.Logger) *API {
	a := &API{key: sha256.Sum256([]byte("Bearer " + key)), log: log, orders: map[int][]Order{}}
	a.customers = append(a.customers, s.Customers...)
	for _, o := range s.Orders {
		a.orders[o.Customer] = append(a.orders[o.Customer], Order{o.ID, o.Customer, o.Status, o.Note})
	}
	return a
}

// Handler is the API's routes; all but /healthz need the key.
func (a *API) Handler() http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /customers", a.list)
	routes.HandleFunc("GET /customers/{id}", a.get)
	routes.HandleFunc("DELETE /customers/{id}", a.remove)
	routes.HandleFunc("GET /customers/{id}/orders", a.listOrders)
	routes.HandleFunc("GET /refunds", a.refunds.list)
	routes.HandleFunc("POST /refunds", a.refund)
	routes.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		problem(w, http.StatusNotFound, "this API has customers and refunds")
	})
	open := http.NewServeMux()
	open.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		write(w, http.StatusOK, map[string]string{"status": "ok"})
	})
	open.Handle("/", a.authenticated(routes))
	return open
}

func (a *API) authenticated(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got := sha256.Sum256([]byte(r.Header.Get("Authorization")))
		if subtle.ConstantTimeCompare(got[:], a.key[:]) != 1 {
			a.log.Warn("refused: not the key of this API", "method", r.Method, "path", r.URL.Path)
			w.Header().Set("WWW-Authenticate", `Bearer realm="customers"`)
			problem(w, http.StatusUnauthorized, "this API wants its own key as a bearer token")
			return
		}
		a.log.Info("request", "method", r.Method, "path", r.URL.Path)
		next.ServeHTTP(w, r)
	})
}

func (a *API) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	limit, ok1 := number(query.Get("limit"), defaultLimit)
	offset, ok2 := number(query.Get("offset"), 0)
	if !ok1 || !ok2 || limit > maxLimit {
		problem(w, http.StatusBadRequest, "limit is a number up to 1000, offset a number")
		return
	}
	city := query.Get("city")
	found := page{Customers: []shop.Customer{}}
	a.mu.RLock()
	for _, c := range a.customers {
		if c.ID == 0 || city != "" && c.City != city {
			continue
		}
		if found.Total >= offset && len(found.Customers) < limit {
			found.Customers = append(found.Customers, c)
		}
		found.Total++
	}
	a.mu.RUnlock()
	if next := offset + len(found.Customers); next < found.Total && len(found.Customers) > 0 {
		query.Set("offset", strconv.Itoa(next))
		found.Next = "/customers?" + query.Encode()
	}
	write(w, http.StatusOK, found)
}

func (a *API) get(w http.ResponseWriter, r *http.Request) {
	c, ok := a.find(r.PathValue("id"))
	if !ok {
		problem(w, http.StatusNotFound, "no customer has this id")
		return
	}
	write(w, http.StatusOK, c)
}

func (a *API) remove(w http.ResponseWriter, r *http.Request) {
	c, ok := a.find(r.PathValue("id"))
	if !ok {
		problem(w, http.StatusNotFound, "no customer has this id")
		return
	}
	a.mu.Lock()
	a.customers[c.ID-1] = shop.Customer{}
	a.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

func (a *API) listOrders(w http.ResponseWriter, r *http.Request) {
	c, ok := a.find(r.PathValue("id"))
	if !ok {
		problem(w, http.StatusNotFound, "no customer has this id")
		return
	}
	write(w, http.StatusOK, map[string][]Order{"orders": append([]Order{}, a.orders[c.ID]...)})
}

// find looks a customer up; ids are 1, 2, 3 and so on.
func (a *API) find(text string) (shop.Customer, bool) {
	id, ok := number(text, 0)
	a.mu.RLock()
	defer a.mu.RUnlock()
	if !ok || id < 1 || id > len(a.customers) || a.customers[id-1].ID == 0 {
		return shop.Customer{}, false
	}
	return a.customers[id-1], true
}

func number(text string, without int) (int, bool) {
	if text == "" {
		return without, true
	}
	n, err := strconv.Atoi(text)
	return n, err == nil && n >= 0
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // a client that left is no error of ours
}

// problem answers with an error (RFC 9457).
func problem(w http.ResponseWriter, status int, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"title": strings.ToLower(http.StatusText(status)), "status": status, "detail": detail})
}
