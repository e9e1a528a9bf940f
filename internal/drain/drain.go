// Package drain counts what is under way and ends it: a server that stops tells
// its sessions so, takes no new ones, and waits until the last has ended.
package drain

import (
	"context"
	"sync"
)

// Group are the sessions of one server. It is safe for concurrent use.
type Group struct {
	stop     context.CancelFunc
	stopping context.Context

	mu       sync.Mutex
	draining bool
	sessions int
	idle     chan struct{} // closed when draining and no session is left
}

// New makes a Group without a session.
func New() *Group {
	g := &Group{idle: make(chan struct{})}
	g.stopping, g.stop = context.WithCancel(context.Background())
	return g
}

// Enter counts a session in, which Leave counts out. It returns false once the
// group drains: then the session may not begin.
func (g *Group) Enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.draining {
		return false
	}
	g.sessions++
	return true
}

// Leave counts a session out.
func (g *Group) Leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sessions--
	if g.draining && g.sessions == 0 {
		close(g.idle)
	}
}

// Stopping ends when the group begins to drain.
func (g *Group) Stopping() context.Context { return g.stopping }

// Drain lets no session in any more, ends Stopping, and waits until all sessions
// have left. It returns ctx's error if that comes first. It may be called more than
// once.
func (g *Group) Drain(ctx context.Context) error {
	g.mu.Lock()
	if !g.draining {
		g.draining = true
		if g.sessions == 0 {
			close(g.idle)
		}
	}
	g.mu.Unlock()
	g.stop()
	select {
	case <-g.idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
