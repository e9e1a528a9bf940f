package postgres

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// cancelTimeout bounds a cancel request of the gateway's own.
const cancelTimeout = 5 * time.Second

// Live are the connections of one target at this moment. Handlers of the same
// target that follow one another (a new configuration) share it, so that a
// session of the old one still counts and can be cancelled.
type Live struct {
	count atomic.Int64 // connections

	mu    sync.Mutex
	byKey map[string]*session // by the key that the client was given
}

// Count is how many connections are open.
func (l *Live) Count() int { return int(l.count.Load()) }

func keyOf(pid uint32, secret []byte) string {
	return string(append(binary.BigEndian.AppendUint32(nil, pid), secret...))
}

func (l *Live) add(key string, s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byKey == nil {
		l.byKey = map[string]*session{}
	}
	l.byKey[key] = s
}

func (l *Live) remove(key string, s *session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byKey[key] == s {
		delete(l.byKey, key)
	}
}

func (l *Live) find(key string) *session {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.byKey[key]
}

// cancel serves a connection that only carries a CancelRequest (PostgreSQL,
// "Canceling requests in progress"). As in the server there is no answer, and a
// key that fits no session is passed over in silence.
func (h *Handler) cancel(ctx context.Context, start *startUp, r *pgproto3.CancelRequest) {
	s := h.live.find(keyOf(r.ProcessID, r.SecretKey))
	if s == nil || s.cancelHold() || start.down != nil {
		return
	}
	conn, err := start.server(ctx, &h.cfg.Upstream, s.address)
	if err == nil {
		err = sendCancel(conn, r)
	}
	if err != nil {
		h.deps.Log.WarnContext(ctx, "a cancel request was not delivered", "target", h.cfg.Target.Name, "err", err)
	}
}

// sendCancel sends a cancel request over a fresh connection, and waits until the
// server has taken it.
func sendCancel(conn net.Conn, r *pgproto3.CancelRequest) error {
	if _, err := conn.Write(encode(nil, r)); err != nil {
		return err
	}
	_, err := io.Copy(io.Discard, conn)
	if gone(err) {
		return nil
	}
	return err
}

// cancelStatement asks the server to cancel what the session runs, over a
// connection of the gateway's own.
func (s *session) cancelStatement(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, cancelTimeout)
	defer stop()
	conn, err := s.deps.Dial(ctx, s.address)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(cancelTimeout))
	secure, err := askSecure(ctx, conn, &s.cfg.Upstream)
	if err != nil {
		return err
	}
	return sendCancel(secure, &pgproto3.CancelRequest{ProcessID: s.key.ProcessID, SecretKey: s.key.SecretKey})
}
