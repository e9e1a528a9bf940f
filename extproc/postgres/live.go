package postgres

import (
	"context"
	"crypto/subtle"
	"slices"
	"sync"
	"sync/atomic"
)

// Live are the connections of one target at this moment. Handlers of the same
// target that follow one another (a new configuration) share it, so that a
// session of the old one still counts and can be cancelled.
type Live struct {
	count atomic.Int64 // connections that were admitted
	line  line         // those that have not signed in, and those that wait to
	// sessions are connections whose client has signed in.
	sessions atomic.Int64
	refused  atomic.Int64 // connections that are being told that they were not admitted

	mu sync.Mutex
	// Servers give out process ids, each its own: several sessions may have one.
	byPID map[uint32][]*session
}

// Count is how many connections are open.
func (l *Live) Count() int { return int(l.count.Load()) }

func (l *Live) add(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byPID == nil {
		l.byPID = map[uint32][]*session{}
	}
	l.byPID[s.key.ProcessID] = append(l.byPID[s.key.ProcessID], s)
}

func (l *Live) remove(s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	pid := s.key.ProcessID
	l.byPID[pid] = slices.DeleteFunc(l.byPID[pid], func(other *session) bool { return other == s })
	if len(l.byPID[pid]) == 0 {
		delete(l.byPID, pid)
	}
}

// find is the session whose client was given this key, nil where there is none.
func (l *Live) find(pid uint32, secret []byte) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.byPID[pid] {
		if len(s.secret) > 0 && subtle.ConstantTimeCompare(s.secret, secret) == 1 {
			return s
		}
	}
	return nil
}

// Cancel finds the session of a cancel key. It returns what cancels its running
// or held statement, or nil where no session has the key.
func (l *Live) Cancel(pid uint32, secret []byte) func(ctx context.Context) error {
	if s := l.find(pid, secret); s != nil {
		return s.cancel
	}
	return nil
}
