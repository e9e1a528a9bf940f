package postgres

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/weir-gateway/weir/extproc"
)

// startUp is a connection that is no session yet: what bounds it in time, and
// the way to its server.
type startUp struct {
	tunnel  *extproc.Tunnel
	end     time.Time // of the time for start-up and sign-in
	counted bool      // among those who have signed in

	// Of a server that Envoy connects to: whether it offers TLS, or why it did not
	// answer.
	offered bool
	down    error

	mu    sync.Mutex // guards what follows
	conns []net.Conn
	at    *time.Time // their deadline, where it is not end any more
}

// bound has a connection end with the time for start-up.
func (s *startUp) bound(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = append(s.conns, c)
	at := s.end
	if s.at != nil {
		at = *s.at
	}
	_ = c.SetDeadline(at)
}

// set gives all connections another deadline.
func (s *startUp) set(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = &at
	for _, c := range s.conns {
		_ = c.SetDeadline(at)
	}
}

// ask asks a server that Envoy connects to for TLS, whether TLS is wanted or not:
// Envoy opens the way to the client when the server has said something.
func (s *startUp) ask() {
	if s.tunnel.Server != nil {
		s.offered, s.down = requestTLS(s.tunnel.Server)
	}
}

// dialError reports that no server could be connected to.
type dialError struct{ err error }

func (e *dialError) Error() string { return "no connection: " + e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

// server is the way to the server, with TLS where the mode asks for it. Where
// Envoy connects, it is the server that Envoy chose. Otherwise it is connected to
// now, and not before: a connection of the server's is for who has signed in.
func (s *startUp) server(ctx context.Context, u *Upstream) (net.Conn, error) {
	if s.tunnel.Server != nil {
		return secureServer(ctx, s.tunnel.Server, u, s.offered)
	}
	dialling, stop := context.WithDeadline(ctx, s.end)
	defer stop()
	conn, err := s.tunnel.Dial(dialling)
	if err != nil {
		return nil, &dialError{err}
	}
	s.bound(conn)
	return askSecure(ctx, conn, u)
}

// askSecure brings a fresh connection of the gateway's own to what the mode asks
// for. With "disable" the server is not even asked.
func askSecure(ctx context.Context, conn net.Conn, u *Upstream) (net.Conn, error) {
	if u.TLS == TLSDisable {
		return conn, nil
	}
	offered, err := requestTLS(conn)
	if err != nil {
		return nil, fmt.Errorf("asking the server for TLS: %w", err)
	}
	return secureServer(ctx, conn, u, offered)
}

// addressOf is the host:port that a connection leads to, "" where it does not say.
func addressOf(c net.Conn) string {
	address := c.RemoteAddr().String()
	if _, _, err := net.SplitHostPort(address); err != nil {
		return ""
	}
	return address
}
