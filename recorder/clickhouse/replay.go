package clickhouse

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/weir-gateway/weir/recorder/event"
)

// Item is one thing that was recorded of a session: an event, or bytes of an
// operation.
type Item struct {
	At        time.Time
	Kind      string // of the event; "payload" for bytes
	Operation string
	Stream    string // of bytes
	Canonical string // the event's exact bytes
	Body      []byte // the event's body as JSON, with the large texts that were kept beside it
	Data      string // bytes
}

// Payload is the kind of an item that holds bytes.
const Payload = "payload"

const (
	operationRequested = "operation.requested"
	operationCompleted = "operation.completed"
	sessionClosed      = "session.closed"
)

// Replay gives what was recorded of a session in the order in which it happened.
// An operation's bytes, as they were delivered, come before its end, and before
// the session's where its own end is not known. A session that is not there has
// no items.
func (r *Reader) Replay(ctx context.Context, session string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		p := &player{reader: r, session: session, yield: yield}
		if err := p.play(ctx); err != nil {
			yield(Item{}, fmt.Errorf("replay of %s: %w", session, err))
		}
	}
}

// player replays one session.
type player struct {
	reader  *Reader
	session string
	yield   func(Item, error) bool
	stopped bool     // the listener has heard enough
	open    []string // operations that have not ended
}

func (p *player) play(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // the listener may leave before the rows end
	rows, err := p.reader.conn.Query(ctx, `SELECT ts, kind, operation, canonical FROM weir.all_events WHERE session = ? ORDER BY ts, writer, seq`, p.session)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() && !p.stopped {
		var i Item
		if err := rows.Scan(&i.At, &i.Kind, &i.Operation, &i.Canonical); err != nil {
			return err
		}
		if err := p.event(ctx, i); err != nil {
			return err
		}
	}
	if p.stopped {
		return nil
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return p.rest(ctx)
}

func (p *player) give(i Item) {
	if !p.stopped {
		p.stopped = !p.yield(i, nil)
	}
}

// event gives an event, and before it the bytes that belong there.
func (p *player) event(ctx context.Context, i Item) error {
	e, err := event.Parse([]byte(i.Canonical))
	if err != nil {
		return err
	}
	if i.Body, err = event.Restore(e.Body, func(digest string) ([]byte, bool, error) { return p.cut(ctx, i.Operation, digest) }); err != nil {
		return fmt.Errorf("event %d of %s: %w", e.Seq, e.Writer, err)
	}
	switch i.Kind {
	case operationRequested:
		p.open = append(p.open, i.Operation)
	case operationCompleted:
		p.open = without(p.open, i.Operation)
		err = p.payload(ctx, i.Operation)
	case sessionClosed:
		err = p.rest(ctx)
	}
	if err == nil {
		p.give(i)
	}
	return err
}

func without(list []string, one string) []string {
	for i := range list {
		if list[i] == one {
			return append(list[:i], list[i+1:]...)
		}
	}
	return list
}

// rest gives the bytes of operations whose end was not recorded.
func (p *player) rest(ctx context.Context) error {
	open := p.open
	p.open = nil
	return p.payload(ctx, open...)
}

// payload gives the delivered bytes of operations.
func (p *player) payload(ctx context.Context, operations ...string) error {
	return p.pieces(ctx, operations, "response", "", func(i Item, _ bool) { p.give(i) })
}

// cut reads a text that was too large for its event. One whose end is missing is
// no longer kept.
func (p *player) cut(ctx context.Context, operation, digest string) (text []byte, kept bool, err error) {
	err = p.pieces(ctx, []string{operation}, event.CutStream, digest, func(i Item, final bool) {
		text = append(text, i.Data...)
		kept = final
	})
	return text, kept, err
}

// pieces calls f with each piece of a stream of operations, in order, once.
func (p *player) pieces(ctx context.Context, operations []string, stream, key string, f func(i Item, final bool)) error {
	if p.stopped || len(operations) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, err := p.reader.conn.Query(ctx, `SELECT ts, operation, final, data FROM weir.payloads
		WHERE session = ? AND operation IN ? AND stream = ? AND key = ? AND size > 0
		ORDER BY operation, position LIMIT 1 BY operation, position`, p.session, operations, stream, key)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() && !p.stopped {
		i := Item{Kind: Payload, Stream: stream}
		var final bool
		if err := rows.Scan(&i.At, &i.Operation, &final, &i.Data); err != nil {
			return err
		}
		f(i, final)
	}
	if p.stopped {
		return nil
	}
	return rows.Err()
}
