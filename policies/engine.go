package policies

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-gateway/weir/internal/gate"
)

// Config says where the rules are and what an evaluation may cost.
type Config struct {
	// Bundle is a folder of .rego and data.json or data.yaml files. Empty: only
	// the library, which allows nothing but to connect.
	Bundle string
	// Timeout bounds one evaluation; 0 is DefaultTimeout.
	Timeout time.Duration
	// CacheEntries bounds the cache of decisions; 0 is DefaultCacheEntries, less
	// is no cache.
	CacheEntries int
	// Builtins that are forbidden unless named here: http.send,
	// net.lookup_ip_addr, opa.runtime.
	Builtins []string
}

// The defaults of Config.
const (
	DefaultTimeout      = 250 * time.Millisecond
	DefaultCacheEntries = 10_000
)

func (c Config) withDefaults() Config {
	if c.Timeout <= 0 {
		c.Timeout = DefaultTimeout
	}
	if c.CacheEntries == 0 {
		c.CacheEntries = DefaultCacheEntries
	}
	return c
}

// Classification is what the library needs to know of classification.yaml.
type Classification interface {
	Targets() []string // "*" is every target
	Revision() string
}

// Deps are the parts that an Engine works with. All may be left out.
type Deps struct {
	Log *slog.Logger
	// Classification is asked at every load for what holds now.
	Classification func() Classification
	// Registerer gets the metrics.
	Registerer prometheus.Registerer
	// OnActivate is told of a new revision before it decides anything, so that
	// it can be recorded first. An error keeps the last revision.
	OnActivate func(context.Context, Activation) error
}

// Engine decides by the active revision. It is safe for concurrent use.
type Engine struct {
	cfg     Config
	deps    Deps
	log     *slog.Logger
	metrics *engineMetrics

	active  atomic.Pointer[revision]
	loading sync.Mutex
	failure atomic.Pointer[failure]
}

// failure is why the last load failed.
type failure struct {
	err error
	at  time.Time
}

// New loads the first revision. A bundle that cannot be used is an error
// (*BundleError where its content is at fault): there is no last good one yet.
func New(ctx context.Context, cfg Config, deps Deps) (*Engine, error) {
	e := &Engine{cfg: cfg.withDefaults(), deps: deps, log: deps.Log}
	if e.log == nil {
		e.log = slog.New(slog.DiscardHandler)
	}
	var err error
	if e.metrics, err = newMetrics(deps.Registerer); err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	if _, err := e.Reload(ctx); err != nil {
		return nil, err
	}
	return e, nil
}

// Decide answers for one operation. An error means that nothing was decided, so
// deny. The decision shares its slices with others: read them only.
func (e *Engine) Decide(ctx context.Context, in *gate.Input) (gate.Decision, error) {
	start := time.Now()
	rev := e.active.Load()
	if rev == nil || in == nil {
		e.metrics.failed(errNothing)
		return gate.Decision{}, errNothing
	}
	d, err := e.decide(ctx, rev, in)
	if err != nil {
		e.metrics.failed(err)
		return gate.Decision{}, err
	}
	d.Revision = rev.id
	d.Millis = float64(time.Since(start)) / float64(time.Millisecond)
	e.metrics.decided(d.Effect)
	return d, nil
}

var errNothing = errors.New("policy: nothing to decide by or about")

func (e *Engine) decide(ctx context.Context, rev *revision, in *gate.Input) (gate.Decision, error) {
	if rev.cache == nil {
		return e.evaluate(ctx, rev, in)
	}
	key, ok := rev.view.key(in)
	if !ok {
		return e.evaluate(ctx, rev, in)
	}
	if d, hit := rev.cache.Get(key); hit {
		e.metrics.hits.Inc()
		return d, nil
	}
	d, err := e.evaluate(ctx, rev, in)
	if err == nil {
		rev.cache.Add(key, d)
	}
	return d, err
}

// evaluate asks Rego, in the time that it has.
func (e *Engine) evaluate(ctx context.Context, rev *revision, in *gate.Input) (gate.Decision, error) {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, e.cfg.Timeout)
	defer cancel()
	input, err := rev.view.term(in)
	if err != nil {
		return gate.Decision{}, err
	}
	doc, err := rev.evaluate(ctx, input, nil)
	if err != nil {
		return gate.Decision{}, err
	}
	d, err := decode(doc)
	if err != nil {
		return gate.Decision{}, fmt.Errorf("policy: %w", err)
	}
	e.metrics.evaluated(time.Since(start))
	return clipped(d), nil
}

// clipped makes sure that who appends to a shared slice gets one of his own.
func clipped(d gate.Decision) gate.Decision {
	d.Deny, d.Hold = slices.Clip(d.Deny), slices.Clip(d.Hold)
	d.Mask, d.Rules = slices.Clip(d.Mask), slices.Clip(d.Rules)
	return d
}

// Status is what is active, for health checks and people.
type Status struct {
	Revision  string    `json:"revision"`
	Activated time.Time `json:"activated"`
	Packages  []string  `json:"packages"`
	Reads     []string  `json:"reads"`              // paths of the input that decide
	Uncached  string    `json:"uncached,omitempty"` // why decisions are not cached
	// Error is why the newest bundle is not active; empty when it is.
	Error    string    `json:"error,omitempty"`
	FailedAt time.Time `json:"failed_at,omitzero"`
}

// Status reports the active revision and the last failure to replace it.
func (e *Engine) Status() Status {
	rev := e.active.Load()
	s := Status{
		Revision: rev.id, Activated: rev.activated, Packages: rev.packages,
		Reads: rev.reads.names(), Uncached: rev.reads.uncacheable(),
	}
	if f := e.failure.Load(); f != nil {
		s.Error, s.FailedAt = f.err.Error(), f.at
	}
	return s
}
