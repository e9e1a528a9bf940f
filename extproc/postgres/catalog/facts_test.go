package catalog

import (
	"context"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// What an operator says of functions counts for those of that signature, or of that
// name; of a name with several signatures only what all of them say.
func TestFacts(t *testing.T) {
	server := serve(t)
	do(t, connect(t, server), `
		CREATE FUNCTION fn.told(i int, n numeric) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN i; END';
		CREATE FUNCTION fn.half(i int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN i; END';
		CREATE FUNCTION fn.half(t text) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';
		CREATE FUNCTION fn.reads(i int) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT name FROM public.customers); END';
		CREATE AGGREGATE fn.joined (text) (SFUNC = textcat, STYPE = text)`)
	c, err := New(Config{
		Dial: func(ctx context.Context) (*pgx.Conn, error) { return server.Connect(ctx, "postgres") },
		Functions: map[string]*sqlmeta.Facts{
			"fn.told(integer,numeric)": {},
			"fn.half(integer)":         {},
			"fn.joined":                {},
			"fn.reads":                 {Reads: []sqlmeta.ColumnRef{{Schema: "public", Table: "customers", Column: "name"}}},
		},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	a, s := newAnalyzer(t), snapshot(t, c)
	for _, q := range []struct {
		sql     string
		opaque  bool
		sources int
	}{
		{"SELECT fn.told(1, 2)", false, 0},
		{"SELECT fn.told(id, 2) FROM customers", false, 1},
		{"SELECT fn.half(1)", true, 0},
		{"SELECT fn.reads(id) FROM customers", false, 2},
		{"SELECT fn.joined(ssn) FROM customers", false, 1},
		{"SELECT fn.procedural(1)", true, 0},
	} {
		an, err := a.Analyze(context.Background(), q.sql, s, []string{"public"})
		if err != nil {
			t.Fatal(err)
		}
		o := an.Statements[0].Outputs[0]
		if o.Opaque != q.opaque || len(o.Sources) != q.sources || o.Direct {
			t.Errorf("%s: %+v", q.sql, o)
		}
		an, err = a.Analyze(context.Background(), q.sql, sqlmeta.Bodiless(s), []string{"public"})
		if err != nil || !an.Statements[0].Opaque {
			t.Errorf("%s: believed while functions may change: %+v, %v", q.sql, an, err)
		}
	}
	if open := snapshot(t, open(t, server)); open.Revision() == s.Revision() {
		t.Error("what is said of functions does not count for the revision")
	}
}

// The body of a function about a locked table is not known, and nothing waits for it.
func TestLockedBodies(t *testing.T) {
	server := serve(t)
	conn := connect(t, server)
	do(t, conn, `BEGIN; ALTER TABLE customers ADD COLUMN extra int`)
	c := open(t, server)
	s := snapshot(t, c)
	body := func(s *Snapshot) string { return s.Routines(nil, "fn", "atomic")[0].Body }
	if b := body(s); b != "" {
		t.Errorf("read from a locked table: %q", b)
	}
	do(t, conn, `ROLLBACK`)
	if err := c.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	if b := body(snapshot(t, c)); b == "" {
		t.Error("it is not read again")
	}
}
