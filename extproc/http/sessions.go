package http

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/gate"
)

// sessionIdle is how long a session without a request stays open.
const sessionIdle = 15 * time.Minute

// sessions keeps one session for each token and client host, so that an
// auditor sees an agent's work as one thing and not request by request.
type sessions struct {
	gate *gate.Gate
	max  int // 0 is no limit
	now  func() time.Time

	mu   sync.Mutex
	open map[sessionKey]*liveSession
}

type sessionKey struct{ token, host string }

type liveSession struct {
	*gate.Session
	ready    chan struct{} // closed when opened or refused
	decision gate.Decision
	err      error
	busy     int
	last     time.Time
	in, out  int64
}

func newSessions(g *gate.Gate, most int, now func() time.Time) *sessions {
	return &sessions{gate: g, max: most, now: now, open: map[sessionKey]*liveSession{}}
}

// acquire gives the session of a principal, opening it where there is none, or
// nil where that would be one too many. Otherwise release must follow, whatever
// the answer.
func (s *sessions) acquire(ctx context.Context, p *gate.Principal, t *gate.Target, peer extproc.Peer, agent string) *liveSession {
	key := sessionKey{token: p.Token.Hash, host: hostOf(peer.Address)}
	s.mu.Lock()
	idle := s.takeIdle()
	live, ok := s.open[key]
	if !ok && s.max > 0 && len(s.open) >= s.max {
		s.mu.Unlock()
		s.close(ctx, idle, "idle")
		return nil
	}
	if !ok {
		live = &liveSession{ready: make(chan struct{}), Session: &gate.Session{
			ID: gate.NewID(), Started: s.now(), Principal: *p, Target: *t,
			Client: gate.Client{Address: peer.Address, TLS: peer.TLS, Application: agent},
		}}
		s.open[key] = live
	}
	live.busy++
	s.mu.Unlock()
	s.close(ctx, idle, "idle")
	if ok {
		<-live.ready
		return live
	}
	live.decision, live.err = s.gate.Open(ctx, live.Session)
	if live.err != nil || live.decision.Effect != gate.Allow {
		s.mu.Lock()
		delete(s.open, key) // the next request asks again
		s.mu.Unlock()
	}
	close(live.ready)
	return live
}

func (s *sessions) release(live *liveSession, in, out int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	live.busy--
	live.last = s.now()
	live.in += in
	live.out += out
}

// takeIdle removes the sessions that nobody used for a while, or whose token is
// no longer good.
func (s *sessions) takeIdle() []*liveSession {
	now := s.now()
	var idle []*liveSession
	for key, live := range s.open {
		expired := !live.Principal.Token.Expires.IsZero() && now.After(live.Principal.Token.Expires)
		if live.busy == 0 && (expired || now.Sub(live.last) > sessionIdle) {
			idle = append(idle, live)
			delete(s.open, key)
		}
	}
	return idle
}

func (s *sessions) closeAll(ctx context.Context, reason string) {
	s.mu.Lock()
	all := make([]*liveSession, 0, len(s.open))
	for key, live := range s.open {
		all = append(all, live)
		delete(s.open, key)
	}
	s.mu.Unlock()
	s.close(ctx, all, reason)
}

func (s *sessions) close(ctx context.Context, list []*liveSession, reason string) {
	for _, live := range list {
		<-live.ready
		// A record that cannot be kept is the recorder's to report: the session
		// is over either way.
		_ = s.gate.Close(ctx, live.Session, gate.Closing{Reason: reason, BytesIn: live.in, BytesOut: live.out})
	}
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	return host
}
