// Package fleet lets gateways that share a NATS ask each other to cancel a
// statement: a client's CancelRequest comes over a connection of its own, which a
// load balancer may lead to any of them. Whoever has the whole key may cancel, as
// in PostgreSQL; nothing else is asked, and keys are never logged.
package fleet

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// subject reaches all gateways. With a dot and a gateway's name in hex behind it,
// it reaches that one.
const subject = "weir.cancel"

const (
	// cancelWithin bounds asking the server, and the wait for that.
	cancelWithin = 5 * time.Second
	// anyWithin bounds the wait for whoever has a key that does not say who that is:
	// where nobody has it, nobody answers.
	anyWithin = 2 * time.Second
	// leaveWithin bounds the wait until the others know that this gateway has left.
	leaveWithin = time.Second
	// maxRequest is the longest request, in bytes: a key has at most 260.
	maxRequest = 1 << 10
)

// The answers.
var (
	known   = []byte("+")
	unknown = []byte("-")
)

// Name tells gateways apart.
type Name = [8]byte

// Sessions are those of this gateway. Cancel returns what cancels the statement of
// the session with a key, nil where there is none.
type Sessions interface {
	Cancel(target string, pid uint32, secret []byte) func(ctx context.Context) error
}

// Fleet is this gateway among the others.
type Fleet struct {
	conn     *nats.Conn
	here     Name
	sessions Sessions
	log      *slog.Logger

	subscribed []*nats.Subscription

	mu         sync.Mutex // guards left
	left       bool
	cancelling sync.WaitGroup // none is added after left
}

// request asks for a cancel.
type request struct {
	Target string `json:"target"`
	PID    uint32 `json:"pid"`
	Secret []byte `json:"secret"`
}

// Join makes this gateway one of those on a NATS, with a name of its own, and
// answers the others until Leave.
func Join(conn *nats.Conn, sessions Sessions, log *slog.Logger) (*Fleet, error) {
	f := &Fleet{conn: conn, sessions: sessions, log: log}
	_, _ = rand.Read(f.here[:]) // never fails
	for _, s := range []struct {
		subject string
		alone   bool
	}{{subjectOf(f.here), true}, {subject, false}} {
		one, err := conn.Subscribe(s.subject, func(m *nats.Msg) { f.answer(m, s.alone) })
		if err != nil {
			f.Leave()
			return nil, fmt.Errorf("fleet: %w", err)
		}
		f.subscribed = append(f.subscribed, one)
	}
	if err := conn.FlushTimeout(cancelWithin); err != nil { // it may connect later
		log.Warn("the other gateways do not reach this one yet to cancel statements", "err", err)
	}
	return f, nil
}

// Leave answers no more, and waits for what is under way.
func (f *Fleet) Leave() {
	for _, s := range f.subscribed {
		_ = s.Unsubscribe() // the connection may have ended before
	}
	if len(f.subscribed) > 0 {
		_ = f.conn.FlushTimeout(leaveWithin) // or the others wait for an answer that never comes
	}
	f.mu.Lock()
	f.left = true
	f.mu.Unlock()
	f.cancelling.Wait()
}

// Here is the name of this gateway.
func (f *Fleet) Here() Name { return f.here }

func subjectOf(name Name) string { return subject + "." + hex.EncodeToString(name[:]) }

// answer cancels what the key is for, and says so. Asked with all others, it is
// silent about a key that it does not know.
func (f *Fleet) answer(m *nats.Msg, alone bool) {
	var r request
	if len(m.Data) > maxRequest || json.Unmarshal(m.Data, &r) != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	cancel := f.sessions.Cancel(r.Target, r.PID, r.Secret)
	switch {
	case f.left:
	case cancel != nil:
		f.cancelling.Go(func() { // to reach the server takes a while
			ctx, stop := context.WithTimeout(context.Background(), cancelWithin)
			defer stop()
			if err := cancel(ctx); err != nil {
				f.log.WarnContext(ctx, "a cancel request of another gateway was not delivered", "target", r.Target, "err", err)
			}
			_ = m.Respond(known) // whoever asked waits no longer than they like
		})
	case alone:
		_ = m.Respond(unknown)
	}
}

// Cancel asks the gateway there, or all where there is nil, to cancel what runs in
// the session with a key, and waits until it has. It says whether one knows the key.
func (f *Fleet) Cancel(ctx context.Context, there *Name, target string, pid uint32, secret []byte) (bool, error) {
	data, err := json.Marshal(request{target, pid, secret})
	if err != nil {
		return false, err
	}
	to, within := subject, anyWithin
	if there != nil {
		to, within = subjectOf(*there), cancelWithin
	}
	ctx, stop := context.WithTimeout(ctx, within)
	defer stop()
	m, err := f.conn.RequestWithContext(ctx, to, data)
	switch {
	case err == nil:
		return string(m.Data) == string(known), nil
	case errors.Is(err, nats.ErrNoResponders):
		return false, nil
	case there == nil && errors.Is(err, context.DeadlineExceeded):
		return false, nil // nobody said that they know it
	}
	return false, fmt.Errorf("asking the other gateways: %w", err)
}
