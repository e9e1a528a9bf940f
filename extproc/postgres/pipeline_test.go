package postgres

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
)

// Thousands of statements go before one Sync, and what is refused among them undoes
// all of them.
func TestPipelineOfThousands(t *testing.T) {
	const many = 3000
	w, server := realWorld(t, pgserver.Options{})
	w.rules = noDelete
	c := dialRaw(t, w.serve(server.Addr()))
	pipeline := func(last ...pgproto3.FrontendMessage) []string {
		t.Helper()
		messages := []pgproto3.FrontendMessage{&pgproto3.Parse{Name: "i", Query: "INSERT INTO notes (body) VALUES ($1)"}}
		for i := range many {
			messages = append(messages, bindRun("i", "", fmt.Sprint(i))...)
		}
		sent := make(chan struct{})
		go func() { // a client that only writes would wait for ever, as it would without the gateway
			defer close(sent)
			raw := encodeAll(append(append(messages, last...), &pgproto3.Sync{}))
			_, _ = c.conn.Write(raw)
		}()
		got := c.until(1)
		<-sent
		return got
	}
	got := pipeline(run1("DELETE FROM notes")...)
	if n := len(got); n != 1+2*many+2 {
		t.Errorf("%d messages came", n)
	}
	sees(t, got[len(got)-3:], "done INSERT 0 1", "ERROR 42501", "ready I")
	sees(t, c.ask("SELECT count(*) FROM notes"), "columns count", "row 0", "done SELECT 1", "ready I")
	c.ask("DEALLOCATE ALL")
	if got := pipeline(); len(got) != 1+2*many+1 {
		t.Errorf("%d messages came", len(got))
	}
	sees(t, c.ask("SELECT count(*) FROM notes"), "columns count", fmt.Sprintf("row %d", many), "done SELECT 1", "ready I")
}

// libpq sends a Flush behind the Sync of a pipeline. Nothing has begun with it, so the
// gateway goes on to ask the server where names lead now.
func TestFlushBehindSync(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	c := dialRaw(t, w.serve(server.Addr()))
	c.send(script(run1("SELECT 1 AS a"), synced, []pgproto3.FrontendMessage{&pgproto3.Flush{}})...)
	sees(t, c.until(1), "parsed", "bound", "row 1", "done SELECT 1", "ready I")
	sees(t, c.ask("SET search_path TO public"), "done SET", "ready I")
	sees(t, c.ask("SELECT 'é' AS e"), "columns e", "row é", "done SELECT 1", "ready I")
}

// What the server says of its own accord reaches an idle client at once.
func TestMessagesAtAnyTime(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	address := w.serve(server.Addr())
	listener, notifier := dialRaw(t, address), dialRaw(t, address)
	listener.ask("LISTEN news")
	notifier.ask("NOTIFY news, 'read all about it'")
	n, ok := listener.receive().(*pgproto3.NotificationResponse)
	if !ok || n.Channel != "news" || n.Payload != "read all about it" || n.PID != notifier.pid {
		t.Errorf("got %+v, from %d", n, notifier.pid)
	}
	// The message belongs to no operation, and the next answers are in order.
	sees(t, listener.ask("SELECT 1 AS a"), "columns a", "row 1", "done SELECT 1", "ready I")
	if err := server.Exec(t.Context(), "postgres", fmt.Sprintf("SELECT pg_terminate_backend(%d)", listener.pid)); err != nil {
		t.Fatal(err)
	}
	sees(t, []string{describeMessage(listener.receive())}, "FATAL 57P01")
	for _, o := range w.ledger.outcomes() {
		if o.Status != "ok" {
			t.Errorf("recorded %+v", o)
		}
	}
}
