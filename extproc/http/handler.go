// Package http takes one HTTP exchange through the gate: who asks, what is
// asked, whether it may go on, what must be hidden of the answer, and what is
// recorded of both. It knows no gRPC, no Rego and no store.
package http

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/detect"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/mask"
)

// DefaultMaxBody is how much of a request's JSON body is read for policy, in
// bytes. A larger one is refused.
const DefaultMaxBody = 1 << 20

// Config describes one target of kind http.
type Config struct {
	Target gate.Target
	// Inject are headers that the gateway sets on every request, as templates
	// ("Bearer {{secret:billing}}").
	Inject map[string]string
	// MaxBody bounds a JSON request body, in bytes. 0 means DefaultMaxBody.
	MaxBody int64
	// MaxSessions bounds the sessions at one time. A request that would open one
	// more is refused with 503. 0 does not bound them.
	MaxSessions int
}

// Identity turns a bearer token into a principal. An error with a method
// Public() string says so to the client.
type Identity interface {
	Authenticate(ctx context.Context, token string) (gate.Principal, error)
}

// Secrets fills the secrets into a template.
type Secrets interface {
	Expand(ctx context.Context, template string) (string, error)
}

// Classes says what is sensitive in this target's documents, by the
// classification of now. An error means that this cannot be told.
type Classes interface {
	Paths() ([]ClassPath, error)
	// Detectors are what is looked for in its texts.
	Detectors() []detect.Asked
}

// ClassPath is a JSONPath and the classes of what it names.
type ClassPath struct {
	Path    mask.Path
	Classes []string
}

// Deps are what a Handler works with. All but Metrics are required.
type Deps struct {
	Identity Identity
	Secrets  Secrets
	Classes  Classes
	Gate     *gate.Gate
	Masker   *mask.Masker
	Log      *slog.Logger
	Metrics  prometheus.Registerer // of this target; may be nil
}

// Handler serves the exchanges of one target.
type Handler struct {
	cfg      Config
	deps     Deps
	sessions *sessions
	metrics  *metrics
}

var (
	_ extproc.ExchangeHandler = (*Handler)(nil)
	_ extproc.HeaderHandler   = (*Handler)(nil)
)

// New makes a Handler.
func New(cfg Config, deps Deps) (*Handler, error) {
	switch {
	case deps.Identity == nil, deps.Secrets == nil, deps.Classes == nil, deps.Gate == nil, deps.Masker == nil, deps.Log == nil:
		return nil, errors.New("http: every dependency is required")
	case cfg.Target.Name == "":
		return nil, errors.New("http: the target has no name")
	}
	if cfg.MaxBody == 0 {
		cfg.MaxBody = DefaultMaxBody
	}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, fmt.Errorf("http: %w", err)
	}
	return &Handler{cfg: cfg, deps: deps, sessions: newSessions(deps.Gate, cfg.MaxSessions, time.Now), metrics: m}, nil
}

// Close ends every session, with the reason that is recorded.
func (h *Handler) Close(ctx context.Context, reason string) { h.sessions.closeAll(ctx, reason) }
