package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/gate"
)

// Handler serves the sessions of one target.
type Handler struct {
	cfg     Config
	deps    Deps
	metrics *metrics
	keys    scramKeys
	live    *Live
	shapes  *shapes
}

var _ extproc.TunnelHandler = (*Handler)(nil)

// New makes a Handler.
func New(cfg Config, deps Deps) (*Handler, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := deps.check(&cfg); err != nil {
		return nil, err
	}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	shapes, err := newShapes()
	if err != nil {
		return nil, err
	}
	if deps.Live == nil {
		deps.Live = new(Live)
	}
	deps.Live.line.bound(cfg.SigningInPerHost, cfg.SigningIn)
	return &Handler{cfg: cfg, deps: deps, metrics: m, live: deps.Live, shapes: shapes}, nil
}

// ServeTunnel serves one connection of a client, from its first byte to its end.
func (h *Handler) ServeTunnel(ctx context.Context, t *extproc.Tunnel) {
	count := &h.live.count
	start := startUp{tunnel: t, end: time.Now().Add(h.cfg.Startup)}
	if t.Refused != nil {
		count, start.end = &h.live.refused, time.Now().Add(lastWords)
	}
	defer count.Add(-1)
	if n := count.Add(1); t.Refused != nil && n > maxTold {
		return
	}
	defer func() {
		if start.counted {
			h.live.sessions.Add(-1)
		}
	}()
	start.bound(t.Client)
	if t.Server != nil {
		start.bound(t.Server)
	}
	// A gateway that stops does not wait for those who have not signed in yet.
	stopped := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(stopped)
		start.set(time.Unix(1, 0))
	})
	s := h.open(ctx, &start)
	if s == nil {
		stop()
		return
	}
	if !stop() {
		// The client has been told that it is in: it is told too why it ends, as
		// any session is. The deadline must not come in between.
		<-stopped
	}
	start.set(time.Time{})
	s.run(ctx)
}

// maxTold is how many clients of a target at one time are told that they were not
// admitted. Others see their connection end.
const maxTold = 100

// admitMore is how much longer a client waits than those who have a place may keep
// it: by then one is free for a host that has none.
const admitMore = time.Second

// Admit implements extproc.TunnelHandler: of clients that have not signed in, each
// host has a few places, and together they have a few more.
func (h *Handler) Admit(ctx context.Context, p extproc.Peer) (func(), error) {
	ctx, stop := context.WithTimeout(ctx, h.cfg.Startup+admitMore)
	defer stop()
	h.metrics.waiting.Inc()
	leave, err := h.live.line.enter(ctx, hostOf(p.Address))
	h.metrics.waiting.Dec()
	if err != nil {
		if !errors.Is(err, context.Canceled) { // then it has left, or the gateway stops
			h.metrics.notAdmitted.Inc()
		}
		return nil, err
	}
	h.metrics.signingIn.Inc()
	return sync.OnceFunc(func() {
		h.metrics.signingIn.Dec()
		leave()
	}), nil
}

// open takes a connection through start-up and both sign-ins. It returns nil
// when there is no session; the client has been told then.
func (h *Handler) open(ctx context.Context, start *startUp) *session {
	t := start.tunnel
	reader := newFrameReader(t.Client)
	if _, err := reader.peek(); err != nil {
		return nil // nothing was ever said
	}
	start.ask()
	g, err := h.greet(ctx, t.Client, reader)
	if err != nil {
		h.refuseStart(ctx, g, t, err)
		return nil
	}
	if g.cancel != nil {
		h.cancel(ctx, g.cancel)
		g.goodbye() // libpq takes an end without it for a cancel that failed
		return nil
	}
	s, err := h.signIn(ctx, start, g)
	if err != nil {
		h.turnAway(ctx, g, t, err)
		return nil
	}
	return s
}

// signIn makes a session of a client that has said what it wants.
func (h *Handler) signIn(ctx context.Context, start *startUp, g *greeting) (*session, error) {
	t := start.tunnel
	if err := g.sendNegotiation(); err != nil {
		return nil, err
	}
	if t.Refused != nil {
		return nil, &recorded{fatal(codeTooManyConnections, "target %s: %s", h.cfg.Target.Name, t.Refused).withHint("Try again in a moment.")}
	}
	if err := g.params.complete(); err != nil {
		return nil, err
	}
	if start.down != nil {
		// Told at once: of a target that refused the connection, Envoy may not
		// let the client say anything more.
		h.deps.Log.WarnContext(ctx, "the server did not answer", "target", h.cfg.Target.Name, "err", start.down)
		return nil, h.unreachable()
	}
	principal, err := h.signInClient(ctx, g, &t.Peer)
	if err != nil {
		return nil, err
	}
	t.SignedIn()
	// Who has not signed in does not count: a crowd without a token must not keep
	// those out who have one.
	start.counted = true
	if n, limit := h.live.sessions.Add(1), h.cfg.MaxSessions; limit > 0 && n > int64(limit) {
		return nil, fatal(codeTooManyConnections, "target %s has as many sessions as the gateway allows (%d)", h.cfg.Target.Name, limit)
	}
	database, err := h.database(g.params)
	if err != nil {
		return nil, err
	}
	s := h.newSession(t, g, principal, database)
	decision, err := h.deps.Gate.Open(ctx, s.gate)
	if err != nil {
		h.deps.Log.ErrorContext(ctx, "a session could not be recorded", "target", h.cfg.Target.Name, "err", err)
		return nil, fatal(codeSystemError, "the gateway could not record this session, so it is not opened")
	}
	if decision.Effect != gate.Allow {
		p := denied(&decision)
		p.severity = "FATAL"
		return nil, &recorded{p}
	}
	if err := h.introduce(s.gate, g.params); err != nil {
		s.finish(ctx, "the server cannot be told who is there")
		return nil, &recorded{err}
	}
	if err := h.connect(ctx, s, start, g, database); err != nil {
		s.finish(ctx, "no connection to the target")
		return nil, &recorded{err}
	}
	return s, nil
}

// database is the one that a session is for, "" of physical replication, which is
// of the whole server: clients name one there that is none.
func (h *Handler) database(p *startupParams) (string, error) {
	if p.replication == physical {
		return "", nil
	}
	database := p.database
	if database == "" {
		database = h.cfg.Upstream.Database
	}
	if database == "" {
		database = p.user // as the server does
	}
	if !h.cfg.serves(database) {
		return "", fatal(codeInvalidCatalog, "database %q is not offered by target %s", database, h.cfg.Target.Name).
			withHint("It offers: %s.", list(h.cfg.Databases))
	}
	return database, nil
}

// connect signs in to the server and tells the client that it is in.
func (h *Handler) connect(ctx context.Context, s *session, start *startUp, g *greeting, database string) error {
	server, err := h.dialled(ctx, start, g, database)
	if err != nil {
		return err
	}
	if err := s.attach(server); err != nil {
		return err
	}
	s.live.add(s)
	if _, err = g.conn.Write(server.opening); err != nil {
		s.live.remove(s)
	}
	return err
}

// dialled brings the connection to the server to where queries can be sent.
func (h *Handler) dialled(ctx context.Context, start *startUp, g *greeting, database string) (*signedIn, error) {
	secure, err := start.server(ctx, &h.cfg.Upstream)
	if err == nil {
		var server *signedIn
		if server, err = h.signInServer(ctx, secure, g, database); err == nil {
			return server, nil
		}
	}
	var refused *refusedSignIn
	if errors.As(err, &refused) {
		err = h.signInError(ctx, refused.frame)
	}
	var p *problem
	if errors.As(err, &p) {
		return nil, p
	}
	h.deps.Log.ErrorContext(ctx, "no sign-in to the server", "target", h.cfg.Target.Name, "err", err)
	var unreached *dialError
	if gone(err) || errors.As(err, &unreached) {
		return nil, h.unreachable()
	}
	return nil, fatal(codeConnectionFailure, "the gateway could not sign in to target %s", h.cfg.Target.Name).
		withHint("The gateway's operator can see the reason in its log.")
}

func (h *Handler) unreachable() *problem {
	return fatal(codeConnectionFailure, "target %s cannot be reached", h.cfg.Target.Name)
}

// recorded is a refusal that the gate has recorded already.
type recorded struct{ error }

func (r *recorded) Unwrap() error { return r.error }

// refuseStart ends a connection whose first words made no sense.
func (h *Handler) refuseStart(ctx context.Context, g *greeting, t *extproc.Tunnel, err error) {
	var p *problem
	if !errors.As(err, &p) && !gone(err) {
		h.deps.Log.InfoContext(ctx, "a start-up failed", "target", h.cfg.Target.Name, "client", t.Peer.Address, "err", err)
	}
	h.turnAway(ctx, g, t, err)
}

// turnAway tells a client that it cannot come in, as far as the protocol allows
// it, and records that.
func (h *Handler) turnAway(ctx context.Context, g *greeting, t *extproc.Tunnel, err error) {
	h.metrics.refusedSignIns.Inc()
	if gone(err) {
		return // psql leaves like this to ask its user for a password
	}
	var already *recorded
	if !errors.As(err, &already) {
		client := gate.Client{Address: t.Peer.Address, TLS: g.tlsVersion(&t.Peer), SignIn: string(g.way)}
		if g.params != nil {
			client.Application = g.params.app
		}
		h.deps.Gate.RefuseSignIn(context.WithoutCancel(ctx), h.cfg.Target.Name, client, g.describe(err))
	}
	var p *problem
	if !errors.As(err, &p) {
		return
	}
	_ = g.conn.SetWriteDeadline(time.Now().Add(lastWords))
	words := p.append(nil)
	if g.old {
		words = []byte("E" + p.severity + ":  " + printable(p.message) + "\n\x00")
	}
	_, _ = g.conn.Write(words)
	g.goodbye()
}

// sendNegotiation says what of the client's wishes is not spoken here
// (NegotiateProtocolVersion).
func (g *greeting) sendNegotiation() error {
	if !g.negotiate {
		return nil
	}
	_, err := g.conn.Write(encode(nil, &pgproto3.NegotiateProtocolVersion{
		NewestMinorProtocol: protocolMajor<<16 | g.minor, UnrecognizedOptions: g.unrecognized,
	}))
	return err
}

// tlsVersion is the TLS that the client speaks, with the gateway or with Envoy.
func (g *greeting) tlsVersion(peer *extproc.Peer) string {
	if g.tls != "" {
		return g.tls
	}
	return peer.TLS
}

func list[T ~string](names []T) string {
	out := ""
	for i, n := range names {
		if i > 0 {
			out += ", "
		}
		out += string(n)
	}
	return out
}
