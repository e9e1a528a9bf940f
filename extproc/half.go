package extproc

import (
	"io"
	"net"
	"os"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
)

// direction is the way that bytes go, in HTTP's words.
type direction uint8

const (
	request  direction = iota // from the client to the target
	response                  // from the target to the client
)

func (d direction) opposite() direction { return d ^ 1 }

// half is one direction of a stream: what arrived from Envoy, and how far the
// way back to Envoy is open. The stream's mutex guards it.
type half struct {
	arrived  queue
	ended    bool              // Envoy has sent the last of this direction
	trailers *corev3.HeaderMap // that ended it, where there were any
	deaf     error             // nobody reads any more, and why: what arrives is dropped
	readers  int               // that wait with nothing to read
	readable sync.Cond

	open     bool  // Envoy has sent a chunk, and so takes chunks
	shut     error // nobody writes any more, and why
	writable sync.Cond
}

func (h *half) init(mu *sync.Mutex) {
	h.readable.L = mu
	h.writable.L = mu
}

// read copies what has arrived in one direction, and waits if nothing has. last
// says that nothing can follow. After the last byte it returns io.EOF.
func (s *stream) read(dir direction, p []byte, limit *deadline) (n int, last bool, err error) {
	h := &s.half[dir]
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case h.deaf != nil:
			return 0, false, h.deaf
		case limit.passed():
			return 0, false, os.ErrDeadlineExceeded
		case len(p) == 0:
			return 0, false, nil
		case h.arrived.size > 0:
			n := h.arrived.read(p)
			s.pace.drained(dir, h.arrived.size)
			return n, h.ended && h.arrived.size == 0, nil
		case h.ended:
			return 0, true, io.EOF
		case s.err != nil:
			return 0, false, s.err
		}
		h.readers++
		s.pace.wanted()
		h.readable.Wait()
		h.readers--
	}
}

// write sends p in one direction, in chunks, once Envoy takes them; with end,
// nothing comes after it. It returns how much of p was handed over. limit bounds
// the wait for the direction to open: Envoy always takes what it gets (it holds
// back the other end instead), so there is nothing else to wait for.
func (s *stream) write(dir direction, p []byte, end bool, limit *deadline) (int, error) {
	for sent := 0; ; {
		if err := s.awaitOpen(dir, limit); err != nil {
			return sent, err
		}
		n := min(len(p)-sent, s.cfg.ChunkSize)
		last := end && sent+n == len(p)
		if n > 0 || last {
			if err := s.sendBody(dir, p[sent:sent+n], last); err != nil {
				return sent, err
			}
		}
		if sent += n; sent == len(p) {
			return sent, nil
		}
	}
}

// awaitOpen waits until a direction takes chunks.
func (s *stream) awaitOpen(dir direction, limit *deadline) error {
	h := &s.half[dir]
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case h.shut != nil:
			return h.shut
		case s.err != nil:
			return s.err
		case limit.passed():
			return os.ErrDeadlineExceeded
		case h.open:
			return nil
		}
		h.writable.Wait()
	}
}

// closeWrite ends one direction. If it is not open yet, it ends as soon as it
// opens.
func (s *stream) closeWrite(dir direction) error {
	h := &s.half[dir]
	end := false
	s.mu.Lock()
	if h.shut == nil {
		h.shut = net.ErrClosed
		h.writable.Broadcast()
		end = h.open
	}
	s.mu.Unlock()
	if !end {
		return nil
	}
	return s.sendBody(dir, nil, true)
}

// closeRead drops what was not read of one direction and what is still to come.
func (s *stream) closeRead(dir direction, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &s.half[dir]
	if h.deaf == nil {
		h.deaf = why
	}
	h.arrived.clear()
	s.pace.drained(dir, 0)
	h.readable.Broadcast()
}

// closeReads drops all that is still to come. Only then is the end of the stream
// sure to be seen.
func (s *stream) closeReads() {
	s.closeRead(request, net.ErrClosed)
	s.closeRead(response, net.ErrClosed)
}

// push takes a chunk that arrived.
func (s *stream) push(in *inbound) error {
	h := &s.half[in.dir]
	size := in.body.left
	s.mu.Lock()
	if h.ended || s.headersMissing(in.dir) {
		s.mu.Unlock()
		in.body.free()
		return protocolError("a chunk that cannot come now")
	}
	if h.deaf != nil {
		in.body.free()
	} else {
		h.arrived.push(in.body)
	}
	h.ended = in.end
	endLate := !h.open && h.shut == net.ErrClosed //nolint:errorlint // it is set here only
	if !h.open {
		h.open = true
		h.writable.Broadcast()
	}
	waiting := h.readers
	s.mu.Unlock()
	switch {
	case waiting > 1 || waiting > 0 && in.end:
		h.readable.Broadcast()
	case waiting > 0:
		h.readable.Signal()
	}
	s.metrics.received(in.dir, size)
	if endLate {
		_ = s.sendBody(in.dir, nil, true) // fails only if the stream has ended
	}
	return nil
}

// headersMissing says that a body of this direction comes too early.
func (s *stream) headersMissing(dir direction) bool {
	return dir == response && s.responseHead == nil
}
