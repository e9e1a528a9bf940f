package postgres

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// noDelete refuses every statement that deletes.
func noDelete(in *gate.Input) gate.Decision {
	if in.Operation != nil {
		for _, st := range in.Operation.Statements {
			if st.Action == "delete" || st.Action == "prepare" && strings.Contains(st.Text, "DELETE") {
				return gate.Denied("no_delete", "rows are not deleted here", "UPDATE them instead.")
			}
		}
	}
	return gate.Decision{Effect: gate.Allow}
}

func sees(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the client saw (-want +got):\n%s", diff)
	}
}

// texts are the texts that were judged, in order.
func (l *ledger) texts() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []string
	for _, e := range l.events {
		if e.Kind == gate.OperationRequested {
			out = append(out, operationOf(&e).Text)
		}
	}
	return out
}

func TestRefusals(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	w.rules = noDelete
	address := w.serve(server.Addr())

	t.Run("alone", func(t *testing.T) {
		c := dialRaw(t, address)
		sees(t, c.ask("DELETE FROM notes"), "ERROR 42501", "ready I")
		sees(t, c.ask("SELECT 1 AS a"), "columns a", "row 1", "done SELECT 1", "ready I")
	})
	t.Run("in words", func(t *testing.T) {
		c := dialRaw(t, address)
		c.send(&pgproto3.Query{String: "DELETE FROM notes"})
		e, ok := c.receive().(*pgproto3.ErrorResponse)
		if !ok || !strings.Contains(e.Message, "no_delete") || e.Hint != "UPDATE them instead." || !strings.HasPrefix(e.Detail, "decision ") {
			t.Errorf("got %+v", e)
		}
	})
	t.Run("whole", func(t *testing.T) {
		c := dialRaw(t, address)
		sees(t, c.ask("INSERT INTO notes (body) VALUES ('whole'); DELETE FROM notes"), "ERROR 42501", "ready I")
		sees(t, c.ask("SELECT count(*) FROM notes WHERE body = 'whole'"), "columns count", "row 0", "done SELECT 1", "ready I")
	})
	t.Run("in a transaction", func(t *testing.T) {
		c := dialRaw(t, address)
		sees(t, c.ask("BEGIN"), "done BEGIN", "ready T")
		sees(t, c.ask("INSERT INTO notes (body) VALUES ('tx')"), "done INSERT 0 1", "ready T")
		sees(t, c.ask("DELETE FROM notes"), "ERROR 42501", "ready E")
		// From here on the server says what it says of any statement.
		sees(t, c.ask("SELECT 1"), "ERROR 25P02", "ready E")
		sees(t, c.ask("DELETE FROM notes"), "ERROR 25P02", "ready E")
		c.send(script(run1("DELETE FROM notes"), synced)...)
		sees(t, c.until(1), "ERROR 25P02", "ready E")
		c.send(script(bindRun("nosuch", ""), synced)...)
		sees(t, c.until(1), "ERROR 26000", "ready E")
		sees(t, c.ask("COMMIT"), "done ROLLBACK", "ready I")
		sees(t, c.ask("SELECT count(*) FROM notes WHERE body = 'tx'"), "columns count", "row 0", "done SELECT 1", "ready I")
	})
	t.Run("in a transaction, extended", func(t *testing.T) {
		c := dialRaw(t, address)
		sees(t, c.ask("BEGIN"), "done BEGIN", "ready T")
		c.send(script(run1("DELETE FROM notes"), synced)...)
		sees(t, c.until(1), "ERROR 42501", "ready E")
		sees(t, c.ask("ROLLBACK"), "done ROLLBACK", "ready I")
	})
	t.Run("savepoint", func(t *testing.T) {
		c := dialRaw(t, address)
		c.ask("BEGIN")
		c.ask("INSERT INTO notes (body) VALUES ('kept')")
		sees(t, c.ask("SAVEPOINT s"), "done SAVEPOINT", "ready T")
		sees(t, c.ask("DELETE FROM notes"), "ERROR 42501", "ready E")
		sees(t, c.ask("ROLLBACK TO s"), "done ROLLBACK", "ready T")
		sees(t, c.ask("SELECT count(*) FROM notes WHERE body = 'kept'"), "columns count", "row 1", "done SELECT 1", "ready T")
		sees(t, c.ask("ROLLBACK"), "done ROLLBACK", "ready I")
	})
	t.Run("first of a pipeline", func(t *testing.T) {
		c := dialRaw(t, address)
		c.send(script(run1("DELETE FROM notes"), run1("INSERT INTO notes (body) VALUES ('p1')"), synced)...)
		sees(t, c.until(1), "ERROR 42501", "ready I")
		sees(t, c.ask("SELECT count(*) FROM notes WHERE body = 'p1'"), "columns count", "row 0", "done SELECT 1", "ready I")
	})
	t.Run("within a pipeline", func(t *testing.T) {
		c := dialRaw(t, address)
		c.send(script(
			run1("INSERT INTO notes (body) VALUES ($1)", "p2"), run1("DELETE FROM notes"),
			run1("INSERT INTO notes (body) VALUES ('p2')"), synced, run1("SELECT 7 AS seven"), synced)...)
		sees(t, c.until(2),
			"parsed", "bound", "done INSERT 0 1", "ERROR 42501", "ready I",
			"parsed", "bound", "row 7", "done SELECT 1", "ready I")
		sees(t, c.ask("SELECT count(*) FROM notes WHERE body = 'p2'"), "columns count", "row 0", "done SELECT 1", "ready I")
	})
	t.Run("behind an error of the server's", func(t *testing.T) {
		c := dialRaw(t, address)
		c.send(script(run1("SELECT 1/(random()*0)::int"), run1("DELETE FROM notes"), synced)...)
		sees(t, c.until(1), "parsed", "bound", "ERROR 22012", "ready I")
	})
	t.Run("when it is only prepared", func(t *testing.T) {
		c := dialRaw(t, address)
		c.send(&pgproto3.Parse{Name: "d", Query: "DELETE FROM notes"}, &pgproto3.Describe{ObjectType: 'S', Name: "d"}, &pgproto3.Sync{})
		sees(t, c.until(1), "ERROR 42501", "ready I")
		c.send(script(bindRun("d", ""), synced)...)
		sees(t, c.until(1), "ERROR 26000", "ready I")
	})
	t.Run("when it is only bound", func(t *testing.T) {
		c := dialRaw(t, address)
		c.send(&pgproto3.Parse{Query: "DELETE FROM notes"}, &pgproto3.Bind{}, &pgproto3.Sync{})
		sees(t, c.until(1), "ERROR 42501", "ready I")
	})
	t.Run("with Flush", func(t *testing.T) {
		c := dialRaw(t, address)
		c.send(script(run1("SELECT 1 AS a"), []pgproto3.FrontendMessage{&pgproto3.Flush{}})...)
		for _, expected := range []string{"parsed", "bound", "row 1", "done SELECT 1"} {
			sees(t, []string{describeMessage(c.receive())}, expected)
		}
		c.send(script(run1("DELETE FROM notes"), []pgproto3.FrontendMessage{&pgproto3.Flush{}})...)
		sees(t, []string{describeMessage(c.receive())}, "ERROR 42501")
		c.send(script(run1("INSERT INTO notes (body) VALUES ('f')"), synced)...)
		sees(t, c.until(1), "ready I")
	})
	t.Run("in a failed transaction that is not known yet", func(t *testing.T) {
		c := dialRaw(t, address)
		c.send(script([]pgproto3.FrontendMessage{&pgproto3.Query{String: "BEGIN"}, &pgproto3.Query{String: "SELECT 1/0"}},
			run1("DELETE FROM notes"), synced, []pgproto3.FrontendMessage{
				&pgproto3.Query{String: "DELETE FROM notes"}, &pgproto3.Query{String: "ROLLBACK"}, &pgproto3.Query{String: "DELETE FROM notes"},
			})...)
		sees(t, c.until(6), "done BEGIN", "ready T", "ERROR 22012", "ready E", "ERROR 25P02", "ready E", "ERROR 25P02", "ready E",
			"done ROLLBACK", "ready I", "ERROR 42501", "ready I")
	})
	t.Run("unknown message", func(t *testing.T) {
		c := dialRaw(t, address)
		if _, err := c.conn.Write([]byte{'y', 0, 0, 0, 4}); err != nil {
			t.Fatal(err)
		}
		sees(t, []string{describeMessage(c.receive())}, "FATAL 08P01")
	})
	if got := w.ledger.texts(); slices.Contains(got, "INSERT INTO notes (body) VALUES ('p1')") || slices.Contains(got, "INSERT INTO notes (body) VALUES ('f')") {
		t.Error("a statement behind a refused one was judged, so it might have been forwarded")
	}
	if log := server.Log(); strings.Contains(log, "DELETE FROM notes") {
		t.Error("the server has seen a refused statement")
	}
}

// What a name stands for must be what the server executes, however the client
// tries to make the two differ.
func TestNamesCannotBeSwapped(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	w.rules = noDelete
	address := w.serve(server.Addr())
	const mark = "SELECT 'old'"
	parseOld := []pgproto3.FrontendMessage{&pgproto3.Parse{Name: "x", Query: mark}}
	for name, attack := range map[string][]pgproto3.FrontendMessage{
		"parse again":                 script(parseOld, synced, runNamed("x", "", "SELECT 'new'"), synced, bindRun("x", ""), synced),
		"parse again behind an error": script(parseOld, synced, run1("SELECT 1/0"), []pgproto3.FrontendMessage{&pgproto3.Close{ObjectType: 'S', Name: "x"}, &pgproto3.Parse{Name: "x", Query: "SELECT 'new'"}}, synced, bindRun("x", ""), synced),
		"close behind an error":       script(parseOld, synced, run1("SELECT 1/0"), []pgproto3.FrontendMessage{&pgproto3.Close{ObjectType: 'S', Name: "x"}}, synced, runNamed("x", "", "SELECT 'new'"), synced, bindRun("x", ""), synced),
		"prepare behind an error":     script(parseOld, synced, []pgproto3.FrontendMessage{&pgproto3.Query{String: "SELECT 1/0; DEALLOCATE x; PREPARE x AS SELECT 'new'"}}, bindRun("x", ""), synced),
		"failed deallocate":           script(parseOld, synced, []pgproto3.FrontendMessage{&pgproto3.Query{String: "DEALLOCATE nosuch; DEALLOCATE x"}, &pgproto3.Query{String: "PREPARE x AS SELECT 'new'"}}, bindRun("x", ""), synced),
	} {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, address)
			c.send(attack...)
			syncs := 0
			for _, m := range attack {
				switch m.(type) {
				case *pgproto3.Sync, *pgproto3.Query:
					syncs++
				}
			}
			got := c.until(syncs)
			if !slices.Contains(got, "row old") || slices.Contains(got, "row new") {
				t.Fatalf("the attack does not do what it should: %q", got)
			}
			texts := w.ledger.texts()
			if last := texts[len(texts)-1]; last != mark {
				t.Errorf("%q was judged, and %q was executed", last, mark)
			}
		})
	}
}

func TestPolicyChangesBetweenParseAndExecute(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	conn := connect(t, dsn(w.serve(server.Addr())))
	ctx := context.Background()
	if _, err := conn.Prepare(ctx, "d", "DELETE FROM notes WHERE id = $1"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(ctx, "d", 1); err != nil {
		t.Fatal(err)
	}
	w.rule(noDelete)
	if _, err := conn.Exec(ctx, "d", 1); err == nil || !strings.Contains(err.Error(), "42501") {
		t.Errorf("executed under the new policy: %v", err)
	}
	if _, err := conn.Exec(ctx, "SELECT 1", pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Error(err)
	}
}
