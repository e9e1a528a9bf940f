package postgres

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/internal/gate"
)

func startPacket(version uint32, params ...string) []byte {
	b := make([]byte, 4)
	b = binary.BigEndian.AppendUint32(b, version)
	for _, p := range params {
		b = append(append(b, p...), 0)
	}
	b = append(b, 0)
	binary.BigEndian.PutUint32(b, uint32(len(b)))
	return b
}

func codePacket(code uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, code)
}

// conversation is a client that writes and reads bytes.
type talk struct {
	t    *testing.T
	conn net.Conn
	b    *pgproto3.Frontend
}

func newTalk(t *testing.T, address string) *talk {
	conn := dial(t, address)
	return &talk{t, conn, pgproto3.NewFrontend(conn, conn)}
}

func (k *talk) write(parts ...[]byte) {
	k.t.Helper()
	if _, err := k.conn.Write(bytes.Join(parts, nil)); err != nil {
		k.t.Fatal(err)
	}
}

func (k *talk) byte(want byte) {
	k.t.Helper()
	b := make([]byte, 1)
	if _, err := io.ReadFull(k.conn, b); err != nil || b[0] != want {
		k.t.Fatalf("got %q (%v), want %q", b, err, want)
	}
}

// secure goes on in TLS.
func (k *talk) secure(w *world) {
	k.t.Helper()
	conn := tls.Client(k.conn, &tls.Config{RootCAs: w.ca.Pool(), ServerName: "localhost", NextProtos: []string{alpn}})
	if err := conn.Handshake(); err != nil {
		k.t.Fatal(err)
	}
	k.conn, k.b = conn, pgproto3.NewFrontend(conn, conn)
}

// signIn answers the question for a password and reads up to ReadyForQuery.
func (k *talk) signIn(token string) []string {
	k.t.Helper()
	var got []string
	for {
		m, err := k.b.Receive()
		if err != nil {
			return append(got, "end")
		}
		switch m := m.(type) {
		case *pgproto3.AuthenticationCleartextPassword:
			k.b.Send(&pgproto3.PasswordMessage{Password: token})
			if err := k.b.Flush(); err != nil {
				k.t.Fatal(err)
			}
		case *pgproto3.NegotiateProtocolVersion:
			got = append(got, "negotiate "+strings.Join(m.UnrecognizedOptions, ","))
		case *pgproto3.ErrorResponse:
			got = append(got, m.Severity+" "+m.Code+" "+m.Message)
		case *pgproto3.ReadyForQuery:
			return append(got, "ready")
		}
	}
}

var userShop = []string{"user", "anyone", "database", "shop"}

func TestStartUp(t *testing.T) {
	w := fakeWorld(t)
	w.offerTLS()
	server := newFakeServer()
	address := w.serve(server.serve(t))
	v30 := startPacket(pgproto3.ProtocolVersion30, userShop...)

	for name, begin := range map[string]func(k *talk){
		"in clear": func(k *talk) { k.write(v30) },
		"TLS":      func(k *talk) { k.write(codePacket(sslRequestCode)); k.byte('S'); k.secure(w); k.write(v30) },
		"GSS, then TLS": func(k *talk) {
			k.write(codePacket(gssRequestCode))
			k.byte('N')
			k.write(codePacket(sslRequestCode))
			k.byte('S')
			k.secure(w)
			k.write(v30)
		},
		"GSS, then clear": func(k *talk) { k.write(codePacket(gssRequestCode)); k.byte('N'); k.write(v30) },
		"direct TLS":      func(k *talk) { k.secure(w); k.write(v30) },
		"protocol 3.2":    func(k *talk) { k.write(startPacket(pgproto3.ProtocolVersion32, userShop...)) },
		"byte by byte": func(k *talk) {
			for _, b := range v30 {
				k.write([]byte{b})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newTalk(t, address)
			begin(k)
			if diff := cmp.Diff([]string{"ready"}, k.signIn("good")); diff != "" {
				t.Error(diff)
			}
			m := <-server.started
			if m.Parameters["user"] != "weir_orders" || m.Parameters["database"] != "shop" {
				t.Errorf("the server was told %v", m.Parameters)
			}
		})
	}
}

// overheard keeps the bytes that were read.
type overheard struct {
	net.Conn
	read []byte
}

func (o *overheard) Read(p []byte) (int, error) {
	n, err := o.Conn.Read(p)
	o.read = append(o.read, p[:n]...)
	return n, err
}

// A cancel request over TLS ends with TLS's own end, whatever its key: libpq 17's
// PQcancelBlocking reports anything else as an error.
func TestCancelEndsInTLS(t *testing.T) {
	w := fakeWorld(t)
	w.offerTLS()
	server := newFakeServer()
	address := w.serve(server.serve(t))
	in := newTalk(t, address)
	in.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
	var known pgproto3.CancelRequest
	for ready := false; !ready; {
		m, err := in.b.Receive()
		if err != nil {
			t.Fatal(err)
		}
		switch m := m.(type) {
		case *pgproto3.AuthenticationCleartextPassword:
			in.b.Send(&pgproto3.PasswordMessage{Password: "good"})
			if err := in.b.Flush(); err != nil {
				t.Fatal(err)
			}
		case *pgproto3.BackendKeyData:
			known = pgproto3.CancelRequest{ProcessID: m.ProcessID, SecretKey: m.SecretKey}
		case *pgproto3.ReadyForQuery:
			ready = true
		}
	}
	for name, request := range map[string]pgproto3.CancelRequest{"of a session": known, "of nobody": {ProcessID: 1, SecretKey: []byte{1, 2, 3, 4}}} {
		t.Run(name, func(t *testing.T) {
			wire := &overheard{Conn: dial(t, address)}
			// In TLS 1.2 the kind of a record can be read from outside.
			conn := tls.Client(wire, &tls.Config{RootCAs: w.ca.Pool(), ServerName: "localhost", NextProtos: []string{alpn}, MaxVersion: tls.VersionTLS12})
			if _, err := conn.Write(encode(nil, &request)); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("read %d bytes and %v, want the end", n, err)
			}
			if alert := []byte{21, 3, 3}; !bytes.Contains(wire.read, alert) {
				t.Error("the connection ended without close_notify")
			}
		})
	}
}

func TestStartUpParameters(t *testing.T) {
	w := fakeWorld(t)
	server := newFakeServer()
	address := w.serve(server.serve(t))
	with := func(params ...string) []byte {
		return startPacket(pgproto3.ProtocolVersion30, append(append([]string{}, userShop...), params...)...)
	}
	k := newTalk(t, address)
	k.write(with("application_name", "psql", "DateStyle", "ISO", "options", `-c geqo=off --search-path=a\ b`, "replication", "off"))
	if got := k.signIn("good"); got[0] != "ready" {
		t.Fatal(got)
	}
	sent := map[string]string{
		"user": "weir_orders", "database": "shop", "application_name": "psql", "DateStyle": "ISO", "geqo": "off", "search_path": "a b",
	}
	if diff := cmp.Diff(sent, (<-server.started).Parameters); diff != "" {
		t.Error(diff)
	}
	k = newTalk(t, address)
	k.write(with("_pq_.fancy", "1"))
	if diff := cmp.Diff([]string{"negotiate _pq_.fancy", "ready"}, k.signIn("good")); diff != "" {
		t.Error(diff)
	}
	<-server.started
	k = newTalk(t, address)
	k.write(startPacket(3<<16|9999, userShop...))
	if diff := cmp.Diff([]string{"negotiate ", "ready"}, k.signIn("good")); diff != "" {
		t.Error(diff)
	}
	<-server.started
	k = newTalk(t, address)
	k.write(with("USER", "postgres", "Database", "payroll"))
	k.signIn("good")
	if m := <-server.started; m.Parameters["user"] != "weir_orders" || m.Parameters["database"] != "shop" {
		t.Errorf("the server was told %v", m.Parameters)
	}
	for _, refused := range [][]string{
		{"replication", "perhaps"}, {"options", "-x 5"},
		{"options", "-c user=postgres"}, {"local_preload_libraries", "x"}, {"weir.subject", "root"}, {"Local_Preload_Libraries", "x"}, {"options", "-c _pq_.x=1"}, {"options", "-cweir.subject=root"},
	} {
		k := newTalk(t, address)
		k.write(with(refused...))
		if got := k.signIn("good"); !strings.HasPrefix(got[0], "FATAL ") {
			t.Errorf("%v: %v", refused, got)
		}
	}
}

// What a client begins with is shown to policy, and is sent on only when policy
// lets it connect.
func TestStartUpSettingsAreFacts(t *testing.T) {
	w := fakeWorld(t)
	var seen *gate.Input
	w.rules = func(in *gate.Input) gate.Decision {
		if in.Phase == gate.Connect {
			seen = in
			return gate.Denied("no", "not today", "")
		}
		return allowAll(in)
	}
	k := newTalk(t, w.serve(newFakeServer().serve(t)))
	k.write(startPacket(pgproto3.ProtocolVersion30, append(append([]string{}, userShop...), "options", "-c Row_Security=off --role=dba", "client_encoding", "UTF-8", "work_mem", "1MB", "WORK_MEM", "2MB")...))
	if got := k.signIn("good"); got[0] != "FATAL 42501 refused by policy: not today (no)" {
		t.Fatal(got)
	}
	want := map[string]string{"row_security": "off", "role": "dba", "client_encoding": "UTF-8", "work_mem": "2MB"}
	if diff := cmp.Diff(want, seen.Session.Settings); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"session_settings", "set_role"}, seen.Session.Risks); diff != "" {
		t.Error(diff)
	}
}

func TestBadStartUp(t *testing.T) {
	w := fakeWorld(t)
	w.offerTLS()
	w.cfg.Startup = 300 * time.Millisecond
	address := w.serve(newFakeServer().serve(t))
	fatals := func(t *testing.T, k *talk, code string) {
		t.Helper()
		if got := k.signIn("good"); !strings.HasPrefix(got[0], "FATAL "+code) {
			t.Errorf("got %v", got)
		}
	}
	t.Run("garbage", func(t *testing.T) {
		k := newTalk(t, address)
		k.write([]byte("GET / HTTP/1.1\r\n\r\n"))
		fatals(t, k, "08P01")
	})
	t.Run("too long", func(t *testing.T) {
		k := newTalk(t, address)
		k.write([]byte{0, 0, 0x27, 0x11, 0, 3, 0, 0})
		fatals(t, k, "08P01")
	})
	t.Run("no terminator", func(t *testing.T) {
		k := newTalk(t, address)
		k.write([]byte{0, 0, 0, 13, 0, 3, 0, 0, 'u', 's', 'e', 'r', 0})
		fatals(t, k, "08P01")
	})
	t.Run("another version", func(t *testing.T) {
		k := newTalk(t, address)
		k.write(startPacket(5<<16, userShop...))
		fatals(t, k, "0A000")
	})
	t.Run("bytes ahead of TLS", func(t *testing.T) {
		k := newTalk(t, address)
		k.write(codePacket(sslRequestCode), startPacket(pgproto3.ProtocolVersion30, userShop...))
		fatals(t, k, "08P01")
	})
	t.Run("direct TLS without ALPN", func(t *testing.T) {
		k := newTalk(t, address)
		conn := tls.Client(k.conn, &tls.Config{RootCAs: w.ca.Pool(), ServerName: "localhost"})
		if err := conn.Handshake(); err == nil {
			if _, err := conn.Read(make([]byte, 1)); err == nil {
				t.Error("it was answered")
			}
		}
	})
	for name, part := range map[string][]byte{"nothing": nil, "half a packet": {0, 0, 0, 50, 0, 3}, "TLS request and then nothing": codePacket(sslRequestCode)} {
		t.Run(name, func(t *testing.T) {
			k := newTalk(t, address)
			if part != nil {
				k.write(part)
			}
			if _, err := io.Copy(io.Discard, k.conn); err != nil && !strings.Contains(err.Error(), "reset") {
				t.Errorf("the connection was not ended: %v", err)
			}
		})
	}
	waitFor(t, func() bool { return w.handler.live.Count() == 0 })
}

func TestClientSignIn(t *testing.T) {
	w := fakeWorld(t)
	address := w.serve(newFakeServer().serve(t))
	for _, test := range []struct{ name, token, want string }{
		{"a stranger", "bad", "FATAL 28P01 sign-in failed: the token is not valid here"},
		{"a broken signature", "broken", "FATAL 28P01 sign-in failed: the token could not be checked"},
		{"no token", "", "FATAL 28P01 sign-in failed: no token was given"},
		{"a token of 100 KB", strings.Repeat("t", 100<<10), "FATAL 28P01 the token is too long: 102401 bytes, at most 65530 are taken"},
	} {
		t.Run(test.name, func(t *testing.T) {
			k := newTalk(t, address)
			k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
			if got := k.signIn(test.token); got[0] != test.want {
				t.Errorf("got  %q\nwant %q", got[0], test.want)
			}
		})
	}
	t.Run("another database", func(t *testing.T) {
		k := newTalk(t, address)
		k.write(startPacket(pgproto3.ProtocolVersion30, "user", "a", "database", "payroll"))
		if got := k.signIn("good"); !strings.HasPrefix(got[0], "FATAL 3D000") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("something else than a password", func(t *testing.T) {
		k := newTalk(t, address)
		k.write(startPacket(pgproto3.ProtocolVersion30, userShop...), appendMessage(nil, msgQuery, cstring("SELECT 1")))
		if _, err := k.b.Receive(); err != nil {
			t.Fatal(err)
		}
		if m, err := k.b.Receive(); err != nil || describeMessage(m) != "FATAL 08P01" {
			t.Errorf("got %v, %v", m, err)
		}
	})
	waitFor(t, func() bool { return len(w.ledger.kinds()) >= 6 })
	for _, kind := range w.ledger.kinds() {
		if kind != gate.SessionRefused {
			t.Errorf("recorded %s", kind)
		}
	}
	if strings.Contains(w.logged(), "upstream-secret") {
		t.Error("a secret is in the log")
	}
}

func TestTokenNeedsTLS(t *testing.T) {
	w := fakeWorld(t)
	w.peer = "192.0.2.1:1234"
	address := w.serve(newFakeServer().serve(t))
	k := newTalk(t, address)
	k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
	if got := k.signIn("good"); got[0] != "FATAL 28000 a token is taken over TLS only" {
		t.Errorf("got %q", got)
	}
}

func TestConnectDenied(t *testing.T) {
	w := fakeWorld(t)
	w.rules = func(*gate.Input) gate.Decision { return gate.Denied("not_now", "nobody connects on Sundays", "") }
	server := newFakeServer()
	k := newTalk(t, w.serve(server.serve(t)))
	k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
	if got := k.signIn("good"); got[0] != "FATAL 42501 refused by policy: nobody connects on Sundays (not_now)" {
		t.Errorf("got %q", got)
	}
	if len(server.started) != 0 {
		t.Error("the server was signed in to")
	}
}

func TestServerDown(t *testing.T) {
	w := fakeWorld(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	l.Close()
	k := newTalk(t, w.serve(nobody))
	k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
	if got := k.signIn("good"); got[0] != "FATAL 08006 target orders cannot be reached" {
		t.Errorf("got %q", got)
	}
}
