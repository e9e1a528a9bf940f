// Package web serves the API for people and probes: health, metrics, approvals,
// sessions and their replay. It knows neither how approvals are kept nor where
// evidence lies.
package web

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/weir-gateway/weir/internal/gate"
)

// Session is a session as the evidence tells it.
type Session struct {
	ID         string     `json:"id"`
	Target     string     `json:"target"`
	Kind       string     `json:"kind"`
	Subject    string     `json:"subject"`
	Issuer     string     `json:"issuer"`
	Principal  string     `json:"principal"` // kind of principal
	Client     string     `json:"client"`
	Database   string     `json:"database,omitempty"`
	Started    time.Time  `json:"started"`
	Ended      *time.Time `json:"ended,omitempty"`
	EndReason  string     `json:"end_reason,omitempty"`
	Operations uint64     `json:"operations"`
	Refused    uint64     `json:"refused"`
	Revision   string     `json:"revision"`
}

// Operation is one operation of a session.
type Operation struct {
	ID       string            `json:"id"`
	At       time.Time         `json:"at"`
	Action   string            `json:"action"`
	Text     string            `json:"text"`
	Effect   string            `json:"effect"`
	Code     string            `json:"code,omitempty"`   // of the first denial
	Reason   string            `json:"reason,omitempty"` // all denials
	Decision string            `json:"decision"`
	Approval string            `json:"approval,omitempty"`
	Status   string            `json:"status,omitempty"` // empty while it runs
	Error    string            `json:"error,omitempty"`
	Rows     uint64            `json:"rows"`
	Bytes    uint64            `json:"bytes"`
	Millis   float64           `json:"ms"`
	Masked   map[string]uint64 `json:"masked,omitempty"`
}

// Filter selects sessions. The zero value selects the newest.
type Filter struct {
	Target  string
	Subject string
	Since   time.Time
	Until   time.Time
	Limit   int
}

// ReplayItem is one thing that happened in a session, in order: an event with
// its body, or protocol bytes of an operation.
type ReplayItem struct {
	At        time.Time       `json:"at"`
	Kind      string          `json:"kind"` // an event's kind, or "payload"
	Operation string          `json:"operation,omitempty"`
	Stream    gate.Stream     `json:"stream,omitempty"`
	Body      json.RawMessage `json:"body,omitempty"`
	Data      []byte          `json:"data,omitempty"`
}

// Evidence reads what was recorded. Ids may be given by an unambiguous prefix.
type Evidence interface {
	Sessions(ctx context.Context, f Filter) ([]Session, error)
	Session(ctx context.Context, id string) (*Session, []Operation, error)
	Replay(ctx context.Context, id string) iter.Seq2[ReplayItem, error]
}

// Approvals are the held operations.
type Approvals interface {
	List(ctx context.Context, state gate.ApprovalState) ([]*gate.Approval, error)
	Get(ctx context.Context, id string) (*gate.Approval, error)
	Vote(ctx context.Context, id string, approver gate.Principal, approve bool, reason string) (*gate.Approval, error)
}

// Identity turns a bearer token into a principal.
type Identity interface {
	Authenticate(ctx context.Context, token string) (gate.Principal, error)
}

// Check is the state of one part of the gateway.
type Check struct {
	Name  string `json:"name"`
	Ready bool   `json:"ready"`
	Note  string `json:"note,omitempty"` // what is wrong, in the operator's words
}
