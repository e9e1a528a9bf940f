package extproc

import (
	"sync"
	"time"
)

// pace decides when the next message may be received. Both directions come
// through one gRPC stream, so a direction that nobody reads can be held back
// only by receiving nothing at all, which Envoy passes on to both ends as back
// pressure. That is right as long as nobody waits for the other direction. When
// somebody does, what it waits for may lie behind the unread one, so some more
// is received and kept: a step after a while, then one after twice as long, and
// so on. A session whose statement waits for an approval so keeps little of what
// its client sends meanwhile. Past the limit the session ends.
//
// Where the handler says that it needs the server before it reads on from the client
// (see Tunnel.Await), the steps follow each other at once: the answer lies behind
// whatever of the client's is under way already, and Envoy takes more from the client
// for all that is received. That is bounded twice, by the limit and by what all streams
// together may borrow for it; beyond, the pace is as above.
//
// The stream's mutex guards it.
type pace struct {
	s       *stream
	resumed sync.Cond
	paused  bool
	timer   *time.Timer
	ways    [2]way
	awaited bool // the handler needs the server before it reads on from the client
	loan    int  // bytes that the client's way has of what all streams share
}

// minAverage is how large the client's unread chunks must be, in bytes, taken
// together, for more of them to be received at once: each costs memory of its own.
const minAverage = 4 << 10

// way is how far one direction is behind.
type way struct {
	allowed int           // bytes that may lie unread
	wait    time.Duration // until more may
	since   time.Time     // of the wait, zero if there is none
}

func (p *pace) init(s *stream) {
	p.s = s
	p.resumed.L = &s.mu
	p.reset(request)
	p.reset(response)
}

func (p *pace) reset(dir direction) {
	p.ways[dir] = way{allowed: p.s.cfg.Window, wait: p.s.cfg.StallDelay}
	if dir == request && p.loan > 0 {
		p.s.ahead.Add(-int64(p.loan))
		p.loan = 0
	}
}

// admit returns when the next message may be received.
func (p *pace) admit() error {
	p.s.mu.Lock()
	defer p.s.mu.Unlock()
	for p.s.err == nil {
		dir, full := p.full()
		if !full {
			return nil
		}
		if p.starved(dir.opposite()) {
			if w := &p.ways[dir]; w.over() || p.hurries(dir) {
				*w = way{allowed: w.allowed + p.s.cfg.Window, wait: 2 * w.wait}
				if w.allowed > p.s.cfg.MaxBuffered {
					return ErrOverrun
				}
				continue
			}
			p.arm(dir)
		}
		p.paused = true
		p.resumed.Wait()
		p.paused = false
	}
	return p.s.err
}

// full finds a direction that has its fill of unread bytes.
func (p *pace) full() (direction, bool) {
	for dir := range p.s.half {
		if p.s.half[dir].arrived.size >= p.ways[dir].allowed {
			return direction(dir), true
		}
	}
	return 0, false
}

// hurries says that a step is due at once, and borrows it.
func (p *pace) hurries(dir direction) bool {
	unread, step := &p.s.half[dir].arrived, p.s.cfg.Window
	if !p.awaited || dir != request || p.ways[dir].allowed+step > p.s.cfg.MaxBuffered || unread.size < unread.count()*minAverage {
		return false
	}
	if p.s.ahead.Add(int64(step)) > int64(p.s.cfg.MaxAhead) {
		p.s.ahead.Add(-int64(step))
		return false
	}
	p.loan += step
	return true
}

// await notes whether the handler needs the server before it reads on.
func (p *pace) await(awaited bool) {
	p.awaited = awaited
	if awaited {
		p.wanted()
	}
}

// starved says that somebody waits for a direction and has nothing to read.
func (p *pace) starved(dir direction) bool { return p.s.half[dir].readers > 0 }

// over says that the wait is over.
func (w *way) over() bool { return !w.since.IsZero() && time.Since(w.since) >= w.wait }

// arm starts the wait, or what is left of it.
func (p *pace) arm(dir direction) {
	w := &p.ways[dir]
	if w.since.IsZero() {
		w.since = time.Now()
	}
	left := max(w.wait-time.Since(w.since), time.Millisecond)
	if p.timer != nil {
		p.timer.Reset(left)
		return
	}
	p.timer = time.AfterFunc(left, func() {
		p.s.mu.Lock()
		defer p.s.mu.Unlock()
		p.resumed.Signal()
	})
}

// drained notes that size bytes of a direction are left unread.
func (p *pace) drained(dir direction, size int) {
	if size > p.s.cfg.Window/2 {
		return
	}
	p.reset(dir)
	if p.paused {
		p.resumed.Signal()
	}
}

// wanted notes that a reader waits.
func (p *pace) wanted() {
	if p.paused {
		p.resumed.Signal()
	}
}

func (p *pace) stop() {
	if p.timer != nil {
		p.timer.Stop()
	}
}
