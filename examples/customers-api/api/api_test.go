package api_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weir-gateway/weir/examples/customers-api/api"
	"github.com/weir-gateway/weir/examples/shop"
)

const key = "the-key-of-the-api"

// client asks the API and returns the status and the decoded body.
type client struct {
	t       *testing.T
	handler http.Handler
}

func newClient(t *testing.T) (client, *shop.Shop) {
	s := shop.New(shop.Seed)
	return client{t, api.New(s, key, slog.New(slog.DiscardHandler)).Handler()}, s
}

func (c client) ask(method, path, authorization, body string) (int, map[string]any) {
	c.t.Helper()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", authorization)
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	var got map[string]any
	if err := json.NewDecoder(w.Body).Decode(&got); err != nil && err != io.EOF {
		c.t.Fatalf("%s %s: %v", method, path, err)
	}
	return w.Code, got
}

func (c client) get(path string) (int, map[string]any) {
	return c.ask("GET", path, "Bearer "+key, "")
}

func TestKey(t *testing.T) {
	c, _ := newClient(t)
	for authorization, want := range map[string]int{
		"Bearer " + key: 200, "Bearer wrong": 401, key: 401, "": 401, "Bearer " + key + " ": 401, "Basic " + key: 401,
	} {
		if got, _ := c.ask("GET", "/customers/1", authorization, ""); got != want {
			t.Errorf("%q: %d, want %d", authorization, got, want)
		}
	}
	if got, _ := c.ask("GET", "/healthz", "", ""); got != 200 {
		t.Errorf("/healthz: %d", got)
	}
}

func TestCustomers(t *testing.T) {
	c, s := newClient(t)
	_, one := c.get("/customers/42")
	if want := s.Customers[41]; one["name"] != want.Name || one["ssn"] != want.SSN || one["card"] != want.Card {
		t.Errorf("customer 42: %v", one)
	}
	status, first := c.get("/customers?limit=3")
	if got := len(first["customers"].([]any)); status != 200 || got != 3 || first["total"] != float64(shop.CustomerCount) {
		t.Errorf("%d, %d customers of %v", status, got, first["total"])
	}
	_, second := c.get(first["next"].(string))
	if id := second["customers"].([]any)[0].(map[string]any)["id"]; id != 4.0 {
		t.Errorf("the second page begins with %v", id)
	}
	_, last := c.get(fmt.Sprintf("/customers?offset=%d", shop.CustomerCount-1))
	if next, more := last["next"]; more {
		t.Errorf("after the last page comes %v", next)
	}
	for path, want := range map[string]int{
		"/customers/0": 404, "/customers/10001": 404, "/customers/x": 404, "/customers?limit=-1": 400, "/customers?limit=1001": 400, "/nothing": 404,
	} {
		if got, _ := c.get(path); got != want {
			t.Errorf("%s: %d, want %d", path, got, want)
		}
	}
}

func TestRemove(t *testing.T) {
	c, _ := newClient(t)
	if status, _ := c.ask("DELETE", "/customers/7", "Bearer "+key, ""); status != 204 {
		t.Errorf("DELETE: %d", status)
	}
	if status, _ := c.get("/customers/7"); status != 404 {
		t.Errorf("afterwards: %d", status)
	}
}

func TestRefunds(t *testing.T) {
	c, s := newClient(t)
	order := s.Orders[0]
	ok := fmt.Sprintf(`{"customer": %d, "order": %d, "amount": 12.5, "reason": "broken"}`, order.Customer, order.ID)
	for _, test := range []struct {
		name, body string
		want       int
	}{
		{"of an order", ok, 201},
		{"of nobody's order", `{"customer": 1, "order": 99999, "amount": 1, "reason": "x"}`, 422},
		{"of nothing", strings.Replace(ok, "12.5", "0", 1), 422},
		{"without a reason", strings.Replace(ok, "broken", "", 1), 422},
		{"with an unknown field", `{"cents": 1}`, 400},
		{"not JSON", `refund me`, 400},
		{"too large", `{"reason": "` + strings.Repeat("x", 100_000) + `"}`, 400},
	} {
		if got, body := c.ask("POST", "/refunds", "Bearer "+key, test.body); got != test.want {
			t.Errorf("a refund %s: %d %v, want %d", test.name, got, body, test.want)
		}
	}
	if _, made := c.get("/refunds"); len(made["refunds"].([]any)) != 1 {
		t.Errorf("refunds made: %v", made)
	}
}
