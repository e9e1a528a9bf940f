package relay

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/weir-gateway/weir/extproc"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// tunnels serve the target orders.
type tunnels func(ctx context.Context, t *extproc.Tunnel)

func (f tunnels) Admit(context.Context, extproc.Peer) (func(), error) { return func() {}, nil }
func (f tunnels) ServeTunnel(ctx context.Context, t *extproc.Tunnel)  { f(ctx, t) }

// orders is the only target there is.
type orders struct{ target Target }

func (o orders) Relay(target string) (Target, bool) { return o.target, target == "orders" }

// place is a running Server, and its socket.
type place struct {
	*Server
	socket string
	stop   func() // ends it, and waits
}

// start serves the target orders until the test ends.
func start(t *testing.T, cfg Config, upstream *Upstream, handle tunnels) *place {
	t.Helper()
	cfg.Registerer = prometheus.NewRegistry()
	s, err := New(cfg, orders{Target{Handler: handle, Upstream: upstream}}, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "weir") // t.TempDir's path is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	p := &place{Server: s, socket: filepath.Join(dir, "relay.sock")}
	l, err := net.Listen("unix", p.socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	p.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(p.stop)
	return p
}

// open connects as Envoy does, and says first.
func (p *place) open(t *testing.T, first []byte) *net.UnixConn {
	t.Helper()
	c, err := net.Dial("unix", p.socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if len(first) > 0 { // to write nothing fails, too, where the other side has closed
		if _, err := c.Write(first); err != nil {
			t.Fatal(err)
		}
	}
	return c.(*net.UnixConn)
}

// introduced is Envoy's header for a client of orders.
func introduced(t *testing.T) []byte { return header(t, nil, tlv(TypeTarget, "orders")) }

// wantEnd reads to the end, which must come behind want.
func wantEnd(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// refused is how often a connection was refused for a reason.
func (p *place) refused(reason string) float64 {
	var m dto.Metric
	if err := p.metrics.refused.WithLabelValues(reason).Write(&m); err != nil {
		panic(err)
	}
	return m.GetCounter().GetValue()
}

// listen is a server of the target's, which serve serves.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// nowhere is an address that refuses.
func nowhere(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func upstream(t *testing.T, addresses ...string) *Upstream {
	t.Helper()
	u, err := NewUpstream(addresses, patience)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func echo(c net.Conn) { _, _ = io.Copy(c, c) }

// join carries both directions, each to its end.
func join(ctx context.Context, tunnel *extproc.Tunnel) {
	server, err := tunnel.Dial(ctx)
	if err != nil {
		return
	}
	type halfCloser interface{ CloseWrite() error }
	var both sync.WaitGroup
	carry := func(dst, src net.Conn) {
		_, _ = io.Copy(struct{ io.Writer }{dst}, struct{ io.Reader }{src})
		_ = dst.(halfCloser).CloseWrite()
	}
	both.Go(func() { carry(server, tunnel.Client) })
	both.Go(func() { carry(tunnel.Client, server) })
	both.Wait()
}

func TestBothDirections(t *testing.T) {
	p := start(t, Config{}, upstream(t, listen(t, echo)), join)
	c := p.open(t, append(introduced(t), "what came with the header"...))
	payload := strings.Repeat("0123456789abcdef", 1<<16)
	go func() {
		_, _ = io.WriteString(c, payload)
		_ = c.CloseWrite() // the server may go on answering
	}()
	wantEnd(t, c, "what came with the header"+payload)
}

func TestATunnelKnowsItsPeer(t *testing.T) {
	got := make(chan extproc.Tunnel, 1)
	remote := make(chan string, 1)
	p := start(t, Config{}, upstream(t, nowhere(t)), func(_ context.Context, t *extproc.Tunnel) {
		got <- *t
		remote <- t.Client.RemoteAddr().String()
	})
	p.open(t, header(t, nil, tlv(TypeTarget, "orders"), tlv(TypeServerName, "db.example"), tlv(TypeTLS, "-")))
	tunnel := <-got
	if diff := cmp.Diff(extproc.Peer{Address: "192.0.2.7:4711", ServerName: "db.example"}, tunnel.Peer); diff != "" {
		t.Error(diff)
	}
	if addr := <-remote; tunnel.Target != "orders" || addr != "192.0.2.7:4711" || tunnel.Server != nil {
		t.Errorf("target %q, client %s, server %v", tunnel.Target, addr, tunnel.Server)
	}
}

func TestWhoIsClosedOut(t *testing.T) {
	p := start(t, Config{Header: 50 * time.Millisecond}, upstream(t, nowhere(t)), func(context.Context, *extproc.Tunnel) { t.Error("it was served") })
	for name, tc := range map[string]struct {
		sent   []byte
		reason string
	}{
		"PostgreSQL":       {[]byte{0, 0, 0, 8, 4, 210, 22, 47}, refusedHeader},
		"half a header":    {introduced(t)[:20], refusedHeader},
		"nothing at all":   {nil, refusedHeader},
		"another target":   {header(t, nil, tlv(TypeTarget, "billing")), refusedTarget},
		"target of two":    {header(t, nil, tlv(TypeTarget, "billing"), tlv(TypeTarget, "orders")), refusedHeader},
		"without a target": {header(t, nil), refusedHeader},
	} {
		t.Run(name, func(t *testing.T) {
			before := p.refused(tc.reason)
			wantEnd(t, p.open(t, tc.sent), "")
			if got := p.refused(tc.reason) - before; got != 1 {
				t.Errorf("counted %v times", got)
			}
		})
	}
}

// What a session says last reaches a client that is still talking: nothing that
// it said and nobody read may reset the connection.
func TestLastWords(t *testing.T) {
	p := start(t, Config{}, upstream(t, nowhere(t)), func(_ context.Context, t *extproc.Tunnel) {
		_, _ = t.Client.Read(make([]byte, 1))
		_, _ = io.WriteString(t.Client, "FATAL: not you")
		_ = t.Client.Close()
	})
	for range 20 {
		c := p.open(t, append(introduced(t), strings.Repeat("x", 32<<10)...))
		wantEnd(t, c, "FATAL: not you")
		if _, err := c.Write([]byte("still talking")); err != nil {
			t.Errorf("it was cut off: %v", err)
		}
	}
}

// A client that never goes is not waited for without end.
func TestTheSocketIsClosedInTheEnd(t *testing.T) {
	p := start(t, Config{Linger: time.Millisecond}, upstream(t, nowhere(t)), func(context.Context, *extproc.Tunnel) {})
	c := p.open(t, introduced(t))
	wantEnd(t, c, "")
	for {
		if _, err := c.Write([]byte("x")); err != nil {
			return
		}
	}
}

func TestClosingUnblocks(t *testing.T) {
	p := start(t, Config{}, upstream(t, nowhere(t)), func(_ context.Context, tunnel *extproc.Tunnel) {
		var both sync.WaitGroup
		writing := make(chan struct{})
		both.Go(func() {
			if _, err := tunnel.Client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("Read: %v", err)
			}
		})
		both.Go(func() {
			close(writing)
			for { // until the socket is full, and then until it is closed
				if _, err := tunnel.Client.Write(make([]byte, 64<<10)); err != nil {
					if !errors.Is(err, net.ErrClosed) && !isPipe(err) {
						t.Errorf("Write: %v", err)
					}
					return
				}
			}
		})
		<-writing
		if err := tunnel.Client.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		both.Wait()
		// A deadline set afterwards opens nothing again.
		if err := tunnel.Client.SetReadDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("SetReadDeadline: %v", err)
		}
		if _, err := tunnel.Client.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Read after Close: %v", err)
		}
		if err := tunnel.Client.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Close twice: %v", err)
		}
	})
	c := p.open(t, introduced(t))
	_, _ = io.Copy(io.Discard, c)
	_ = c.Close()
	if err := p.Drain(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTheContext(t *testing.T) {
	causes := make(chan error, 1)
	begun := make(chan struct{})
	p := start(t, Config{}, upstream(t, nowhere(t)), func(ctx context.Context, tunnel *extproc.Tunnel) {
		_ = tunnel.Client.SetReadDeadline(time.Unix(1, 0))
		if _, err := tunnel.Client.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) || ctx.Err() != nil {
			t.Errorf("a deadline: %v, %v", err, ctx.Err())
		}
		_ = tunnel.Client.SetReadDeadline(time.Time{})
		begun <- struct{}{}
		reading := make(chan struct{})
		go func() {
			defer close(reading)
			_, _ = io.Copy(io.Discard, tunnel.Client)
		}()
		<-ctx.Done()
		causes <- context.Cause(ctx)
		_ = tunnel.Client.Close()
		<-reading
	})
	t.Run("the client goes", func(t *testing.T) {
		c := p.open(t, introduced(t))
		<-begun
		_ = c.Close()
		if err := <-causes; !errors.Is(err, extproc.ErrEnded) {
			t.Errorf("cause: %v", err)
		}
	})
	t.Run("the gateway stops", func(t *testing.T) {
		c := p.open(t, introduced(t))
		<-begun
		if err := p.Drain(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-causes; errors.Is(err, extproc.ErrEnded) {
			t.Errorf("cause: %v", err)
		}
		wantEnd(t, c, "")
		wantEnd(t, p.open(t, nil), "") // and no more are taken
		if p.refused(refusedDraining) != 1 {
			t.Error("it was not counted")
		}
	})
}

func TestAPanicEndsItsSessionOnly(t *testing.T) {
	p := start(t, Config{}, upstream(t, nowhere(t)), func(_ context.Context, t *extproc.Tunnel) {
		buf := make([]byte, 5)
		_, _ = io.ReadFull(t.Client, buf)
		if string(buf) == "panic" {
			panic("a bug")
		}
		_, _ = t.Client.Write(buf)
	})
	wantEnd(t, p.open(t, append(introduced(t), "panic"...)), "")
	wantEnd(t, p.open(t, append(introduced(t), "quiet"...)), "quiet")
	if p.refused(refusedPanic) != 1 {
		t.Error("it was not counted")
	}
}

func TestServersInTurn(t *testing.T) {
	greet := func(word string) string { return listen(t, func(c net.Conn) { _, _ = io.WriteString(c, word) }) }
	one, two := greet("one"), greet("two")
	read := func(t *testing.T, u *Upstream, address string) string {
		t.Helper()
		c, err := u.Dial(t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		got, err := io.ReadAll(c)
		if err != nil {
			t.Fatal(err)
		}
		return string(got)
	}
	u := upstream(t, one, nowhere(t), two)
	seen := map[string]int{}
	for range 6 {
		seen[read(t, u, "")]++
	}
	// Of the one that is down, the next takes over.
	if diff := cmp.Diff(map[string]int{"one": 2, "two": 4}, seen); diff != "" {
		t.Error(diff)
	}
	for range 3 {
		if got := read(t, u, one); got != "one" {
			t.Errorf("the server at %s was asked for, and it was %q", one, got)
		}
	}
	a, b := nowhere(t), nowhere(t)
	_, err := upstream(t, a, b).Dial(t.Context(), "")
	if err == nil || !strings.Contains(err.Error(), a) || !strings.Contains(err.Error(), b) {
		t.Errorf("the error names not all: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := u.Dial(ended, ""); !errors.Is(err, context.Canceled) && err == nil {
		t.Errorf("a connection that nobody waits for: %v", err)
	}
	if _, err := NewUpstream(nil, 0); err == nil {
		t.Error("a target without a server")
	}
}

// What a session has connected to is closed when it ends, also where it failed.
func TestServersAreLeft(t *testing.T) {
	left := make(chan struct{}, 1)
	server := listen(t, func(c net.Conn) {
		_, _ = io.Copy(io.Discard, c)
		left <- struct{}{}
	})
	p := start(t, Config{}, upstream(t, server), func(ctx context.Context, t *extproc.Tunnel) {
		_, _ = t.Dial(ctx)
		panic("a bug")
	})
	p.open(t, introduced(t))
	<-left
}

func isPipe(err error) bool { return errors.Is(err, syscall.EPIPE) }
