package integration

import (
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/integration/stage"
)

// crowd are connections to a listener without a token.
type crowd struct {
	mu    sync.Mutex
	conns []net.Conn
}

// join opens n connections from one address of this machine, and says something on
// each.
func (c *crowd) join(t *testing.T, listen, from string, n int, say []byte) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	for range n {
		conn, err := dialer.DialContext(t.Context(), "tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(say); err != nil {
			t.Fatal(err)
		}
		c.mu.Lock()
		c.conns = append(c.conns, conn)
		c.mu.Unlock()
	}
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}

// tlsRequest is what a client says first (PostgreSQL, SSLRequest).
func tlsRequest() []byte { return binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, 80877103) }

// Whoever reaches a listener, and has no token, cannot take the server's connections
// from those who have one.
func TestCrowdWithoutAToken(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems have one loopback address only")
	}
	// PostgreSQL forks for each connection, twice as many as it has sessions for, and
	// refuses all others.
	const most = 20
	w := own(t, stage.Options{
		Postgres: func(o *postgres.Options) {
			o.Settings["max_connections"], o.Settings["max_wal_senders"] = fmt.Sprint(most), "0"
		},
		Edit: func(s *stage.Settings) {
			s.Shop = "    limits: {signing_in: 6, signing_in_per_host: 3}\n    session: {startup: 2s}\n"
		},
	})
	listen := w.Settings.DatabaseListen
	expect(t, w.signs(t, w.agent(t)).out, "in\n")
	for name, tc := range map[string]struct {
		from []string
		say  []byte
	}{
		"silent, from this host":          {[]string{"127.0.0.1"}, nil},
		"silent, from another":            {[]string{"127.0.0.2"}, nil},
		"half a word, from another":       {[]string{"127.0.0.2"}, []byte{0}},
		"asking for TLS, from another":    {[]string{"127.0.0.2"}, tlsRequest()},
		"asking for TLS, from many hosts": {[]string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"}, tlsRequest()},
	} {
		t.Run(name, func(t *testing.T) {
			var many crowd
			defer many.leave()
			for _, from := range tc.from {
				many.join(t, listen, from, 4*most/len(tc.from), tc.say)
			}
			for range 3 {
				if got := w.signs(t, w.agent(t)); got.out != "in\n" {
					t.Errorf("who has a token: %s", got)
				}
			}
		})
	}
}

// One host that is many can keep itself out only for as long as a sign-in may take.
// Those that wait too long are told.
func TestCrowdOnOneHost(t *testing.T) {
	w := own(t, stage.Options{Edit: func(s *stage.Settings) {
		s.Shop = "    limits: {signing_in_per_host: 1}\n    session: {startup: 2s}\n"
	}})
	var many crowd
	defer many.leave()
	many.join(t, w.Settings.DatabaseListen, "127.0.0.1", 1, tlsRequest())
	soon(t, "it has the only place", func() bool { return w.metric(t, `weir_postgres_signing_in{target="shop"}`) == "1" })
	many.join(t, w.Settings.DatabaseListen, "127.0.0.1", 6, tlsRequest())
	soon(t, "the others wait", func() bool { return w.metric(t, `weir_postgres_waiting{target="shop"}`) == "6" })
	_, err := w.dial(t.Context(), w.agent(t), nil)
	if e := refused(t, err); e.Code != "53300" || e.Message != "target shop: no place to sign in became free in time" {
		t.Errorf("got %+v", e)
	}
	soon(t, "who has a token is in", func() bool { return w.signs(t, w.agent(t)).out == "in\n" })
	if n := w.metric(t, `weir_postgres_not_admitted_total{target="shop"}`); n == "0" || n == "" {
		t.Errorf("not admitted: %q", n)
	}
}

// metric is the value of a metric of the gateway's, "" if there is none.
func (w *world) metric(t *testing.T, name string) string {
	t.Helper()
	text := string(w.page(t, "", "/metrics"))
	for line := range strings.Lines(text) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
