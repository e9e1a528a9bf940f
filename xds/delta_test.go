package xds

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	grpcstatus "google.golang.org/grpc/status"
)

func TestOnlyWhatChangedIsSent(t *testing.T) {
	c := startControl(t, Config{})
	a, b := database("a", "127.0.0.1:1"), database("b", "127.0.0.1:2")
	c.publish(t, a, b)
	e := c.connect(t, nil)
	first := e.receive(clusterType)
	if diff := cmp.Diff([]string{"upstream-a", "upstream-b", "weir", "weir-a-inner", "weir-b-inner"}, sentNames(first)); diff != "" {
		t.Error(diff)
	}
	e.ack(first)
	e.take(listenerType)
	if err := c.wait(t); err != nil {
		t.Fatal(err)
	}

	b.Upstream.Endpoints = []string{"127.0.0.1:5433"}
	c.publish(t, a, b)
	changed := e.receive(clusterType)
	if diff := cmp.Diff([]string{"upstream-b"}, sentNames(changed)); diff != "" {
		t.Error(diff)
	}
	e.ack(changed)
	e.quiet()
	c.publish(t, b, a) // the same
	if err := c.wait(t); err != nil {
		t.Fatal(err)
	}
	if len(e.responses) > 0 {
		t.Errorf("the same targets drew %v", <-e.responses)
	}
}

func TestARefusalStaysQuiet(t *testing.T) {
	c := startControl(t, Config{})
	e := c.connect(t, nil)
	c.publish(t, database("a", "127.0.0.1:1"))
	e.take(clusterType, listenerType)
	if err := c.wait(t); err != nil {
		t.Fatal(err)
	}

	c.publish(t, database("a", "127.0.0.1:2"))
	e.nack(e.receive(listenerType), "Error adding/updating listener(s) weir-a: cannot bind '127.0.0.1:2': Address already in use\n")
	e.quiet()
	if len(e.responses) > 0 {
		t.Errorf("a refusal drew %v", <-e.responses)
	}
	err := c.wait(t)
	want := "target a: 127.0.0.1:2 is in use by another program; choose another `listen`"
	var refused *RejectedError
	if !errors.As(err, &refused) || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if err := c.Ready(); err != nil {
		t.Errorf("what was served before still is, but Ready says %v", err)
	}
	st := c.Status().Envoys[0]
	if st.Current || !st.Serving || st.Node != "edge" || st.LastRejection == nil {
		t.Fatalf("the status is %+v", st)
	}
	if r := st.LastRejection; r.Type != "listeners" || r.Reason != want || !slices.Equal(r.Resources, []string{"weir-a"}) {
		t.Errorf("the status tells of %+v", r)
	}
	if n := c.metric(t, "weir_xds_rejections_total"); n != 1 {
		t.Errorf("%v refusals are counted", n)
	}
}

// What was refused is sent again when it is published again, with all that was
// refused together with it, and it is no longer held against anybody.
func TestWhatWasRefusedIsTriedAgain(t *testing.T) {
	c := startControl(t, Config{})
	a, b := database("a", "127.0.0.1:1"), database("b", "127.0.0.1:2")
	c.publish(t, a, b)
	e := c.connect(t, nil)
	e.take(clusterType)
	first := e.receive(listenerType)
	e.nack(first, "Error adding/updating listener(s) weir-a: cannot bind '127.0.0.1:1': Permission denied\n")
	if err := c.wait(t); err == nil || !strings.Contains(err.Error(), "choose a port above 1023") {
		t.Errorf("got %v", err)
	}
	if err := c.Ready(); err == nil {
		t.Error("nothing was ever taken, but it is ready")
	}
	c.publish(t, a, b)
	again := e.receive(listenerType)
	if diff := cmp.Diff(sentNames(first), sentNames(again)); diff != "" {
		t.Error(diff)
	}
	e.ack(again)
	if err := c.wait(t); err != nil {
		t.Error(err)
	}
	c.publish(t, a, b)
	e.quiet()
	if len(e.responses) > 0 {
		t.Errorf("it was sent once more: %v", <-e.responses)
	}
}

func TestRemovalTakesTwoSteps(t *testing.T) {
	c := startControl(t, Config{RemovalTimeout: waitTime})
	c.publish(t, database("a", "127.0.0.1:1"), database("b", "127.0.0.1:2"))
	e := c.connect(t, nil)
	e.take(clusterType, listenerType)

	published := make(chan error, 1)
	go func() { published <- c.Publish(context.Background(), []Target{database("a", "127.0.0.1:1")}) }()
	listeners := e.receive(listenerType)
	if diff := cmp.Diff([]string{"weir-b", "weir-b-inner"}, slices.Sorted(slices.Values(listeners.GetRemovedResources()))); diff != "" {
		t.Error(diff)
	}
	e.quiet()
	if len(e.responses) > 0 || len(published) > 0 {
		t.Fatal("clusters went before the listeners that use them were let go of")
	}
	e.ack(listeners)
	clusters := e.receive(clusterType)
	if diff := cmp.Diff([]string{"upstream-b", "weir-b-inner"}, slices.Sorted(slices.Values(clusters.GetRemovedResources()))); diff != "" {
		t.Error(diff)
	}
	e.ack(clusters)
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	if err := c.wait(t); err != nil {
		t.Fatal(err)
	}
}

// A listener that could not be replaced goes on as it was, so what it needs
// stays.
func TestNothingIsRemovedAfterARefusal(t *testing.T) {
	c := startControl(t, Config{RemovalTimeout: waitTime})
	c.publish(t, database("a", "127.0.0.1:1"))
	e := c.connect(t, nil)
	e.take(clusterType, listenerType)

	published := make(chan error, 1)
	go func() { published <- c.Publish(context.Background(), []Target{service("a", "127.0.0.1:1")}) }()
	e.take(clusterType)
	e.nack(e.receive(listenerType), "Error adding/updating listener(s) weir-a: no\n")
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	e.quiet()
	if len(e.responses) > 0 {
		t.Errorf("got %v", <-e.responses)
	}
	// The next change takes it away.
	go func() { published <- c.Publish(context.Background(), []Target{service("a", "127.0.0.1:3")}) }()
	e.take(listenerType)
	if r := e.receive(clusterType); !slices.Equal(r.GetRemovedResources(), []string{"weir-a-inner"}) {
		t.Errorf("removed is %v", r.GetRemovedResources())
	}
	if err := <-published; err != nil {
		t.Fatal(err)
	}
}

func TestRemovalDoesNotWaitForNobody(t *testing.T) {
	c := startControl(t, Config{RemovalTimeout: waitTime})
	c.publish(t, database("a", "127.0.0.1:1"), service("b", "127.0.0.1:2"))
	c.publish(t)
	if n := len(c.Status().Versions); n != 4 {
		t.Errorf("%d types are served", n)
	}
	e := c.connect(t, nil)
	if got := sentNames(e.receive(clusterType)); !slices.Equal(got, []string{"weir"}) {
		t.Errorf("got %v", got)
	}
}

// An Envoy that comes back with what it has is sent nothing of it, and counts
// as having it.
func TestAnEnvoyThatComesBack(t *testing.T) {
	c := startControl(t, Config{})
	c.publish(t, database("a", "127.0.0.1:1"))
	e := c.connect(t, nil)
	held := versions{}
	for _, typ := range []string{clusterType, listenerType} {
		r := e.receive(typ)
		held[typ] = map[string]string{}
		for _, res := range r.GetResources() {
			held[typ][res.GetName()] = res.GetVersion()
		}
		e.ack(r)
	}
	if err := c.wait(t); err != nil {
		t.Fatal(err)
	}
	e.disconnect()
	again := c.connect(t, held)
	for _, typ := range []string{clusterType, listenerType} {
		r := again.receive(typ)
		if len(r.GetResources())+len(r.GetRemovedResources()) > 0 {
			t.Errorf("it was sent %v", r)
		}
		again.ack(r)
	}
	if err := c.wait(t); err != nil {
		t.Fatal(err)
	}
}

func TestAnInvalidConfigurationChangesNothing(t *testing.T) {
	v := &checker{}
	c := startControl(t, Config{Validator: v})
	good := database("a", "127.0.0.1:1")
	c.publish(t, good)
	before := c.Status().Versions
	v.err = errors.New("envoy refuses the configuration: no")
	if err := c.Publish(t.Context(), []Target{database("b", "127.0.0.1:2")}); !errors.Is(err, v.err) {
		t.Errorf("got %v", err)
	}
	v.err = nil
	if err := c.Publish(t.Context(), []Target{{Name: "c"}}); err == nil {
		t.Error("nonsense was taken")
	}
	if diff := cmp.Diff(before, c.Status().Versions); diff != "" {
		t.Error(diff)
	}
	if n := c.metric(t, `weir_xds_publishes_total`, "refused"); n != 2 {
		t.Errorf("%v are counted as refused", n)
	}
	checks := v.checks
	c.publish(t, good)
	if v.checks != checks {
		t.Error("what is served already was checked again")
	}
}

// checker is a Validator.
type checker struct {
	err    error
	checks int
}

func (c *checker) Validate(_ context.Context, bootstrap []byte) error {
	c.checks++
	if !strings.Contains(string(bootstrap), "static_resources") {
		return errors.New("that is no bootstrap")
	}
	return c.err
}

func TestNobodyIsReadyYet(t *testing.T) {
	c := startControl(t, Config{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	says := func(want error) {
		t.Helper()
		if err := c.Ready(); !errors.Is(err, want) {
			t.Errorf("Ready says %v, not %v", err, want)
		}
		if err := c.WaitACK(ctx); !errors.Is(err, want) || !errors.Is(err, context.Canceled) {
			t.Errorf("WaitACK says %v, not %v", err, want)
		}
	}
	says(errNothingPublished)
	c.publish(t, database("a", "127.0.0.1:1"))
	says(errNoEnvoy)
	e := c.connect(t, nil)
	e.take(clusterType)
	says(errNotTaken)
	e.take(listenerType)
	if err := c.wait(t); err != nil {
		t.Fatal(err)
	}
	if connected, current := c.metric(t, "weir_xds_envoys_connected"), c.metric(t, "weir_xds_envoys_current"); connected != 1 || current != 1 {
		t.Errorf("the metrics say %v connected, %v current", connected, current)
	}
	if diff := cmp.Diff(slices.Sorted(maps.Keys(c.Status().Envoys[0].Acked)), []string{"clusters", "listeners"}); diff != "" {
		t.Error(diff)
	}
	e.disconnect()
	ctx, cancel = context.WithTimeout(t.Context(), waitTime)
	defer cancel()
	err := c.tracker.await(ctx, func() (bool, error) { return len(c.tracker.envoys) == 0, nil })
	if err != nil || c.Ready() == nil {
		t.Errorf("it is ready without an Envoy (%v)", err)
	}
}

func TestOnlyDeltaIsServed(t *testing.T) {
	c := startControl(t, Config{})
	stream, err := discoveryv3.NewAggregatedDiscoveryServiceClient(c.dial).StreamAggregatedResources(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err = stream.Recv(); grpcstatus.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), "DELTA_GRPC") {
		t.Errorf("got %v", err)
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	reg := prometheus.NewRegistry()
	cfg := Config{Options: options()}
	if _, err := New(cfg, slog.New(slog.DiscardHandler), reg); err != nil {
		t.Fatal(err)
	}
	if _, err := New(cfg, slog.New(slog.DiscardHandler), reg); err == nil {
		t.Error("two servers share their metrics")
	}
	if _, err := New(Config{}, slog.New(slog.DiscardHandler), nil); err == nil {
		t.Error("a server without a processor")
	}
}
