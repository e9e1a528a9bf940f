package xds

import (
	"context"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gateway/weir/envoy"
)

// startPatient is a gateway that would wait for far too long, and what tells
// which listeners or clusters its Envoy has.
func startPatient(t *testing.T) (g gateway, has func(what string) []string) {
	var socket string
	g = startGateway(t, new(processor).register, func(c *Config, e *envoy.Config) {
		c.RemovalTimeout, socket = time.Hour, filepath.Join(e.Dir, "admin.sock")
	})
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	return g, func(what string) []string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://envoy/"+what, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		r, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = r.Body.Close() }()
		text, err := io.ReadAll(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for line := range strings.Lines(string(text)) {
			name, _, _ := strings.Cut(line, "::")
			names = append(names, name)
		}
		slices.Sort(names)
		return slices.Compact(names)
	}
}

// One target's port is taken. The others come and go all the same, with all that
// they need, and the refusal is forgotten with the target.
func TestARefusalHoldsUpNobodyElse(t *testing.T) {
	g, has := startPatient(t)
	stays, busy := service("stays", freeAddress(t)), service("busy", listen(t).Addr().String())
	x, y, z := database("x", freeAddress(t)), service("y", freeAddress(t)), service("z", freeAddress(t))
	cert, key := testCertificate(t, "weir.internal")
	z.TLS = &ListenerTLS{Certificate: cert, Key: Secret(key)}
	g.publish(t, stays)
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		name                string
		targets             []Target
		listeners, clusters []string
		refused             bool
	}{
		{
			"they come", []Target{stays, busy, x, y, z},
			[]string{"weir-stays", "weir-x", "weir-x-inner", "weir-y", "weir-z"},
			[]string{"upstream-busy", "upstream-stays", "upstream-x", "upstream-y", "upstream-z", "weir", "weir-x-inner", "xds"}, true,
		},
		{
			"two go while it is refused", []Target{stays, busy, x},
			[]string{"weir-stays", "weir-x", "weir-x-inner"},
			[]string{"upstream-busy", "upstream-stays", "upstream-x", "weir", "weir-x-inner", "xds"}, true,
		},
		{
			"it goes", []Target{stays, x},
			[]string{"weir-stays", "weir-x", "weir-x-inner"},
			[]string{"upstream-stays", "upstream-x", "weir", "weir-x-inner", "xds"}, false,
		},
		{"the last goes", []Target{stays}, []string{"weir-stays"}, []string{"upstream-stays", "weir", "xds"}, false},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), waitTime)
		defer cancel()
		if err := g.Publish(ctx, step.targets); err != nil || ctx.Err() != nil {
			t.Fatalf("%s: %v, %v", step.name, err, ctx.Err())
		}
		if err := g.WaitACK(ctx); (err != nil) != step.refused {
			t.Errorf("%s: %v", step.name, err)
		}
		if r := g.Status().Envoys[0].LastRejection; (r != nil) != step.refused {
			t.Errorf("%s: the status tells of %+v", step.name, r)
		}
		// What Envoy has taken it lists once it is warm, and a removal may be on its way
		// when Publish returns.
		for what, want := range map[string][]string{"listeners": step.listeners, "clusters": step.clusters} {
			if !eventually(ctx, func() bool { return cmp.Equal(want, has(what)) }) {
				t.Errorf("%s: %s", step.name, cmp.Diff(want, has(what)))
			}
		}
	}
}

func eventually(ctx context.Context, ok func() bool) bool {
	for !ok() {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(20 * time.Millisecond):
		}
	}
	return true
}

// A refusal that comes when something newer is served already is held against
// nobody, and what came with it has been taken.
func TestALateRefusal(t *testing.T) {
	c := startControl(t, Config{RemovalTimeout: time.Hour})
	a, b, x := database("a", "127.0.0.1:1"), database("b", "127.0.0.1:2"), database("x", "127.0.0.1:3")
	c.publish(t, a)
	e := c.connect(t, nil)
	e.take(clusterType, listenerType)
	c.publish(t, a, b, x)
	e.take(clusterType)
	late := e.receive(listenerType)

	published := make(chan error, 1)
	go func() { published <- c.Publish(context.Background(), []Target{a, x}) }()
	ctx, cancel := context.WithTimeout(t.Context(), waitTime)
	defer cancel()
	served := func() (bool, error) { return c.tracker.want[listenerType]["weir-b"] == "", nil }
	if err := c.tracker.await(ctx, served); err != nil {
		t.Fatal(err)
	}
	e.nack(late, "Error adding/updating listener(s) weir-b: cannot bind '127.0.0.1:2': Address already in use\n")
	removed := e.receive(listenerType)
	if diff := cmp.Diff([]string{"weir-b", "weir-b-inner"}, slices.Sorted(slices.Values(removed.GetRemovedResources()))); diff != "" {
		t.Error(diff)
	}
	e.ack(removed)
	e.take(clusterType)
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	if err := c.wait(t); err != nil {
		t.Error(err)
	}
	if r := c.Status().Envoys[0].LastRejection; r != nil {
		t.Errorf("the status tells of %+v", r)
	}
	if n := c.metric(t, "weir_xds_rejections_total"); n != 1 {
		t.Errorf("%v refusals are counted", n)
	}
}

// An Envoy that does not answer is waited for once, and keeps what it needs.
func TestAnEnvoyThatDoesNotLetGo(t *testing.T) {
	c := startControl(t, Config{RemovalTimeout: time.Millisecond})
	a, b, x := database("a", "127.0.0.1:1"), database("b", "127.0.0.1:2"), database("x", "127.0.0.1:3")
	c.publish(t, a, b, x)
	e := c.connect(t, nil)
	e.take(clusterType, listenerType)
	if err := c.wait(t); err != nil {
		t.Fatal(err)
	}
	c.publish(t, a, b)
	silent := e.receive(listenerType)
	c.cfg.RemovalTimeout = time.Hour
	c.publish(t, a)
	e.ack(silent)
	e.take(listenerType)
	e.quiet()
	if len(e.responses) > 0 {
		t.Fatalf("got %v", <-e.responses)
	}
	// With the next change all goes that was kept for it.
	c.publish(t, a)
	r := e.receive(clusterType)
	if diff := cmp.Diff([]string{"upstream-b", "upstream-x", "weir-b-inner", "weir-x-inner"}, slices.Sorted(slices.Values(r.GetRemovedResources()))); diff != "" {
		t.Error(diff)
	}
}
