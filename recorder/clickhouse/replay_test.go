package clickhouse

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/weir-gateway/weir/internal/gate"
)

// replayed is what a session's replay gives: kinds in order, and all bytes.
func replayed(t *testing.T, reader *Reader, id string) (items []Item, kinds string, data string) {
	t.Helper()
	for item, err := range reader.Replay(t.Context(), id) {
		if err != nil {
			t.Fatal(err)
		}
		items = append(items, item)
		kinds += item.Kind + " "
		data += item.Data
	}
	return items, strings.TrimSpace(kinds), data
}

func (r *rig) payload(op, data string) {
	r.t.Helper()
	p := &gate.Payload{Session: session, Operation: op, Target: "shop", Stream: gate.ResponseStream, Data: []byte(data)}
	if err := r.recorder.Payload(r.t.Context(), p); err != nil {
		r.t.Fatal(err)
	}
}

func TestReplayPutsLargeTextsBack(t *testing.T) {
	r := newRig(t)
	_, stop := r.startSink()
	defer stop()
	text := "insert into notes values ('" + strings.Repeat("é long text ", 100_000) + "')"
	op := &gate.Operation{ID: "op", Protocol: "postgres", Action: "insert", Text: text, Risks: []string{}, SQL: &gate.SQL{Parameters: []any{strings.Repeat("p", 300_000), nil}}}
	r.record(&gate.Event{Kind: gate.OperationRequested, Session: session, Operation: "op", Target: "shop",
		Body: map[string]any{"operation": op, "input": map[string]any{"operation": op}, "decision": gate.Decision{ID: "d", Effect: gate.Allow}}})
	reader := r.reader()
	eventually(t, "it is there", func() bool {
		return r.count(reader, "SELECT count() FROM weir.operations WHERE endsWith(text, ' …')") == 1
	})
	items, _, _ := replayed(t, reader, session)
	var body struct{ Operation gate.Operation }
	if err := json.Unmarshal(items[0].Body, &body); err != nil {
		t.Fatal(err)
	}
	if body.Operation.Text != text || body.Operation.Parameters[0] != strings.Repeat("p", 300_000) {
		t.Error("the text is not what was recorded")
	}
	if len(items[0].Canonical) > 300_000 {
		t.Errorf("the event itself has %d bytes", len(items[0].Canonical))
	}
	r.exec(reader, "ALTER TABLE weir.payloads DELETE WHERE stream = 'cut' SETTINGS mutations_sync = 2")
	items, _, _ = replayed(t, reader, session)
	if err := json.Unmarshal(items[0].Body, &body); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(body.Operation.Text, "insert into notes") || !strings.Contains(body.Operation.Text, "no longer kept") {
		t.Errorf("after its retention: %.100s", body.Operation.Text)
	}
}

func TestReplayOfWhatDidNotEnd(t *testing.T) {
	r := newRig(t)
	_, stop := r.startSink()
	defer stop()
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, op := range []string{"op-1", "op-2"} {
		r.record(&gate.Event{Kind: gate.OperationRequested, Time: at, Session: session, Operation: op, Target: "shop", Body: map[string]any{}})
		r.payload(op, "half of "+op+" ")
		at = at.Add(time.Second)
	}
	reader := r.reader()
	eventually(t, "it is there", func() bool {
		return r.count(reader, "SELECT uniqExact(operation) FROM weir.payloads") == 2 && r.count(reader, "SELECT count() FROM weir.all_events") == 2
	})
	if _, kinds, data := replayed(t, reader, session); kinds != "operation.requested operation.requested payload payload" || data != "half of op-1 half of op-2 " {
		t.Errorf("it runs still: %s, %q", kinds, data)
	}
	r.record(&gate.Event{Kind: gate.SessionClosed, Time: at, Session: session, Target: "shop", Body: gate.Closing{Reason: "gone"}})
	eventually(t, "its end is there", func() bool {
		return r.count(reader, "SELECT count() FROM weir.all_events WHERE kind = 'session.closed'") == 1
	})
	if _, kinds, _ := replayed(t, reader, session); !strings.HasSuffix(kinds, "payload payload session.closed") {
		t.Errorf("it was cut off: %s", kinds)
	}
	for _, err := range reader.Replay(t.Context(), session) {
		if err != nil {
			t.Error(err)
		}
		break // who has heard enough is not told more
	}
	if items, _, _ := replayed(t, reader, "nobody"); len(items) != 0 {
		t.Errorf("nobody's session has %d items", len(items))
	}
}

func TestSessionsThatRunAreCounted(t *testing.T) {
	r := newRig(t)
	_, stop := r.startSink()
	defer stop()
	for _, id := range []string{"0190-a", "0190-b", "0190"} {
		r.record(&gate.Event{Kind: gate.SessionOpened, Session: id, Target: "shop", Subject: "agent-1", Body: map[string]any{}})
	}
	for _, d := range []gate.Decision{{ID: "1", Effect: gate.Allow}, gate.Denied("no", "no", "")} {
		r.record(&gate.Event{Kind: gate.OperationRequested, Session: "0190-a", Operation: gate.NewID(), Target: "shop", Subject: "agent-1", Body: map[string]any{"decision": d}})
	}
	reader := r.reader()
	eventually(t, "all is there", func() bool { return r.count(reader, "SELECT count() FROM weir.all_events") == 5 })
	one, err := reader.Session(t.Context(), "0190-a")
	if err != nil || one.Operations != 2 || one.Refused != 1 || one.Ended != nil {
		t.Errorf("got %+v, %v", one, err)
	}
	if one, err := reader.Session(t.Context(), "0190"); err != nil || one.Session != "0190" {
		t.Errorf("a whole id that is a prefix too: %+v, %v", one, err)
	}
	if _, err := reader.Session(t.Context(), "0190-"); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("a prefix of two: %v", err)
	}
	if list, err := reader.Sessions(t.Context(), Filter{Limit: 2}); err != nil || len(list) != 2 {
		t.Errorf("two sessions: %+v, %v", list, err)
	}
}
