package extproc

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// conn is one end of a tunnel. What it reads came from its side; what is
// written to it goes there.
//
// A read deadline bounds a Read as usual. A write deadline bounds the wait for
// the direction to open; a chunk that is on its way to Envoy is not called back.
type conn struct {
	s       *stream
	in, out direction
	remote  net.Addr
	rd, wd  deadline
}

var _ interface {
	net.Conn
	CloseWrite() error
} = (*conn)(nil)

func (s *stream) newConn(in direction, remote string) *conn {
	return &conn{s: s, in: in, out: in.opposite(), remote: address(remote)}
}

func (c *conn) Read(p []byte) (int, error) {
	n, _, err := c.s.read(c.in, p, &c.rd)
	if c.in == request && errors.Is(err, ErrEnded) {
		return n, io.EOF // a client that closes ends the stream: Envoy says no more of it
	}
	return n, err
}

func (c *conn) Write(p []byte) (int, error) { return c.s.write(c.out, p, false, &c.wd) }

// CloseWrite tells this side that no more comes. On the client's side it ends
// the tunnel: Envoy delivers what was written and closes both connections.
func (c *conn) CloseWrite() error { return c.s.closeWrite(c.out) }

// Close ends both directions of this side. What was written is delivered.
func (c *conn) Close() error {
	c.s.closeRead(c.in, net.ErrClosed)
	if err := c.s.closeWrite(c.out); err != nil || c.out == request {
		return err
	}
	return c.s.resetUnopened()
}

func (c *conn) LocalAddr() net.Addr { return address("weir") }

func (c *conn) RemoteAddr() net.Addr {
	if c.in == response {
		if upstream := c.s.upstreamAddress(); upstream != "" {
			return address(upstream)
		}
	}
	return c.remote
}

func (c *conn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

func (c *conn) SetReadDeadline(t time.Time) error {
	c.rd.set(&c.s.half[c.in].readable, t)
	return nil
}

func (c *conn) SetWriteDeadline(t time.Time) error {
	c.wd.set(&c.s.half[c.out].writable, t)
	return nil
}

// stopTimers forgets the deadlines of an end that nobody uses any more.
func (c *conn) stopTimers() { _ = c.SetDeadline(time.Time{}) }

// address is the far end of a tunnel, as Envoy told it.
type address string

func (a address) Network() string { return "envoy" }
func (a address) String() string  { return string(a) }

// deadline is a moment after which waiting is over. The condition's lock guards it.
type deadline struct {
	at    time.Time
	over  bool
	timer *time.Timer
}

func (d *deadline) passed() bool { return d != nil && d.over }

func (d *deadline) set(wake *sync.Cond, at time.Time) {
	wake.L.Lock()
	defer wake.L.Unlock()
	if d.timer != nil {
		d.timer.Stop()
	}
	d.at, d.over = at, false
	if at.IsZero() {
		return
	}
	left := time.Until(at)
	switch {
	case left <= 0:
		d.over = true
		wake.Broadcast()
	case d.timer != nil:
		d.timer.Reset(left)
	default:
		d.timer = time.AfterFunc(left, func() { d.expire(wake) })
	}
}

// expire runs when the timer fires. It may be late: a new deadline stands then.
func (d *deadline) expire(wake *sync.Cond) {
	wake.L.Lock()
	defer wake.L.Unlock()
	if !d.at.IsZero() && !time.Now().Before(d.at) {
		d.over = true
		wake.Broadcast()
	}
}
