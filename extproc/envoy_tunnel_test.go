package extproc_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-gateway/weir/extproc"
)

func echoServer(t *testing.T) *tcpServer {
	return serveTCP(t, func(c *net.TCPConn) { _, _ = io.Copy(c, c) })
}

// random gives n bytes that are the same for the same seed.
func random(seed byte, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

func sum(t *testing.T, r io.Reader) []byte {
	t.Helper()
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		t.Error(err)
	}
	return h.Sum(nil)
}

func TestEnvoyCarriesBothDirections(t *testing.T) {
	const size = 64 << 20
	peers := make(chan extproc.Peer, 1)
	w := startWorld(t, echoServer(t), handlers{tunnel: func(ctx context.Context, t *extproc.Tunnel) {
		peers <- t.Peer
		echo(ctx, t)
	}})
	c := w.dial(t, "tunnel")
	var writing sync.WaitGroup
	writing.Go(func() {
		if _, err := io.Copy(c, random(1, size)); err != nil {
			t.Error(err)
		}
	})
	got := sum(t, io.LimitReader(c, size))
	writing.Wait()
	if want := sum(t, random(1, size)); !bytes.Equal(got, want) {
		t.Error("what came back is something else")
	}
	if p := <-peers; p != (extproc.Peer{Address: c.LocalAddr().String()}) {
		t.Errorf("peer %+v, want %s in clear", p, c.LocalAddr())
	}
}

func TestEnvoyHalfClose(t *testing.T) {
	t.Run("by the server: the client gets all, then the end", func(t *testing.T) {
		server := serveTCP(t, func(c *net.TCPConn) {
			_, _ = c.Read(make([]byte, 1))
			_, _ = io.Copy(c, random(2, 8<<20))
			_ = c.CloseWrite()
			_, _ = io.Copy(io.Discard, c)
		})
		w := startWorld(t, server, handlers{tunnel: echo})
		c := w.dial(t, "tunnel")
		_, _ = c.Write([]byte("x"))
		if !bytes.Equal(sum(t, c), sum(t, random(2, 8<<20))) {
			t.Error("not all of it came")
		}
	})
	// In the inner hop, which is HTTP/1.1, Envoy ends the whole session when the
	// client closes its side, and drops what it has not passed on yet.
	t.Run("by the client: the session ends", func(t *testing.T) {
		said := make(chan string, 1)
		w := startWorld(t, echoServer(t), handlers{tunnel: func(_ context.Context, c *extproc.Tunnel) {
			got, err := io.ReadAll(c.Client)
			if err != nil {
				t.Error(err)
			}
			said <- string(got)
		}})
		c := w.dial(t, "tunnel")
		_, _ = c.Write([]byte("bye"))
		_ = c.CloseWrite()
		if got := <-said; got != "" && got != "bye" {
			t.Errorf("got %q", got)
		}
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the session goes on")
		}
	})
}

func TestEnvoyDeliversLastWords(t *testing.T) {
	var reached atomic.Int64
	server := serveTCP(t, func(c *net.TCPConn) {
		n, _ := io.Copy(writerFunc(func(p []byte) (int, error) {
			_, err := c.Write([]byte("welcome"))
			return len(p), err
		}), c)
		reached.Add(n)
	})
	w := startWorld(t, server, handlers{tunnel: func(_ context.Context, t *extproc.Tunnel) {
		hello := make([]byte, 7)
		_, _ = io.ReadFull(t.Client, hello[:5])
		_, _ = t.Server.Write(hello[:5])
		_, _ = io.ReadFull(t.Server, hello)
		_, _ = io.Copy(t.Client, random(4, 1<<20))
		_, _ = io.WriteString(t.Client, "FATAL: enough")
	}})
	for range 20 {
		c := w.dial(t, "tunnel")
		_, _ = c.Write([]byte("hello"))
		got, err := io.ReadAll(c)
		if err != nil || len(got) != 1<<20+13 || !strings.HasSuffix(string(got), "FATAL: enough") {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// countingServer counts what reaches it, and says greeting first.
func countingServer(t *testing.T, greeting string) (*tcpServer, *atomic.Int64) {
	reached := new(atomic.Int64)
	return serveTCP(t, func(c *net.TCPConn) {
		_, _ = io.WriteString(c, greeting)
		n, _ := io.Copy(io.Discard, c)
		reached.Add(n)
	}), reached
}

// sendUntilClosed writes until the connection does not take it any more.
func sendUntilClosed(c net.Conn) {
	for {
		if _, err := c.Write([]byte("secret")); err != nil {
			return
		}
	}
}

func TestEnvoyLetsNothingPassBy(t *testing.T) {
	byte1 := func(c net.Conn) { _, _ = c.Read(make([]byte, 1)) }
	for name, serve := range map[string]func(context.Context, *extproc.Tunnel){
		"a handler that returns at once":   func(context.Context, *extproc.Tunnel) {},
		"a handler that panics":            func(context.Context, *extproc.Tunnel) { panic("a bug") },
		"a handler that closes the client": func(ctx context.Context, t *extproc.Tunnel) { _ = t.Client.Close(); <-ctx.Done() },
		"a handler that reads and goes":    func(_ context.Context, t *extproc.Tunnel) { byte1(t.Client) },
		"a handler that closes both": func(ctx context.Context, t *extproc.Tunnel) {
			byte1(t.Client)
			_ = t.Client.Close()
			_ = t.Server.Close()
			<-ctx.Done()
		},
		"a handler that waits for the server": func(ctx context.Context, t *extproc.Tunnel) { byte1(t.Server); _ = t.Client.Close(); <-ctx.Done() },
		"a handler that ends the response": func(ctx context.Context, t *extproc.Tunnel) {
			byte1(t.Server)
			_ = t.Client.(interface{ CloseWrite() error }).CloseWrite()
			<-ctx.Done()
		},
		"no handler": nil,
	} {
		t.Run(name, func(t *testing.T) {
			server, reached := countingServer(t, "welcome")
			w := startWorld(t, server, handlers{tunnel: serve})
			sendUntilClosed(w.dial(t, "tunnel"))
			// A connection that Envoy began for a session that is gone waits for the
			// next one, with nothing sent on it: it ends with Envoy.
			if err := w.killEnvoy(); err != nil {
				t.Fatal(err)
			}
			server.wait()
			if n := reached.Load(); n != 0 {
				t.Errorf("%d bytes reached the server", n)
			}
		})
	}
}

func TestEnvoyWhenTheProcessorIsKilled(t *testing.T) {
	server, reached := countingServer(t, "")
	begun := make(chan struct{})
	w := startWorld(t, server, handlers{tunnel: func(ctx context.Context, t *extproc.Tunnel) {
		_, _ = io.ReadFull(t.Client, make([]byte, 6))
		close(begun)
		<-ctx.Done()
	}})
	c := w.dial(t, "tunnel")
	if _, err := c.Write([]byte("secret")); err != nil {
		t.Fatal(err)
	}
	<-begun
	go w.grpc.Stop()
	sendUntilClosed(c)
	server.wait() // Envoy has closed its side too
	if n := reached.Load(); n != 0 {
		t.Errorf("%d bytes reached the server", n)
	}
}

func TestEnvoyWhenTheUpstreamRefuses(t *testing.T) {
	const fatal = "FATAL: 08006 orders cannot be reached"
	w := startWorld(t, echoServer(t), handlers{tunnel: func(_ context.Context, tunnel *extproc.Tunnel) {
		hello := make([]byte, 5)
		_, err := io.ReadFull(tunnel.Client, hello)
		if err == nil {
			_, _ = tunnel.Client.Write(hello)
			_, err = tunnel.Server.Read(hello)
		}
		if !errors.Is(err, extproc.ErrUpstreamRefused) {
			t.Errorf("got %v", err)
		}
		_, _ = io.WriteString(tunnel.Client, fatal)
	}})
	t.Run("without a fallback it is told", func(t *testing.T) {
		c := w.dial(t, "refused")
		got, err := io.ReadAll(c)
		if string(got) != fatal || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
	t.Run("without a fallback it may have spoken", func(t *testing.T) {
		c := w.dial(t, "refused")
		_, _ = c.Write([]byte("hello"))
		got, _ := io.ReadAll(c) // what it said is unread, so the end may be a reset
		if string(got) != fatal {
			t.Errorf("got %q", got)
		}
	})
	t.Run("with a fallback it is talked to", func(t *testing.T) {
		c := w.dial(t, "fallback")
		_, _ = c.Write([]byte("hello"))
		got, err := io.ReadAll(c)
		if string(got) != "hello"+fatal || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestEnvoyWhenTheClientVanishes(t *testing.T) {
	server, _ := countingServer(t, "")
	ended := make(chan error, 1)
	begun := make(chan struct{})
	w := startWorld(t, server, handlers{tunnel: func(ctx context.Context, t *extproc.Tunnel) {
		_, _ = t.Client.Read(make([]byte, 1))
		_, _ = t.Server.Write([]byte("x"))
		close(begun)
		<-ctx.Done() // a statement that is held, say
		_, err := t.Server.Read(make([]byte, 1))
		ended <- err
	}})
	c := w.dial(t, "tunnel")
	_, _ = c.Write([]byte("x"))
	<-begun
	_ = c.SetLinger(0) // a reset, as of a client that was killed
	_ = c.Close()
	if err := <-ended; !errors.Is(err, extproc.ErrEnded) {
		t.Errorf("got %v", err)
	}
	server.wait() // it was told, too
}

// writeUntilHeldBack writes until nothing is taken for a while, and returns how
// much was.
func writeUntilHeldBack(c net.Conn) int64 {
	var total int64
	chunk := make([]byte, 64<<10)
	for total < 1<<30 {
		_ = c.SetWriteDeadline(time.Now().Add(2 * time.Second))
		n, err := c.Write(chunk)
		total += int64(n)
		if err != nil {
			break
		}
	}
	return total
}

// most is the most that may be on its way: the sockets' buffers, Envoy's, ours.
const most = 32 << 20

func TestEnvoyHoldsBackTheServerOfAClientThatDoesNotRead(t *testing.T) {
	sent := make(chan int64, 1)
	server := serveTCP(t, func(c *net.TCPConn) {
		_, _ = c.Read(make([]byte, 1))
		sent <- writeUntilHeldBack(c)
		_ = c.CloseWrite()
		_, _ = io.Copy(io.Discard, c)
	})
	w := startWorld(t, server, handlers{tunnel: echo})
	c := w.dial(t, "tunnel")
	_, _ = c.Write([]byte("x"))
	n := <-sent
	if n > most {
		t.Errorf("%d bytes were taken for a client that does not read", n)
	}
	if got, err := io.Copy(io.Discard, c); got != n || err != nil {
		t.Errorf("%d bytes came, %v, want %d", got, err, n)
	}
}

func TestEnvoyHoldsBackTheClientOfAHandlerThatDoesNotRead(t *testing.T) {
	announced := make(chan int64)
	w := startWorld(t, echoServer(t), handlers{tunnel: func(_ context.Context, tunnel *extproc.Tunnel) {
		n := <-announced
		got, err := io.Copy(io.Discard, io.LimitReader(tunnel.Client, n))
		if got != n {
			t.Errorf("%d bytes came, %v, want %d", got, err, n)
		}
		announced <- got
	}})
	c := w.dial(t, "tunnel")
	n := writeUntilHeldBack(c)
	if n > most {
		t.Errorf("%d bytes were taken for a handler that does not read", n)
	}
	announced <- n
	<-announced
}

// A client may send far ahead of a handler that takes one statement at a time.
// The answer to each must come through, though it lies behind what was sent ahead.
func TestEnvoyBringsAnAnswerThroughAFlood(t *testing.T) {
	t.Run("to large statements", func(t *testing.T) { answersThroughAFlood(t, 6, 1<<20, false) })
	// Each answer lies behind more than a statement, and so what is unread grows.
	t.Run("to small ones, where it is needed", func(t *testing.T) { answersThroughAFlood(t, 1<<10, 8<<10, true) })
}

func answersThroughAFlood(t *testing.T, statements, size int, needed bool) {
	t.Helper()
	w := startWorld(t, echoServer(t), handlers{tunnel: func(_ context.Context, t *extproc.Tunnel) {
		t.Await(needed)
		buf := make([]byte, size)
		for {
			if _, err := io.ReadFull(t.Client, buf); err != nil {
				return
			}
			if _, err := t.Server.Write(buf[:1]); err != nil {
				return
			}
			if _, err := io.ReadFull(t.Server, buf[:1]); err != nil {
				return
			}
			if _, err := t.Client.Write(buf[:1]); err != nil {
				return
			}
		}
	}})
	c := w.dial(t, "tunnel")
	var writing sync.WaitGroup
	writing.Go(func() { _, _ = c.Write(make([]byte, statements*size)) })
	if _, err := io.ReadFull(c, make([]byte, statements)); err != nil {
		t.Error(err)
	}
	writing.Wait()
}

func TestEnvoyManyTunnels(t *testing.T) {
	w := startWorld(t, echoServer(t), handlers{tunnel: echo})
	var all sync.WaitGroup
	for i := range 200 {
		c := w.dial(t, "tunnel")
		all.Go(func() {
			want := make([]byte, 100<<10)
			_, _ = rand.NewChaCha8([32]byte{byte(i)}).Read(want)
			go func() { _, _ = c.Write(want) }()
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got, want) {
				t.Errorf("tunnel %d: %v", i, err)
			}
			_ = c.Close()
		})
	}
	all.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := w.service.Drain(ctx); err != nil {
		t.Errorf("sessions are left: %v", err)
	}
}
