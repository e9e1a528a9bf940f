package postgres

import (
	"context"
	"errors"
	"io"
	"net"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
)

// cancelTimeout bounds a cancel request of the gateway's own.
const cancelTimeout = 5 * time.Second

// What became of a client's CancelRequest, in the metric.
const (
	cancelledHere      = "here"
	cancelledElsewhere = "elsewhere" // by another gateway of the fleet
	cancelUnknown      = "unknown"   // no session has the key
	cancelFailed       = "failed"
)

// cancel serves a connection that only carries a CancelRequest (PostgreSQL,
// "Canceling requests in progress"). As in the server there is no answer, and a
// key that fits no session is passed over in silence. The connection is closed
// when the server has taken the request: a client that waits for that knows that
// its next statement is not meant. One that does not wait is served too.
func (h *Handler) cancel(ctx context.Context, r *pgproto3.CancelRequest) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	what, err := h.passCancel(ctx, r)
	if err != nil {
		what = cancelFailed
		h.deps.Log.WarnContext(ctx, "a cancel request was not delivered", "target", h.cfg.Target.Name, "err", err)
	}
	h.metrics.cancels.WithLabelValues(what).Inc()
}

func (h *Handler) passCancel(ctx context.Context, r *pgproto3.CancelRequest) (string, error) {
	if cancel := h.live.Cancel(r.ProcessID, r.SecretKey); cancel != nil {
		return cancelledHere, cancel(ctx)
	}
	there := gatewayOf(r.SecretKey)
	if h.deps.Fleet == nil || there != nil && *there == h.deps.Fleet.Here() {
		return cancelUnknown, nil
	}
	found, err := h.deps.Fleet.Cancel(ctx, there, h.cfg.Target.Name, r.ProcessID, r.SecretKey)
	if !found {
		return cancelUnknown, err
	}
	return cancelledElsewhere, err
}

// cancel stops the statement that the session holds or runs.
func (s *session) cancel(ctx context.Context) error {
	if s.cancelHold() || s.closed.Load() {
		return nil
	}
	return s.cancelStatement(ctx)
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

// cancelStatement asks the server that the session is on to cancel what it runs,
// over a connection of the gateway's own.
func (s *session) cancelStatement(ctx context.Context) error {
	if s.deps.Dial == nil {
		return errors.New("there is no way to the server but the session's")
	}
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
