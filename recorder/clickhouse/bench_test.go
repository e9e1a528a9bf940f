package clickhouse

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/weir-gateway/weir/internal/canonical"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/spool"
)

// BenchmarkWrite is the way of events from the spool's messages into ClickHouse.
// The bar is 50,000 events a second; what the engine does meanwhile is on the
// same machine.
func BenchmarkWrite(b *testing.B) {
	r := newRig(b)
	if err := r.engine.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := (Schema{}).Migrate(b.Context(), r.engine.Options()); err != nil {
		b.Fatal(err)
	}
	reader := r.reader()
	w, err := newWriter(r.log)
	if err != nil {
		b.Fatal(err)
	}
	defer w.close()
	const each = 3_000
	written := 0
	for b.Loop() {
		b.StopTimer()
		messages := sampleMessages(b, each)
		b.StartTimer()
		if err := w.write(b.Context(), reader.conn, messages); err != nil {
			b.Fatal(err)
		}
		written += each
	}
	b.ReportMetric(float64(written)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkRead is reading the events of a piece.
func BenchmarkRead(b *testing.B) {
	w, err := newWriter(nil)
	if err != nil {
		b.Fatal(err)
	}
	defer w.close()
	const each = 3_000
	messages := sampleMessages(b, each)
	written := 0
	for b.Loop() {
		for i := range messages {
			w.read(&messages[i])
		}
		w.forget()
		written += each
	}
	b.ReportMetric(float64(written)/b.Elapsed().Seconds(), "events/s")
}

// sampleMessages are events of a common size in messages of 100.
func sampleMessages(b *testing.B, events int) []spool.Message {
	b.Helper()
	writer := uuid.New()
	var out []spool.Message
	var data []byte
	for i := range events {
		body, err := canonical.Marshal(map[string]any{
			"operation": map[string]any{"action": "select", "text": fmt.Sprintf("select id, email from customers where id = %d", i), "parameters": []string{"42"},
				"columns": []map[string]any{{"schema": "public", "table": "customers", "name": "email", "classes": []string{"pii.email"}, "use": "output"}}},
			"decision": map[string]any{"id": uuid.NewString(), "effect": "allow", "revision": "5f2c", "rules": []string{"support"}},
			"input":    map[string]any{"principal": map[string]any{"subject": "agent-1", "roles": []string{"group:support"}, "claims": map[string]any{"aud": "weir", "exp": 1764000000}}},
		})
		if err != nil {
			b.Fatal(err)
		}
		e := event.Event{ID: uuid.Must(uuid.NewV7()), Writer: writer, Seq: uint64(i + 1), Time: time.Now(), Kind: "operation.requested",
			Session: "0197c3f2-0000-7000-8000-000000000000", Operation: uuid.NewString(), Target: "orders", Subject: "agent-1", Body: body}
		data = event.AppendLine(data, e.AppendCanonical(nil))
		if i%100 == 99 {
			out = append(out, spool.Message{Lane: spool.Events, Seq: uint64(i/100 + 1), Data: data})
			data = nil
		}
	}
	return out
}
