package catalog

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gateway/weir/internal/mask"
)

// A session that asks in its transaction finds what a look finds once that has ended.
func TestWithin(t *testing.T) {
	server := serve(t)
	conn := connect(t, server)
	c := open(t, server)
	base := snapshot(t, c)
	written := func() (nothing, certain bool) {
		t.Helper()
		var answer string
		if err := conn.QueryRow(t.Context(), c.Written()).Scan(&answer); err != nil {
			t.Fatal(err)
		}
		return c.WrittenNothing(answer)
	}
	do(t, conn, `BEGIN`)
	if nothing, certain := written(); !nothing || !certain {
		t.Error("something is said to have been written", nothing, certain)
	}
	do(t, conn, `CREATE SCHEMA "odd ""one"; CREATE TABLE "odd ""one".t (a int, "ä" numeric(4, 2)[], b text GENERATED ALWAYS AS ('x') STORED);
		CREATE VIEW "odd ""one".v AS SELECT a FROM "odd ""one".t; CREATE DOMAIN positive AS int CHECK (VALUE > 0);
		CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM 1; RETURN NEW; END';
		CREATE TRIGGER noted BEFORE INSERT ON "odd ""one".t FOR EACH ROW EXECUTE FUNCTION noted();
		CREATE FUNCTION two(OUT a int, OUT b text) LANGUAGE sql AS 'SELECT 1, NULL::text';
		CREATE OPERATOR ### (FUNCTION = int4pl, LEFTARG = int, RIGHTARG = int); ALTER TABLE customers ADD more int; DROP VIEW IF EXISTS stacked`)
	if nothing, certain := written(); nothing || !certain {
		t.Error("nothing is said to have been written", nothing, certain)
	}
	do(t, conn, `SAVEPOINT a`)
	var rows []string
	for _, text := range c.Own() {
		got, err := conn.Query(t.Context(), text)
		if err != nil {
			t.Fatal(err)
		}
		for got.Next() {
			var b []byte
			if err := got.Scan(&b); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, string(b))
		}
		if err := got.Err(); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	do(t, conn, `ROLLBACK TO a`)
	within, err := c.Within(base, rows)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := c.Holds(t.Context(), within, stackedNames); !ok || err != nil {
		t.Errorf("what everybody sees has not changed, and does not hold: %v", err)
	}
	do(t, conn, `COMMIT`)
	if err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	after, own := snapshot(t, c), within.(*Snapshot)
	if d := cmp.Diff(after.byOID, own.byOID); d != "" {
		t.Errorf("relations (-after +within):\n%s", d)
	}
	if d := cmp.Diff(after.routines, own.routines, cmp.AllowUnexported(name{})); d != "" {
		t.Errorf("functions:\n%s", d)
	}
	if d := cmp.Diff(after.functions, own.functions); d != "" {
		t.Errorf("functions by OID:\n%s", d)
	}
	if d := cmp.Diff(after.types, own.types, cmp.AllowUnexported(mask.Type{})); d != "" {
		t.Errorf("types:\n%s", d)
	}
	if len(after.byName) != len(own.byName) || len(after.byType) != len(own.byType) || after.user != own.user {
		t.Error("names, types or the user are not the same")
	}
	if ok, _ := c.Holds(t.Context(), within, stackedNames); ok {
		t.Error("what has been committed meanwhile is not noticed")
	}
	do(t, conn, `BEGIN ISOLATION LEVEL REPEATABLE READ`)
	if _, certain := written(); certain {
		t.Error("a snapshot of old is relied upon")
	}
}
