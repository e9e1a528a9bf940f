package clickhouse

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/recorder"
	"github.com/weir-gateway/weir/recorder/clickhouse/engine"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/spool"
)

// The test binary is the engine too, when this variable names the library.
const childVariable = "WEIR_CLICKHOUSE_TEST_LIBRARY"

func TestMain(m *testing.M) {
	if library := os.Getenv(childVariable); library != "" {
		if err := engine.Serve(library, os.Args[1:]); err != nil {
			_, _ = io.WriteString(os.Stderr, err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// rig is the whole way of evidence, all of it real.
type rig struct {
	t        testing.TB
	dir      string
	log      *slog.Logger
	engine   *engine.Supervisor
	spool    *spool.Spool
	recorder *recorder.Recorder
	stops    []func()
	failure  string // of the last question that failed
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	library := parts.Need(t, parts.CHDB).LibCHDB
	t.Setenv(childVariable, library)
	r.startEngine()
	r.startRecorder()
	t.Cleanup(func() {
		if err := r.recorder.Close(context.Background()); err != nil {
			t.Error(err)
		}
		for _, stop := range r.stops {
			stop()
		}
		if err := r.spool.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *rig) startEngine() {
	r.t.Helper()
	var err error
	r.engine, err = engine.New(r.t.Context(), engine.Config{Program: os.Args[0], Dir: filepath.Join(r.dir, "clickhouse"), AuditorViews: Views}, r.log)
	if err != nil {
		r.t.Fatal(err)
	}
	r.background(r.engine.Run)
}

func (r *rig) startRecorder() {
	r.t.Helper()
	var err error
	if r.spool, err = spool.Open(r.t.Context(), spool.Config{Dir: filepath.Join(r.dir, "spool"), Join: event.Joiner()}, r.log); err != nil {
		r.t.Fatal(err)
	}
	if r.recorder, err = recorder.New(recorder.Config{}, r.spool, r.log); err != nil {
		r.t.Fatal(err)
	}
}

// background runs something until the test ends, or stop is called.
func (r *rig) background(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	}
	r.stops = append([]func(){stop}, r.stops...)
	return stop
}

func (r *rig) startSink() (s *Sink, stop func()) {
	r.t.Helper()
	s, err := NewSink(Config{Options: r.engine.Options()}, r.spool.EventQueue(), r.spool.PayloadQueue(), r.log)
	if err != nil {
		r.t.Fatal(err)
	}
	return s, r.background(s.Run)
}

func (r *rig) reader() *Reader {
	r.t.Helper()
	reader, err := NewReader(r.engine.Options())
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = reader.Close() })
	return reader
}

// kill ends the engine as a crash would, by the process id that it wrote down.
func (r *rig) kill() {
	r.t.Helper()
	status, err := os.ReadFile(filepath.Join(r.dir, "clickhouse", "status"))
	if err != nil {
		r.t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(status), "\n")
	pid, err := strconv.Atoi(strings.TrimPrefix(first, "PID: "))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
	eventually(r.t, "it was noticed", func() bool { return r.engine.Err() != nil })
}

func (r *rig) record(e *gate.Event) {
	r.t.Helper()
	if err := r.recorder.Record(r.t.Context(), e); err != nil {
		r.t.Fatal(err)
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("it did not come about: %s", what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// count asks for a number; -1 stands for no answer.
func (r *rig) count(reader *Reader, query string) int {
	var n uint64
	if err := reader.conn.QueryRow(context.Background(), query).Scan(&n); err != nil {
		if err.Error() != r.failure { // else a test that waits would say it a thousand times
			r.failure = err.Error()
			r.t.Logf("%s: %v", query, err)
		}
		return -1
	}
	return int(n)
}

const session = "0190aaaa-0000-7000-8000-000000000001"

// story records one session with everything in it.
func (r *rig) story() {
	when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func(kind gate.EventKind, op string, body any) {
		when = when.Add(time.Millisecond)
		r.record(&gate.Event{Kind: kind, Time: when, Session: session, Operation: op, Target: "shop", Subject: "agent-1", Body: body})
	}
	operation := func(text string) *gate.Operation {
		return &gate.Operation{ID: "op", Protocol: "postgres", Action: "select", Text: text, Risks: []string{}, SQL: &gate.SQL{
			Columns: []gate.Column{{Schema: "public", Table: "customers", Name: "ssn", Classes: []string{"pii.ssn"}, Use: "output"}},
		}}
	}
	masked := gate.Decision{ID: "d1", Effect: gate.Allow, Revision: "r1", Mask: []gate.Mask{{Class: "pii.ssn", MaskSpec: gate.MaskSpec{With: "redact"}}}}
	at(gate.SessionOpened, "", map[string]any{
		"principal": gate.Principal{Subject: "agent-1", Issuer: "https://issuer", Kind: gate.Agent, Roles: []string{"group:support"}},
		"target":    gate.Target{Name: "shop", Kind: "postgres"}, "client": gate.Client{Address: "127.0.0.1:5", Application: "psql"},
		"database": "shop", "decision": gate.Decision{Revision: "r1"},
	})
	at(gate.OperationRequested, "op-1", map[string]any{"operation": operation("select ssn from customers"), "decision": masked})
	for _, data := range []string{"first ", "second"} {
		if err := r.recorder.Payload(r.t.Context(), &gate.Payload{Session: session, Operation: "op-1", Target: "shop", Stream: gate.ResponseStream, Data: []byte(data)}); err != nil {
			r.t.Fatal(err)
		}
	}
	at(gate.OperationCompleted, "op-1", gate.Outcome{Status: "ok", Rows: 2, Bytes: 12, Millis: 1.5, Masked: map[string]int{"pii.ssn": 2}})
	denied := gate.Denied("no_where", "every row", "Add a WHERE.")
	at(gate.OperationRequested, "op-2", map[string]any{"operation": operation("delete from orders"), "decision": denied})
	at(gate.ApprovalRequested, "op-3", gate.Approval{ID: "a1", Operation: *operation("drop table x"), Needs: []gate.Requirement{{Rule: "ddl"}}})
	vote := gate.Vote{Approver: gate.Principal{Subject: "ann"}, Approve: true, Reason: "ticket 7"}
	at(gate.ApprovalResolved, "op-3", map[string]any{"approval": "a1", "state": gate.Approved, "votes": []gate.Vote{vote}})
	at(gate.SessionClosed, "", gate.Closing{Reason: "client left", Operations: 2, Refused: 1})
	r.record(&gate.Event{Kind: gate.SessionRefused, Time: when, Target: "shop", Body: map[string]any{"reason": "expired"}})
	r.record(&gate.Event{Kind: gate.PolicyActivated, Time: when, Body: map[string]any{"revision": "r1", "added": []string{"a.rego"}}})
}

func TestAnAuditorFindsWhatHappened(t *testing.T) {
	r := newRig(t)
	_, stop := r.startSink()
	r.story()
	reader := r.reader()
	eventually(t, "all events are there", func() bool { return r.count(reader, "SELECT count() FROM weir.all_events") == 9 })
	for query, want := range map[string]string{
		"SELECT session, target, subject, principal, operations, refused, end_reason FROM weir.sessions": `["` + session + `", "shop", "agent-1", "agent", 2, 1, "client left"]`,
		"SELECT text, effect, status, rows, masked FROM weir.operations WHERE effect = 'allow'":          `["select ssn from customers", "allow", "ok", 2, {"pii.ssn":2}]`,
		"SELECT count(), groupUniqArray(code) FROM weir.denials WHERE text != ''":                        `[1, ["no_where"]]`,
		"SELECT code, reason FROM weir.denials WHERE action = 'sign_in'":                                 `["sign_in", "expired"]`,
		"SELECT text, state, voters, reasons FROM weir.approvals":                                        `["drop table x", "approved", ["ann"], ["ticket 7"]]`,
		"SELECT class, hidden FROM weir.masked_reads":                                                    `["pii.ssn", 2]`,
		"SELECT table, column, use, effect, masked FROM weir.column_access WHERE effect = 'allow'":       `["customers", "ssn", "output", "allow", true]`,
		"SELECT kind, revision, added FROM weir.policy_changes":                                          `["policy.activated", "r1", ["a.rego"]]`,
		"SELECT count() FROM weir.gaps":                                                                  `[0]`,
	} {
		if got := r.jsonRow(reader, query); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", query, got, want)
		}
	}
	stop()
}

// jsonRow is the one row of a query's result as JSON.
func (r *rig) jsonRow(reader *Reader, query string) string {
	r.t.Helper()
	rows, err := reader.conn.Query(context.Background(), "SELECT formatRowNoNewline('JSONCompactEachRow', *) FROM ("+query+")")
	if err != nil {
		return err.Error()
	}
	defer rows.Close()
	var out []string
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			return err.Error()
		}
		out = append(out, one)
	}
	if err := rows.Err(); err != nil {
		return err.Error()
	}
	if len(out) != 1 {
		raw, _ := json.Marshal(out)
		return string(raw)
	}
	return out[0]
}

func TestReaderTellsASession(t *testing.T) {
	r := newRig(t)
	_, stop := r.startSink()
	defer stop()
	r.story()
	reader := r.reader()
	eventually(t, "the payload is there", func() bool { return r.count(reader, "SELECT sum(size) FROM weir.payloads") == 12 })
	eventually(t, "all events are there", func() bool { return r.count(reader, "SELECT count() FROM weir.all_events") == 9 })
	ctx := t.Context()
	list, err := reader.Sessions(ctx, Filter{Target: "shop", Subject: "agent-1", Since: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)})
	if err != nil || len(list) != 1 || list[0].Session != session || list[0].Ended == nil || list[0].Application != "psql" {
		t.Errorf("sessions: %+v, %v", list, err)
	}
	if list, err := reader.Sessions(ctx, Filter{Target: "other"}); err != nil || len(list) != 0 {
		t.Errorf("another target's: %+v, %v", list, err)
	}
	if one, err := reader.Session(ctx, session[:8]); err != nil || one.Session != session {
		t.Errorf("by prefix: %+v, %v", one, err)
	}
	for _, id := range []string{"none", ""} {
		if _, err := reader.Session(ctx, id); !errors.Is(err, ErrNotFound) {
			t.Errorf("session %q: %v", id, err)
		}
	}
	ops, err := reader.Operations(ctx, session)
	if err != nil || len(ops) != 2 || ops[0].Masked["pii.ssn"] != 2 || ops[1].Code != "no_where" {
		t.Errorf("operations: %+v, %v", ops, err)
	}
	var kinds []string
	var delivered string
	for item, err := range reader.Replay(ctx, session) {
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, item.Kind)
		delivered += item.Data
	}
	if delivered != "first second" || len(kinds) < 8 || kinds[0] != "session.opened" || kinds[len(kinds)-1] != "session.closed" {
		t.Errorf("replayed %v, delivered %q", kinds, delivered)
	}
}

// ClickHouse is killed again and again while events come: nothing is lost, and
// nothing is there twice.
func TestKillsUnderLoadLoseNothing(t *testing.T) {
	r := newRig(t)
	s, stop := r.startSink()
	eventually(t, "the sink works", func() bool { return s.Err() == nil })
	const total = 3000
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for i := range total {
			r.record(&gate.Event{Kind: gate.OperationRequested, Time: time.Now(), Session: "s", Operation: gate.NewID(), Target: "shop", Body: map[string]int{"n": i}})
		}
	}()
	for range 3 {
		eventually(t, "it answers", func() bool { return s.Err() == nil && r.engine.Err() == nil })
		r.kill()
	}
	stop()
	_, _ = r.startSink() // as a gateway that was started again, in the middle of things
	<-sent
	reader := r.reader()
	eventually(t, "everything is there", func() bool { return r.count(reader, "SELECT count() FROM weir.events") >= total })
	if got := r.count(reader, "SELECT count() FROM weir.events"); got != total {
		t.Errorf("%d rows of %d events", got, total)
	}
	if got := r.count(reader, "SELECT uniqExact(event_id) FROM weir.events"); got != total {
		t.Errorf("%d events of %d", got, total)
	}
	if got := r.count(reader, "SELECT count() FROM weir.gaps"); got != 0 {
		t.Errorf("%d writers with gaps", got)
	}
}

func TestMigrateTwice(t *testing.T) {
	r := newRig(t)
	if err := r.engine.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := (Schema{}).Migrate(t.Context(), r.engine.Options()); err != nil {
			t.Fatal(err)
		}
	}
}
