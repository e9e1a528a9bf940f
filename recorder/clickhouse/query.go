package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// ErrNotFound reports an id that nothing has, ErrAmbiguous a prefix that several
// have.
var (
	ErrNotFound  = errors.New("not found")
	ErrAmbiguous = errors.New("more than one has this prefix; give more of the id")
)

// Reader asks the evidence. It is safe for concurrent use.
type Reader struct{ conn driver.Conn }

// NewReader makes a Reader; it connects when it is asked something.
func NewReader(o *clickhouse.Options) (*Reader, error) {
	conn, err := clickhouse.Open(o)
	if err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	return &Reader{conn: conn}, nil
}

// Close ends its connections.
func (r *Reader) Close() error { return r.conn.Close() }

// Ping says whether ClickHouse answers.
func (r *Reader) Ping(ctx context.Context) error { return r.conn.Ping(ctx) }

// SessionRow is a row of the view sessions.
type SessionRow struct {
	Session     string     `ch:"session"`
	Started     time.Time  `ch:"started"`
	Ended       *time.Time `ch:"ended"`
	Target      string     `ch:"target"`
	Kind        string     `ch:"kind"`
	Subject     string     `ch:"subject"`
	Issuer      string     `ch:"issuer"`
	Principal   string     `ch:"principal"`
	Client      string     `ch:"client"`
	Application string     `ch:"application"`
	Database    string     `ch:"database"`
	Policy      string     `ch:"policy"`
	EndReason   string     `ch:"end_reason"`
	Operations  uint64     `ch:"operations"`
	Refused     uint64     `ch:"refused"`
}

const sessionColumns = "session, started, ended, target, kind, subject, issuer, principal, client, application, database, policy, end_reason, operations, refused"

// Filter selects sessions; zero values select all.
type Filter struct {
	Target, Subject string
	Since, Until    time.Time
	Limit           int // 50 when 0
}

const defaultLimit = 50

// Sessions are the sessions that the filter selects, the newest first.
func (r *Reader) Sessions(ctx context.Context, f Filter) ([]SessionRow, error) {
	where, args := []string{"1"}, []any{}
	add := func(condition string, value any) {
		where = append(where, condition)
		args = append(args, value)
	}
	if f.Target != "" {
		add("target = ?", f.Target)
	}
	if f.Subject != "" {
		add("subject = ?", f.Subject)
	}
	if !f.Since.IsZero() {
		add("started >= ?", f.Since)
	}
	if !f.Until.IsZero() {
		add("started < ?", f.Until)
	}
	if f.Limit == 0 {
		f.Limit = defaultLimit
	}
	args = append(args, f.Limit)
	var out []SessionRow
	query := "SELECT " + sessionColumns + " FROM weir.sessions WHERE " + strings.Join(where, " AND ") + " ORDER BY started DESC LIMIT ?"
	if err := r.conn.Select(ctx, &out, query, args...); err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	return out, nil
}

// Session is one session, by its id or a prefix that only it has.
func (r *Reader) Session(ctx context.Context, id string) (*SessionRow, error) {
	var out []SessionRow
	query := "SELECT " + sessionColumns + " FROM weir.sessions WHERE startsWith(session, ?) LIMIT 2"
	if err := r.conn.Select(ctx, &out, query, id); err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	switch {
	case len(out) == 0 || id == "":
		return nil, ErrNotFound
	case len(out) > 1:
		return nil, ErrAmbiguous
	}
	return &out[0], nil
}

// OperationRow is a row of the view operations.
type OperationRow struct {
	At        time.Time         `ch:"ts"`
	Operation string            `ch:"operation"`
	Action    string            `ch:"action"`
	Text      string            `ch:"text"`
	Effect    string            `ch:"effect"`
	Code      string            `ch:"code"`
	Reason    string            `ch:"reason"`
	Decision  string            `ch:"decision"`
	Approval  string            `ch:"approval"`
	Status    string            `ch:"status"`
	Error     string            `ch:"error"`
	Rows      uint64            `ch:"rows"`
	Bytes     uint64            `ch:"bytes"`
	Millis    float64           `ch:"ms"`
	Masked    map[string]uint64 `ch:"masked"`
}

// Operations are the operations of a session in order.
func (r *Reader) Operations(ctx context.Context, session string) ([]OperationRow, error) {
	var out []OperationRow
	err := r.conn.Select(ctx, &out, `SELECT ts, operation, action, text, effect, code, reason, decision, approval, status, error, rows, bytes, ms, masked
		FROM weir.operations WHERE session = ? ORDER BY ts, operation`, session)
	if err != nil {
		return nil, fmt.Errorf("operations: %w", err)
	}
	return out, nil
}

// Item is one thing that was recorded of a session: an event in its canonical
// form, or bytes of an operation.
type Item struct {
	At        time.Time `ch:"ts"`
	Kind      string    `ch:"kind"` // of the event; "payload" for bytes
	Operation string    `ch:"operation"`
	Stream    string    `ch:"stream"`
	Canonical string    `ch:"canonical"`
	Data      string    `ch:"data"`
}

// Payload is the kind of an item that holds bytes.
const Payload = "payload"

// Replay gives what was recorded of a session in the order in which it happened.
// An operation's bytes, as they were delivered, come before its end.
func (r *Reader) Replay(ctx context.Context, session string) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		var events []Item
		err := r.conn.Select(ctx, &events, `SELECT ts, kind, operation, '' AS stream, canonical, '' AS data
			FROM weir.all_events WHERE session = ? ORDER BY ts, writer, seq`, session)
		if err != nil {
			yield(Item{}, fmt.Errorf("replay: %w", err))
			return
		}
		for _, e := range events {
			if e.Kind == "operation.completed" && !r.payloads(ctx, session, e.Operation, yield) {
				return
			}
			if !yield(e, nil) {
				return
			}
		}
	}
}

// payloads yields the delivered bytes of an operation. It says whether to go on.
func (r *Reader) payloads(ctx context.Context, session, operation string, yield func(Item, error) bool) bool {
	rows, err := r.conn.Query(ctx, `SELECT ts, 'payload' AS kind, operation, stream, '' AS canonical, data
		FROM weir.payloads WHERE session = ? AND operation = ? AND stream = 'response' AND size > 0
		ORDER BY position LIMIT 1 BY position`, session, operation)
	if err != nil {
		yield(Item{}, fmt.Errorf("replay: %w", err))
		return false
	}
	defer rows.Close()
	for rows.Next() {
		var i Item
		if err := rows.ScanStruct(&i); err != nil {
			yield(Item{}, fmt.Errorf("replay: %w", err))
			return false
		}
		if !yield(i, nil) {
			return false
		}
	}
	if err := rows.Err(); err != nil {
		yield(Item{}, fmt.Errorf("replay: %w", err))
		return false
	}
	return true
}
