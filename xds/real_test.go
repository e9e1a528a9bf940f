package xds

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/weir-gateway/weir/envoy"
)

// waitTime is how long a test waits for what must happen.
const waitTime = 30 * time.Second

// realEnvoy is the Envoy of WEIR_ENVOY, of PATH, or that `make` set up.
func realEnvoy(t *testing.T) envoy.Binary {
	t.Helper()
	b, err := envoy.Find(t.Context(), envoy.Lookup{
		Path:      os.Getenv("WEIR_ENVOY"),
		Fallbacks: []string{"../.weir/bin/envoy"},
	})
	if errors.Is(err, envoy.ErrMissing) {
		t.Skipf("this test needs Envoy: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// gateway is a Server and an Envoy that it configures.
type gateway struct {
	*Server
	envoy *envoy.Supervisor
}

// startGateway serves with whatever else extra registers, and starts an Envoy.
func startGateway(t *testing.T, extra func(*grpc.Server), change ...func(*Config, *envoy.Config)) gateway {
	t.Helper()
	binary := realEnvoy(t)
	dir, err := os.MkdirTemp("", "weir") // t.TempDir's path is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "weir.sock")
	bootstrap, err := envoy.Bootstrap(envoy.BootstrapConfig{
		NodeID: "test", XDS: envoy.Server{Socket: socket}, Admin: "unix:" + filepath.Join(dir, "admin.sock"),
	})
	if err != nil {
		t.Fatal(err)
	}
	serverConfig := Config{Options: Options{Processor: Processor{Socket: socket}}, Validator: binary}
	envoyConfig := envoy.Config{Binary: binary, Bootstrap: bootstrap, Dir: dir, Concurrency: 1}
	for _, c := range change {
		c(&serverConfig, &envoyConfig)
	}
	s, err := New(serverConfig, testLog(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	g := grpc.NewServer()
	s.Register(g)
	if extra != nil {
		extra(g)
	}
	go func() { _ = g.Serve(l) }()
	t.Cleanup(g.Stop)

	e, err := envoy.New(envoyConfig, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}))
	return gateway{s, e}
}

func (g gateway) publish(t *testing.T, targets ...Target) {
	t.Helper()
	if err := g.Publish(t.Context(), targets); err != nil {
		t.Fatal(err)
	}
}

func (g gateway) taken(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTime)
	defer cancel()
	if err := g.envoy.Ready(ctx); err != nil {
		t.Fatal(err)
	}
	return g.WaitACK(ctx)
}

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

func TestEnvoyTakesEveryGoldenFile(t *testing.T) {
	b := realEnvoy(t)
	for name, s := range scenarios(t) {
		t.Run(name, func(t *testing.T) {
			if p := &s.Options.Processor; p.TLS != nil {
				p.TLS = processorFiles(t)
			}
			if s.Options.SystemRoots != "" {
				s.Options.SystemRoots = processorFiles(t).CA
			}
			config, err := Static(s.Options, s.Targets)
			if err != nil {
				t.Fatal(err)
			}
			if err := b.Validate(t.Context(), config); err != nil {
				t.Error(err)
			}
		})
	}
}

func processorFiles(t *testing.T) *ProcessorTLS {
	t.Helper()
	cert, key := testCertificate(t, "weir.internal")
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	if err := errors.Join(os.WriteFile(certFile, []byte(cert), 0o600), os.WriteFile(keyFile, []byte(key), 0o600)); err != nil {
		t.Fatal(err)
	}
	return &ProcessorTLS{CA: certFile, ServerName: "weir.internal", Certificate: certFile, Key: keyFile}
}

func TestAPortInUseIsToldInTheUsersWords(t *testing.T) {
	first, second := listen(t), listen(t)
	free := freeAddress(t)
	g := startGateway(t, nil)
	g.publish(t, database("orders", first.Addr().String()), database("more", second.Addr().String()), database("free", free))
	err := g.taken(t)
	want := fmt.Sprintf("target more: %s is in use by another program; choose another `listen`; "+
		"target orders: %s is in use by another program; choose another `listen`", second.Addr(), first.Addr())
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
	if err := g.Ready(); err == nil || err.Error() != want {
		t.Errorf("Ready says %v", err)
	}

	// The same again once the ports are free: nothing has to be changed for it.
	_, _ = first.Close(), second.Close()
	g.publish(t, database("orders", first.Addr().String()), database("more", second.Addr().String()), database("free", free))
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	if err := g.Ready(); err != nil {
		t.Error(err)
	}
	// And a later refusal does not make what serves look as if it did not.
	third := listen(t)
	g.publish(t, database("orders", third.Addr().String()))
	if err := g.taken(t); err == nil {
		t.Error("a port in use was taken")
	}
	if err := g.Ready(); err != nil {
		t.Errorf("what was served before still is, but Ready says %v", err)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// echoServer answers with what it is sent, and tells of each connection.
func echoServer(t *testing.T) (address string, accepted *atomic.Int32) {
	t.Helper()
	l, accepted := listen(t), new(atomic.Int32)
	go serveEcho(l, accepted)
	return l.Addr().String(), accepted
}

func serveEcho(l net.Listener, accepted *atomic.Int32) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		accepted.Add(1)
		go func() { _, _ = io.Copy(c, c); _ = c.Close() }()
	}
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, waitTime)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(waitTime)); err != nil {
		t.Fatal(err)
	}
	return c
}

func echoes(t *testing.T, c net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	_, err := c.Write([]byte(text))
	if err == nil {
		_, err = io.ReadFull(c, got)
	}
	if err != nil || string(got) != text {
		t.Errorf("sent %q, got %q, %v", text, got, err)
	}
}

func echoTarget(name, listen, upstream string) Target {
	return Target{Name: name, Kind: Postgres, Listen: listen, Upstream: Upstream{Endpoints: []string{upstream}}}
}

func TestATunnelTellsWhoseItIs(t *testing.T) {
	p := new(processor)
	g := startGateway(t, p.register)
	upstream, _ := echoServer(t)
	address := freeAddress(t)
	g.publish(t, echoTarget("orders", address, upstream))
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	c := dial(t, address)
	echoes(t, c, "hello")
	got := p.last()
	if got.target != "orders" {
		t.Errorf("the target is %q", got.target)
	}
	if got.headers["weir-client"] != c.LocalAddr().String() {
		t.Errorf("the client is %q, not %s", got.headers["weir-client"], c.LocalAddr())
	}
	// What is not known is not said.
	if names := with("weir-", got.headers); !slices.Equal(names, []string{"weir-client"}) {
		t.Errorf("it was told %v", names)
	}
}

func TestNothingPassesWithoutAProcessor(t *testing.T) {
	g := startGateway(t, nil)
	upstream, accepted := echoServer(t)
	address := freeAddress(t)
	g.publish(t, echoTarget("orders", address, upstream))
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	c := dial(t, address)
	_, _ = c.Write([]byte("hello"))
	if got, _ := io.ReadAll(c); len(got) > 0 {
		t.Errorf("the client got %q", got)
	}
	if accepted.Load() > 0 {
		t.Error("the upstream was reached")
	}
}

func TestAChangeOfOneTargetLeavesOthersConnectionsAlone(t *testing.T) {
	g := startGateway(t, new(processor).register)
	upstream, _ := echoServer(t)
	a, b, c := freeAddress(t), freeAddress(t), freeAddress(t)
	stays := echoTarget("stays", a, upstream)
	g.publish(t, stays, echoTarget("moves", b, upstream), echoTarget("goes", c, upstream))
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	conn := dial(t, a)
	echoes(t, conn, "before")
	echoes(t, dial(t, c), "before")

	moved := freeAddress(t)
	g.publish(t, stays, echoTarget("moves", moved, upstream))
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	echoes(t, conn, "after")
	echoes(t, dial(t, moved), "moved")
	for _, gone := range []string{b, c} {
		if conn, err := net.Dial("tcp", gone); err == nil {
			_ = conn.Close()
			t.Errorf("%s still takes connections", gone)
		}
	}
	if got := g.Status().Versions; len(got) != 4 {
		t.Errorf("versions are %v", got)
	}
}

func TestSessionsOfARemovedTargetEndAfterTheDrain(t *testing.T) {
	g := startGateway(t, new(processor).register, func(_ *Config, e *envoy.Config) { e.Drain = time.Second })
	upstream, _ := echoServer(t)
	address := freeAddress(t)
	g.publish(t, echoTarget("goes", address, upstream))
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	c := dial(t, address)
	echoes(t, c, "before")
	g.publish(t)
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); len(got) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestAnEnvoyThatCrashedIsConfiguredAgain(t *testing.T) {
	g := startGateway(t, new(processor).register)
	upstream, _ := echoServer(t)
	address := freeAddress(t)
	g.publish(t, echoTarget("orders", address, upstream))
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	before := g.Status().Envoys[0].Since
	if err := syscall.Kill(g.envoy.Status().PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitTime)
	defer cancel()
	err := g.tracker.await(ctx, func() (bool, error) {
		all := g.tracker.sorted()
		return len(all) == 1 && all[0].status.Since.After(before) && all[0].status.Current, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	echoes(t, dial(t, address), "again")
}

func TestTheFallbackTakesWhatNoServerDoes(t *testing.T) {
	dir, err := os.MkdirTemp("", "weir")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	socket := filepath.Join(dir, "fallback.sock")
	fallback, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = fallback.Close() }()
	go serveEcho(fallback, new(atomic.Int32))

	p := new(processor)
	g := startGateway(t, p.register, func(c *Config, _ *envoy.Config) { c.Options.Fallback = socket })
	upstream, _ := echoServer(t)
	tests := []struct {
		name      string
		endpoints []string
		leads     string
	}{
		{"a server that is there", []string{upstream}, upstream},
		{"one of two is there", []string{freeAddress(t), upstream}, upstream},
		{"none is there", []string{freeAddress(t)}, socket},
		{"neither is there", []string{freeAddress(t), freeAddress(t)}, socket},
		{"no such name", []string{"no-such-host.invalid:5432"}, socket},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target := echoTarget("orders", freeAddress(t), "")
			target.Upstream.Endpoints = tt.endpoints
			g.publish(t, target)
			if err := g.taken(t); err != nil {
				t.Fatal(err)
			}
			for range 3 {
				echoes(t, dial(t, target.Listen), "hello")
				if got := p.lastResponse(); got[headerUpstream] != tt.leads {
					t.Errorf("it leads to %s, not %s", got[headerUpstream], tt.leads)
				}
			}
		})
	}
}
