package spool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// Cursor is how far a queue's reader has come. What lies after Done up to Plan
// is being written elsewhere as one piece: after a failure it has to be written
// again as exactly that piece.
type Cursor struct {
	Done uint64 `json:"done"`
	Plan uint64 `json:"plan"`

	revision uint64
}

// ErrMoved means that another reader has moved the cursor.
var ErrMoved = errors.New("another reader has moved the cursor")

// Cursor returns the stored cursor, a new one at the start.
func (q *Queue) Cursor(ctx context.Context) (Cursor, error) {
	entry, err := q.spool.state.Get(ctx, q.key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return Cursor{}, nil
	}
	if err != nil {
		return Cursor{}, fmt.Errorf("spool: cursor of %s: %w", q.key, err)
	}
	c := Cursor{revision: entry.Revision()}
	if err := json.Unmarshal(entry.Value(), &c); err != nil {
		return Cursor{}, fmt.Errorf("spool: cursor of %s: %w", q.key, err)
	}
	return c, nil
}

// SetCursor stores c, which must come from Cursor or an earlier SetCursor, and
// returns it as stored. ErrMoved means that nothing was stored.
func (q *Queue) SetCursor(ctx context.Context, c Cursor) (Cursor, error) {
	value, err := json.Marshal(c)
	if err != nil {
		return c, err
	}
	revision, err := q.spool.state.Update(ctx, q.key, value, c.revision)
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return c, ErrMoved
	}
	if err != nil {
		return c, fmt.Errorf("spool: cursor of %s: %w", q.key, err)
	}
	c.revision = revision
	return c, nil
}
