package sqlmeta

import (
	"slices"
	"testing"
)

// What asks about the rows that are there, and does not return them.
func TestAsks(t *testing.T) {
	for sql, want := range map[string]Use{
		"ALTER TABLE customers ADD CHECK (ssn < 'M')":                                                                   UseFilter,
		"ALTER TABLE customers ADD CONSTRAINT c CHECK (ssn < 'M') NOT VALID":                                            UseFilter,
		"ALTER TABLE customers VALIDATE CONSTRAINT c":                                                                   UseFilter,
		"ALTER TABLE customers ADD x int CHECK (ssn < 'M')":                                                             UseFilter,
		"ALTER TABLE customers ADD UNIQUE (ssn)":                                                                        UseGroup,
		"ALTER TABLE customers ADD PRIMARY KEY (name, ssn)":                                                             UseGroup,
		"ALTER TABLE customers ADD UNIQUE USING INDEX i":                                                                UseGroup,
		"ALTER TABLE customers ADD FOREIGN KEY (ssn) REFERENCES people (ssn)":                                           UseFilter,
		"ALTER TABLE orders ADD FOREIGN KEY (note) REFERENCES customers (ssn)":                                          UseFilter,
		"ALTER TABLE orders ADD x text REFERENCES customers (ssn)":                                                      UseFilter,
		"ALTER TABLE customers ADD EXCLUDE (ssn WITH =)":                                                                UseFilter,
		"ALTER TABLE customers ADD EXCLUDE (id WITH =) WHERE (ssn < 'M')":                                               UseFilter,
		"ALTER TABLE customers ALTER ssn SET NOT NULL":                                                                  UseFilter,
		"ALTER TABLE customers ALTER ssn TYPE text":                                                                     UseFilter,
		"ALTER TABLE customers ALTER name TYPE text USING ssn":                                                          UseDerived,
		"ALTER TABLE customers CLUSTER ON i":                                                                            UseOrder,
		"ALTER TABLE events ATTACH PARTITION customers FOR VALUES IN ('x')":                                             UseFilter,
		"CREATE TABLE p PARTITION OF customers FOR VALUES IN ('x')":                                                     UseFilter,
		"CREATE INDEX ON customers (ssn)":                                                                               UseOrder,
		"CREATE INDEX ON customers (upper(ssn))":                                                                        UseOrder,
		"CREATE INDEX ON customers (id) INCLUDE (ssn)":                                                                  UseOrder,
		"CREATE INDEX ON customers (id) WHERE ssn < 'M'":                                                                UseFilter,
		"CREATE UNIQUE INDEX ON customers (ssn)":                                                                        UseGroup,
		"CREATE UNIQUE INDEX CONCURRENTLY i ON ONLY public.customers (lower(ssn))":                                      UseGroup,
		"CREATE STATISTICS s ON id, ssn FROM customers":                                                                 UseGroup,
		"CREATE STATISTICS s ON (upper(ssn)) FROM customers":                                                            UseGroup,
		"CLUSTER customers USING i":                                                                                     UseOrder,
		"CREATE POLICY p ON customers USING (ssn < 'M')":                                                                UseFilter,
		"CREATE POLICY p ON customers WITH CHECK (ssn < 'M')":                                                           UseFilter,
		"CREATE POLICY p ON orders USING (EXISTS (SELECT 1 FROM customers c WHERE c.id = customer_id AND c.ssn < 'M'))": UseFilter,
		"ALTER POLICY p ON customers USING (ssn < 'M')":                                                                 UseFilter,
		"CREATE TRIGGER t BEFORE UPDATE ON customers FOR EACH ROW WHEN (OLD.ssn < 'M') EXECUTE FUNCTION f()":            UseFilter,
		"CREATE RULE r AS ON UPDATE TO customers WHERE OLD.ssn < 'M' DO INSTEAD NOTHING":                                UseFilter,
		"CREATE RULE r AS ON UPDATE TO customers DO ALSO DELETE FROM orders WHERE note = OLD.ssn":                       UseFilter,
		"CREATE RULE r AS ON UPDATE TO customers DO ALSO INSERT INTO orders (note) VALUES (OLD.ssn)":                    UseDerived,
		"CREATE SCHEMA s CREATE VIEW v AS SELECT id FROM public.customers WHERE ssn < 'M'":                              UseFilter,
		"CREATE VIEW v AS SELECT id FROM customers WHERE ssn < 'M'":                                                     UseFilter,
		"SELECT count(DISTINCT ssn) FROM customers":                                                                     UseGroup,
		"SELECT count(DISTINCT (name, ssn)) FROM customers":                                                             UseGroup,
		"SELECT id FROM customers UNION SELECT length(ssn) FROM customers":                                              UseGroup,
		"SELECT DISTINCT ON (2) id, ssn FROM customers":                                                                 UseGroup,
		"SELECT id, ssn FROM customers GROUP BY 1, 2":                                                                   UseGroup,
		"SELECT c FROM customers c ORDER BY c":                                                                          UseOrder,
		"SELECT ssn AS x FROM customers ORDER BY x":                                                                     UseOrder,
		"TABLE customers ORDER BY 3":                                                                                    UseOrder,
		"SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY ssn) FROM customers":                                        UseOrder,
		"SELECT string_agg(name, ',' ORDER BY ssn) FROM customers":                                                      UseOrder,
		"SELECT id FROM customers ORDER BY id OFFSET (SELECT length(max(ssn)) FROM customers)":                          UseFilter,
		"SELECT o.id FROM orders o JOIN customers ON note = ssn":                                                        UseFilter,
		"SELECT 1 FROM customers JOIN people USING (ssn)":                                                               UseFilter,
		"SELECT 1 FROM customers NATURAL JOIN people":                                                                   UseFilter,
		"SELECT o.id FROM orders o WHERE note IN (SELECT ssn FROM customers)":                                           UseFilter,
		"SELECT o.id FROM orders o WHERE 'x' = ANY (SELECT ssn FROM customers)":                                         UseFilter,
		"INSERT INTO customers (id, ssn) VALUES (1, 'x') ON CONFLICT (ssn) DO NOTHING":                                  UseFilter,
	} {
		if uses := usesOf(t, sql, "customers.ssn"); !slices.Contains(uses, want) {
			t.Errorf("%s: %v, want %s", sql, uses, want)
		}
	}
}

// What asks nothing about a column is not said to.
func TestAsksNothing(t *testing.T) {
	for _, sql := range []string{
		"ALTER TABLE customers ADD x int NOT NULL DEFAULT 1", "ALTER TABLE customers ADD CHECK (id > 0)", "ALTER TABLE customers ADD FOREIGN KEY (id) REFERENCES orders (id)",
		"CREATE INDEX ON customers (name)", "CREATE INDEX ON customers (id) WHERE name IS NOT NULL", "ALTER TABLE customers RENAME name TO x",
		"ALTER TABLE customers ALTER name SET NOT NULL", "ALTER TABLE customers ALTER name DROP NOT NULL", "ALTER TABLE customers ALTER ssn DROP NOT NULL",
		"COMMENT ON COLUMN customers.ssn IS 'x'", "CREATE TABLE t (LIKE customers)", "ANALYZE customers", "VACUUM customers", "REINDEX TABLE customers",
		"CREATE TRIGGER t BEFORE UPDATE ON customers FOR EACH ROW WHEN (OLD.name = 'x') EXECUTE FUNCTION f()",
		"SELECT id FROM customers UNION ALL SELECT id FROM customers", "SELECT DISTINCT name FROM customers",
	} {
		for _, use := range usesOf(t, sql, "customers.ssn") {
			if use != UseWrite && use != UseOutput {
				t.Errorf("%s: %s", sql, use)
			}
		}
	}
}

// What a definition filters by is its owner's, and is said to be.
func TestOwnersFilters(t *testing.T) {
	for sql, column := range map[string]string{
		"SELECT n FROM masked":           "orders.customer_id",
		"SELECT cid FROM stacked":        "orders.customer_id",
		"SELECT n FROM recursive_view":   "customers.ssn",
		"SELECT 1 FROM recursive_view r": "customers.ssn",
	} {
		if uses := usesOf(t, sql, column); !slices.Contains(uses, UseOwnerFilter) || slices.Contains(uses, UseFilter) || slices.Contains(uses, UseGroup) {
			t.Errorf("%s: %v", sql, uses)
		}
	}
	if uses := usesOf(t, "SELECT n FROM stacked WHERE n > 1", "customers.ssn"); slices.Contains(uses, UseFilter) {
		t.Errorf("a filter by another column: %v", uses)
	}
}

// Of a relation that the catalog does not have nothing is asked, and nothing fails.
func TestAsksOfTheUnknown(t *testing.T) {
	for _, sql := range []string{
		"ALTER TABLE nowhere ADD CHECK (a > 1)", "CREATE INDEX ON nowhere (a)", "CLUSTER nowhere USING i", "ALTER TABLE nowhere ATTACH PARTITION elsewhere DEFAULT",
		"ALTER DOMAIN email ADD CHECK (VALUE < 'M')",
	} {
		if s := analyze(t, sql); slices.Contains(s.Risks, RiskInternalError) || slices.Contains(s.Risks, RiskUnknownRelation) {
			t.Errorf("%s: %v", sql, s.Risks)
		}
	}
	for _, sql := range []string{"ALTER DOMAIN email ADD CHECK (VALUE < 'M')", "ALTER DOMAIN email VALIDATE CONSTRAINT c", "ALTER DOMAIN email SET NOT NULL"} {
		if s := analyze(t, sql); !slices.Contains(s.Risks, RiskOpaque) {
			t.Errorf("%s: %v", sql, s.Risks)
		}
	}
}
