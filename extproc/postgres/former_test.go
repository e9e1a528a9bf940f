package postgres

import (
	"slices"
	"strings"
	"testing"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// An owner renames what is masked, past the gateway. Before the gateway has looked again, and
// after, the values stay masked, by class and by name.
func TestRenamedByTheOwner(t *testing.T) {
	byName := func(in *gate.Input) gate.Decision {
		d := gate.Decision{Effect: gate.Allow}
		for _, c := range []string{"ssn", "card"} {
			d.Mask = append(d.Mask, gate.Mask{Column: "public.customers." + c, MaskSpec: gate.MaskSpec{With: "redact"}})
		}
		return d
	}
	for _, c := range []struct {
		name, change string
		sql          []string
	}{
		{"a column", "ALTER TABLE customers RENAME ssn TO harmless",
			[]string{"SELECT harmless FROM customers", "SELECT 'x' || harmless FROM customers", "SELECT * FROM customers", "COPY customers TO STDOUT", "SELECT c FROM customers c"}},
		{"a table", "ALTER TABLE customers RENAME TO harmless",
			[]string{"SELECT ssn FROM harmless", "SELECT 'x' || ssn FROM harmless", "TABLE harmless"}},
		{"a schema", "CREATE SCHEMA harmless; GRANT USAGE ON SCHEMA harmless TO PUBLIC; ALTER TABLE customers SET SCHEMA harmless",
			[]string{"SELECT ssn FROM harmless.customers", "SELECT 'x' || ssn FROM harmless.customers"}},
		{"two columns change names", "ALTER TABLE customers RENAME name TO other; ALTER TABLE customers RENAME ssn TO name; ALTER TABLE customers RENAME other TO ssn",
			[]string{"SELECT name FROM customers", "SELECT 'x' || name FROM customers"}},
		{"behind a view", "ALTER TABLE customers RENAME ssn TO harmless; CREATE VIEW v AS SELECT harmless AS s FROM customers; GRANT ALL ON v TO PUBLIC",
			[]string{"SELECT s FROM v", "SELECT 'x' || s FROM v"}},
	} {
		for how, rules := range map[string]func(*gate.Input) gate.Decision{"by class": maskPII, "by name": byName} {
			t.Run(c.name+", "+how, func(t *testing.T) {
				w, server := realWorld(t, pgserver.Options{})
				w.classify(shopClasses)
				w.rules = rules
				client := dialRaw(t, w.serve(server.Addr()))
				if got := client.ask("SELECT ssn FROM customers WHERE id = 1"); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "row") }) {
					t.Fatal(got)
				}
				if err := server.Exec(t.Context(), "shop", c.change); err != nil {
					t.Fatal(err)
				}
				ask := func() {
					for _, sql := range c.sql {
						if got := strings.Join(client.ask(sql), "\n"); leaks([]byte(got)) {
							t.Errorf("%s: %.300s", sql, got)
						}
					}
				}
				ask()
				catalog, err := w.deps.Catalog("shop")
				if err == nil {
					err = catalog.Refresh(t.Context())
				}
				if err != nil {
					t.Fatal(err)
				}
				ask()
				if got := client.ask(c.sql[0]); !slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "row") }) {
					t.Errorf("%s: not answered masked, but refused: %q", c.sql[0], got)
				}
			})
		}
	}
}
