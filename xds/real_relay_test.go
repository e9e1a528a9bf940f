package xds

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weir-gateway/weir/envoy"
	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/relay"
)

// relayed serves every target with a function.
type relayed func(ctx context.Context, t *extproc.Tunnel)

func (f relayed) Admit(context.Context, extproc.Peer) (func(), error) { return func() {}, nil }
func (f relayed) ServeTunnel(ctx context.Context, t *extproc.Tunnel)  { f(ctx, t) }

// Relay implements relay.Targets.
func (f relayed) Relay(string) (relay.Target, bool) { return relay.Target{Handler: f}, true }

// startRelay starts an Envoy that hands the connections of these targets to serve.
func startRelay(t *testing.T, serve relayed, names ...string) map[string]string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "relay.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	s, err := relay.New(relay.Config{Linger: time.Second}, serve, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	g := startGateway(t, nil, func(c *Config, _ *envoy.Config) { c.Options.Relay = socket })
	var targets []Target
	listen := map[string]string{}
	for _, name := range names {
		listen[name] = freeAddress(t)
		target := database(name, listen[name])
		target.Transport = Relay
		targets = append(targets, target)
	}
	g.publish(t, targets...)
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	return listen
}

// connect connects to a listener of Envoy as a client does.
func connect(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", address, waitTime)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(waitTime)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func TestEnvoyHandsOver(t *testing.T) {
	got := make(chan *extproc.Tunnel, 2)
	listen := startRelay(t, func(_ context.Context, tunnel *extproc.Tunnel) {
		got <- tunnel
		_, _ = io.Copy(struct{ io.Writer }{tunnel.Client}, struct{ io.Reader }{tunnel.Client})
	}, "orders", "stock")
	for name, address := range listen {
		c := connect(t, address)
		payload := bytes.Repeat([]byte("0123456789abcdef"), 1<<18)
		var writing sync.WaitGroup
		writing.Go(func() {
			// A header of the client's own is the client's words, nothing more.
			_, _ = io.WriteString(c, "PROXY TCP4 192.0.2.66 192.0.2.1 1 2\r\n")
			_, _ = c.Write(payload)
			_ = c.CloseWrite()
		})
		back, err := io.ReadAll(c)
		writing.Wait()
		if err != nil || !bytes.HasSuffix(back, payload) || !bytes.HasPrefix(back, []byte("PROXY TCP4 192.0.2.66")) {
			t.Errorf("%s: %d bytes came back, %v", name, len(back), err)
		}
		tunnel := <-got
		if tunnel.Target != name || tunnel.Peer != (extproc.Peer{Address: c.LocalAddr().String()}) {
			t.Errorf("%s: %s, %+v", name, tunnel.Target, tunnel.Peer)
		}
	}
}

func TestEnvoyDeliversLastWordsOfARelay(t *testing.T) {
	listen := startRelay(t, func(_ context.Context, tunnel *extproc.Tunnel) {
		_, _ = io.ReadFull(tunnel.Client, make([]byte, 5))
		_, _ = tunnel.Client.Write(bytes.Repeat([]byte("x"), 1<<20))
		_, _ = io.WriteString(tunnel.Client, "FATAL: enough")
		_ = tunnel.Client.Close()
	}, "orders")
	for range 10 {
		c := connect(t, listen["orders"])
		_, _ = c.Write([]byte(strings.Repeat("hello", 100)))
		got, err := io.ReadAll(c)
		if err != nil || len(got) != 1<<20+13 || !bytes.HasSuffix(got, []byte("FATAL: enough")) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
}
