package xds

import (
	"context"
	"log/slog"
	"net"
	"slices"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	resourcev3 "github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"
)

const (
	clusterType  = resourcev3.ClusterType
	listenerType = resourcev3.ListenerType
)

// control is a Server that is reached without a network.
type control struct {
	*Server
	dial     *grpc.ClientConn
	registry *prometheus.Registry
}

func startControl(t *testing.T, cfg Config) control {
	t.Helper()
	cfg.Options = options()
	reg := prometheus.NewRegistry()
	s, err := New(cfg, slog.New(slog.NewTextHandler(t.Output(), nil)), reg)
	if err != nil {
		t.Fatal(err)
	}
	l := bufconn.Listen(1 << 20)
	g := grpc.NewServer()
	s.Register(g)
	done := make(chan struct{})
	go func() { defer close(done); _ = g.Serve(l) }()
	t.Cleanup(func() { g.Stop(); <-done })
	conn, err := grpc.NewClient("passthrough:///weir", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return l.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return control{s, conn, reg}
}

func (c control) publish(t *testing.T, targets ...Target) {
	t.Helper()
	if err := c.Publish(t.Context(), targets); err != nil {
		t.Fatal(err)
	}
}

// metric is the value of a metric, with this value of its label if it has one.
func (c control) metric(t *testing.T, name string, label ...string) float64 {
	t.Helper()
	families, err := c.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && (len(label) == 0 || m.GetLabel()[0].GetValue() == label[0]) {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// peerEnvoy plays an Envoy that answers only when the test says so.
type peerEnvoy struct {
	t         *testing.T
	stream    discoveryv3.AggregatedDiscoveryService_DeltaAggregatedResourcesClient
	cancel    context.CancelFunc
	responses chan *discoveryv3.DeltaDiscoveryResponse // closed with the stream
}

// connect subscribes to clusters and listeners, all of them, as Envoy does.
func (c control) connect(t *testing.T, initial versions) *peerEnvoy {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(c.dial).DeltaAggregatedResources(ctx)
	if err != nil {
		t.Fatal(err)
	}
	e := &peerEnvoy{t, stream, cancel, make(chan *discoveryv3.DeltaDiscoveryResponse, 100)}
	go func() {
		defer close(e.responses)
		for {
			r, err := stream.Recv()
			if err != nil {
				return
			}
			e.responses <- r
		}
	}()
	t.Cleanup(e.disconnect)
	node := &corev3.Node{Id: "edge"}
	for _, typ := range []string{clusterType, listenerType} {
		e.send(&discoveryv3.DeltaDiscoveryRequest{Node: node, TypeUrl: typ, InitialResourceVersions: initial[typ]})
	}
	return e
}

func (e *peerEnvoy) disconnect() {
	e.cancel()
	for range e.responses {
		continue
	}
}

func (e *peerEnvoy) send(r *discoveryv3.DeltaDiscoveryRequest) {
	e.t.Helper()
	if err := e.stream.Send(r); err != nil {
		e.t.Fatal(err)
	}
}

// receive waits for the next response, which is of this type.
func (e *peerEnvoy) receive(typ string) *discoveryv3.DeltaDiscoveryResponse {
	e.t.Helper()
	select {
	case r, ok := <-e.responses:
		if !ok || r.GetTypeUrl() != typ {
			e.t.Fatalf("got %v, not a response of type %s", r, typeName(typ))
		}
		return r
	case <-time.After(waitTime):
		e.t.Fatalf("no response of type %s", typeName(typ))
	}
	return nil
}

func (e *peerEnvoy) ack(r *discoveryv3.DeltaDiscoveryResponse) {
	e.t.Helper()
	e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce()})
}

func (e *peerEnvoy) nack(r *discoveryv3.DeltaDiscoveryResponse, message string) {
	e.t.Helper()
	e.send(&discoveryv3.DeltaDiscoveryRequest{
		TypeUrl: r.GetTypeUrl(), ResponseNonce: r.GetNonce(),
		ErrorDetail: &status.Status{Code: int32(codes.Internal), Message: message},
	})
}

// take receives and acknowledges one response of each type, in order.
func (e *peerEnvoy) take(types ...string) {
	e.t.Helper()
	for _, typ := range types {
		e.ack(e.receive(typ))
	}
}

// quiet checks that the server has sent nothing more. A server sends before it
// answers what is asked next, so it is asked for something.
func (e *peerEnvoy) quiet() {
	e.t.Helper()
	e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resourcev3.SecretType, ResourceNamesSubscribe: []string{"*"}})
	r := e.receive(resourcev3.SecretType)
	e.ack(r)
	e.send(&discoveryv3.DeltaDiscoveryRequest{TypeUrl: resourcev3.RouteType, ResourceNamesSubscribe: []string{"*"}})
	e.ack(e.receive(resourcev3.RouteType))
}

func sentNames(r *discoveryv3.DeltaDiscoveryResponse) []string {
	var out []string
	for _, res := range r.GetResources() {
		out = append(out, res.GetName())
	}
	slices.Sort(out)
	return out
}

func (c control) wait(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTime)
	defer cancel()
	return c.WaitACK(ctx)
}
