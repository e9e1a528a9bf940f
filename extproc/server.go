package extproc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/mem"

	"github.com/weir-gateway/weir/internal/drain"
)

// Config bounds what a session may use. The zero value is right for most.
type Config struct {
	// Window is how many bytes of one direction may lie unread before Envoy is
	// held back. Default 256 KiB, as much as Envoy's own buffers and windows.
	Window int
	// MaxBuffered is how many bytes of one direction may lie unread while
	// somebody waits for the other one. Past it the session ends; with the other
	// defaults that takes months. Default 8 MiB.
	MaxBuffered int
	// MaxAhead is how many bytes of clients may lie unread over all sessions, beyond
	// each one's Window, because they came ahead of an answer of the server's that
	// their session needs first (see Tunnel.Await). Past it such a session waits as
	// any other does. Default 64 MiB.
	MaxAhead int
	// StallDelay is how long a full direction and one that is waited for may
	// stand still before more is received. It doubles with each Window. Default
	// 5 ms.
	StallDelay time.Duration
	// ChunkSize is the most that is sent in one message. Default 128 KiB: what is
	// read at once fits into one, even where masks make it longer. At most 512 KiB.
	ChunkSize int
	// Linger is how long Envoy has to end a stream that is over. Default 10 s.
	Linger time.Duration
	// Fallback is the address, as Envoy prints it, of the upstream that stands in
	// for a target that refuses (see ServeFallback). "" means there is none.
	Fallback string
	// Registerer takes the metrics. nil means none are kept.
	Registerer prometheus.Registerer
}

func (c *Config) setDefaults() error {
	setDefault(&c.Window, 256<<10)
	setDefault(&c.MaxBuffered, 8<<20)
	setDefault(&c.MaxAhead, 64<<20)
	setDefault(&c.StallDelay, 5*time.Millisecond)
	setDefault(&c.ChunkSize, 128<<10)
	setDefault(&c.Linger, 10*time.Second)
	switch {
	case c.Window < 0 || c.MaxBuffered < c.Window:
		return fmt.Errorf("extproc: a window of %d bytes does not fit into %d buffered", c.Window, c.MaxBuffered)
	case c.MaxAhead < 0:
		return errors.New("extproc: a negative MaxAhead")
	case c.ChunkSize < 0 || c.ChunkSize > maxChunkSize:
		return fmt.Errorf("extproc: chunks of %d bytes: at most %d are possible", c.ChunkSize, maxChunkSize)
	case c.StallDelay < 0 || c.Linger < 0:
		return errors.New("extproc: a negative duration")
	}
	return nil
}

// maxChunkSize keeps a message well below gRPC's default limit of 4 MiB.
const maxChunkSize = 512 << 10

func setDefault[T comparable](v *T, value T) {
	var zero T
	if *v == zero {
		*v = value
	}
}

// Server is Envoy's external processor and external authorization service.
type Server struct {
	extprocv3.UnimplementedExternalProcessorServer
	authv3.UnimplementedAuthorizationServer

	cfg      Config
	handlers Handlers
	log      *slog.Logger
	metrics  *metrics
	pool     mem.BufferPool

	ahead    atomic.Int64 // of MaxAhead, what is borrowed
	sessions *drain.Group
}

// New makes a Server that asks handlers for the handler of each target.
func New(cfg Config, handlers Handlers, log *slog.Logger) (*Server, error) {
	if handlers == nil || log == nil {
		return nil, errors.New("extproc: handlers and a logger are required")
	}
	if err := cfg.setDefaults(); err != nil {
		return nil, err
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("extproc: %w", err)
	}
	s := &Server{
		cfg: cfg, handlers: handlers, log: log, metrics: m,
		pool:     newBufferPool(4<<10, 16<<10, 64<<10+maxBodyOverhead, cfg.ChunkSize, cfg.ChunkSize+maxBodyOverhead),
		sessions: drain.New(),
	}
	return s, nil
}

// Register adds both services. The gRPC server must have been made with
// ServerOptions: without, every stream ends with an error.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	extprocv3.RegisterExternalProcessorServer(r, s)
	authv3.RegisterAuthorizationServer(r, s)
}

// Drain cancels the context of every session, refuses new ones, and waits until
// all have ended. It returns ctx's error if that comes first; the sessions that
// are left end with the gRPC server.
func (s *Server) Drain(ctx context.Context) error { return s.sessions.Drain(ctx) }

// enter counts a session in, unless the server drains. The context of the
// session ends with its parent (its cause is ErrEnded then), with leave, and when
// the server drains.
func (s *Server) enter(parent context.Context) (ctx context.Context, leave func(), ok bool) {
	if !s.sessions.Enter() {
		return nil, nil, false
	}
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(parent))
	ended := context.AfterFunc(parent, func() { cancel(ErrEnded) })
	drained := context.AfterFunc(s.sessions.Stopping(), func() { cancel(nil) })
	return ctx, func() {
		ended()
		drained()
		cancel(nil)
		s.sessions.Leave()
	}, true
}
