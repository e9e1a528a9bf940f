package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// Somebody who does not pass this gateway changes what a statement's names lead to: after
// it was judged and before the server looks at it. Where he can, he changes it back before
// the gateway asks again.

// conspiracy runs statements at moments that the session does not know of.
type conspiracy struct {
	t     *testing.T
	admin *pgx.Conn
	look  func(context.Context) error // has the gateway read its catalog

	mu     sync.Mutex
	text   string   // the statement whose judging is waited for; "" for none
	change []string // run when it was judged
	back   []string // run when the gateway asks whether its catalog holds
	locked bool     // it could not be changed back
}

// run runs statements without waiting for what the victim has locked.
func (c *conspiracy) run(statements []string) error {
	if len(statements) == 0 {
		return nil
	}
	ctx := context.Background()
	if err := c.exec(ctx, "BEGIN; SET LOCAL lock_timeout = '10ms'; "+strings.Join(statements, "; ")+"; COMMIT"); err != nil {
		return errors.Join(err, c.exec(ctx, "ROLLBACK"))
	}
	return nil
}

func (c *conspiracy) exec(ctx context.Context, sql string) error {
	return c.admin.PgConn().Exec(ctx, sql).Close()
}

func (c *conspiracy) judged(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.text == "" || text != c.text {
		return
	}
	c.text = ""
	if err := c.run(c.change); err != nil {
		c.t.Errorf("changing: %v", err)
	}
}

func (c *conspiracy) asked() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.text == "" && c.back != nil {
		c.locked = c.run(c.back) != nil
		c.back = nil
	}
}

// conspiring is a catalog whose answers come late.
type conspiring struct {
	Catalog
	with *conspiracy
}

func (c conspiring) Holds(ctx context.Context, of sqlmeta.Catalog, n sqlmeta.Names) (bool, error) {
	c.with.asked()
	return c.Catalog.Holds(ctx, of, n)
}

// conspire makes a world in which a statement's meaning changes.
func conspire(t *testing.T) (*world, string, *conspiracy) {
	w, server := realWorld(t, pgserver.Options{})
	c := &conspiracy{t: t, admin: connect(t, server.DSN("shop"))}
	catalogs := w.deps.Catalog
	w.deps.Catalog = func(database string) (Catalog, error) {
		have, err := catalogs(database)
		c.look = have.Refresh
		return conspiring{have, c}, err
	}
	w.classify(shopClasses)
	w.rules = func(in *gate.Input) gate.Decision {
		if in.Operation != nil {
			c.judged(in.Operation.Text)
		}
		return maskPII(in)
	}
	return w, w.serve(server.Addr()), c
}

// schemes are what is done, each in a schema of its own, "@" here. The statement reads
// what it may, and after the change what is masked.
var schemes = []struct {
	name, setup, change, back, sql string

	everyWay bool // it is tried with each of ways
}{
	{name: "a view is redefined", everyWay: true,
		setup:  "CREATE VIEW @.v AS SELECT id, name AS s FROM public.customers",
		change: "CREATE OR REPLACE VIEW @.v AS SELECT id, ssn AS s FROM public.customers",
		back:   "CREATE OR REPLACE VIEW @.v AS SELECT id, name AS s FROM public.customers",
		sql:    "SELECT upper(s) FROM @.v WHERE id = 1"},
	{name: "a view is redefined, and read as it is",
		setup:  "CREATE VIEW @.v AS SELECT id, name AS s FROM public.customers",
		change: "CREATE OR REPLACE VIEW @.v AS SELECT id, ssn AS s FROM public.customers",
		back:   "CREATE OR REPLACE VIEW @.v AS SELECT id, name AS s FROM public.customers",
		sql:    "SELECT s FROM @.v WHERE id = 1"},
	{name: "a view under a view is redefined",
		setup:  "CREATE VIEW @.u AS SELECT id, name AS s FROM public.customers; CREATE VIEW @.v AS SELECT id, lower(s) AS s FROM @.u",
		change: "CREATE OR REPLACE VIEW @.u AS SELECT id, ssn AS s FROM public.customers",
		back:   "CREATE OR REPLACE VIEW @.u AS SELECT id, name AS s FROM public.customers",
		sql:    "SELECT upper(s) FROM @.v WHERE id = 1"},
	{name: "columns change names",
		setup:  "CREATE VIEW @.v AS SELECT id, name, ssn AS other FROM public.customers",
		change: "ALTER VIEW @.v RENAME name TO x; ALTER VIEW @.v RENAME other TO name",
		back:   "ALTER VIEW @.v RENAME name TO other; ALTER VIEW @.v RENAME x TO name",
		sql:    "SELECT upper(name) FROM @.v WHERE id = 1"},
	{name: "relations change names",
		setup:  "CREATE VIEW @.v AS SELECT id, name AS s FROM public.customers; CREATE VIEW @.w AS SELECT id, ssn AS s FROM public.customers",
		change: "ALTER VIEW @.v RENAME TO x; ALTER VIEW @.w RENAME TO v",
		back:   "ALTER VIEW @.v RENAME TO w; ALTER VIEW @.x RENAME TO v",
		sql:    "SELECT upper(s) FROM @.v WHERE id = 1"},
	{name: "a relation is dropped and another made",
		setup:  "CREATE TABLE @.v AS SELECT id, name AS s FROM public.customers",
		change: "DROP TABLE @.v; CREATE VIEW @.v AS SELECT id, ssn AS s FROM public.customers; GRANT ALL ON @.v TO weir_orders",
		back:   "DROP VIEW @.v; CREATE TABLE @.v AS SELECT id, name AS s FROM public.customers",
		sql:    "SELECT upper(s) FROM @.v WHERE id = 1"},
	{name: "a relation earlier in the search path", everyWay: true,
		setup:  "CREATE TABLE @_.v AS SELECT id, name AS s FROM public.customers",
		change: "CREATE VIEW @.v AS SELECT id, ssn AS s FROM public.customers; GRANT ALL ON @.v TO weir_orders",
		back:   "DROP VIEW @.v",
		sql:    "SELECT upper(s) FROM v WHERE id = 1"},
	{name: "a schema changes its name",
		setup:  "CREATE TABLE @_.v AS SELECT id, name AS s FROM public.customers; CREATE SCHEMA @__; CREATE VIEW @__.v AS SELECT id, ssn AS s FROM public.customers; GRANT USAGE ON SCHEMA @__ TO weir_orders; GRANT ALL ON @__.v TO weir_orders",
		change: "ALTER SCHEMA @ RENAME TO @___; ALTER SCHEMA @__ RENAME TO @",
		back:   "ALTER SCHEMA @ RENAME TO @__; ALTER SCHEMA @___ RENAME TO @",
		sql:    "SELECT upper(s) FROM v WHERE id = 1"},
	{name: "a table inherits",
		setup:  "CREATE TABLE @.v (id int, s text); CREATE TABLE @.c AS SELECT id, ssn AS s FROM public.customers",
		change: "ALTER TABLE @.c INHERIT @.v",
		back:   "ALTER TABLE @.c NO INHERIT @.v",
		sql:    "SELECT upper(s) FROM @.v WHERE id = 1"},
	{name: "a partition is attached",
		setup:  "CREATE TABLE @.v (id int, s text) PARTITION BY LIST (id); CREATE TABLE @.c AS SELECT id, ssn AS s FROM public.customers WHERE id = 1",
		change: "ALTER TABLE @.v ATTACH PARTITION @.c FOR VALUES IN (1)",
		back:   "ALTER TABLE @.v DETACH PARTITION @.c",
		sql:    "SELECT s FROM @.v WHERE id = 1"},
	{name: "a generated column is computed anew",
		setup:  "CREATE TABLE @.v (id int, ssn text, s text GENERATED ALWAYS AS ('none') STORED); INSERT INTO @.v SELECT id, ssn FROM public.customers",
		change: "ALTER TABLE @.v ALTER COLUMN s SET EXPRESSION AS (ssn)",
		back:   "ALTER TABLE @.v ALTER COLUMN s SET EXPRESSION AS ('none')",
		sql:    "SELECT upper(s) FROM @.v WHERE id = 1"},
	{name: "what is written, by a view that is redefined",
		setup:  "CREATE TABLE @.t (a text); GRANT ALL ON @.t TO weir_orders; CREATE VIEW @.v AS SELECT id, name AS s FROM public.customers",
		change: "CREATE OR REPLACE VIEW @.v AS SELECT id, ssn AS s FROM public.customers",
		back:   "CREATE OR REPLACE VIEW @.v AS SELECT id, name AS s FROM public.customers",
		sql:    "INSERT INTO @.t SELECT s FROM @.v WHERE id = 1"},
	{name: "what is made of a view that is redefined", everyWay: true,
		setup:  "CREATE VIEW @.v AS SELECT id, name AS s FROM public.customers",
		change: "CREATE OR REPLACE VIEW @.v AS SELECT id, ssn AS s FROM public.customers",
		back:   "CREATE OR REPLACE VIEW @.v AS SELECT id, name AS s FROM public.customers",
		sql:    "CREATE TABLE @.t AS SELECT s AS a FROM @.v WHERE id = 1"},
	{name: "the error of a view that is redefined",
		setup:  "CREATE VIEW @.v AS SELECT id, '7'::text AS s FROM public.customers",
		change: "CREATE OR REPLACE VIEW @.v AS SELECT id, ssn AS s FROM public.customers",
		back:   "CREATE OR REPLACE VIEW @.v AS SELECT id, '7'::text AS s FROM public.customers",
		sql:    "SELECT s::int FROM @.v WHERE id = 1"},
}

// ways are how a statement is run. Each returns all that the client was sent.
var ways = []struct {
	name string
	run  func(c *rawClient, sql string) []string
}{
	{"query", func(c *rawClient, sql string) []string { return c.ask(sql) }},
	{"extended", func(c *rawClient, sql string) []string {
		c.send(&pgproto3.Parse{Query: sql}, &pgproto3.Bind{}, &pgproto3.Describe{ObjectType: 'P'}, &pgproto3.Execute{}, &pgproto3.Sync{})
		return c.until(1)
	}},
	{"in a transaction", func(c *rawClient, sql string) []string {
		got := append(c.ask("BEGIN"), c.ask(sql)...)
		return append(got, c.ask("COMMIT")...)
	}},
	{"a pipeline that commits", func(c *rawClient, sql string) []string {
		c.send(&pgproto3.Parse{Query: "BEGIN"}, &pgproto3.Bind{}, &pgproto3.Execute{},
			&pgproto3.Parse{Query: sql}, &pgproto3.Bind{}, &pgproto3.Execute{},
			&pgproto3.Parse{Query: "COMMIT"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{})
		return c.until(1)
	}},
	{"queries ahead", func(c *rawClient, sql string) []string {
		c.send(&pgproto3.Query{String: "BEGIN"}, &pgproto3.Query{String: sql}, &pgproto3.Query{String: "COMMIT"})
		return c.until(3)
	}},
	{"prepared", func(c *rawClient, sql string) []string {
		c.send(&pgproto3.Parse{Name: "p", Query: sql}, &pgproto3.Sync{})
		got := c.until(1)
		c.send(&pgproto3.Bind{PreparedStatement: "p"}, &pgproto3.Execute{}, &pgproto3.Sync{})
		return append(got, c.until(1)...)
	}},
	{"one row at a time", func(c *rawClient, sql string) []string {
		c.send(&pgproto3.Parse{Query: sql}, &pgproto3.Bind{}, &pgproto3.Execute{MaxRows: 1}, &pgproto3.Execute{MaxRows: 1}, &pgproto3.Sync{})
		return c.until(1)
	}},
	{"copy", func(c *rawClient, sql string) []string {
		if !strings.HasPrefix(sql, "SELECT") {
			return nil
		}
		return c.ask("COPY (" + sql + ") TO STDOUT")
	}},
	{"copy, extended", func(c *rawClient, sql string) []string {
		if !strings.HasPrefix(sql, "SELECT") {
			return nil
		}
		c.send(&pgproto3.Parse{Query: "COPY (" + sql + ") TO STDOUT"}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{})
		return c.until(1)
	}},
	{"cursor", func(c *rawClient, sql string) []string {
		if !strings.HasPrefix(sql, "SELECT") {
			return nil
		}
		got := append(c.ask("BEGIN"), c.ask("DECLARE c CURSOR FOR "+sql)...)
		got = append(got, c.ask("FETCH c")...)
		return append(got, c.ask("COMMIT")...)
	}},
	{"cursor with hold", func(c *rawClient, sql string) []string {
		if !strings.HasPrefix(sql, "SELECT") {
			return nil
		}
		got := append(c.ask("DECLARE c CURSOR WITH HOLD FOR "+sql), c.ask("FETCH c")...)
		return append(got, c.ask("CLOSE ALL")...)
	}},
	{"execute", func(c *rawClient, sql string) []string {
		if !strings.HasPrefix(sql, "SELECT") {
			return nil
		}
		got := append(c.ask("PREPARE p AS "+sql), c.ask("EXECUTE p")...)
		return append(got, c.ask("DEALLOCATE p")...)
	}},
	{"many statements", func(c *rawClient, sql string) []string { return c.ask("SELECT 1; " + sql) }},
}

// text is the one that is judged last before the server looks at the names.
func judgedText(way, sql string) string {
	switch way {
	case "copy", "copy, extended":
		return "COPY (" + sql + ") TO STDOUT"
	case "cursor":
		return "DECLARE c CURSOR FOR " + sql
	case "cursor with hold":
		return "DECLARE c CURSOR WITH HOLD FOR " + sql
	case "execute":
		return "PREPARE p AS " + sql
	case "many statements":
		return "SELECT 1; " + sql
	}
	return sql
}

func TestChangedBehindTheGateway(t *testing.T) {
	_, address, c := conspire(t)
	n := 0
	for _, s := range schemes {
		for _, way := range ways {
			for _, back := range []bool{true, false} {
				usual := way.name == "query" || way.name == "extended"
				if !usual && (!back || !s.everyWay) {
					continue
				}
				name := s.name + "/" + way.name
				if back {
					name += "/and back"
				}
				n++
				in := strings.NewReplacer("@", fmt.Sprintf("s%d", n))
				sql := in.Replace(s.sql)
				t.Run(name, func(t *testing.T) {
					c.t = t
					setup := fmt.Sprintf("CREATE SCHEMA s%[1]d; CREATE SCHEMA s%[1]d_; GRANT ALL ON SCHEMA s%[1]d, s%[1]d_ TO weir_orders; %[2]s; ", n, in.Replace(s.setup)) +
						fmt.Sprintf("GRANT ALL ON ALL TABLES IN SCHEMA s%[1]d, s%[1]d_ TO weir_orders", n)
					if err := c.exec(t.Context(), setup); err != nil {
						t.Fatal(err)
					}
					client := dialRaw(t, address)
					client.ask(fmt.Sprintf("SET search_path = s%[1]d, s%[1]d_, public", n))
					if err := c.look(t.Context()); err != nil {
						t.Fatal(err)
					}
					c.mu.Lock()
					c.text, c.change, c.back = judgedText(way.name, sql), []string{in.Replace(s.change)}, nil
					if back {
						c.back = []string{in.Replace(s.back)}
					}
					c.mu.Unlock()
					got := strings.Join(way.run(client, sql), "\n")
					if leaks([]byte(strings.ToLower(got))) {
						t.Errorf("the client saw a protected value:\n%s", got)
					}
					var stored int
					_ = c.admin.QueryRow(context.Background(), in.Replace("SELECT count(*) FROM @.t WHERE a LIKE '123-45%'")).Scan(&stored)
					if stored > 0 {
						t.Error("a protected value was stored")
					}
					c.mu.Lock()
					if c.text != "" && len(got) > 0 {
						t.Errorf("never judged: %s", c.text)
					}
					if len(got) > 0 && !back && strings.Count(got, "ERROR") == 0 {
						t.Errorf("the change was not noticed:\n%s", got)
					}
					c.text, c.back = "", nil
					c.mu.Unlock()
				})
			}
		}
	}
}
