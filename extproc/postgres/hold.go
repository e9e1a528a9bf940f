package postgres

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/weir-gateway/weir/internal/gate"
)

// announceHold tells the client at once that its statement waits for people. The
// error says why it does not.
func (s *session) announceHold(a *gate.Approval, cancel context.CancelFunc) error {
	s.mu.Lock()
	s.hold = cancel
	s.mu.Unlock()
	// What was sent before is not held.
	if err := s.flush(); err != nil {
		cancel()
		return err
	}
	notice := &problem{
		severity: "NOTICE", code: "00000", message: "held for approval " + a.ID,
		hint: "weir approvals approve " + a.ID + " --reason …",
	}
	for _, need := range a.Needs {
		if need.Reason != "" {
			notice.detail = need.Reason
		}
	}
	err := s.toClient(notice.appendNotice(nil))
	if err != nil {
		cancel()
	}
	return err
}

// cancelHold withdraws the operation that is held, and says whether there was one.
func (s *session) cancelHold() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hold == nil {
		return false
	}
	s.hold()
	return true
}

// aheadLimit is how much of what a client sends during a hold is read, in bytes.
const aheadLimit = 64 << 10

// clientWatch reads from the client while its statement is held, to notice that
// it has gone. What it reads is handled afterwards.
type clientWatch struct {
	s      *session
	cancel context.CancelFunc // withdraws the statement
	done   chan struct{}      // nil where nothing is held
	ahead  []byte
	unsent error // why the client could not be told
}

// announce tells the client that its statement waits, and begins to watch it.
func (w *clientWatch) announce(a *gate.Approval) {
	w.unsent = w.s.announceHold(a, w.cancel)
	w.start()
}

func (w *clientWatch) start() {
	w.done = make(chan struct{})
	go func() {
		defer close(w.done)
		buf := make([]byte, 4096)
		for len(w.ahead) < aheadLimit {
			n, err := w.s.clientConn.Read(buf)
			w.ahead = append(w.ahead, buf[:n]...)
			if err != nil {
				if !errors.Is(err, os.ErrDeadlineExceeded) {
					w.cancel()
				}
				return
			}
		}
	}()
}

// stop ends the watch, and says whether there was one.
func (w *clientWatch) stop() bool {
	if w.done == nil {
		return false
	}
	_ = w.s.clientConn.SetReadDeadline(time.Unix(1, 0))
	<-w.done
	_ = w.s.clientConn.SetReadDeadline(time.Time{})
	w.s.client.unread(w.ahead)
	return true
}
