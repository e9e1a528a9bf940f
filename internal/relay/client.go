package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/weir-gateway/weir/extproc"
)

// client is the client's end of a connection that Envoy has handed over.
//
// Its Close lets what was written arrive: it ends the direction to the client and
// all use of this end. The socket itself is closed when the session is over and
// Envoy has taken all (see linger).
type client struct {
	*net.UnixConn
	from  net.Addr
	ended context.CancelCauseFunc // for the session's context

	rest []byte // arrived with the header; the reader's

	mu     sync.Mutex // guards deadlines against Close
	closed bool
}

// Read implements net.Conn. When nothing more can come, the session's context
// ends too.
func (c *client) Read(p []byte) (int, error) {
	if len(c.rest) > 0 && len(p) > 0 {
		n := copy(p, c.rest)
		if c.rest = c.rest[n:]; len(c.rest) == 0 {
			c.rest = nil
		}
		return n, nil
	}
	n, err := c.UnixConn.Read(p)
	if err == nil {
		return n, nil
	}
	if err = c.inWords(err); !errors.Is(err, os.ErrDeadlineExceeded) {
		c.ended(extproc.ErrEnded)
	}
	return n, err
}

// Write implements net.Conn.
func (c *client) Write(p []byte) (int, error) {
	n, err := c.UnixConn.Write(p)
	if err != nil {
		err = c.inWords(err)
	}
	return n, err
}

// inWords tells this end's being closed from a deadline that has passed.
func (c *client) inWords(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.closed {
			return net.ErrClosed
		}
	}
	return err
}

// Close implements net.Conn.
func (c *client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	c.closed = true
	// Whoever writes is stopped first, so that nothing comes after the end.
	return errors.Join(c.UnixConn.SetDeadline(time.Unix(1, 0)), c.CloseWrite())
}

// setDeadline sets one of the deadlines, unless this end was closed.
func (c *client) setDeadline(set func(time.Time) error, at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return set(at)
}

// SetDeadline implements net.Conn.
func (c *client) SetDeadline(t time.Time) error { return c.setDeadline(c.UnixConn.SetDeadline, t) }

// SetReadDeadline implements net.Conn.
func (c *client) SetReadDeadline(t time.Time) error {
	return c.setDeadline(c.UnixConn.SetReadDeadline, t)
}

// SetWriteDeadline implements net.Conn.
func (c *client) SetWriteDeadline(t time.Time) error {
	return c.setDeadline(c.UnixConn.SetWriteDeadline, t)
}

// RemoteAddr implements net.Conn: it is the client's address, as Envoy told it.
func (c *client) RemoteAddr() net.Addr { return c.from }

// linger closes the socket once Envoy has taken the last words and closed its
// end, or after some time. Closing at once, with something of the client's
// unread, would be a reset to Envoy, which drops what it has not delivered.
func (c *client) linger(within time.Duration) {
	_ = c.Close()
	_ = c.UnixConn.SetReadDeadline(time.Now().Add(within))
	_, _ = io.Copy(io.Discard, struct{ io.Reader }{c.UnixConn})
	_ = c.UnixConn.Close()
}
