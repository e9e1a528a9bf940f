package recorder

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/weir-gateway/weir/recorder/event"
)

const (
	// envelope is about what an event's canonical form adds to its body.
	envelope = 600
	// retryMax bounds the pause before what was handed over is tried again on a
	// failing spool.
	retryMax = 2 * time.Second
)

// pending is an event on its way to the disk.
type pending struct {
	event event.Event
	cuts  []event.Cut
	done  chan error // nil where nobody waits
}

// size is about what the event takes in a message.
func (p *pending) size() int64 { return int64(len(p.event.Body) + envelope) }

// cost is what the event takes of the room for waiting events.
func (p *pending) cost() int64 {
	n := p.size()
	for _, c := range p.cuts {
		n += int64(len(c.Text))
	}
	return n
}

// group commits events in batches: while one batch is being written, the next
// gathers, so that any number of callers share the time of a write. Who waits
// for an event writes it himself as soon as the batch before is done, with all
// that has gathered: no other goroutine is woken for it. What nobody waits for is
// written by a timer.
type group struct {
	limit  int64 // bytes of one batch
	linger time.Duration
	retry  time.Duration
	write  func(ctx context.Context, batch []*pending, durable bool) error
	reuse  func(*pending) // takes what is done with
	room   *semaphore.Weighted
	max    int64 // of room

	turn  chan struct{} // full while somebody writes
	batch []*pending    // that is being written
	pause time.Duration // before what failed is tried again

	mu      sync.Mutex
	queue   []*pending
	size    int64 // of the queue
	failed  error // of the last batch
	closed  bool
	armed   bool // the timer runs
	timer   *time.Timer
	writing context.Context
	abort   context.CancelFunc
	metrics *metrics
}

func newGroup(cfg Config, limit int64, write func(context.Context, []*pending, bool) error, reuse func(*pending), m *metrics) *group {
	writing, abort := context.WithCancel(context.Background())
	g := &group{
		writing: writing, abort: abort,
		limit: limit, linger: cfg.Linger, retry: cfg.retry, pause: cfg.retry, write: write, reuse: reuse, metrics: m,
		room: semaphore.NewWeighted(cfg.MaxPending), max: cfg.MaxPending,
		turn: make(chan struct{}, 1),
	}
	g.timer = time.AfterFunc(time.Hour, g.flush)
	return g
}

// begin queues p, for which somebody is to wait.
func (g *group) begin(ctx context.Context, p *pending) error {
	p.done = make(chan error, 1)
	return g.add(ctx, p)
}

// wait waits until p is on disk.
func (g *group) wait(ctx context.Context, p *pending) error {
	for {
		select {
		case err := <-p.done:
			g.reuse(p)
			return err
		case g.turn <- struct{}{}:
			for len(p.done) == 0 && g.writeNext() {
			}
			<-g.turn
		case <-ctx.Done():
			return fmt.Errorf("event not yet on disk: %w", context.Cause(ctx))
		}
	}
}

// leave queues p. A failing group is asked whether it takes p.
func (g *group) leave(ctx context.Context, p *pending) error {
	if g.failure() != nil {
		if err := g.begin(ctx, p); err != nil {
			return err
		}
		return g.wait(ctx, p)
	}
	return g.add(ctx, p)
}

func (g *group) add(ctx context.Context, p *pending) error {
	if err := g.room.Acquire(ctx, min(p.cost(), g.max)); err != nil {
		return fmt.Errorf("no room for the event: %w", err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		g.room.Release(min(p.cost(), g.max))
		return ErrClosed
	}
	g.queue = append(g.queue, p)
	full := g.size < g.limit && g.size+p.size() >= g.limit
	g.size += p.size()
	switch {
	case full && g.failed == nil:
		g.arm(0)
	case !g.armed:
		g.arm(g.linger)
	}
	return nil
}

// arm has the queue written after a while, unless somebody does it before. The
// lock is held.
func (g *group) arm(after time.Duration) {
	g.armed = true
	g.timer.Reset(after)
}

func (g *group) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}

// flush writes what is queued. What nobody waits for is tried again later if that
// fails.
func (g *group) flush() {
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	g.mu.Lock()
	g.armed = false
	g.mu.Unlock()
	for g.writeNext() && g.failure() == nil {
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) > 0 && !g.closed {
		g.arm(g.pause)
	}
}

// writeNext writes a batch, if there is one. The turn is the caller's.
func (g *group) writeNext() bool {
	g.mu.Lock()
	batch := g.take()
	g.mu.Unlock()
	if len(batch) == 0 {
		return false
	}
	durable := slices.ContainsFunc(batch, func(p *pending) bool { return p.done != nil })
	start := time.Now()
	err := g.write(g.writing, batch, durable)
	g.metrics.committed(len(batch), time.Since(start), err)
	if g.pause = min(2*g.pause, retryMax); err == nil {
		g.pause = g.retry
	}
	g.settle(batch, err)
	return true
}

// take removes the next batch from the queue. The lock is held.
func (g *group) take() []*pending {
	n, size := 0, int64(0)
	for n < len(g.queue) && (n == 0 || size+g.queue[n].size() <= g.limit) {
		size += g.queue[n].size()
		n++
	}
	g.batch = append(g.batch[:0], g.queue[:n]...)
	g.queue = slices.Delete(g.queue, 0, n)
	g.size -= size
	return g.batch
}

// settle tells each waiting caller how its event fared. What was handed over
// is not lost with a failed batch: it goes first in the next.
func (g *group) settle(batch []*pending, err error) {
	var again []*pending
	freed := int64(0)
	for _, p := range batch {
		if err != nil && p.done == nil {
			again = append(again, p)
			continue
		}
		freed += min(p.cost(), g.max)
	}
	g.mu.Lock()
	g.failed = err
	if len(again) > 0 {
		g.queue = append(again, g.queue...)
		for _, p := range again {
			g.size += p.size()
		}
		if !g.armed && !g.closed {
			g.arm(g.pause)
		}
	}
	g.mu.Unlock()
	g.room.Release(freed)
	for _, p := range batch {
		switch {
		case p.done != nil:
			p.done <- err // who waits has it now
		case err == nil:
			g.reuse(p)
		}
	}
	clear(batch)
}

// close writes what is queued. When ctx ends it gives up.
func (g *group) close(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.timer.Stop()
	defer g.abort()
	stop := context.AfterFunc(ctx, g.abort)
	defer stop()
	g.turn <- struct{}{}
	defer func() { <-g.turn }()
	for g.writing.Err() == nil && g.writeNext() {
		if g.failure() == nil {
			continue
		}
		select {
		case <-time.After(g.pause):
		case <-g.writing.Done():
		}
	}
	g.mu.Lock()
	left, failed := g.queue, g.failed
	g.queue, g.size = nil, 0
	g.mu.Unlock()
	if len(left) == 0 {
		return nil
	}
	for _, p := range left {
		if p.done != nil {
			p.done <- ErrClosed
		}
	}
	return fmt.Errorf("%d events could not be written before the end: %w", len(left), errors.Join(failed, ctx.Err()))
}
