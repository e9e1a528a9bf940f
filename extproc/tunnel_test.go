package extproc_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/weir-gateway/weir/extproc"
)

// echo gives back what each side says to that side's other end.
func echo(_ context.Context, t *extproc.Tunnel) {
	var both sync.WaitGroup
	both.Go(func() { pass(t.Server, t.Client) })
	both.Go(func() { pass(t.Client, t.Server) })
	both.Wait()
}

func pass(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.(interface{ CloseWrite() error }).CloseWrite()
}

func TestTunnelCarriesBothDirections(t *testing.T) {
	e := start(t, extproc.Config{}, handlers{tunnel: echo}).tunnel(t)
	e.requestBody("select", false)
	e.wantRequestBody("select", false)
	e.responseBody("row", false)
	e.wantResponseBody("row", false)
	e.requestBody("bye", true)
	e.wantRequestBody("bye", true)
	e.responseBody("bye, too", true)
	e.wantResponseBody("bye, too", true)
	e.leave()
}

func TestTunnelKnowsItsPeer(t *testing.T) {
	got := make(chan *extproc.Tunnel, 1)
	s := start(t, extproc.Config{}, handlers{tunnel: func(_ context.Context, t *extproc.Tunnel) { got <- t }})
	e := s.open(t, "orders")
	e.connect("weir-client", "192.0.2.7:4711", "weir-sni", "orders.example", "weir-peer-uri-san", "-", "weir-client-tls", "TLSv1.3")
	tunnel := <-got
	want := extproc.Peer{Address: "192.0.2.7:4711", ServerName: "orders.example", TLS: "TLSv1.3"}
	if diff := cmp.Diff(want, tunnel.Peer); diff != "" {
		t.Error(diff)
	}
	if tunnel.Target != "orders" || tunnel.Client.RemoteAddr().String() != "192.0.2.7:4711" || tunnel.Server.RemoteAddr().String() != "orders" {
		t.Errorf("got %+v", tunnel)
	}
	e.wantRequestHeaders()
	e.wantImmediate(403) // the handler is gone before there was anything
	e.leave()
}

func TestTunnelKnowsItsServer(t *testing.T) {
	known := make(chan string, 2)
	s := start(t, extproc.Config{}, handlers{tunnel: func(_ context.Context, t *extproc.Tunnel) {
		known <- t.Server.RemoteAddr().String()
		_, _ = t.Server.Read(make([]byte, 1))
		known <- t.Server.RemoteAddr().String()
	}})
	e := s.open(t, "orders")
	e.connect()
	e.wantRequestHeaders()
	if got := <-known; got != "orders" {
		t.Errorf("before it is known: %q", got)
	}
	e.responseHeaders(false, ":status", "200", "weir-upstream", "192.0.2.9:5432")
	e.wantResponseHeaders()
	e.responseBody("S", false)
	if got := <-known; got != "192.0.2.9:5432" {
		t.Errorf("got %q", got)
	}
	e.cancel()
}

func TestTunnelThatNobodyServesIsRefused(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{tunnel: echo})
	for _, target := range [][]string{{"billing"}, {""}, {}, {"orders", "orders"}} {
		e := s.open(t, target...)
		e.connect("weir-target", "orders") // a header counts for nothing
		e.wantImmediate(403)
		e.leave()
	}
}

func TestWritesWaitUntilTheDirectionOpens(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{tunnel: func(_ context.Context, t *extproc.Tunnel) {
		var both sync.WaitGroup
		both.Go(func() { _, _ = io.WriteString(t.Server, "to the server") })
		both.Go(func() { _, _ = io.WriteString(t.Client, "to the client") })
		both.Wait()
		_, _ = t.Client.Read(make([]byte, 1))
	}})
	e := s.tunnel(t)
	e.responseBody("x", false)
	e.wantResponseBody("to the client", false)
	e.requestBody("x", false)
	e.wantRequestBody("to the server", true)
	e.wantResponseBody("", true)
	e.leave()
}

func TestDeadlines(t *testing.T) {
	failed := make(chan error, 4)
	s := start(t, extproc.Config{}, handlers{tunnel: func(_ context.Context, t *extproc.Tunnel) {
		_ = t.Client.SetDeadline(time.Now().Add(time.Millisecond))
		_, err := t.Client.Read(make([]byte, 1))
		failed <- err
		_, err = t.Client.Write([]byte("not open"))
		failed <- err
		_ = t.Client.SetDeadline(time.Time{})
		_, err = io.ReadFull(t.Client, make([]byte, 5))
		failed <- err
		_ = t.Client.SetReadDeadline(time.Now().Add(-time.Second))
		_, err = t.Client.Read(make([]byte, 1))
		failed <- err
	}})
	e := s.tunnel(t)
	for range 2 {
		var timeout net.Error
		if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("got %v, want a timeout", err)
		}
	}
	e.requestBody("again", false)
	if err := <-failed; err != nil {
		t.Errorf("a deadline that was taken back: %v", err)
	}
	if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want a timeout", err)
	}
	e.wantRequestBody("", true)
	e.wantImmediate(403)
	e.leave()
}

func TestClosingUnblocksReadsAndWrites(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{tunnel: func(_ context.Context, tunnel *extproc.Tunnel) {
		var all sync.WaitGroup
		for _, c := range []net.Conn{tunnel.Client, tunnel.Server} {
			all.Go(func() {
				if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Read: %v", err)
				}
			})
			all.Go(func() {
				if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
					t.Errorf("Write: %v", err)
				}
			})
			_ = c.Close()
			_ = c.Close() // twice does no harm
		}
		all.Wait()
	}})
	e := s.open(t, "orders")
	e.connect()
	e.wantRequestHeaders()
	e.wantImmediate(403)
	e.leave()
}

func TestLastWordsComeBeforeTheEnd(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{tunnel: func(_ context.Context, t *extproc.Tunnel) {
		_, _ = t.Server.Read(make([]byte, 1))
		_, _ = io.WriteString(t.Client, "FATAL: not you")
		_ = t.Client.Close()
	}})
	e := s.tunnel(t)
	e.responseBody("x", false)
	e.wantResponseBody("FATAL: not you", true)
	e.leave() // and not a moment earlier: leave fails if the service ended the stream
}

func TestTheStreamIsKeptUntilEnvoyEndsIt(t *testing.T) {
	s := start(t, extproc.Config{Linger: 10 * time.Millisecond}, handlers{tunnel: func(context.Context, *extproc.Tunnel) {}})
	e := s.open(t, "orders")
	e.connect()
	e.wantRequestHeaders()
	e.wantImmediate(403)
	e.wantError(codes.Aborted) // Envoy did not end it: it is ended with an error, never with OK
}

func TestAnEndThatWasAskedForBeforeTheDirectionOpened(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{tunnel: func(_ context.Context, t *extproc.Tunnel) {
		_ = t.Server.(interface{ CloseWrite() error }).CloseWrite()
		_, _ = io.Copy(io.Discard, t.Client)
	}})
	e := s.tunnel(t)
	e.requestBody("x", false)
	e.wantRequestBody("", true)
	e.leave()
}

func TestAClientThatVanishes(t *testing.T) {
	type end struct {
		client, server error
		got            string
	}
	ended := make(chan end, 1)
	begun := make(chan struct{}, 1)
	s := start(t, extproc.Config{}, handlers{tunnel: func(ctx context.Context, t *extproc.Tunnel) {
		begun <- struct{}{}
		<-ctx.Done() // the handler is told at once, and can still read what had arrived
		got, err := io.ReadAll(t.Client)
		_, serverErr := t.Server.Read(make([]byte, 1))
		ended <- end{err, serverErr, string(got)}
	}})
	t.Run("Envoy ends the stream", func(t *testing.T) {
		e := s.tunnel(t)
		<-begun
		e.requestBody("half a mess", false)
		e.leave()
		if got := <-ended; got.got != "half a mess" || got.client != nil || !errors.Is(got.server, extproc.ErrEnded) {
			t.Errorf("got %+v", got)
		}
	})
	t.Run("Envoy cancels the stream", func(t *testing.T) {
		e := s.tunnel(t)
		<-begun
		e.requestBody("half a mess", false)
		e.cancel()
		if got := <-ended; got.client != nil || !errors.Is(got.server, extproc.ErrEnded) {
			t.Errorf("got %+v", got)
		}
	})
}

func TestAPanicEndsTheSessionOnly(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{tunnel: func(_ context.Context, t *extproc.Tunnel) {
		buf := make([]byte, 5)
		_, _ = io.ReadFull(t.Client, buf)
		if string(buf) == "panic" {
			panic("a bug")
		}
	}})
	e := s.tunnel(t)
	e.requestBody("panic", false)
	e.wantError(codes.Aborted)
	e = s.tunnel(t)
	e.requestBody("quiet", false)
	e.wantRequestBody("", true)
	e.wantImmediate(403)
	e.leave()
}

func TestAnUpstreamThatRefuses(t *testing.T) {
	s := start(t, extproc.Config{Fallback: "/run/weir/fallback.sock"}, handlers{tunnel: func(_ context.Context, tunnel *extproc.Tunnel) {
		hello := make([]byte, 5)
		_, clientErr := io.ReadFull(tunnel.Client, hello)
		_, err := tunnel.Server.Write(hello)
		if !errors.Is(err, extproc.ErrUpstreamRefused) {
			t.Errorf("Server.Write: %v", err)
		}
		if _, err := tunnel.Server.Read(hello); !errors.Is(err, extproc.ErrUpstreamRefused) {
			t.Errorf("Server.Read: %v", err)
		}
		if clientErr != nil && !errors.Is(clientErr, extproc.ErrUpstreamRefused) {
			t.Errorf("Client.Read: %v", clientErr)
		}
		_, _ = io.WriteString(tunnel.Client, "FATAL: orders cannot be reached")
	}})
	t.Run("without a fallback the client can be written to", func(t *testing.T) {
		e := s.open(t, "orders")
		e.connect()
		e.wantRequestHeaders()
		e.responseHeaders(false, ":status", "503", "content-length", "98")
		m := e.wantResponseHeaders()
		if len(m.GetSetHeaders()) != 1 || m.GetSetHeaders()[0].GetHeader().GetKey() != ":status" || string(m.GetSetHeaders()[0].GetHeader().GetRawValue()) != "200" {
			t.Errorf("got %v", m)
		}
		e.responseBody("upstream connect error", true)
		e.wantResponseBody("FATAL: orders cannot be reached", true)
		e.leave()
	})
	t.Run("with a fallback it can be talked to", func(t *testing.T) {
		e := s.open(t, "orders")
		e.connect()
		e.wantRequestHeaders()
		e.responseHeaders(false, ":status", "200", "weir-upstream", "/run/weir/fallback.sock")
		e.wantResponseHeaders()
		e.responseBody("\x00", false)
		e.requestBody("hello", false)
		e.wantResponseBody("FATAL: orders cannot be reached", true)
		e.leave()
	})
}

func TestOrderings(t *testing.T) {
	cases := map[string]func(e *envoy){
		"a body first":   func(e *envoy) { e.requestBody("x", false) },
		"response first": func(e *envoy) { e.responseHeaders(false, ":status", "200") },
		"trailers first": func(e *envoy) { e.requestTrailers() },
		"only observing": func(e *envoy) { m := firstMessage(false, ":method", "CONNECT"); m.ObservabilityMode = true; e.send(m) },
		"a mode that bypasses": func(e *envoy) {
			m := firstMessage(false, ":method", "CONNECT")
			m.ProtocolConfig.ResponseBodyMode = 0
			e.send(m)
		},
		"no modes told": func(e *envoy) { m := firstMessage(false, ":method", "CONNECT"); m.ProtocolConfig = nil; e.send(m) },
		"nothing":       func(e *envoy) { _ = e.stream.CloseSend() },
	}
	s := start(t, extproc.Config{}, handlers{tunnel: echo, exchange: forward})
	for name, play := range cases {
		t.Run(name, func(t *testing.T) {
			e := s.open(t, "orders")
			play(e)
			e.wantError(codes.InvalidArgument)
		})
	}
	late := map[string]func(e *envoy){
		"a response body before its headers": func(e *envoy) { e.connect(); e.responseBody("x", false) },
		"request headers twice":              func(e *envoy) { e.connect(); e.connect() },
		"response headers twice": func(e *envoy) {
			e.connect()
			e.responseHeaders(false, ":status", "200")
			e.responseHeaders(false, ":status", "200")
		},
		"a body after its end":   func(e *envoy) { e.connect(); e.requestBody("x", true); e.requestBody("y", false) },
		"a body after no body":   func(e *envoy) { e.request(true, ":method", "GET"); e.requestBody("y", false) },
		"trailers after the end": func(e *envoy) { e.connect(); e.requestBody("x", true); e.requestTrailers() },
	}
	for name, play := range late {
		t.Run(name, func(t *testing.T) {
			e := s.open(t, "orders")
			play(e)
			e.wantError(codes.Aborted)
		})
	}
}

func TestBigWritesAreCutIntoChunks(t *testing.T) {
	payload := make([]byte, 1<<20+123)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(payload)
	s := start(t, extproc.Config{}, handlers{tunnel: func(_ context.Context, tunnel *extproc.Tunnel) {
		if n, err := tunnel.Client.Write(payload); n != len(payload) || err != nil {
			t.Errorf("Write: %d, %v", n, err)
		}
	}})
	e := s.tunnel(t)
	e.responseBody("x", false)
	var got bytes.Buffer
	for {
		chunk := e.recv().GetResponseBody().GetResponse().GetBodyMutation().GetStreamedResponse()
		if len(chunk.GetBody()) > 128<<10 {
			t.Fatalf("a chunk of %d bytes", len(chunk.GetBody()))
		}
		got.Write(chunk.GetBody())
		if chunk.GetEndOfStream() {
			break
		}
	}
	if !bytes.Equal(got.Bytes(), payload) {
		t.Error("what arrived is something else")
	}
	e.leave()
}

// A handler that awaits the server before it reads on must get the server's
// answer, however much the client says meanwhile; and a client that never stops
// must not fill the memory.
func TestAFullDirectionDoesNotStopTheOther(t *testing.T) {
	cfg := extproc.Config{Window: 4 << 10, MaxBuffered: 64 << 10, StallDelay: time.Microsecond}
	t.Run("the other arrives", func(t *testing.T) {
		s := start(t, cfg, handlers{tunnel: func(_ context.Context, t *extproc.Tunnel) {
			answer := make([]byte, 6)
			if _, err := io.ReadFull(t.Server, answer); err != nil {
				return
			}
			rest := make([]byte, 32<<10)
			if _, err := io.ReadFull(t.Client, rest); err != nil {
				return
			}
			_, _ = t.Client.Write(answer)
		}})
		e := s.tunnel(t)
		e.requestBody(strings.Repeat("x", 32<<10), false)
		e.responseBody("answer", false)
		e.wantResponseBody("answer", false)
		e.cancel()
	})
	t.Run("too much ends the session", func(t *testing.T) {
		s := start(t, cfg, handlers{tunnel: func(_ context.Context, tunnel *extproc.Tunnel) {
			if _, err := tunnel.Server.Read(make([]byte, 1)); !errors.Is(err, extproc.ErrOverrun) {
				t.Errorf("Read: %v", err)
			}
		}})
		e := s.tunnel(t)
		for range 40 {
			if err := e.stream.Send(requestBody(strings.Repeat("x", 4<<10), false)); err != nil {
				break
			}
		}
		e.wantError(codes.Aborted)
	})
}
