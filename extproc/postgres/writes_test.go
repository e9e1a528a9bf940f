package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// What is written by a statement whose rows are withheld is taken back, inside and
// outside of a transaction.
func TestWithheldRowsAreNotWritten(t *testing.T) {
	const insert = "INSERT INTO notes (body) SELECT 'w' || i FROM generate_series(1, 3) i RETURNING body"
	for _, withDial := range []bool{true, false} {
		w, server := realWorld(t, pgserver.Options{})
		if !withDial {
			w.deps.Dial = nil
		}
		w.rules = limited(gate.Limits{MaxRows: 2})
		c := dialRaw(t, w.serve(server.Addr()))
		none := func() {
			t.Helper()
			sees(t, c.ask("SELECT count(*) FROM notes"), "columns count", "row 0", "done SELECT 1", "ready I")
		}
		sees(t, c.ask(insert), "columns body", "row w1", "row w2", "ERROR 54000", "ready I")
		none()
		c.send(script(run1(insert), run1("INSERT INTO notes (body) VALUES ('behind')"), synced, run1("SELECT 5 AS five"), synced)...)
		sees(t, c.until(2), "parsed", "bound", "row w1", "row w2", "ERROR 54000", "ready I", "parsed", "bound", "row 5", "done SELECT 1", "ready I")
		none()
		c.ask("BEGIN")
		sees(t, c.ask(insert), "columns body", "row w1", "row w2", "ERROR 54000", "ready E")
		c.ask("ROLLBACK")
		none()

		// One that may deliver its rows is as ever, and its errors are.
		w.rule(limited(gate.Limits{MaxRows: 3}))
		sees(t, c.ask("INSERT INTO nosuch SELECT generate_series(1, 3) RETURNING 1"), "ERROR 42P01", "ready I")
		sees(t, c.ask(insert), "columns body", "row w1", "row w2", "row w3", "done INSERT 0 3", "ready I")
		c.send(script(bindRun("", ""), synced)...)
		sees(t, c.until(1), "ERROR 26000", "ready I")
	}
}

// A portal is one result, in however many pieces it is fetched.
func TestLimitsOfAPortal(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	w.rules = limited(gate.Limits{MaxRows: 3})
	c := dialRaw(t, w.serve(server.Addr()))
	c.ask("BEGIN")
	c.send(&pgproto3.Parse{Query: "SELECT generate_series(1, 9) AS g"}, &pgproto3.Bind{DestinationPortal: "p"},
		&pgproto3.Execute{Portal: "p", MaxRows: 2}, &pgproto3.Sync{}, &pgproto3.Execute{Portal: "p", MaxRows: 2}, &pgproto3.Sync{})
	sees(t, c.until(2), "parsed", "bound", "row 1", "row 2", "suspended", "ready T", "row 3", "ERROR 54000", "ready E")
}
