package postgres

import (
	"strings"
	"testing"
)

// A change of a relation between judging and running, which makes no difference to what
// is delivered, is no error.
func TestHarmlessChangesBehindTheGateway(t *testing.T) {
	_, address, c := conspire(t)
	if err := c.exec(t.Context(), `CREATE SCHEMA h; GRANT ALL ON SCHEMA h TO weir_orders; CREATE TABLE h.p (id int, s text) PARTITION BY LIST (id);
		CREATE TABLE h.p1 PARTITION OF h.p FOR VALUES IN (1); CREATE TABLE h.p2 (id int, s text); INSERT INTO h.p VALUES (1, 'one');
		CREATE VIEW h.v AS SELECT id, ssn AS s FROM public.customers; CREATE TABLE h.t (a text); GRANT ALL ON ALL TABLES IN SCHEMA h TO weir_orders`); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, sql, change, want string }{
		{"a column is added", "SELECT upper(name) FROM customers WHERE id = 1", "ALTER TABLE customers ADD c1 int", "row NAME 1"},
		{"a column is added to what is masked", "SELECT upper(ssn) FROM customers WHERE id = 1", "ALTER TABLE customers ADD c2 int", "row [redacted]"},
		{"a column gets a default", "INSERT INTO h.t SELECT name FROM customers WHERE id = 1", "ALTER TABLE h.t ALTER a SET DEFAULT 'x'", "done INSERT 0 1"},
		{"a partition is attached", "SELECT s FROM h.p", "ALTER TABLE h.p ATTACH PARTITION h.p2 FOR VALUES IN (2)", "ERROR 42501"}, // its column is another source
		{"a partition of another table is attached", "SELECT id + 1 FROM customers WHERE id = 1", "CREATE TABLE h.customers (a int)", "row 2"},
		{"an index", "SELECT upper(name) FROM customers WHERE id = 1", "CREATE INDEX ON customers (name)", "row NAME 1"},
		{"a view is replaced by itself", "SELECT upper(s) FROM h.v WHERE id = 1", "CREATE OR REPLACE VIEW h.v AS SELECT id, ssn AS s FROM public.customers", "row [redacted]"},
		{"a view is replaced by another", "SELECT upper(s) FROM h.v WHERE id = 1", "CREATE OR REPLACE VIEW h.v AS SELECT id, card::text AS s FROM public.customers", "ERROR 42501"},
		{"a column is dropped", "SELECT lower(name) FROM customers WHERE id = 1", "ALTER TABLE customers DROP c1", "row name 1"},
	} {
		for _, way := range []int{0, 1, 2} {
			if way > 0 && !strings.Contains(test.name, "by itself") {
				continue
			}
			t.Run(test.name+"/"+ways[way].name, func(t *testing.T) {
				c.t = t
				client := dialRaw(t, address)
				client.ask("SET search_path = public")
				if err := c.look(t.Context()); err != nil {
					t.Fatal(err)
				}
				c.mu.Lock()
				c.text, c.change, c.back = test.sql, []string{strings.ReplaceAll(test.change, "CREATE TABLE", "DROP TABLE IF EXISTS h.customers; CREATE TABLE")}, nil
				c.mu.Unlock()
				if got := strings.Join(ways[way].run(client, test.sql), "\n"); !strings.Contains(got, test.want) || leaks([]byte(got)) {
					t.Errorf("want %s, the client saw\n%s", test.want, got)
				}
			})
		}
	}
}
