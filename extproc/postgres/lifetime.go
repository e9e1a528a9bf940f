package postgres

import (
	"context"
	"errors"
	"time"

	"github.com/weir-gateway/weir/extproc"
)

// watch starts what ends a session from outside: the gateway's stop, the
// token's expiry, idleness. release stops all of it.
func (s *session) watch(ctx context.Context) (release func()) {
	s.touch()
	stop := context.AfterFunc(ctx, func() {
		if !errors.Is(context.Cause(ctx), extproc.ErrEnded) { // else its ends tell
			s.drain()
		}
	})
	if expires := s.gate.Principal.Token.Expires; !expires.IsZero() {
		s.expiry = time.AfterFunc(time.Until(expires.Add(s.cfg.TokenGrace)), func() {
			s.end(s.expired(), false)
		})
	}
	if s.cfg.Idle > 0 {
		s.idle = time.AfterFunc(s.cfg.Idle, s.checkIdle)
	}
	return func() {
		stop()
		for _, t := range []*time.Timer{s.expiry, s.idle} {
			if t != nil {
				t.Stop()
			}
		}
	}
}

// expired is the end of a session whose client is no longer known to be who it
// was.
func (s *session) expired() *ending {
	what, hint := "token", tokenHint
	switch SignIn(s.gate.Client.SignIn) {
	case SignInCertificate:
		what, hint = "certificate", "Get a new certificate and connect again."
	case SignInOAuth:
		hint = oauthHint
	}
	last := fatal(codeInvalidAuth, "the session ends because its %s has expired", what).withHint("%s", hint)
	return &ending{reason: "the " + what + " expired", last: last}
}

func (s *session) touch() { s.active.Store(time.Now().UnixNano()) }

// checkIdle ends a session that has been idle for long enough, or looks again
// when it may have been.
func (s *session) checkIdle() {
	quiet := time.Since(time.Unix(0, s.active.Load()))
	s.mu.Lock()
	busy := !s.quiet() || s.hold != nil
	s.mu.Unlock()
	switch {
	case s.closed.Load():
	case !busy && quiet >= s.cfg.Idle:
		last := fatal(codeIdleTimeout, "the session ends because it was idle for %s", s.cfg.Idle)
		s.end(&ending{reason: "it was idle for too long", last: last}, false)
	case busy:
		s.idle.Reset(s.cfg.Idle)
	default:
		s.idle.Reset(s.cfg.Idle - quiet)
	}
}

// drain ends the session because the gateway stops: at once when it is quiet,
// else when what the client has begun has ended, which it has Drain for.
func (s *session) drain() {
	stopping := fatal(codeAdminShutdown, "the session ends because the gateway stops").withHint("Connect again.")
	s.end(&ending{reason: "the gateway stopped", last: stopping, finish: true}, false)
	timer := time.NewTimer(s.cfg.Drain)
	defer timer.Stop()
	select {
	case <-s.ctx.Done():
	case <-timer.C:
		s.end(&ending{reason: "the gateway stopped", last: stopping}, true)
	}
}

// quiet says that nothing is owed by the server or to the client. The session's
// lock must be held.
func (s *session) quiet() bool { return s.queue.n == 0 && !s.dirty }

// mayEnd says that a session which is to end can do so without cutting anything
// off. The session's lock must be held.
func (s *session) mayEnd() bool {
	return s.streaming() || s.quiet() && (s.hold != nil || !s.ending.finish || !s.segmentOpen.Load())
}

// endingNow is why the session is to end, nil where it is not.
func (s *session) endingNow() *ending {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending
}

func (s *session) readyToEnd() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.mayEnd()
}

// awaitAnswers waits until the client has all that it is owed, where nothing more
// is needed from the client for that.
func (s *session) awaitAnswers() {
	if s.segmentOpen.Load() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.quiet() && !s.queue.copyIn && !s.closed.Load() {
		s.changed.Wait()
	}
}

// end asks for the session's end. It ends as soon as it is quiet, at once when
// that is demanded. Only the first reason counts.
func (s *session) end(e *ending, now bool) {
	s.mu.Lock()
	if s.ending == nil {
		s.ending = e
	}
	e = s.ending
	ready := now || s.mayEnd()
	s.changed.Broadcast()
	s.mu.Unlock()
	if ready {
		s.awaitDelivery()
		s.sayLast(e)
	}
}

// awaitDelivery waits, not for long, until the client has what the server's side
// holds ready for it: the last word comes last.
func (s *session) awaitDelivery() {
	deadline := time.Now().Add(lastWords)
	timer := time.AfterFunc(lastWords, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed.Broadcast()
	})
	defer timer.Stop()
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.dirty && !s.closed.Load() && time.Now().Before(deadline) {
		s.changed.Wait()
	}
}

// sayLast tells the client why its session ends, and ends it.
func (s *session) sayLast(e *ending) {
	s.last.Do(func() {
		if s.closed.Load() {
			return
		}
		s.because(e.reason)
		// Whoever is writing to a client that does not read gives up by this.
		_ = s.clientConn.SetWriteDeadline(time.Now().Add(lastWords))
		s.clientMu.Lock()
		defer s.clientMu.Unlock()
		s.cancelHold() // whose own error would come too late
		if e.last != nil && !s.cut && !s.terminating.Load() {
			_, _ = s.clientConn.Write(e.last.append(nil))
		}
		s.cut = true
	})
	s.shut()
}
