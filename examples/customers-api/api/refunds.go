package api

import (
	"encoding/json"
	"net/http"
	"sync"
)

// Refund is money given back for an order.
type Refund struct {
	ID       int     `json:"id"`
	Customer int     `json:"customer"`
	Order    int     `json:"order"`
	Amount   float64 `json:"amount"` // in the currency of the shop
	Reason   string  `json:"reason"`
}

// refunds are the refunds made since the start.
type refunds struct {
	mu   sync.Mutex
	made []Refund
}

func (r *refunds) add(refund Refund) Refund {
	r.mu.Lock()
	defer r.mu.Unlock()
	refund.ID = len(r.made) + 1
	r.made = append(r.made, refund)
	return refund
}

func (r *refunds) list(w http.ResponseWriter, _ *http.Request) {
	r.mu.Lock()
	made := append([]Refund{}, r.made...)
	r.mu.Unlock()
	write(w, http.StatusOK, map[string][]Refund{"refunds": made})
}

func (a *API) refund(w http.ResponseWriter, r *http.Request) {
	var asked Refund
	body := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	body.DisallowUnknownFields()
	if err := body.Decode(&asked); err != nil {
		problem(w, http.StatusBadRequest, "the body is {customer, order, amount, reason}: "+err.Error())
		return
	}
	if !a.ordered(asked.Customer, asked.Order) || asked.Amount <= 0 || asked.Reason == "" {
		problem(w, http.StatusUnprocessableEntity, "a refund names an order of the customer, an amount above 0, and a reason")
		return
	}
	write(w, http.StatusCreated, a.refunds.add(asked))
}

func (a *API) ordered(customer, order int) bool {
	for _, o := range a.orders[customer] {
		if o.ID == order {
			return true
		}
	}
	return false
}
