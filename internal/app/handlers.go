package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/extproc/http"
	"github.com/weir-gateway/weir/extproc/postgres"
	"github.com/weir-gateway/weir/extproc/postgres/catalog"
	"github.com/weir-gateway/weir/internal/classification"
	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/detect"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/identity"
	"github.com/weir-gateway/weir/internal/mask"
	"github.com/weir-gateway/weir/internal/relay"
	"github.com/weir-gateway/weir/internal/sqlmeta"
	"github.com/weir-gateway/weir/internal/vault"
)

// secrets is what the rooms need of the vault.
type secrets interface {
	Resolve(ctx context.Context, ref string) (string, error)
}

// expander fills templates for headers.
type expander struct{ *vault.Vault }

// Expand implements http.Secrets.
func (e expander) Expand(ctx context.Context, template string) (string, error) {
	s, err := e.Vault.Expand(ctx, template)
	return s.Reveal(), err
}

// shared is what the handlers of all targets work with.
type shared struct {
	vault    *vault.Vault
	identity *signIn
	classes  *atomic.Pointer[classification.Classification]
	gate     *gate.Gate
	masker   *mask.Masker
	analyzer *sqlmeta.Analyzer
	cert     *certificate
	metrics  prometheus.Registerer
	log      *slog.Logger
	drain    time.Duration
	live     live
	names    columnNames
	fleet    postgres.Fleet // nil where no other gateway shares the spool
}

// live are the sessions of each target of kind postgres, which outlive its
// handler when the target changes: a client may cancel them all the same.
type live struct {
	mu sync.Mutex
	by map[string]*postgres.Live
}

func (l *live) of(target string) *postgres.Live {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.by == nil {
		l.by = map[string]*postgres.Live{}
	}
	if l.by[target] == nil {
		l.by[target] = new(postgres.Live)
	}
	return l.by[target]
}

// Cancel implements fleet.Sessions.
func (l *live) Cancel(target string, pid uint32, secret []byte) func(context.Context) error {
	l.mu.Lock()
	one := l.by[target]
	l.mu.Unlock()
	if one == nil {
		return nil
	}
	return one.Cancel(pid, secret)
}

// signIn is the authenticator of the configuration of now, and the authorities of
// client certificates, which are read again while the gateway runs.
type signIn struct {
	now          atomic.Pointer[identity.Authenticator]
	certificates atomic.Pointer[authorities]
}

// authorities are whose certificates are trusted, and of what they were made.
type authorities struct {
	*identity.Certificates
	from []authorityText
}

// authorityText is an authority and its CAs in PEM.
type authorityText struct {
	config.Authority
	pem string
}

// Verify implements postgres.Certificates.
func (s *signIn) Verify(chain []*x509.Certificate) (gate.Principal, error) {
	a := s.certificates.Load()
	if a == nil {
		return gate.Principal{}, errors.New("no authority is configured yet")
	}
	return a.Verify(chain)
}

// discovery is where clients of the configuration of now get tokens.
func (s *signIn) discovery() postgres.Discovery {
	a := s.now.Load()
	if a == nil {
		return postgres.Discovery{}
	}
	configuration, scope := a.Discovery()
	return postgres.Discovery{Configuration: configuration, Scope: scope}
}

// Authenticate implements the rooms' Identity.
func (s *signIn) Authenticate(ctx context.Context, token string) (gate.Principal, error) {
	a := s.now.Load()
	if a == nil {
		return gate.Principal{}, errors.New("no issuer is configured yet")
	}
	return a.Authenticate(ctx, token)
}

// handler serves one target. Exactly one of its protocols is set.
type handler struct {
	target   *config.Target
	postgres *postgres.Handler
	upstream *relay.Upstream // of postgres
	http     *http.Handler
	stop     func(ctx context.Context, reason string)
}

// handlers are the targets' handlers: an immutable set, swapped whole.
type handlers struct {
	now atomic.Pointer[map[string]*handler]
}

func (h *handlers) get(target string) *handler {
	if set := h.now.Load(); set != nil {
		return (*set)[target]
	}
	return nil
}

// swapped are the handlers before a swap.
type swapped struct {
	before *map[string]*handler
	gone   []*handler
}

// swap makes next the handlers of now.
func (h *handlers) swap(next map[string]*handler) swapped {
	out := swapped{before: h.now.Swap(&next)}
	if out.before == nil {
		out.before = &map[string]*handler{}
	}
	for name, old := range *out.before {
		if next[name] != old {
			out.gone = append(out.gone, old)
		}
	}
	return out
}

// stop ends what handlers that are no longer used keep for themselves. Their
// sessions go on.
func (s swapped) stop(ctx context.Context, reason string) {
	for _, one := range s.gone {
		one.stop(ctx, reason)
	}
}

// stop ends all handlers.
func (h *handlers) stop(ctx context.Context, reason string) {
	h.swap(nil).stop(ctx, reason)
}

// Tunnel implements extproc.Handlers.
func (h *handlers) Tunnel(target string) (extproc.TunnelHandler, bool) {
	if one := h.get(target); one != nil && one.postgres != nil {
		return one.postgres, true
	}
	return nil, false
}

// Relay implements relay.Targets. Whichever transport a target has, a connection
// of the other is served too: when it changes, some are still on their way.
func (h *handlers) Relay(target string) (relay.Target, bool) {
	if one := h.get(target); one != nil && one.postgres != nil {
		return relay.Target{Handler: one.postgres, Upstream: one.upstream}, true
	}
	return relay.Target{}, false
}

// Exchange implements extproc.Handlers.
func (h *handlers) Exchange(target string) (extproc.ExchangeHandler, bool) {
	if one := h.get(target); one != nil && one.http != nil && one.target.Inspect != config.InspectHeaders {
		return one.http, true
	}
	return nil, false
}

// Headers implements extproc.Handlers.
func (h *handlers) Headers(target string) (extproc.HeaderHandler, bool) {
	if one := h.get(target); one != nil && one.http != nil && one.target.Inspect == config.InspectHeaders {
		return one.http, true
	}
	return nil, false
}

// newHandler makes the handler of a target.
func (s *shared) newHandler(ctx context.Context, name string, t *config.Target) (*handler, error) {
	if t.Kind == config.HTTP {
		return s.newHTTP(name, t)
	}
	return s.newPostgres(ctx, name, t)
}

// GateTarget is a target in the words of the gate.
func GateTarget(name string, t *config.Target) gate.Target {
	labels := t.Labels
	if labels == nil {
		labels = map[string]string{}
	}
	return gate.Target{Name: name, Kind: string(t.Kind), Labels: labels, Buffered: t.Evidence == config.Buffered}
}

func (s *shared) newHTTP(name string, t *config.Target) (*handler, error) {
	inject := make(map[string]string, len(t.Headers))
	for header, template := range t.Headers {
		inject[header] = string(template)
	}
	h, err := http.New(http.Config{Target: GateTarget(name, t), Inject: inject, MaxBody: int64(t.Limits.Body), MaxSessions: t.Limits.Sessions}, http.Deps{
		Identity: s.identity, Secrets: expander{s.vault}, Classes: &paths{classes: s.classes, target: name},
		Gate: s.gate, Masker: s.masker, Log: s.log, Metrics: prometheus.WrapRegistererWith(prometheus.Labels{"target": name}, s.metrics),
	})
	if err != nil {
		return nil, err
	}
	return &handler{target: t, http: h, stop: h.Close}, nil
}

// paths are the classified JSONPaths of one target, by the classification of
// now. They are compiled once for each.
type paths struct {
	classes  *atomic.Pointer[classification.Classification]
	target   string
	compiled atomic.Pointer[compiledPaths]
}

type compiledPaths struct {
	from  *classification.Classification
	paths []http.ClassPath
}

// Paths implements http.Classes.
func (p *paths) Paths() ([]http.ClassPath, error) {
	now := p.classes.Load()
	if c := p.compiled.Load(); c != nil && c.from == now {
		return c.paths, nil
	}
	c := &compiledPaths{from: now}
	for _, one := range now.Paths(p.target) {
		path, err := mask.ParsePath(one.Path)
		if err != nil {
			return nil, fmt.Errorf("classification of %s: %w", p.target, err)
		}
		c.paths = append(c.paths, http.ClassPath{Path: path, Classes: one.Classes})
	}
	p.compiled.Store(c)
	return c.paths, nil
}

// Detectors implements http.Classes.
func (p *paths) Detectors() []detect.Asked { return p.classes.Load().Detectors(p.target) }

func (s *shared) newPostgres(ctx context.Context, name string, t *config.Target) (*handler, error) {
	up, err := s.upstream(ctx, name, t)
	if err != nil {
		return nil, err
	}
	password, err := s.password(ctx, name, t)
	if err != nil {
		return nil, err
	}
	functions, err := declared(name, t)
	if err != nil {
		return nil, err
	}
	catalogs := newCatalogs((&catalogDialer{target: t, up: &up, password: password}).dial, functions, s.log.With("target", name),
		func(database string) *catalog.Names { return s.names.of(name, texts(t.Upstream.Address), database) })
	servers, err := relay.NewUpstream(texts(t.Upstream.Address), t.Upstream.ConnectTimeout.D())
	if err != nil {
		return nil, fmt.Errorf("targets.%s.upstream.address: %w", name, err)
	}
	cfg := postgres.Config{
		Target: GateTarget(name, t), Upstream: up, Databases: t.Databases,
		Startup: t.Session.Startup.D(), Idle: t.Session.Idle.D(), TokenGrace: t.Session.TokenGrace.D(), Drain: s.drain,
		MaxStatement: int(t.Limits.Statement), MaxMessage: int(t.Limits.Message), MaxSessions: t.Limits.Sessions,
		SigningInPerHost: t.Limits.SigningInPerHost, SigningIn: t.Limits.SigningIn,
	}
	cfg.Introduce = introduction(t)
	for _, way := range t.SignIn {
		cfg.SignIn = append(cfg.SignIn, postgres.SignIn(way))
	}
	if t.TLS != config.Off {
		cfg.GetCertificate = s.cert.GetCertificate
	}
	h, err := postgres.New(cfg, postgres.Deps{
		Identity: s.identity, Certificates: s.identity, Discovery: s.identity.discovery, Password: password, Gate: s.gate, Analyzer: s.analyzer, Masker: s.masker,
		Catalog:        catalogs.of,
		Classification: func() postgres.Classification { return s.classes.Load() },
		Dial:           servers.Dial,
		Live:           s.live.of(name), Fleet: s.fleet, Log: s.log, Metrics: prometheus.WrapRegistererWith(prometheus.Labels{"target": name}, s.metrics),
	})
	if err != nil {
		return nil, err
	}
	catalogs.renamed = h.Renamed
	return &handler{target: t, postgres: h, upstream: servers, stop: func(context.Context, string) { catalogs.close() }}, nil
}
