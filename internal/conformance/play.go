package conformance

import (
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgproto3"
)

// answer is all that came back for a shape in one form.
type answer struct {
	messages []pgproto3.BackendMessage
	err      error // the connection broke
}

// player plays shapes on one side.
type player struct {
	target   string // DSN
	password func(context.Context) (string, error)
	world    *world
	open     *session // kept for shapes that only read
}

// play sends a shape in one form. An error is of the kit's own side.
func (p *player) play(ctx context.Context, s *Shape, via string) (*answer, error) {
	if err := p.world.setup(ctx, s); err != nil {
		return nil, err
	}
	oid, err := p.world.function(ctx, s)
	if err != nil {
		return nil, err
	}
	if p.open == nil {
		if p.open, err = p.dial(ctx); err != nil {
			return nil, fmt.Errorf("connecting to the target: %w", err)
		}
	}
	a := &answer{}
	for _, r := range s.rounds(via, oid) {
		got, err := p.open.exchange(ctx, p.world.fill(s.Data), r...)
		a.messages = append(a.messages, got...)
		if a.err = err; err != nil {
			break
		}
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return a, p.after(ctx, s, a)
}

// after leaves the next shape a session and a schema as if nothing had been.
func (p *player) after(ctx context.Context, s *Shape, a *answer) error {
	if a.err == nil && s.plain() && len(s.Setup) == 0 {
		if p.open.status == 'I' {
			return nil
		}
		if _, err := p.open.exchange(ctx, "", &pgproto3.Query{String: "ROLLBACK"}); err == nil && p.open.status == 'I' {
			return nil
		}
	}
	p.hangUp()
	again, err := p.world.restore(ctx)
	if err == nil && again {
		p.refresh(ctx)
	}
	return err
}

// refresh changes the schema through the gateway, so that one that keeps a catalog
// reads it anew: it would refuse what it does not know. Whether it may does not matter.
func (p *player) refresh(ctx context.Context) {
	s, err := p.dial(ctx)
	if err != nil {
		return
	}
	defer s.close()
	for _, sql := range []string{"CREATE TABLE refreshed ()", "DROP TABLE refreshed"} {
		if _, err := s.exchange(ctx, "", &pgproto3.Query{String: sql}); err != nil {
			return
		}
	}
}

func (p *player) hangUp() {
	if p.open != nil {
		p.open.close()
		p.open = nil
	}
}

// refused says whether an error and no row came back.
func (a *answer) refused() bool {
	failed := false
	for _, m := range a.messages {
		switch m.(type) {
		case *pgproto3.ErrorResponse:
			failed = true
		case *pgproto3.DataRow, *pgproto3.CopyData, *pgproto3.FunctionCallResponse:
			return false
		}
	}
	return failed
}

// silent says whether the answer did not come in time.
func (a *answer) silent() bool { return errors.Is(a.err, os.ErrDeadlineExceeded) }

// code is the SQLSTATE of the first error.
func (a *answer) code() string {
	code, _, _ := strings.Cut(a.firstError(), " ")
	return code
}

// firstError is the first error of an answer, as psql would print it.
func (a *answer) firstError() string {
	for _, m := range a.messages {
		if e, ok := m.(*pgproto3.ErrorResponse); ok {
			return e.Code + " " + e.Message
		}
	}
	return ""
}

// decision matches what a gateway numbers its refusals with.
var decision = regexp.MustCompile(`[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}`)

// firstOwnOID is the first object id that is not of PostgreSQL's own catalog.
const firstOwnOID = 16384

// comparable is an answer without what differs between two databases or two runs
// in any case: object ids, process ids, the numbers of a gateway's decisions.
func (a *answer) comparable() []string {
	var all []string
	names := map[uint32]uint32{}
	name := func(oid uint32) uint32 {
		if oid < firstOwnOID {
			return oid
		}
		if _, ok := names[oid]; !ok {
			names[oid] = firstOwnOID + uint32(len(names)) //nolint:gosec // a handful
		}
		return names[oid]
	}
	for _, m := range a.messages {
		switch m := m.(type) {
		case *pgproto3.RowDescription:
			c := &pgproto3.RowDescription{Fields: slices.Clone(m.Fields)}
			for i := range c.Fields {
				c.Fields[i].TableOID, c.Fields[i].DataTypeOID = name(c.Fields[i].TableOID), name(c.Fields[i].DataTypeOID)
			}
			all = append(all, fmt.Sprintf("%T %q", m, encoded(c)))
		case *pgproto3.NotificationResponse:
			all = append(all, fmt.Sprintf("%T %q", m, encoded(&pgproto3.NotificationResponse{Channel: m.Channel, Payload: m.Payload})))
		case *pgproto3.ErrorResponse, *pgproto3.NoticeResponse:
			all = append(all, fmt.Sprintf("%T %q", m, decision.ReplaceAll(encoded(m), []byte("…"))))
		default:
			all = append(all, fmt.Sprintf("%T %q", m, encoded(m)))
		}
	}
	if a.err != nil {
		all = append(all, "broken: "+a.err.Error())
	}
	return all
}

// differ says in one line where two answers are not the same, "" if nowhere.
func differ(left, right *answer) string {
	l, r := left.comparable(), right.comparable()
	for i := range max(len(l), len(r)) {
		one, other := "nothing", "nothing"
		if i < len(l) {
			one = l[i]
		}
		if i < len(r) {
			other = r[i]
		}
		if one != other {
			a, b := left.say(i), right.say(i)
			if a == b { // they differ in what is not said
				a, b = one, other
			}
			return a + " | " + b
		}
	}
	return ""
}

var errNoSide = errors.New("a target is needed")
