package catalog

import (
	"context"
	"sync"
	"testing"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

var stackedNames = sqlmeta.Names{
	Relations: []string{"stacked", "customers", "people", "customer_names", "generated"}, Functions: []string{"leak", "lower"},
}

func holds(t *testing.T, c *Catalog, of *Snapshot) bool {
	t.Helper()
	ok, err := c.Holds(context.Background(), sqlmeta.Shadowed(of, "mine"), stackedNames)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestHolds(t *testing.T) {
	server := serve(t)
	conn := connect(t, server)
	c := open(t, server)
	for _, sql := range []string{
		`SELECT 1`, `CREATE TABLE unrelated (a int)`, `CREATE INDEX ON people (id)`, `INSERT INTO people VALUES (9, 'x'); ANALYZE people`,
		`CREATE TABLE trunk (a int); TRUNCATE trunk, generated`, `GRANT SELECT ON customers TO PUBLIC`, `CREATE TEMP TABLE customers (a int)`,
		`CREATE OR REPLACE FUNCTION unrelated() RETURNS int LANGUAGE sql AS 'SELECT 1'`,
	} {
		before := snapshot(t, c)
		do(t, conn, sql)
		if !holds(t, c, before) {
			t.Errorf("what was known does not hold after %s", sql)
		}
	}
	do(t, conn, `DISCARD TEMP`)
	for _, sql := range []string{
		`CREATE OR REPLACE VIEW customer_names AS SELECT id, card AS name FROM customers`,
		`ALTER TABLE people RENAME TO persons`, `ALTER TABLE persons RENAME TO people`,
		`ALTER TABLE customers ADD COLUMN more int`, `ALTER TABLE customers RENAME more TO other`,
		`CREATE TABLE managers () INHERITS (people)`, `ALTER TABLE managers NO INHERIT people`,
		`CREATE SCHEMA earlier`, `CREATE TABLE earlier.customers (a int)`, `DROP TABLE earlier.customers`, `ALTER SCHEMA earlier RENAME TO later`,
		`CREATE OR REPLACE FUNCTION leak(i int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT NULL::text'`,
		`CREATE FUNCTION later.lower(int) RETURNS text LANGUAGE sql AS 'SELECT NULL::text'`,
		`CREATE RULE elsewhere AS ON INSERT TO people DO INSTEAD NOTHING`,
	} {
		if err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		before := snapshot(t, c)
		do(t, conn, sql)
		if holds(t, c, before) {
			t.Errorf("what was known holds after %s", sql)
		}
		if err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !holds(t, c, snapshot(t, c)) {
			t.Errorf("what is known does not hold when it was read after %s", sql)
		}
	}
}

// A snapshot that is not the last still can be confirmed, but for one that is long gone.
func TestHoldsOfAnOlderSnapshot(t *testing.T) {
	server := serve(t)
	conn := connect(t, server)
	c := open(t, server)
	first := snapshot(t, c)
	for i, name := range []string{"a1", "a2", "a3", "a4"} {
		if want := i < keptVersions; holds(t, c, first) != want {
			t.Errorf("%d changes later: not %v", i, want)
		}
		do(t, conn, `CREATE TABLE `+name+` (a int)`)
		if err := c.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if holds(t, c, first) {
		t.Error("it is remembered for ever")
	}
}

func TestHoldsIsShared(t *testing.T) {
	server := serve(t)
	c := open(t, server)
	s := snapshot(t, c)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 20 {
				if ok, err := c.Holds(context.Background(), s, stackedNames); !ok || err != nil {
					t.Errorf("%v, %v", ok, err)
				}
			}
		})
	}
	all.Wait()
	// The connection has been cut in the meantime.
	do(t, connect(t, server), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'`)
	if !holds(t, c, s) {
		t.Error("it does not hold")
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if ok, err := c.Holds(ctx, s, stackedNames); ok || err == nil {
		t.Errorf("nobody waits for it: %v, %v", ok, err)
	}
}
