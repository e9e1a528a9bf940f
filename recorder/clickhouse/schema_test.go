package clickhouse

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/spool"
)

func TestGatewaysThatStartTogether(t *testing.T) {
	r := newRig(t)
	if err := r.engine.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	var together sync.WaitGroup
	for range 3 {
		together.Go(func() {
			// As the sink does, until it works.
			var err error
			for range 20 {
				if err = (Schema{}).Migrate(context.Background(), r.engine.Options()); err == nil {
					return
				}
				time.Sleep(50 * time.Millisecond)
			}
			t.Error(err)
		})
	}
	together.Wait()
	reader := r.reader()
	for _, view := range Views {
		if r.count(reader, "SELECT count() FROM weir."+view) != 0 {
			t.Errorf("%s does not answer, or is not empty", view)
		}
	}
}

func TestRetentionIsWhatIsConfigured(t *testing.T) {
	r := newRig(t)
	if err := r.engine.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	reader := r.reader()
	for _, c := range []struct {
		schema           Schema
		events, payloads string
	}{
		{Schema{}, "", "7776000"},
		{Schema{Retention: time.Hour, PayloadRetention: time.Minute}, "3600", "60"},
		{Schema{Retention: 2 * time.Hour, PayloadRetention: time.Minute}, "7200", "60"},
		{Schema{}, "", "7776000"},
	} {
		for range 2 {
			if err := c.schema.Migrate(t.Context(), r.engine.Options()); err != nil {
				t.Fatal(err)
			}
		}
		for table, want := range map[string]string{"events": c.events, "payloads": c.payloads} {
			query := "SELECT extract(engine_full, 'TTL toDateTime\\\\(ts\\\\) \\\\+ toIntervalSecond\\\\((\\\\d+)\\\\)') FROM system.tables WHERE database = 'weir' AND name = '" + table + "'"
			if got := r.jsonRow(reader, query); got != `["`+want+`"]` {
				t.Errorf("%+v: %s are kept %s, want %s", c.schema, table, got, want)
			}
		}
	}
}

func TestEveryColumnIsExplained(t *testing.T) {
	r := newRig(t)
	if err := r.engine.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := (Schema{}).Migrate(t.Context(), r.engine.Options()); err != nil {
		t.Fatal(err)
	}
	got := r.jsonRow(r.reader(), "SELECT groupArray(table || '.' || name) FROM system.columns WHERE database = 'weir' AND table IN ('events', 'payloads') AND comment = ''")
	if got != "[[]]" {
		t.Errorf("without a comment: %s", got)
	}
}

func TestStatementsForACluster(t *testing.T) {
	files, err := (Schema{ClusterName: "main"}).files()
	if err != nil {
		t.Fatal(err)
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil || len(names) < 3 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, "{{") {
				t.Errorf("%s: %s", name, line)
			}
			changes := strings.HasPrefix(line, "CREATE ") || strings.HasPrefix(line, "ALTER ")
			if changes && !strings.Contains(line, "ON CLUSTER `main`") {
				t.Errorf("%s: on one server only: %s", name, line)
			}
			if strings.HasPrefix(line, "ENGINE = ") && !strings.Contains(line, "ReplicatedMergeTree(") {
				t.Errorf("%s: not replicated: %s", name, line)
			}
		}
	}
	if _, err := (Schema{ClusterName: "a` DROP"}).files(); err == nil {
		t.Error("a bad name was accepted")
	}
}

func TestGrantsNameEveryView(t *testing.T) {
	for _, view := range Views {
		if !strings.Contains(Grants(), "GRANT SELECT ON weir."+view+" TO weir_auditor;\n") {
			t.Errorf("an auditor may not read %s", view)
		}
	}
}

// recorded is a rig with a few events in ClickHouse.
func recorded(t *testing.T) (*rig, *Reader) {
	t.Helper()
	r := newRig(t)
	_, stop := r.startSink()
	t.Cleanup(stop)
	r.story()
	reader := r.reader()
	eventually(t, "all events are there", func() bool { return r.count(reader, "SELECT count() FROM weir.all_events") == 9 })
	return r, reader
}

func (r *rig) exec(reader *Reader, sql string) {
	r.t.Helper()
	if err := reader.conn.Exec(context.Background(), sql); err != nil {
		r.t.Fatal(err)
	}
}

func TestAnAuditorFindsATamperedStore(t *testing.T) {
	r, reader := recorded(t)
	const problems = "SELECT (SELECT groupArray((first, last)) FROM weir.gaps), (SELECT groupArray(seq) FROM weir.broken_chains)"
	if got := r.jsonRow(reader, problems); got != "[[], []]" {
		t.Errorf("before: %s", got)
	}
	r.exec(reader, "ALTER TABLE weir.events UPDATE canonical = replaceOne(canonical, 'select ssn', 'select tel') WHERE seq = 2 SETTINGS mutations_sync = 2")
	if got := r.jsonRow(reader, problems); got != "[[], [3]]" {
		t.Errorf("an event was changed: %s", got)
	}
	r.exec(reader, "ALTER TABLE weir.events DELETE WHERE seq IN (5, 6) SETTINGS mutations_sync = 2")
	if got := r.jsonRow(reader, problems); got != "[[[5,6]], [3]]" {
		t.Errorf("events were removed: %s", got)
	}
}

// A filter on a view must not read the whole table.
func TestFiltersReachTheTablesKeys(t *testing.T) {
	r, reader := recorded(t)
	for query, want := range map[string]string{
		"SELECT * FROM weir.operations WHERE session = 'x'":                                     "by_id",
		"SELECT * FROM weir.all_events WHERE operation = 'x'":                                   "by_id",
		"SELECT * FROM weir.all_events WHERE event_id = '0190aaaa-0000-7000-8000-000000000001'": "by_id",
		"SELECT * FROM weir.sessions WHERE session IN ('x', 'y')":                               "by_id",
		"SELECT * FROM weir.all_events WHERE target = 'x'":                                      "target in ['x', 'x']",
		"SELECT * FROM weir.denials WHERE ts > '2030-01-01 00:00:00'":                           "toStartOfHour(ts) in",
		"SELECT * FROM weir.column_access WHERE ts > '2030-01-01 00:00:00'":                     "toStartOfHour(ts) in",
		"SELECT * FROM weir.masked_reads WHERE ts > '2030-01-01 00:00:00'":                      "toStartOfHour(ts) in",
		"SELECT * FROM weir.policy_changes WHERE ts > '2030-01-01 00:00:00'":                    "toStartOfHour(ts) in",
		"SELECT * FROM weir.unmasked_reads WHERE ts > '2030-01-01 00:00:00'":                    "toStartOfHour(ts) in",
		"SELECT * FROM weir.sign_in_refusals WHERE target = 'x' AND ts > '2030-01-01 00:00:00'": "target in ['x', 'x']",
	} {
		plan := r.jsonRow(reader, "SELECT arrayStringConcat(groupArray(explain), ' ') FROM (EXPLAIN indexes = 1 "+query+")")
		if !strings.Contains(plan, want) {
			t.Errorf("%s: no %s in %s", query, want, plan)
		}
	}
}

// A piece that reaches over the turn of a month goes into two partitions, and is
// there once however often it is written.
func TestARepeatedPieceIsThereOnce(t *testing.T) {
	r := newRig(t)
	if err := r.engine.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := (Schema{}).Migrate(t.Context(), r.engine.Options()); err != nil {
		t.Fatal(err)
	}
	var data []byte
	writer := uuid.New()
	for i, at := range []time.Time{time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC), time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC)} {
		e := event.Event{ID: uuid.Must(uuid.NewV7()), Writer: writer, Seq: uint64(i + 1), Time: at, Kind: string(gate.PolicyActivated), Body: []byte("{}")}
		data = event.AppendLine(data, e.AppendCanonical(nil))
	}
	var blocks event.BlockEncoder
	block := blocks.Encode(&event.Block{Writer: writer, Number: 1, Chunks: []event.Chunk{{Session: "s", Stream: "response", Time: time.Now(), Size: 1, Data: []byte("x")}}})
	messages := []spool.Message{{Lane: spool.Events, Seq: 1, Data: data}, {Lane: spool.Payloads, Seq: 2, Data: block}, {Lane: spool.Events, Seq: 3, Data: []byte("no event\n")}}
	reader := r.reader()
	w, err := newWriter(r.log)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	for range 3 {
		if err := w.write(t.Context(), reader.conn, messages); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]int{
		"SELECT count() FROM weir.events":   3,
		"SELECT count() FROM weir.payloads": 1,
		"SELECT count() FROM weir.events WHERE kind = 'unreadable' AND canonical = 'no event'": 1,
		"SELECT count() FROM weir.gaps":                                                             0,
		"SELECT count() FROM weir.broken_chains":                                                    1, // these two are no chain
		"SELECT count() FROM weir.events WHERE kind != 'unreadable' AND length(leaf) = 64":          2,
		"SELECT toUInt64(countDistinct(_partition_id)) FROM weir.events WHERE kind != 'unreadable'": 2,
	} {
		if got := r.count(reader, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}

// A piece of many blocks is one part, is there once however often it is written,
// and not at all where it was broken off.
func TestAPieceOfManyBlocksIsWhole(t *testing.T) {
	r := newRig(t)
	if err := r.engine.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := (Schema{}).Migrate(t.Context(), r.engine.Options()); err != nil {
		t.Fatal(err)
	}
	const events = 400
	writer, large := uuid.New(), `{"text":"`+strings.Repeat("x", 10_000)+`"}`
	var messages []spool.Message
	for i := range events {
		e := event.Event{ID: uuid.Must(uuid.NewV7()), Writer: writer, Seq: uint64(i + 1), Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Kind: string(gate.PolicyActivated), Body: []byte(large)}
		messages = append(messages, spool.Message{Lane: spool.Events, Seq: e.Seq, Data: event.AppendLine(nil, e.AppendCanonical(nil))})
	}
	reader := r.reader()
	w, err := newWriter(r.log)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	broken := w.eventTable.begin(t.Context(), reader.conn, tokenOf(messages))
	for i := range messages {
		w.read(&messages[i])
		if err := w.flush(broken); err != nil {
			t.Fatal(err)
		}
	}
	if err := broken.done(io.ErrUnexpectedEOF); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("given up with %v", err)
	}
	for range 3 {
		if err := w.write(t.Context(), reader.conn, messages); err != nil {
			t.Fatal(err)
		}
	}
	for query, want := range map[string]int{
		"SELECT count() FROM weir.events":                                 events,
		"SELECT uniqExact(seq) FROM weir.events":                          events,
		"SELECT toUInt64(countDistinct(_part)) FROM weir.events":          1,
		"SELECT count() FROM weir.events WHERE length(canonical) < 10000": 0,
	} {
		if got := r.count(reader, query); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}
