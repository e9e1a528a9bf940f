package postgres

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

func limited(l gate.Limits) rules {
	return func(in *gate.Input) gate.Decision {
		d := gate.Decision{Effect: gate.Allow}
		if in.Operation != nil && strings.Contains(in.Operation.Text, "generate_series") || in.Operation != nil && strings.Contains(in.Operation.Text, "pg_sleep") {
			d.Limits = l
		}
		return d
	}
}

func TestLimits(t *testing.T) {
	for _, withDial := range []bool{true, false} {
		w, server := realWorld(t, pgserver.Options{})
		defer w.tellLog()
		if !withDial {
			w.deps.Dial = nil
		}
		w.rules = limited(gate.Limits{MaxRows: 2, Timeout: time.Minute})
		c := dialRaw(t, w.serve(server.Addr()))
		sees(t, c.ask("SELECT generate_series(1, 2) AS i"), "columns i", "row 1", "row 2", "done SELECT 2", "ready I")
		sees(t, c.ask("SELECT generate_series(1, 100000) AS i"), "columns i", "row 1", "row 2", "ERROR 54000", "ready I")
		sees(t, c.ask("SELECT 1 AS a"), "columns a", "row 1", "done SELECT 1", "ready I")
		// The transaction fails, whether or not the server could be stopped in time.
		c.ask("BEGIN")
		sees(t, c.ask("SELECT generate_series(1, 3) AS i"), "columns i", "row 1", "row 2", "ERROR 54000", "ready E")
		sees(t, c.ask("SELECT 1"), "ERROR 25P02", "ready E")
		sees(t, c.ask("ROLLBACK"), "done ROLLBACK", "ready I")
		c.ask("BEGIN")
		c.send(script(run1("SELECT generate_series(1, 3) AS i"), run1("SELECT 5"), synced)...)
		sees(t, c.until(1), "parsed", "bound", "row 1", "row 2", "ERROR 54000", "ready E")
		sees(t, c.ask("ROLLBACK"), "done ROLLBACK", "ready I")
		w.rule(limited(gate.Limits{MaxBytes: 100}))
		got := c.ask("SELECT generate_series(1, 1000) AS i")
		if n := len(got); n < 4 || n > 12 || got[n-2] != "ERROR 54000" {
			t.Errorf("max_bytes: %q", got)
		}
	}
}

func TestTimeout(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	w.rules = limited(gate.Limits{Timeout: 50 * time.Millisecond})
	c := dialRaw(t, w.serve(server.Addr()))
	c.send(&pgproto3.Query{String: "SELECT pg_sleep(30)"})
	got := c.until(1)
	sees(t, got[len(got)-2:], "ERROR 57014", "ready I")
	sees(t, c.ask("SELECT 1 AS a"), "columns a", "row 1", "done SELECT 1", "ready I")
	outcomes := w.ledger.outcomes()
	if o := outcomes[0]; o.Status != "refused" || o.Code != "57014" {
		t.Errorf("recorded %+v", o)
	}
}

func TestCancel(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	address := w.serve(server.Addr())
	conn := connect(t, dsn(address))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(ctx, "SELECT pg_sleep(60)")
		ended <- err
	}()
	awaitActive(t, server, "SELECT pg_sleep(60)")
	cancel()
	if err := <-ended; err == nil {
		t.Error("the statement was not cancelled")
	}

	c := dialRaw(t, address)
	other := dialRaw(t, address)
	c.send(&pgproto3.Query{String: "SELECT pg_sleep(60) AS s"})
	awaitActive(t, server, "SELECT pg_sleep(60) AS s")
	request(t, address, &pgproto3.CancelRequest{ProcessID: c.pid, SecretKey: other.key}) // a wrong key does nothing
	request(t, address, &pgproto3.CancelRequest{ProcessID: c.pid, SecretKey: c.key})
	got := c.until(1)
	sees(t, got[len(got)-2:], "ERROR 57014", "ready I")
}

// awaitActive waits until the server carries out a statement: it ignores a cancel
// request that comes before.
func awaitActive(t *testing.T, server *pgserver.Server, sql string) {
	t.Helper()
	conn, err := server.Connect(context.Background(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	waitFor(t, func() bool {
		var n int
		err := conn.QueryRow(context.Background(), "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query = $1", sql).Scan(&n)
		return err == nil && n > 0
	})
}

// request sends a cancel request and waits until the gateway has done with it.
func request(t *testing.T, address string, r *pgproto3.CancelRequest) {
	t.Helper()
	conn := dial(t, address)
	raw, err := r.Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(raw); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
		t.Error("a cancel request was answered")
	}
}

func TestCopy(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	w.rules = noDelete
	address := w.serve(server.Addr())
	c := dialRaw(t, address)
	defer w.tellLog()
	data := func(s string) *pgproto3.CopyData { return &pgproto3.CopyData{Data: []byte(s)} }

	c.send(&pgproto3.Query{String: "COPY notes (body) FROM STDIN"})
	sees(t, []string{describeMessage(c.receive())}, "copy in")
	c.send(data("one\n"), data("two\n"), &pgproto3.CopyDone{})
	sees(t, c.until(1), "done COPY 2", "ready I")
	if sent := w.ledger.stream(gate.RequestStream); !strings.Contains(string(sent), "one\n") {
		t.Error("what was copied in is not recorded")
	}

	// As libpq does it: Sync right behind Execute, which the server ignores.
	c.send(script(run1("COPY notes (body) FROM STDIN"), synced)...)
	for _, expected := range []string{"parsed", "bound", "copy in"} {
		sees(t, []string{describeMessage(c.receive())}, expected)
	}
	c.send(data("three\n"), &pgproto3.CopyDone{}, &pgproto3.Sync{})
	sees(t, c.until(1), "done COPY 1", "ready I")

	// All blindly in one write, and a refused statement behind.
	c.send(script(run1("COPY notes (body) FROM STDIN"), []pgproto3.FrontendMessage{data("four\n"), &pgproto3.CopyDone{}}, run1("DELETE FROM notes"), synced)...)
	sees(t, c.until(1), "parsed", "bound", "copy in", "done COPY 1", "ERROR 42501", "ready I")
	sees(t, c.ask("SELECT count(*) FROM notes"), "columns count", "row 3", "done SELECT 1", "ready I")

	c.send(&pgproto3.Query{String: "COPY notes (body) FROM STDIN"}, data("five\n"), &pgproto3.CopyFail{Message: "changed my mind"}, &pgproto3.Query{String: "SELECT 1 AS a"})
	sees(t, c.until(2), "copy in", "ERROR 57014", "ready I", "columns a", "row 1", "done SELECT 1", "ready I")

	c.send(&pgproto3.Query{String: "COPY notes FROM STDIN"}, data("not a number\tx\n"), data("more\n"), &pgproto3.CopyDone{}, &pgproto3.Query{String: "SELECT 1 AS a"})
	sees(t, c.until(2), "copy in", "ERROR 22P02", "ready I", "columns a", "row 1", "done SELECT 1", "ready I")

	c.send(script(run1("COPY nosuch FROM STDIN"), synced, []pgproto3.FrontendMessage{data("x\n"), &pgproto3.CopyDone{}, &pgproto3.Sync{}})...)
	sees(t, c.until(2), "parsed", "bound", "ERROR 42P01", "ready I", "ready I")

	sees(t, c.ask("COPY (SELECT body FROM notes ORDER BY id) TO STDOUT"), "copy out", "data one", "data two", "data three", "copy done", "done COPY 3", "ready I")
	sees(t, c.ask("COPY (SELECT 1) TO STDOUT; SELECT 2 AS b"), "copy out", "data 1", "copy done", "done COPY 1", "columns b", "row 2", "done SELECT 1", "ready I")

	c.send(&pgproto3.Query{String: "COPY notes (body) FROM STDIN"}, &pgproto3.Query{String: "SELECT 1"})
	sees(t, []string{describeMessage(c.receive()), describeMessage(c.receive())}, "copy in", "FATAL 08P01")
}

func TestLargeValues(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	w.cfg.MaxMessage = 1 << 20
	w.cfg.MaxStatement = 1 << 19
	address := w.serve(server.Addr())
	c := dialRaw(t, address)
	got := c.ask("SELECT repeat('x', 3000000) AS v")
	if len(got) != 4 || len(got[1]) != len("row ")+3000000 {
		t.Fatalf("a large row: %d messages", len(got))
	}
	sees(t, c.ask("SELECT '"+strings.Repeat("y", 1<<19)+"'"), "ERROR 54001", "ready I")
	sees(t, c.ask("SELECT '"+strings.Repeat("y", 2<<20)+"'"), "ERROR 54000", "ready I")
	c.send(script(run1("SELECT length($1) AS n", strings.Repeat("z", 500_000)), synced)...)
	sees(t, c.until(1), "parsed", "bound", "row 500000", "done SELECT 1", "ready I")
	c.send(script(run1("SELECT length($1) AS n", strings.Repeat("z", 2<<20)), run1("SELECT 1"), synced)...)
	sees(t, c.until(1), "ERROR 54000", "ready I")
	c.send(&pgproto3.Query{String: "COPY notes (body) FROM STDIN"}, &pgproto3.CopyData{Data: []byte(strings.Repeat("w", 3<<20) + "\n")}, &pgproto3.CopyDone{})
	sees(t, c.until(1), "copy in", "done COPY 1", "ready I")
	sees(t, c.ask("SELECT length(body) FROM notes"), "columns length", "row 3145728", "done SELECT 1", "ready I")
}
