package postgres

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// dialled is the world's own way to the server, that counts.
type dialled struct {
	mu      sync.Mutex
	address string // the server's, "" for none
	times   int
}

func (d *dialled) count() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.times
}

// over has a world connect by d.
func (d *dialled) over(w *world, address string) {
	d.address = address
	w.dial = func(ctx context.Context) (net.Conn, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.times++
		if d.address == "" {
			return nil, errors.New("no server takes the connection")
		}
		c, err := new(net.Dialer).DialContext(ctx, "tcp", d.address)
		if err == nil {
			w.t.Cleanup(func() { _ = c.Close() })
		}
		return c, err
	}
}

// A server that the gateway connects to itself is left alone by who has not
// signed in.
func TestNoConnectionWithoutSignIn(t *testing.T) {
	w, server, d := fakeWorld(t), newFakeServer(), new(dialled)
	d.over(w, server.serve(t))
	address := w.serve("")
	start := startPacket(pgproto3.ProtocolVersion30, userShop...)
	idle := newTalk(t, address)
	idle.write(codePacket(sslRequestCode))
	idle.byte('N')
	idle.write(start)
	if m, err := idle.b.Receive(); err != nil {
		t.Fatal(m, err)
	}
	bad := newTalk(t, address)
	bad.write(start)
	if got := strings.Join(bad.signIn("bad"), " "); !strings.Contains(got, "28000") && !strings.Contains(got, "28P01") {
		t.Errorf("a bad token: %s", got)
	}
	other := newTalk(t, address)
	other.write(startPacket(pgproto3.ProtocolVersion30, "user", "agent", "database", "elsewhere"))
	if got := strings.Join(other.signIn("good"), " "); !strings.Contains(got, "3D000") {
		t.Errorf("another database: %s", got)
	}
	if n := d.count(); n != 0 {
		t.Errorf("the server was connected to %d times", n)
	}
	good := newTalk(t, address)
	good.write(start)
	if got := good.signIn("good"); got[len(got)-1] != "ready" {
		t.Errorf("got %v", got)
	}
	if n := d.count(); n != 1 {
		t.Errorf("the server was connected to %d times", n)
	}
}

// With disable, a server that offers TLS is not even asked.
func TestDisableIsNoTLS(t *testing.T) {
	for mode, want := range map[TLSMode]bool{TLSDisable: false, TLSPrefer: true} {
		w, server, d := fakeWorld(t), newFakeServer(), new(dialled)
		w.offerTLS()
		cert, err := w.cfg.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		server.tls = &tls.Config{Certificates: []tls.Certificate{*cert}}
		secure := make(chan bool, 1)
		server.sign = func(_ *pgproto3.Backend, conn net.Conn) error {
			_, ok := conn.(*tls.Conn)
			secure <- ok
			return nil
		}
		w.cfg.Upstream.TLS = mode
		d.over(w, server.serve(t))
		k := newTalk(t, w.serve(""))
		k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
		k.signIn("good")
		if got := <-secure; got != want {
			t.Errorf("%s: in TLS: %v", mode, got)
		}
	}
}

// A cancel request goes to the server that its session is on, whichever is the
// first of the target's now.
func TestCancelFindsTheServer(t *testing.T) {
	w, one, two, d := fakeWorld(t), newFakeServer(), newFakeServer(), new(dialled)
	first, second := one.serve(t), two.serve(t)
	d.over(w, first)
	address := w.serve("")
	c := dialRaw(t, address)
	d.mu.Lock()
	d.address = second
	d.mu.Unlock()
	request(t, address, &pgproto3.CancelRequest{ProcessID: c.pid, SecretKey: c.key})
	select {
	case <-one.cancels:
	case <-two.cancels:
		t.Error("it went to another server")
	}
	if n := d.count(); n != 1 {
		t.Errorf("the server was connected to %d times on the way of sessions", n)
	}
}

func TestNoServerTakesTheConnection(t *testing.T) {
	w := fakeWorld(t)
	new(dialled).over(w, "")
	k := newTalk(t, w.serve(""))
	k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
	if got := strings.Join(k.signIn("good"), " "); !strings.Contains(got, "08006") || !strings.Contains(got, "target orders cannot be reached") {
		t.Errorf("got %s", got)
	}
}

// A server that does not take the connection in time ends the start-up, and so
// does the gateway's end.
func TestConnectingIsBounded(t *testing.T) {
	w := fakeWorld(t)
	begun := make(chan struct{}, 1)
	w.dial = func(ctx context.Context) (net.Conn, error) {
		begun <- struct{}{}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	w.cfg.Startup = 1 << 62
	k := newTalk(t, w.serve(""))
	k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
	go func() {
		<-begun
		w.cancel()
	}()
	k.signIn("good") // ends, whatever it was told
}
