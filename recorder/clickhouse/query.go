package clickhouse

import (
	"context"
	"errors"
	"fmt"
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
	where, args := []string{"kind = 'session.opened'"}, []any{}
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
		add("ts >= ?", f.Since)
	}
	if !f.Until.IsZero() {
		add("ts < ?", f.Until)
	}
	if f.Limit == 0 {
		f.Limit = defaultLimit
	}
	ids, err := r.ids(ctx, strings.Join(where, " AND ")+" ORDER BY ts DESC LIMIT ?", append(args, f.Limit)...)
	if err == nil {
		var out []SessionRow
		if out, err = r.sessions(ctx, ids); err == nil {
			return out, nil
		}
	}
	return nil, fmt.Errorf("sessions: %w", err)
}

// ids are the sessions whose opening matches. Knowing them first keeps the view
// from counting the operations of all others.
func (r *Reader) ids(ctx context.Context, where string, args ...any) ([]string, error) {
	var rows []struct {
		Session string `ch:"session"`
	}
	if err := r.conn.Select(ctx, &rows, "SELECT session FROM weir.all_events WHERE "+where, args...); err != nil {
		return nil, err
	}
	ids := make([]string, len(rows))
	for i := range rows {
		ids[i] = rows[i].Session
	}
	return ids, nil
}

func (r *Reader) sessions(ctx context.Context, ids []string) ([]SessionRow, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	var out []SessionRow
	err := r.conn.Select(ctx, &out, "SELECT "+sessionColumns+" FROM weir.sessions WHERE session IN ? ORDER BY started DESC, session DESC", ids)
	return out, err
}

// Session is one session, by its id or a prefix that only it has.
func (r *Reader) Session(ctx context.Context, id string) (*SessionRow, error) {
	if id == "" {
		return nil, ErrNotFound
	}
	ids, err := r.ids(ctx, "kind = 'session.opened' AND startsWith(session, ?) ORDER BY session != ? LIMIT 2", id, id)
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	if len(ids) > 1 && ids[0] != id {
		return nil, ErrAmbiguous
	}
	out, err := r.sessions(ctx, ids[:min(len(ids), 1)])
	if err != nil {
		return nil, fmt.Errorf("session: %w", err)
	}
	if len(out) == 0 {
		return nil, ErrNotFound
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
