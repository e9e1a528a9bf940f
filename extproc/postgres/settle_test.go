package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// disk is a recorder whose disk is slow: receipts wait until it is released, and
// say then whether an event was kept.
type disk struct {
	*ledger
	lost func(op *gate.Operation) bool // not kept; nil is none

	mu       sync.Mutex
	begun    []*gate.Operation
	kept     map[string]bool // texts with their parameters
	released chan struct{}
}

func newDisk(l *ledger) *disk {
	return &disk{ledger: l, kept: map[string]bool{}, released: make(chan struct{})}
}

func (d *disk) Begin(_ context.Context, e *gate.Event) (gate.Receipt, error) {
	op := operationOf(e)
	d.mu.Lock()
	d.begun = append(d.begun, op)
	d.mu.Unlock()
	return func(ctx context.Context) error {
		select {
		case <-d.released:
		case <-ctx.Done():
			return ctx.Err()
		}
		if d.lost != nil && d.lost(op) {
			return errors.New("the disk is broken")
		}
		d.mu.Lock()
		d.kept[recordedAs(op)] = true
		d.mu.Unlock()
		return d.Record(ctx, e)
	}, nil
}

func (d *disk) waiting() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.begun)
}

func (d *disk) has(what string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.kept[what]
}

func recordedAs(op *gate.Operation) string {
	return strings.TrimSpace(op.Text + " " + fmt.Sprint(op.Parameters...))
}

// lostOf are operations that name one of these.
func lostOf(names ...string) func(*gate.Operation) bool {
	return func(op *gate.Operation) bool {
		for _, name := range names {
			if strings.Contains(recordedAs(op), name) {
				return true
			}
		}
		return false
	}
}

// What comes together is on its way to the disk together, and no byte of it is at
// the server before all of it is there.
func TestPipelineWaitsOnceForTheDisk(t *testing.T) {
	const many = 100
	w := fakeWorld(t)
	d := newDisk(w.ledger)
	w.recorder = d
	server := newFakeServer()
	early := make(chan string, 3*many)
	server.after = func(b *pgproto3.Backend) error {
		for {
			m, err := b.Receive()
			if err != nil {
				return err
			}
			switch m := m.(type) {
			case *pgproto3.Parse:
				b.Send(&pgproto3.ParseComplete{})
			case *pgproto3.Bind:
				if len(m.Parameters) > 0 {
					if text := "insert $1 " + string(m.Parameters[0]); !d.has(text) {
						early <- text
					}
				}
				b.Send(&pgproto3.BindComplete{})
			case *pgproto3.Close:
				b.Send(&pgproto3.CloseComplete{})
			case *pgproto3.Execute:
				if m.Portal == probeName {
					b.Send(&pgproto3.DataRow{Values: [][]byte{[]byte("public")}})
				}
				b.Send(&pgproto3.CommandComplete{CommandTag: []byte("INSERT 0 1")})
			case *pgproto3.Sync:
				b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
			case *pgproto3.Terminate:
				return nil
			}
			if err := b.Flush(); err != nil {
				return err
			}
		}
	}
	c := dialRaw(t, w.serve(server.serve(t)))
	messages := []pgproto3.FrontendMessage{&pgproto3.Parse{Name: "i", Query: "insert $1", ParameterOIDs: []uint32{25}}}
	for i := range many {
		messages = append(messages, bindRun("i", "", fmt.Sprint(i))...)
	}
	c.send(append(messages, &pgproto3.Sync{})...)
	waitFor(t, func() bool { return d.waiting() == many })
	close(d.released)
	if got := c.until(1); len(got) != 1+2*many+1 {
		t.Errorf("%d messages came: %q", len(got), got)
	}
	close(early)
	for text := range early {
		t.Errorf("%q was at the server before it was on disk", text)
	}
	for i, op := range d.begun {
		if want := fmt.Sprint("insert $1 ", i); recordedAs(op) != want {
			t.Errorf("operation %d is %q", i, recordedAs(op))
		}
	}
}

// What could not be recorded is refused, with all that came behind it; what was
// before it goes on, and so does the session.
func TestPipelineFailsInTheMiddle(t *testing.T) {
	insert := func(what string) []pgproto3.FrontendMessage { return bindRun("i", "", what) }
	sync := []pgproto3.FrontendMessage{&pgproto3.Sync{}}
	query := func(what string) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{&pgproto3.Query{String: "INSERT INTO notes (body) VALUES ('" + what + "')"}}
	}
	begin := []pgproto3.FrontendMessage{&pgproto3.Query{String: "BEGIN"}}
	done := []string{"bound", "done INSERT 0 1"}
	refused := "ERROR " + codeSystemError
	words := func(groups ...[]string) (all []string) {
		for _, g := range groups {
			all = append(all, g...)
		}
		return all
	}
	tests := map[string]struct {
		send  [][]pgproto3.FrontendMessage
		ready int
		want  []string
		rows  int // that are in the table afterwards
	}{
		"one segment is undone, as with any error": {
			[][]pgproto3.FrontendMessage{insert("a"), insert("b"), insert("lost"), insert("c"), sync}, 1,
			words(done, done, []string{refused, "ready I"}), 0,
		},
		"segments before it stay, those behind are refused": {
			[][]pgproto3.FrontendMessage{insert("a"), sync, insert("lost"), insert("b"), sync, insert("c"), sync, insert("d"), sync}, 4,
			words(done, []string{"ready I", refused, "ready I", refused, "ready I", refused, "ready I"}), 1,
		},
		"simple queries": {
			[][]pgproto3.FrontendMessage{query("a"), query("lost"), query("b")}, 3,
			[]string{"done INSERT 0 1", "ready I", refused, "ready I", refused, "ready I"}, 1,
		},
		"both kinds": {
			[][]pgproto3.FrontendMessage{query("a"), insert("lost"), query("skipped"), sync, query("b"), insert("c"), sync}, 4,
			[]string{"done INSERT 0 1", "ready I", refused, "ready I", refused, "ready I", refused, "ready I"}, 1,
		},
		"in a transaction": {
			[][]pgproto3.FrontendMessage{begin, insert("a"), sync, insert("lost"), sync, query("b"), {&pgproto3.Query{String: "COMMIT"}}}, 5,
			words([]string{"done BEGIN", "ready T"}, done, []string{"ready T", refused, "ready E", "ERROR 25P02", "ready E", "ERROR 25P02", "ready E"}), 0,
		},
		"what policy refuses behind it keeps its own words": {
			[][]pgproto3.FrontendMessage{insert("a"), sync, query("lost"), {&pgproto3.Query{String: "DELETE FROM notes"}}, run1("DELETE FROM notes"), sync}, 4,
			words(done, []string{"ready I", refused, "ready I", "ERROR 42501", "ready I", "ERROR 42501", "ready I"}), 1,
		},
		"nothing comes of an unfinished statement behind it": {
			[][]pgproto3.FrontendMessage{insert("lost"), sync, {&pgproto3.Parse{Query: "SELECT 1"}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Flush{}}, {&pgproto3.Execute{}}, sync}, 2,
			[]string{refused, "ready I", refused, "ready I"}, 0,
		},
		"a COPY": {
			[][]pgproto3.FrontendMessage{insert("lost"), sync, {&pgproto3.Query{String: "COPY notes (body) FROM STDIN"}, &pgproto3.CopyData{Data: []byte("x\n")}, &pgproto3.CopyDone{}}}, 2,
			[]string{refused, "ready I", refused, "ready I"}, 0,
		},
	}
	w, server := realWorld(t, pgserver.Options{})
	w.rules = noDelete
	d := newDisk(w.ledger)
	close(d.released)
	d.lost = lostOf("lost")
	w.recorder = d
	address := w.serve(server.Addr())
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, address)
			c.ask("TRUNCATE notes")
			c.send(&pgproto3.Parse{Name: "i", Query: "INSERT INTO notes (body) VALUES ($1)"}, &pgproto3.Sync{})
			c.until(1)
			c.send(script(test.send...)...)
			sees(t, c.until(test.ready), test.want...)
			c.ask("ROLLBACK")
			for range 2 { // whether the session knows what it has prepared
				sees(t, func() []string { c.send(script(insert("after"), sync)...); return c.until(1) }(), append(done, "ready I")...)
			}
			sees(t, c.ask("SELECT count(*) FROM notes"), "columns count", fmt.Sprint("row ", test.rows+2), "done SELECT 1", "ready I")
		})
	}
}

// What waits for people waits behind what was on its way to the disk.
func TestHoldBehindWhatIsLost(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	w.rules = func(in *gate.Input) gate.Decision {
		if in.Operation != nil && strings.Contains(in.Operation.Text, "TRUNCATE") && len(in.Approvals) == 0 {
			return gate.Decision{Effect: gate.Hold, Hold: []gate.Requirement{{Rule: "r", Required: 1}}}
		}
		return gate.Decision{Effect: gate.Allow}
	}
	d := newDisk(w.ledger)
	close(d.released)
	d.lost = lostOf("lost")
	w.recorder = d
	c := dialRaw(t, w.serve(server.Addr()))
	truncate := &pgproto3.Query{String: "TRUNCATE notes"}
	refused := "ERROR " + codeSystemError
	c.ask("SELECT 1")
	c.send(&pgproto3.Query{String: "SELECT 'lost'"}, truncate)
	sees(t, c.until(2), refused, "ready I", refused, "ready I")
	c.send(script(run1("SELECT 'lost'"), run1("TRUNCATE notes"), []pgproto3.FrontendMessage{&pgproto3.Sync{}, truncate})...)
	for range 3 { // the last one waits
		<-w.people.asked
	}
	w.people.resolve <- gate.Approved
	got := slices.DeleteFunc(c.until(2), func(line string) bool { return strings.HasPrefix(line, "notice held") }) // may overtake
	sees(t, got, refused, "ready I", "done TRUNCATE TABLE", "ready I")
}

// A large statement, which is sent from where it was read, waits for its record too.
func TestLargeStatementIsRecordedFirst(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	d := newDisk(w.ledger)
	close(d.released)
	d.lost = lostOf("lost")
	w.recorder = d
	c := dialRaw(t, w.serve(server.Addr()))
	large := strings.Repeat("x", 2*fullBatch)
	insert := func(what string) *pgproto3.Query {
		return &pgproto3.Query{String: "INSERT INTO notes (body) VALUES ('" + what + large + "')"}
	}
	refused := "ERROR " + codeSystemError
	c.ask("SELECT 1")
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.send(insert("lost"), insert("kept"), &pgproto3.Query{String: "SELECT 'lost'"}, insert("read later"))
	}()
	sees(t, c.until(4), refused, "ready I", "done INSERT 0 1", "ready I", refused, "ready I", "done INSERT 0 1", "ready I")
	<-sent
	sees(t, c.ask("SELECT count(*) FROM notes"), "columns count", "row 2", "done SELECT 1", "ready I")
}
