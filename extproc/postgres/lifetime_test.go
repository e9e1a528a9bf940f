package postgres

import (
	"bytes"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// reason is why the session ended, as it was recorded.
func (w *world) reason() string {
	w.t.Helper()
	var reason string
	waitFor(w.t, func() bool {
		w.ledger.mu.Lock()
		defer w.ledger.mu.Unlock()
		for _, e := range w.ledger.events {
			if c, ok := e.Body.(gate.Closing); ok {
				reason = c.Reason
				return true
			}
		}
		return false
	})
	return reason
}

// slowServer answers a query only when it is told to.
func slowServer(release chan struct{}) func(*pgproto3.Backend) error {
	return func(b *pgproto3.Backend) error {
		for {
			m, err := b.Receive()
			if err != nil {
				return err
			}
			switch m.(type) {
			case *pgproto3.Query:
				<-release
				b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 0")})
				b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			case *pgproto3.Execute:
				b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("public")}})
				b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SHOW")})
			case *pgproto3.Sync:
				b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			case *pgproto3.Parse:
				b.Send(&pgproto3.ParseComplete{})
			case *pgproto3.Bind:
				b.Send(&pgproto3.BindComplete{})
			case *pgproto3.Close:
				b.Send(&pgproto3.CloseComplete{})
			case *pgproto3.Terminate:
				return nil
			}
			if err := b.Flush(); err != nil {
				return err
			}
		}
	}
}

func TestTerminate(t *testing.T) {
	w := fakeWorld(t)
	c := dialRaw(t, w.serve(newFakeServer().serve(t)))
	c.ask("SELECT 1")
	c.send(&pgproto3.Terminate{})
	if got := w.reason(); got != "the client ended it" {
		t.Errorf("recorded %q", got)
	}
}

func TestClientVanishes(t *testing.T) {
	w := fakeWorld(t)
	release := make(chan struct{})
	server := newFakeServer()
	server.after = slowServer(release)
	c := dialRaw(t, w.serve(server.serve(t)))
	c.send(&pgproto3.Query{String: "SELECT 1"})
	waitFor(t, func() bool { return len(w.ledger.texts()) == 1 })
	_ = c.conn.(*net.TCPConn).SetLinger(0)
	c.conn.Close()
	if got := w.reason(); got != "the client went away" {
		t.Errorf("recorded %q", got)
	}
	if o := w.ledger.outcomes(); len(o) != 1 || o[0].Status != "aborted" {
		t.Errorf("the statement ended as %+v", o)
	}
	close(release)
}

// A client that says no more is given what it has asked for, as the server does.
func TestClientHalfCloses(t *testing.T) {
	half := func(c *rawClient) {
		if err := c.conn.(*net.TCPConn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("behind a statement", func(t *testing.T) {
		w := fakeWorld(t)
		release := make(chan struct{})
		server := newFakeServer()
		server.after = slowServer(release)
		c := dialRaw(t, w.serve(server.serve(t)))
		c.send(&pgproto3.Query{String: "SELECT 1"}, &pgproto3.Query{String: "SELECT 2"})
		waitFor(t, func() bool { return len(w.ledger.texts()) == 2 })
		half(c)
		close(release)
		sees(t, c.until(2), "done SELECT 0", "ready I", "done SELECT 0", "ready I")
		if m, err := c.f.Receive(); err == nil {
			t.Errorf("and then %s", describeMessage(m))
		}
		if got := w.reason(); got != "the client went away" {
			t.Errorf("recorded %q", got)
		}
	})
	t.Run("before its Sync", func(t *testing.T) {
		w := fakeWorld(t)
		server := newFakeServer()
		c := dialRaw(t, w.serve(server.serve(t)))
		c.send(run1("SELECT 1")...)
		half(c)
		if got := w.reason(); got != "the client went away" {
			t.Errorf("recorded %q", got)
		}
	})
	t.Run("within COPY", func(t *testing.T) {
		w, server := realWorld(t, pgserver.Options{})
		address := w.serve(server.Addr())
		c := dialRaw(t, address)
		c.send(&pgproto3.Query{String: "COPY notes (body) FROM STDIN"}, &pgproto3.CopyData{Data: []byte("lost\n")})
		sees(t, []string{describeMessage(c.receive())}, "copy in")
		half(c)
		if got := w.reason(); got != "the client went away" {
			t.Errorf("recorded %q", got)
		}
		other := dialRaw(t, address)
		sees(t, other.ask("SELECT count(*) FROM notes"), "columns count", "row 0", "done SELECT 1", "ready I")
	})
	t.Run("within the end of COPY", func(t *testing.T) {
		w, server := realWorld(t, pgserver.Options{})
		c := dialRaw(t, w.serve(server.Addr()))
		c.send(&pgproto3.Query{String: "COPY notes (body) FROM STDIN"}, &pgproto3.CopyData{Data: []byte("lost\n")})
		sees(t, []string{describeMessage(c.receive())}, "copy in")
		if _, err := c.conn.Write([]byte{msgCopyDone, 0, 0}); err != nil {
			t.Fatal(err)
		}
		half(c)
		if got := w.reason(); got != "the client went away" {
			t.Errorf("recorded %q", got)
		}
	})
}

func TestServerVanishes(t *testing.T) {
	w := fakeWorld(t)
	server := newFakeServer()
	server.after = func(b *pgproto3.Backend) error { return nil }
	c := dialRaw(t, w.serve(server.serve(t)))
	sees(t, []string{describeMessage(c.receive())}, "FATAL 08006")
	if got := w.reason(); got != "the server closed the connection" {
		t.Errorf("recorded %q", got)
	}
}

func TestServerSaysWhyItEnds(t *testing.T) {
	w := fakeWorld(t)
	server := newFakeServer()
	server.after = func(b *pgproto3.Backend) error {
		b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: "57P01", Message: "terminating connection"})
		return b.Flush()
	}
	c := dialRaw(t, w.serve(server.serve(t)))
	sees(t, []string{describeMessage(c.receive())}, "FATAL 57P01")
	if m, err := c.f.Receive(); err == nil {
		t.Errorf("and then %s", describeMessage(m))
	}
}

// readyConn does something as soon as the client has been told that it is in.
type readyConn struct {
	net.Conn
	then func()
}

func (c *readyConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if bytes.HasSuffix(p, readyIdle(nil)) {
		c.then()
	}
	return n, err
}

// stopping stops the gateway, and waits until a session knows.
func (w *world) stopping(c *rawClient) {
	s := w.handler.live.find(c.pid, c.key)
	w.cancel()
	waitFor(w.t, func() bool { return s.endingNow() != nil })
}

// owed waits until the server owes answers to n statements. What was judged alone
// has not begun: a gateway that stops does not send it any more.
func (w *world) owed(c *rawClient, n int) {
	w.t.Helper()
	s := w.handler.live.find(c.pid, c.key)
	waitFor(w.t, func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(w.ledger.texts()) == n && s.queue.n == n
	})
}

func TestDrain(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		w := fakeWorld(t)
		c := dialRaw(t, w.serve(newFakeServer().serve(t)))
		w.cancel()
		sees(t, []string{describeMessage(c.receive())}, "FATAL 57P01")
		if got := w.reason(); got != "the gateway stopped" {
			t.Errorf("recorded %q", got)
		}
	})
	// The gateway stops when the client has just been told that it is in.
	t.Run("just signed in", func(t *testing.T) {
		w := fakeWorld(t)
		w.toClient = func(c net.Conn) net.Conn { return &readyConn{Conn: c, then: func() { w.cancel() }} }
		c := dialRaw(t, w.serve(newFakeServer().serve(t)))
		sees(t, []string{describeMessage(c.receive())}, "FATAL 57P01")
		if got := w.reason(); got != "the gateway stopped" {
			t.Errorf("recorded %q", got)
		}
	})
	// The client asks for more when the session is to end.
	t.Run("asked for more", func(t *testing.T) {
		w := fakeWorld(t)
		release := make(chan struct{})
		defer close(release)
		server := newFakeServer()
		server.after = slowServer(release)
		c := dialRaw(t, w.serve(server.serve(t)))
		c.send(&pgproto3.Query{String: "SELECT 1"})
		w.owed(c, 1)
		w.stopping(c)
		c.send(&pgproto3.Query{String: "SELECT 2"})
		release <- struct{}{}
		sees(t, c.until(1), "done SELECT 0", "ready I")
		sees(t, []string{describeMessage(c.receive())}, "FATAL 57P01")
		if got := w.ledger.texts(); len(got) != 1 {
			t.Errorf("%q was judged", got)
		}
	})
	// What was sent before is finished, all of it.
	t.Run("pipelined", func(t *testing.T) {
		w := fakeWorld(t)
		release := make(chan struct{})
		server := newFakeServer()
		server.after = slowServer(release)
		c := dialRaw(t, w.serve(server.serve(t)))
		c.send(&pgproto3.Query{String: "SELECT 1"}, &pgproto3.Query{String: "SELECT 2"}, &pgproto3.Query{String: "SELECT 3"})
		w.owed(c, 3)
		w.cancel()
		close(release)
		sees(t, c.until(3), "done SELECT 0", "ready I", "done SELECT 0", "ready I", "done SELECT 0", "ready I")
		sees(t, []string{describeMessage(c.receive())}, "FATAL 57P01")
	})
	t.Run("before the Sync", func(t *testing.T) {
		w, server := realWorld(t, pgserver.Options{})
		c := dialRaw(t, w.serve(server.Addr()))
		c.send(script(run1("INSERT INTO notes (body) VALUES ('drained')"), []pgproto3.FrontendMessage{&pgproto3.Flush{}})...)
		for _, expected := range []string{"parsed", "bound", "done INSERT 0 1"} {
			sees(t, []string{describeMessage(c.receive())}, expected)
		}
		w.stopping(c)
		c.send(script(run1("SELECT count(*) FROM notes"), synced)...)
		sees(t, c.until(1), "parsed", "bound", "row 1", "done SELECT 1", "ready I")
		sees(t, []string{describeMessage(c.receive())}, "FATAL 57P01")
	})
	t.Run("within COPY", func(t *testing.T) {
		w, server := realWorld(t, pgserver.Options{})
		c := dialRaw(t, w.serve(server.Addr()))
		c.send(&pgproto3.Query{String: "COPY notes (body) FROM STDIN"})
		sees(t, []string{describeMessage(c.receive())}, "copy in")
		w.stopping(c)
		c.send(&pgproto3.CopyData{Data: []byte("one\n")}, &pgproto3.CopyDone{})
		sees(t, c.until(1), "done COPY 1", "ready I")
		sees(t, []string{describeMessage(c.receive())}, "FATAL 57P01")
	})
	t.Run("within what was refused", func(t *testing.T) {
		w, server := realWorld(t, pgserver.Options{})
		w.rules = noDelete
		c := dialRaw(t, w.serve(server.Addr()))
		c.send(run1("DELETE FROM notes")...)
		sees(t, []string{describeMessage(c.receive())}, "ERROR 42501")
		w.stopping(c)
		c.send(&pgproto3.Sync{})
		sees(t, c.until(1), "ready I")
		sees(t, []string{describeMessage(c.receive())}, "FATAL 57P01")
	})
	t.Run("busy", func(t *testing.T) {
		w := fakeWorld(t)
		release := make(chan struct{})
		server := newFakeServer()
		server.after = slowServer(release)
		c := dialRaw(t, w.serve(server.serve(t)))
		c.send(&pgproto3.Query{String: "SELECT 1"})
		w.owed(c, 1)
		w.cancel()
		close(release)
		sees(t, c.until(1), "done SELECT 0", "ready I")
		sees(t, []string{describeMessage(c.receive())}, "FATAL 57P01")
	})
	t.Run("too busy", func(t *testing.T) {
		w := fakeWorld(t)
		w.cfg.Drain = 50 * time.Millisecond
		release := make(chan struct{})
		server := newFakeServer()
		server.after = slowServer(release)
		c := dialRaw(t, w.serve(server.serve(t)))
		c.send(&pgproto3.Query{String: "SELECT 1"})
		w.owed(c, 1)
		w.cancel()
		sees(t, []string{describeMessage(c.receive())}, "FATAL 57P01")
		close(release)
	})
}

func TestTokenExpires(t *testing.T) {
	w := fakeWorld(t)
	w.deps.Identity = issuer{expires: time.Now().Add(300 * time.Millisecond)}
	c := dialRaw(t, w.serve(newFakeServer().serve(t)))
	sees(t, []string{describeMessage(c.receive())}, "FATAL 28000")
	if got := w.reason(); got != "the token expired" {
		t.Errorf("recorded %q", got)
	}
}

func TestIdle(t *testing.T) {
	w := fakeWorld(t)
	w.cfg.Idle = 100 * time.Millisecond
	c := dialRaw(t, w.serve(newFakeServer().serve(t)))
	sees(t, []string{describeMessage(c.receive())}, "FATAL 57P05")
}

func TestTooManySessions(t *testing.T) {
	w := fakeWorld(t)
	w.cfg.MaxSessions = 1
	address := w.serve(newFakeServer().serve(t))
	dialRaw(t, address)
	k := newTalk(t, address)
	k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
	if got := k.signIn("good"); !strings.HasPrefix(got[0], "FATAL 53300") {
		t.Errorf("got %q", got)
	}
}

// Who has not signed in takes no session from who has a token.
func TestSessionsAreOfWhoSignedIn(t *testing.T) {
	w := fakeWorld(t)
	w.cfg.MaxSessions = 1
	address := w.serve(newFakeServer().serve(t))
	for range 3 {
		k := newTalk(t, address)
		k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
		if m, err := k.b.Receive(); err != nil {
			t.Fatal(m, err)
		}
	}
	c := dialRaw(t, address)
	sees(t, c.ask("SELECT 1"), "columns text", "row SELECT 1", "done SELECT 1", "ready I")
}

// Nothing is forwarded that could not be recorded, and nothing delivered.
func TestEvidenceFails(t *testing.T) {
	t.Run("before", func(t *testing.T) {
		w := fakeWorld(t)
		c := dialRaw(t, w.serve(newFakeServer().serve(t)))
		w.ledger.fail(errors.New("disk full"))
		sees(t, c.ask("SELECT 1"), "ERROR 58000", "ready I")
		w.ledger.fail(nil)
		sees(t, c.ask("SELECT 2"), "columns text", "row SELECT 2", "done SELECT 1", "ready I")
	})
	t.Run("behind", func(t *testing.T) {
		w := fakeWorld(t)
		release := make(chan struct{})
		server := newFakeServer()
		server.after = slowServer(release)
		c := dialRaw(t, w.serve(server.serve(t)))
		c.send(&pgproto3.Query{String: "SELECT 1"})
		waitFor(t, func() bool { return len(w.ledger.stream(gate.RequestStream)) > 0 })
		w.ledger.fail(errors.New("disk full"))
		close(release)
		sees(t, []string{describeMessage(c.receive())}, "FATAL 58000")
	})
	t.Run("at sign-in", func(t *testing.T) {
		w := fakeWorld(t)
		w.ledger.fail(errors.New("disk full"))
		k := newTalk(t, w.serve(newFakeServer().serve(t)))
		k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
		if got := k.signIn("good"); !strings.HasPrefix(got[0], "FATAL 58000") {
			t.Errorf("got %q", got)
		}
	})
}

// A server that says what it was not asked ends the session.
func TestServerOutOfOrder(t *testing.T) {
	for name, messages := range map[string][]pgproto3.BackendMessage{
		"a row":           {&pgproto3.DataRow{Values: [][]byte{[]byte("secret")}}},
		"ready":           {&pgproto3.ReadyForQuery{TxStatus: 'I'}},
		"parsed":          {&pgproto3.ParseComplete{}},
		"authentication":  {&pgproto3.AuthenticationOk{}},
		"copy both":       {&pgproto3.CopyBothResponse{}},
		"function result": {&pgproto3.FunctionCallResponse{Result: []byte("secret")}},
	} {
		t.Run(name, func(t *testing.T) {
			w := fakeWorld(t)
			server := newFakeServer()
			server.after = func(b *pgproto3.Backend) error {
				if err := answerFirst(b); err != nil {
					return err
				}
				for _, m := range messages {
					b.Send(m)
				}
				if err := b.Flush(); err != nil {
					return err
				}
				_, err := b.Receive()
				return err
			}
			c := dialRaw(t, w.serve(server.serve(t)))
			sees(t, []string{describeMessage(c.receive())}, "FATAL 08P01")
		})
	}
}

// A client that does not read holds up nobody but itself, and can be ended.
func TestClientThatDoesNotRead(t *testing.T) {
	w := fakeWorld(t)
	w.cfg.Drain = 100 * time.Millisecond
	server := newFakeServer()
	server.after = func(b *pgproto3.Backend) error {
		big := &pgproto3.DataRow{Values: [][]byte{make([]byte, 60_000)}}
		for {
			m, err := b.Receive()
			if err != nil {
				return err
			}
			if _, ok := m.(*pgproto3.Query); !ok {
				continue
			}
			for {
				b.Send(big)
				if err := b.Flush(); err != nil {
					return net.ErrClosed
				}
			}
		}
	}
	server.after = withProbe(server.after)
	c := dialRaw(t, w.serve(server.serve(t)))
	c.send(&pgproto3.Query{String: "SELECT 1"})
	waitFor(t, func() bool { return len(w.ledger.texts()) == 1 })
	w.cancel()
	waitFor(t, func() bool { return w.handler.live.Count() == 0 })
}

// withProbe answers the gateway's own first question and then does as it is told.
func withProbe(then func(*pgproto3.Backend) error) func(*pgproto3.Backend) error {
	return func(b *pgproto3.Backend) error {
		for {
			m, err := b.Receive()
			if err != nil {
				return err
			}
			switch m.(type) {
			case *pgproto3.Parse:
				b.Send(&pgproto3.ParseComplete{})
			case *pgproto3.Bind:
				b.Send(&pgproto3.BindComplete{})
			case *pgproto3.Close:
				b.Send(&pgproto3.CloseComplete{})
			case *pgproto3.Execute:
				b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("none")}})
				b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SHOW")})
			case *pgproto3.Sync:
				b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
				if err := b.Flush(); err != nil {
					return err
				}
				return then(b)
			}
		}
	}
}
