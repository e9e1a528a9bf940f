package xds

import (
	"context"

	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	cachev3 "github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	deltav3 "github.com/envoyproxy/go-control-plane/pkg/server/delta/v3"
	serverv3 "github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Validator has an Envoy check a bootstrap (in JSON) without using it.
type Validator interface {
	Validate(ctx context.Context, bootstrap []byte) error
}

// Config is how targets are served.
type Config struct {
	Options Options
	// Validator may be nil, where there is no Envoy at hand.
	Validator Validator
	// RemovalTimeout is how long Envoys may take to let go of what is removed. What
	// they have not let go of stays until the next Publish. 10 s when 0.
	RemovalTimeout time.Duration
}

// Server serves the resources of targets to any number of Envoys, the same to
// all of them, by delta ADS only: a client that refuses everything draws one
// response by that, and thousands a second without it.
type Server struct {
	cfg     Config
	log     *slog.Logger
	cache   cachev3.SnapshotCache
	delta   deltav3.Server
	tracker *tracker
	metrics *metrics

	publishing sync.Mutex // one Publish at a time; guards what follows
	served     *Resources // that, and what was not let go of yet
	again      attempts
}

// everyEnvoy is the name under which the one snapshot is kept.
type everyEnvoy struct{}

func (everyEnvoy) ID(*corev3.Node) string { return "envoy" }

// New makes a Server with nothing to serve yet. reg may be nil.
func New(cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Server, error) {
	cfg.Options = cfg.Options.withDefaults()
	setDefault(&cfg.RemovalTimeout, 10*time.Second)
	if err := cfg.Options.check(); err != nil {
		return nil, err
	}
	m := newMetrics()
	t := newTracker(log, m)
	if err := m.register(reg, t); err != nil {
		return nil, fmt.Errorf("xds: %w", err)
	}
	cache := cachev3.NewSnapshotCache(true, everyEnvoy{}, libraryLog{log})
	return &Server{
		cfg: cfg, log: log, cache: cache, tracker: t, metrics: m, again: attempts{},
		delta: deltav3.NewServer(context.Background(), cache, serverv3.CallbackFuncs{
			DeltaStreamOpenFunc:    func(ctx context.Context, id int64, _ string) error { t.opened(ctx, id); return nil },
			DeltaStreamClosedFunc:  func(id int64, _ *corev3.Node) { t.closed(id) },
			StreamDeltaRequestFunc: func(id int64, r *discoveryv3.DeltaDiscoveryRequest) error { t.received(id, r); return nil },
			StreamDeltaResponseFunc: func(id int64, _ *discoveryv3.DeltaDiscoveryRequest, r *discoveryv3.DeltaDiscoveryResponse) {
				t.sent(id, r)
			},
		}),
	}, nil
}

// Register adds the aggregated discovery service. Whoever reaches it is handed
// the listeners' private keys.
func (s *Server) Register(g *grpc.Server) {
	discoveryv3.RegisterAggregatedDiscoveryServiceServer(g, s)
}

// DeltaAggregatedResources serves one Envoy.
func (s *Server) DeltaAggregatedResources(stream discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesServer) error {
	return s.delta.DeltaStreamHandler(stream, resourcev3.AnyType)
}

// StreamAggregatedResources is not served.
func (s *Server) StreamAggregatedResources(discoveryv3.AggregatedDiscoveryService_StreamAggregatedResourcesServer) error {
	return status.Error(codes.Unimplemented, "only delta xDS is served; use api_type: DELTA_GRPC")
}

// Publish serves these targets instead of those before. On an error nothing has
// changed. It returns once they are served and, where something was removed,
// once Envoys have let go of it or RemovalTimeout is over; whether Envoy takes
// them tells WaitACK. What an Envoy refused before is offered to it again.
func (s *Server) Publish(ctx context.Context, targets []Target) error {
	s.publishing.Lock()
	defer s.publishing.Unlock()
	err := s.publish(ctx, targets)
	result := "ok"
	if err != nil {
		result = "refused"
	}
	s.metrics.publishes.WithLabelValues(result).Inc()
	return err
}

func (s *Server) publish(ctx context.Context, targets []Target) error {
	next, err := Translate(s.cfg.Options, targets)
	if err != nil {
		return err
	}
	refused := s.tracker.refused()
	again := s.again.and(refused)
	first, removal, err := next.keeping(s.served, everything)
	if err != nil {
		return err
	}
	snapshot, _, err := next.snapshot(again)
	if err != nil {
		return err
	}
	if !removal && s.serves(snapshot) {
		return nil
	}
	if err := snapshot.Consistent(); err != nil {
		return fmt.Errorf("xds: the resources do not fit together: %w", err)
	}
	if err := s.validate(ctx, targets); err != nil {
		return err
	}
	s.again = again
	if err := s.serve(first, next, refused); err != nil || !removal {
		return err
	}
	return s.remove(ctx, next)
}

// remove is the second step: the listeners that need it are gone, so the rest
// may go. What some Envoy has not let go of stays, with all that it needs.
func (s *Server) remove(ctx context.Context, next *Resources) error {
	wait, cancel := context.WithTimeout(ctx, s.cfg.RemovalTimeout)
	defer cancel()
	if err := s.tracker.await(wait, s.tracker.letGo); err != nil {
		s.tracker.giveUp()
	}
	inUse := s.tracker.inUse()
	if len(inUse) > 0 {
		s.log.Warn("some listeners that were changed or removed are still in use; what they need stays until the next change", "listeners", inUse)
	}
	left, _, err := next.keeping(s.served, neededBy(inUse))
	if err != nil {
		return err
	}
	return s.serve(left, next, nil)
}

// serve swaps what is served: all of r, of which Envoys need what is in next.
// What was refused before is offered anew.
func (s *Server) serve(r, next *Resources, refused []*refusal) error {
	snapshot, sent, err := r.snapshot(s.again)
	if err != nil {
		return err
	}
	_, needed, err := next.snapshot(nil)
	if err != nil {
		return err
	}
	s.tracker.serve(sent, needed, refused)
	s.served = r
	return s.cache.SetSnapshot(context.Background(), everyEnvoy{}.ID(nil), snapshot)
}

// serves says whether this very snapshot is served.
func (s *Server) serves(snapshot *cachev3.Snapshot) bool {
	now, err := s.cache.GetSnapshot(everyEnvoy{}.ID(nil))
	if err != nil {
		return false
	}
	for typ, versions := range snapshot.VersionMap {
		if !maps.Equal(versions, now.GetVersionMap(typ)) {
			return false
		}
	}
	return true
}

func (s *Server) validate(ctx context.Context, targets []Target) error {
	if s.cfg.Validator == nil {
		return nil
	}
	bootstrap, err := Static(s.cfg.Options, targets)
	if err != nil {
		return err
	}
	return s.cfg.Validator.Validate(ctx, bootstrap)
}

// WaitACK waits until at least one Envoy holds all that is served. It fails with
// a *RejectedError when one refuses a part of it, and when ctx ends.
func (s *Server) WaitACK(ctx context.Context) error {
	return s.tracker.await(ctx, s.tracker.taken)
}

// Ready is nil while at least one connected Envoy serves a whole configuration:
// the current one or, where it refused that, the one before.
func (s *Server) Ready() error { return s.tracker.serving() }

// Status is what Envoys have been told and what they made of it.
func (s *Server) Status() Status { return s.tracker.status() }

// libraryLog passes on what the library logs. It is chatty and says nothing that
// an operator could act on.
type libraryLog struct{ log *slog.Logger }

func (l libraryLog) Debugf(string, ...any) {}
func (l libraryLog) Infof(string, ...any)  {}
func (l libraryLog) Warnf(format string, args ...any) {
	l.log.Debug(fmt.Sprintf(format, args...), "component", "xds")
}
func (l libraryLog) Errorf(format string, args ...any) {
	l.log.Warn(fmt.Sprintf(format, args...), "component", "xds")
}
