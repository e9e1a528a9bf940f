package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// signIns counts the sessions that PostgreSQL has let in as the gateway's user.
func (w *world) signIns(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.Postgres.Home(), "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Count(text, []byte("connection authorized: user=weir_shop"))
}

// stillServes says that the gateway is as well as before.
func (w *world) stillServes(t *testing.T) {
	t.Helper()
	expect(t, w.signs(t, w.agent(t)).out, "in\n")
	expect(t, w.curl(t, w.agent(t), "/customers/1").out, "200 OK")
}

// throw sends bytes to an address and returns what comes back before it closes.
func throw(t *testing.T, address string, data []byte, secure *tls.Config) []byte {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	if secure != nil {
		conn = tls.Client(conn, secure)
	}
	if _, err := conn.Write(data); err != nil {
		return nil // it did not even listen to the end
	}
	got, err := io.ReadAll(conn)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is open after %s", patience)
	}
	return got
}

// packet is one of the start-up: a length, a code and what follows.
func packet(code uint32, rest string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(8+len(rest)))
	return append(binary.BigEndian.AppendUint32(b, code), rest...)
}

// message is one of the protocol with a type.
func message(kind byte, length uint32, rest string) string {
	return string(kind) + string(binary.BigEndian.AppendUint32(nil, length)) + rest
}

const version30 = 3 << 16

func TestGarbageAtThePostgresPort(t *testing.T) {
	w := shared(t)
	startup := string(packet(version30, "user\x00agent\x00database\x00shop\x00\x00"))
	t.Run("all", func(t *testing.T) {
		for name, tc := range map[string]struct{ data, want string }{
			"nothing":                    {"", ""},
			"half a startup packet":      {startup[:len(startup)/2], ""},
			"half a length":              {"\x00\x00", ""},
			"HTTP":                       {"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "invalid length of startup packet"},
			"zeros":                      {strings.Repeat("\x00", 4096), "invalid length of startup packet"},
			"a huge length":              {"\x7f\xff\xff\xff\x00\x03\x00\x00", "invalid length of startup packet"},
			"protocol 2":                 {string(packet(2<<16, strings.Repeat("x", 280))), "unsupported frontend protocol 2.0"},
			"no end of a name":           {string(packet(version30, "user\x00agent")), "startup packet"},
			"no user":                    {string(packet(version30, "\x00")), ""},
			"TLS, then garbage":          {string(packet(80877103, "")) + "\x16garbage in place of a hello", ""},
			"a query before the sign-in": {startup + message('Q', 29, "select 'before sign-in'\x00\x00"), "expected a password message"},
			"a password without an end":  {startup + message('p', 8, "abcd"), "malformed password message"},
			"a password of no length":    {startup + message('p', 0, ""), "expected a password message"},
			"a cancel of nobody":         {string(packet(80877102, "\x00\x00\x00\x01\x00\x00\x00\x02")), ""},
			"replication":                {string(packet(version30, "user\x00agent\x00replication\x00perhaps\x00\x00")), "replication"},
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				// The target that gives a client two seconds to start up.
				got := string(throw(t, all.listen["tiny"], []byte(tc.data), nil))
				expect(t, got, tc.want, "!CREATE", "!AuthenticationOk")
				if tc.want != "" {
					expect(t, got, "FATAL")
				}
			})
		}
	})
	if w.reached(t, "before sign-in") {
		t.Error("PostgreSQL was sent a stranger's query")
	}
	w.stillServes(t)
}

func TestGarbageAfterSignIn(t *testing.T) {
	w := shared(t)
	for name, data := range map[string]string{
		"an unknown message":     message('?', 8, "abcd"),
		"a length of nothing":    message('Q', 0, ""),
		"a length of 2 GiB":      message('Q', 0x7fffffff, "select 'garbage-1'\x00"),
		"a negative length":      message('Q', 0xffffffff, "select 'garbage-2'\x00"),
		"a query without an end": message('Q', 22, "select 'garbage-3'"),
		"a bind of nonsense":     message('B', 12, "\xff\xff\xff\xff\xff\xff\xff\xff"),
		"a parse cut short":      message('P', 7, "abc"),
		"a server's message":     message('D', 10, "\x00\x01\x00\x00\x00\x00") + message('Z', 5, "I"),
		"copy data from nowhere": message('d', 8, "abcd") + message('c', 4, "") + message('S', 4, ""),
		"half a message":         message('Q', 1000, "select 'garbage-4'"),
		"text":                   "SELECT 'garbage-5';\n",
		"a second startup":       string(packet(version30, "user\x00postgres\x00\x00")),
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := w.dial(t.Context(), w.agent(t), nil)
			if err != nil {
				t.Fatal(err)
			}
			hijacked, err := conn.PgConn().Hijack()
			if err != nil {
				t.Fatal(err)
			}
			raw := hijacked.Conn
			defer func() { _ = raw.Close() }()
			_ = raw.SetDeadline(time.Now().Add(patience))
			if _, err := raw.Write([]byte(data)); err != nil {
				t.Fatal(err)
			}
			if c, ok := raw.(interface{ CloseWrite() error }); ok {
				_ = c.CloseWrite() // nothing more comes
			}
			if _, err := io.Copy(io.Discard, raw); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the session went on")
			}
		})
	}
	for _, mark := range []string{"garbage-1", "garbage-2", "garbage-3", "garbage-4", "garbage-5"} {
		if w.reached(t, mark) {
			t.Errorf("PostgreSQL was sent %s", mark)
		}
	}
	w.stillServes(t)
}

func TestOversizedMessages(t *testing.T) {
	w := shared(t)
	conn, err := w.dialTo(t.Context(), all.listen["tiny"], w.agent(t), func(c *pgx.ConnConfig) { c.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol })
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), "select length('"+strings.Repeat("x", 5<<10)+"') /* oversized-1 */")
	if e := refused(t, err); e.Code != "54001" || e.Severity != "ERROR" || e.Message != "the statement has 5155 bytes, and at most 4096 are analysed" {
		t.Errorf("%+v", e)
	}
	var n int
	if err := conn.QueryRow(t.Context(), "select 1").Scan(&n); err != nil {
		t.Errorf("the connection is not usable any more: %v", err)
	}
	_, err = conn.Exec(t.Context(), "select length('"+strings.Repeat("x", 100<<10)+"') /* oversized-2 */")
	if e := refused(t, err); e.Code != "54000" || e.Severity != "ERROR" || e.Message != "the message has 102441 bytes, and at most 65536 are taken" {
		t.Errorf("%+v", e)
	}
	if w.reached(t, "oversized-") {
		t.Error("PostgreSQL was sent what is too large")
	}
	w.stillServes(t)
}

func TestHugeToken(t *testing.T) {
	w := shared(t)
	token := w.agent(t) + strings.Repeat("A", 100<<10)
	before := w.signIns(t)
	got := w.psql(t, token, "select 1;\n")
	expect(t, got.err, "FATAL:  the token is too long: ", " bytes, at most 65530 are taken")
	if got.code != 2 || w.signIns(t) != before {
		t.Errorf("psql: %s", got)
	}
	uri := "/customers/1?huge-token"
	p := w.curl(t, token, uri).refusal(t, "401 Unauthorized")
	if p.Detail != "the token is larger than 16 KiB; ask for one with fewer claims" {
		t.Errorf("%+v", p)
	}
	if len(w.api.to(uri)) > 0 {
		t.Error("the API was asked")
	}
	expect(t, w.vote(t, token, "approve", "0190", "x").err, "weir: the token is larger than 16 KiB")
	w.stillServes(t)
}

func TestGarbageAtTheHTTPPort(t *testing.T) {
	once(t)
	w := shared(t)
	secure := &tls.Config{RootCAs: w.roots(t), ServerName: "localhost", MinVersion: tls.VersionTLS12}
	token := w.agent(t)
	auth := "Authorization: Bearer " + token + "\r\n"
	// What is no HTTP is not answered: Envoy closes.
	for name, tc := range map[string]struct{ data, want string }{
		"garbage":                {"\x00\x01\x02garbage\r\n\r\n", ""},
		"no version":             {"GET /customers/1\r\n\r\n", ""},
		"two lengths":            {"POST /refunds?smuggled HTTP/1.1\r\nHost: x\r\n" + auth + "Content-Length: 3\r\nContent-Length: 40\r\n\r\n{}", ""},
		"length and chunks":      {"POST /refunds?smuggled HTTP/1.1\r\nHost: x\r\n" + auth + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", ""},
		"an unknown coding":      {"POST /refunds?smuggled HTTP/1.1\r\nHost: x\r\n" + auth + "Transfer-Encoding: chunky\r\n\r\n", ""},
		"a path that climbs":     {"GET /customers/..%2f..%2fsmuggled HTTP/1.1\r\nHost: x\r\n" + auth + "Connection: close\r\n\r\n", "HTTP/1.1 400 Bad Request"},
		"headers without an end": {"GET /customers/1 HTTP/1.1\r\n" + strings.Repeat("X: "+strings.Repeat("y", 1000)+"\r\n", 300), ""},
		"CONNECT":                {"CONNECT smuggled:80 HTTP/1.1\r\nHost: smuggled:80\r\n" + auth + "\r\n", "HTTP/1.1 40"},
		"an underscore":          {"GET /customers/1?smuggled HTTP/1.1\r\nHost: x\r\n" + auth + "weir_target: shop\r\nConnection: close\r\n\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := string(throw(t, w.Settings.APIListen, []byte(tc.data), secure.Clone()))
			expect(t, got, tc.want, "!HTTP/1.1 2")
		})
	}
	for name, data := range map[string]string{"HTTP in clear": "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "garbage": strings.Repeat("\xff", 1000)} {
		t.Run(name, func(t *testing.T) {
			if got := throw(t, w.Settings.APIListen, []byte(data), nil); bytes.Contains(got, []byte("200")) {
				t.Errorf("it answered %q", got)
			}
		})
	}
	w.api.mu.Lock()
	for _, r := range w.api.seen {
		if strings.Contains(r.RequestURI, "smuggled") {
			t.Errorf("the API was asked for %s", r.RequestURI)
		}
	}
	w.api.mu.Unlock()
	w.stillServes(t)
}

// Clients that say little, slowly, hold up nobody else.
func TestSlowClients(t *testing.T) {
	w := shared(t)
	secure := &tls.Config{RootCAs: w.roots(t), ServerName: "localhost", MinVersion: tls.VersionTLS12}
	var slow []net.Conn
	for range 40 {
		raw, err := new(net.Dialer).DialContext(t.Context(), "tcp", w.Settings.DatabaseListen)
		if err != nil {
			t.Fatal(err)
		}
		slow = append(slow, raw)
		conn, err := tls.Dial("tcp", w.Settings.APIListen, secure)
		if err != nil {
			t.Fatal(err)
		}
		slow = append(slow, conn)
	}
	for _, text := range []string{"\x00", "\x00", "\x00"} {
		for i, c := range slow {
			if i%2 == 1 {
				text = "G"
			}
			if _, err := c.Write([]byte(text)); err != nil {
				t.Errorf("client %d: %v", i, err)
			}
		}
		w.stillServes(t)
	}
	for _, c := range slow {
		_ = c.Close()
	}
}

func TestLimitsOfATarget(t *testing.T) {
	w := shared(t)
	var conns []*pgx.Conn
	for range 2 {
		conn, err := w.dialTo(t.Context(), all.listen["tiny"], w.agent(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, conn)
		defer func() { _ = conn.Close(context.Background()) }()
	}
	_, err := w.dialTo(t.Context(), all.listen["tiny"], w.agent(t), nil)
	if e := refused(t, err); e.Code != "53300" || e.Message != "target tiny has as many sessions as the gateway allows (2)" {
		t.Errorf("%+v", e)
	}
	for _, conn := range conns {
		if e := refused(t, ends(t, conn)); e.Code != "57P05" || e.Message != "the session ends because it was idle for 1s" {
			t.Errorf("%+v", e)
		}
	}
	soon(t, "there is room again", func() bool {
		conn, err := w.dialTo(t.Context(), all.listen["tiny"], w.agent(t), nil)
		if err != nil {
			return false
		}
		_ = conn.Close(context.Background())
		return true
	})
}

// What a client sent in clear behind its TLS request is not taken for what it
// says in TLS (CVE-2021-23222).
func TestInjectedBeforeTLS(t *testing.T) {
	w := shared(t)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", w.Settings.DatabaseListen)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(patience))
	injected := append(packet(80877103, ""), packet(version30, "user\x00agent\x00\x00")...)
	if _, err := conn.Write(injected); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	m, err := pgproto3.NewFrontend(bytes.NewReader(got), io.Discard).Receive()
	e, ok := m.(*pgproto3.ErrorResponse)
	if err != nil || !ok || e.Code != "08P01" {
		t.Errorf("%q, %v", got, err)
	}
}
