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
// gathers, so that any number of callers share the time of a write. An event
// that somebody waits for is written as soon as the one before is done.
type group struct {
	limit  int64 // bytes of one batch
	linger time.Duration
	retry  time.Duration
	write  func(context.Context, []*pending) error
	reuse  func(*pending) // takes what is done with
	room   *semaphore.Weighted
	max    int64 // of room

	batch   []*pending // the one being written
	mu      sync.Mutex
	queue   []*pending
	size    int64 // of the queue
	waiting int   // of the queue, those that somebody waits for
	failed  error // of the last batch
	closed  bool
	wake    chan struct{}
	ended   chan struct{}
	writing context.Context
	abort   context.CancelFunc
	metrics *metrics
}

func newGroup(cfg Config, limit int64, write func(context.Context, []*pending) error, reuse func(*pending), m *metrics) *group {
	writing, abort := context.WithCancel(context.Background())
	return &group{
		writing: writing, abort: abort,
		limit: limit, linger: cfg.Linger, retry: cfg.retry, write: write, reuse: reuse, metrics: m,
		room: semaphore.NewWeighted(cfg.MaxPending), max: cfg.MaxPending,
		wake: make(chan struct{}, 1), ended: make(chan struct{}),
	}
}

// begin queues p, for which somebody is to wait.
func (g *group) begin(ctx context.Context, p *pending) error {
	p.done = make(chan error, 1)
	return g.add(ctx, p)
}

// wait waits until p is on disk.
func (g *group) wait(ctx context.Context, p *pending) error {
	select {
	case err := <-p.done:
		g.reuse(p)
		return err
	case <-ctx.Done():
		return fmt.Errorf("event not yet on disk: %w", context.Cause(ctx))
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
	if g.closed {
		g.mu.Unlock()
		g.room.Release(min(p.cost(), g.max))
		return ErrClosed
	}
	g.queue = append(g.queue, p)
	g.size += p.size()
	if p.done != nil {
		g.waiting++
	}
	stir := len(g.queue) == 1 || p.done != nil || g.size >= g.limit
	g.mu.Unlock()
	if stir {
		g.signal()
	}
	return nil
}

func (g *group) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

func (g *group) failure() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.failed
}

// run writes batches until the group is closed and empty.
func (g *group) run() {
	defer close(g.ended)
	pause := g.retry
	for {
		batch, more := g.next(pause)
		if !more {
			return
		}
		start := time.Now()
		err := g.write(g.writing, batch)
		g.metrics.committed(len(batch), time.Since(start), err)
		if g.settle(batch, err); err != nil {
			pause = min(2*pause, retryMax)
		} else {
			pause = g.retry
		}
	}
}

// next waits for a batch that is worth writing.
func (g *group) next(pause time.Duration) ([]*pending, bool) {
	var timer <-chan time.Time
	due := false
	for {
		g.mu.Lock()
		n, failing := len(g.queue), g.failed != nil
		ended := g.closed && g.writing.Err() != nil
		if n > 0 && !ended && (g.waiting > 0 || due || !failing && (g.closed || g.size >= g.limit)) {
			batch := g.take()
			g.mu.Unlock()
			return batch, true
		}
		if ended || g.closed && n == 0 {
			g.mu.Unlock()
			return nil, false
		}
		g.mu.Unlock()
		if n > 0 && timer == nil {
			if !failing {
				pause = g.linger
			}
			timer = time.After(pause)
		}
		select {
		case <-g.wake:
		case <-timer:
			due = true
		}
	}
}

// take removes the next batch from the queue. The lock is held.
func (g *group) take() []*pending {
	n, size := 0, int64(0)
	for n < len(g.queue) && (n == 0 || size+g.queue[n].size() <= g.limit) {
		size += g.queue[n].size()
		if g.queue[n].done != nil {
			g.waiting--
		}
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

// close writes what is queued and ends run.
func (g *group) close(ctx context.Context) error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.signal()
	defer g.abort()
	select {
	case <-g.ended:
		return nil
	case <-ctx.Done():
	}
	g.abort()
	g.signal()
	<-g.ended
	g.mu.Lock()
	left, failed := g.queue, g.failed
	g.queue, g.size, g.waiting = nil, 0, 0
	g.mu.Unlock()
	for _, p := range left {
		if p.done != nil {
			p.done <- ErrClosed
		}
	}
	return fmt.Errorf("%d events could not be written before the end: %w", len(left), errors.Join(failed, ctx.Err()))
}
