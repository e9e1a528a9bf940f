package relay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/drain"
)

// Config bounds a connection. The zero value is right for most.
type Config struct {
	// Header is how long Envoy may take to send the header. Default 5 s.
	Header time.Duration
	// Linger is how long Envoy has to take the last words of a session and close
	// the connection. Default 10 s.
	Linger time.Duration
	// Registerer takes the metrics. nil means none are kept.
	Registerer prometheus.Registerer
}

const (
	defaultHeader = 5 * time.Second
	defaultLinger = 10 * time.Second
)

// Target is what serves one target, and where its servers are.
type Target struct {
	Handler  extproc.TunnelHandler
	Upstream *Upstream
}

// Targets finds a target by its name. One that nobody serves is refused.
type Targets interface {
	Relay(target string) (Target, bool)
}

// Server takes connections that Envoy hands over.
type Server struct {
	cfg     Config
	targets Targets
	log     *slog.Logger
	metrics *metrics

	sessions *drain.Group
}

// New makes a Server.
func New(cfg Config, targets Targets, log *slog.Logger) (*Server, error) {
	if targets == nil || log == nil {
		return nil, errors.New("relay: targets and a logger are required")
	}
	if cfg.Header < 0 || cfg.Linger < 0 {
		return nil, errors.New("relay: a negative duration")
	}
	if cfg.Header == 0 {
		cfg.Header = defaultHeader
	}
	if cfg.Linger == 0 {
		cfg.Linger = defaultLinger
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	return &Server{cfg: cfg, targets: targets, log: log, metrics: m, sessions: drain.New()}, nil
}

// Drain cancels the context of every session, refuses new ones, and waits until
// all have ended. It returns ctx's error if that comes first.
func (s *Server) Drain(ctx context.Context) error { return s.sessions.Drain(ctx) }

// busy is how long no connection is taken when the system has no room for one.
const busy = 50 * time.Millisecond

// Serve takes connections from l, a Unix socket that only this user can open,
// until ctx ends. Then what is left of the connections is cut off, and it returns
// when all have ended.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		c, err := l.Accept()
		var full net.Error
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &full) && full.Temporary(): //nolint:staticcheck // no other word for what passes, such as too many open files
			s.log.WarnContext(ctx, "relay: no connection can be taken", "err", err)
			time.Sleep(busy)
			continue
		default:
			return fmt.Errorf("relay: %w", err)
		}
		unix, ok := c.(*net.UnixConn)
		if !ok {
			_ = c.Close()
			return fmt.Errorf("relay: a connection over %s", l.Addr().Network())
		}
		open.Go(func() {
			cut := context.AfterFunc(ctx, func() { _ = unix.Close() })
			defer cut()
			s.connection(unix)
		})
	}
}

// connection serves one connection, and closes it.
func (s *Server) connection(c *net.UnixConn) {
	if !s.sessions.Enter() {
		s.metrics.refuse(refusedDraining)
		_ = c.Close()
		return
	}
	s.metrics.open.Inc()
	defer s.metrics.open.Dec()
	end := s.session(c)
	s.sessions.Leave()
	if end == nil {
		_ = c.Close()
		return
	}
	end.linger(s.cfg.Linger)
}

// session serves the session of a connection. It returns the client's end if that
// may still have to be told something.
func (s *Server) session(c *net.UnixConn) *client {
	p, rest, reason, err := s.introduce(c)
	if err != nil {
		s.metrics.refuse(reason)
		s.log.WarnContext(s.sessions.Stopping(), "relay: a connection was refused", "reason", reason, "err", err)
		return nil
	}
	target, ok := s.targets.Relay(p.target)
	if !ok {
		s.metrics.refuse(refusedTarget)
		s.log.WarnContext(s.sessions.Stopping(), "relay: a connection was refused", "reason", refusedTarget, "target", p.target)
		return nil
	}
	ctx, ended := context.WithCancelCause(context.Background())
	defer ended(nil)
	drained := context.AfterFunc(s.sessions.Stopping(), func() { ended(nil) })
	defer drained()
	end := &client{UnixConn: c, from: p.client, ended: ended, rest: rest}
	dialled := &connections{upstream: target.Upstream}
	defer dialled.close()
	t := &extproc.Tunnel{Target: p.target, Peer: p.peer, Client: end, Dial: dialled.dial}
	if !s.run(ctx, p.target, func() { s.admitted(ctx, target.Handler, t) }) {
		return nil
	}
	return end
}

// introduce finds out who is there: what Envoy's header says, and what came
// behind it. The reason goes with an error.
func (s *Server) introduce(c *net.UnixConn) (p preface, rest []byte, reason string, err error) {
	same, err := sameUser(c)
	if err == nil && !same {
		err = errors.New("the socket was opened by another user")
	}
	if err != nil {
		return p, nil, refusedUser, err
	}
	if err := c.SetReadDeadline(time.Now().Add(s.cfg.Header)); err != nil {
		return p, nil, refusedHeader, err
	}
	r := bufio.NewReaderSize(c, readBuffer)
	if p, err = readPreface(r); err != nil {
		return p, nil, refusedHeader, err
	}
	ahead, _ := r.Peek(r.Buffered()) // never fails
	return p, append([]byte(nil), ahead...), "", c.SetReadDeadline(time.Time{})
}

// admitted serves a tunnel once the handler admits its client, or has the client
// told why not.
func (s *Server) admitted(ctx context.Context, h extproc.TunnelHandler, t *extproc.Tunnel) {
	leave, err := h.Admit(ctx, t.Peer)
	if err != nil {
		s.metrics.refuse(refusedAdmission)
		t.Refused, leave = err, func() {}
	}
	t.SignedIn = leave
	defer leave()
	h.ServeTunnel(ctx, t)
}

// run calls a handler. A panic of it ends its session, not the process.
func (s *Server) run(ctx context.Context, target string, serve func()) (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			s.metrics.refuse(refusedPanic)
			s.log.ErrorContext(ctx, "relay: a handler panicked", "target", target, "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	serve()
	return true
}

// connections are those to the target's servers that one session has made.
type connections struct {
	upstream *Upstream
	mu       sync.Mutex
	made     []net.Conn
}

// dial is extproc.Tunnel's Dial.
func (c *connections) dial(ctx context.Context) (net.Conn, error) {
	conn, err := c.upstream.Dial(ctx, "")
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = append(c.made, conn)
	return conn, nil
}

func (c *connections) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.made {
		_ = conn.Close()
	}
	c.made = nil
}
