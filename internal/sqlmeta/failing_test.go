package sqlmeta

import (
	"slices"
	"strings"
	"testing"
)

// usesOf is the uses that a statement makes of a column, "table.column".
func usesOf(t *testing.T, sql, column string) []Use {
	t.Helper()
	var uses []Use
	for _, c := range analyze(t, sql).Columns {
		if c.Table+"."+c.Column == column {
			uses = append(uses, c.Use)
		}
	}
	return uses
}

// What cannot fail by the value of ssn (a varchar), doc (jsonb), or total (numeric(10,2)).
var cannotFail = []string{
	"ssn", "ssn::text", "ssn::varchar(4)", "upper(ssn)", "length(btrim(ssn))", "ssn || '-' || name", "id || ssn", "left(ssn, 3)", "substring(ssn from 1 for 3)",
	"replace(ssn, '-', '')", "split_part(ssn, '-', 1)", "md5(ssn)", "concat(ssn, id, 'x')", "concat_ws(' ', name, ssn)",
	"ssn = 'x'", "ssn IN ('x', 'y')", "ssn BETWEEN 'a' AND 'b'", "ssn = ANY ('{x}')", "ssn = ANY (ARRAY['x', 'y'])", "ssn IS NULL", "ssn > name", "ssn IS DISTINCT FROM name",
	"ssn LIKE '1%'", "ssn ILIKE '%x'", "NOT (ssn = 'x' AND name = 'y' OR ssn IS NULL)", "(ssn = 'x') IS TRUE",
	"CASE WHEN ssn LIKE '1%' THEN 'x' END", "CASE ssn WHEN 'x' THEN 1 ELSE 2 END", "coalesce(ssn, name, 'none')", "nullif(ssn, 'x')", "greatest(ssn, name)",
	"CASE WHEN ssn LIKE '1%' THEN 1 ELSE id END", "coalesce(upper(ssn), 'x') || '!'", "count(ssn)", "count(DISTINCT ssn)", "min(ssn)", "max(ssn)",
	"row_number() OVER (ORDER BY ssn)", "lag(ssn, 1) OVER (ORDER BY id)", "to_jsonb(ssn)", "ROW(ssn, id)", "(SELECT ssn)", "ssn COLLATE \"C\"",
	"CASE WHEN ssn = 'x' THEN now() END", "CASE WHEN ssn = 'x' THEN '2026-01-01'::date END", "length(ssn)::bigint", "length(ssn)::numeric",
	"replace(replace(replace(ssn, '-', ''), '.', ''), ' ', '_')", "(SELECT upper(ssn))", "(SELECT ssn FROM customers WHERE id = 1)", "CASE WHEN (SELECT count(*) FROM orders) > 1 THEN ssn END",
	"upper(ssn COLLATE \"C\" || 'x')", "ssn COLLATE \"C\" > 'x'", "NOT ssn LIKE '1%'",
	"length(ssn) > 3", "length(ssn) = 3.5", "sum(length(ssn))", "avg(length(ssn))",
}

var canFail = []string{
	"ssn::int", "ssn::date", "ssn::numeric", "ssn::json", "ssn::email", "ssn::bytea", "ssn::regclass", "ssn::name::int", "CAST(ssn AS int)", "int4(ssn)", "ssn::address",
	"1 / length(ssn)", "length(ssn) + 1", "-length(ssn)", "length(ssn) * 2147483647", "length(ssn)::smallint", "repeat(ssn, 5)", "repeat('x', length(ssn))",
	"substring(ssn from '(')", "substring(ssn, length(ssn))", "left(ssn, -1)", "ssn ~ 'x'", "ssn SIMILAR TO 'x'", `ssn LIKE 'x\'`, "ssn LIKE name", "ssn LIKE $1",
	"to_date(ssn, 'YYYY')", "to_number(ssn, '999')", "chr(ascii(ssn))", "lpad(ssn, 10)", "format(ssn)", "string_agg(ssn, ',')", "array_agg(ssn)", "jsonb_object_agg(ssn, 1)",
	"ARRAY[ssn]", "tags[length(ssn)]", "json_object('k' : ssn)", "xmlelement(name a, ssn)", "ssn || ARRAY[name]", "tags || ssn",
	"ssn || repeat('x', 1073741800)", "ssn || string_agg(name, '')", "replace(replace(replace(ssn, '1', 'xxxxxxxxxxxxxxxx'), 'x', 'yyyyyyyyyyyyyyyyyyyy'), 'y', 'zzzzzzzzzzzzzzzz') || 'x'",
	// Whether something else is computed depends on it.
	"CASE WHEN ssn LIKE '1%' THEN 1 / (id - 1) END", "CASE WHEN ssn LIKE '1%' THEN 1 / 0 END", "CASE WHEN ssn LIKE '1%' THEN 'x'::email END",
	"ssn LIKE '1%' AND 1 / (id - 1) > 0", "coalesce(nullif(ssn, 'x'), (1 / (id - 1))::text)", "CASE 1 / (id - 1) WHEN 1 THEN ssn END",
	"CASE WHEN ssn LIKE '1%' THEN leak(id) END", "CASE WHEN ssn LIKE '1%' THEN similarity('a', name) END",
	"CASE WHEN ssn = 'x' THEN $1::text::int END", "CASE WHEN ssn = 'x' THEN '1'::text::int END",
	"CASE WHEN ssn LIKE '1%' THEN random() END", "CASE WHEN ssn LIKE '1%' THEN (SELECT name FROM customers) END", "CASE WHEN ssn LIKE '1%' THEN EXISTS (SELECT FROM orders) END",
	"CASE WHEN ssn LIKE '1%' THEN (SELECT max(total) FROM orders) END", "CASE WHEN ssn LIKE '1%' THEN (SELECT 'x' LIMIT (1 - 2)) END", "coalesce(nullif(ssn, 'x'), (SELECT max(name) FROM customers))",
	"ssn LIKE '1%' AND EXISTS (SELECT FROM orders)", "CASE WHEN ssn LIKE '1%' THEN ARRAY(SELECT id FROM orders) END", "CASE WHEN ssn = 'x' THEN 1 WHEN (SELECT count(*) FROM orders) > 1 THEN 2 END",
	"ssn = ANY (SELECT name FROM customers)", "ssn LIKE '1%' AND id IN (SELECT id FROM orders)", "CASE WHEN ssn LIKE '1%' THEN upper((SELECT ssn COLLATE \"C\") || (SELECT name COLLATE \"POSIX\")) END",
	"replace(replace(ssn, '1', '1111111111111111111111111111111111111111111'), '1', '1111111111111111111111111111111111111111111')", "ascii(ssn)", "starts_with(ssn, 'x')",
	"'x' BETWEEN ssn AND (SELECT name FROM customers)", "'x' IN (ssn, (SELECT name FROM customers))", "ROW(nullif(ssn, 'x'), (SELECT name FROM customers)) IS NULL", "true <= ANY (SELECT ssn > 'M' FROM customers)",
	"leak(length(ssn))", "pg_catalog.nobody_knows(ssn)", "ssn OPERATOR(evil.+) 'x'",
	"random(1, length(ssn))",
}

func TestWhatCannotFail(t *testing.T) {
	for _, expr := range cannotFail {
		if uses := usesOf(t, "SELECT "+expr+" FROM customers", "customers.ssn"); len(uses) == 0 || slices.Contains(uses, UseFallible) {
			t.Errorf("%s: %v", expr, uses)
		}
	}
	for _, expr := range []string{"doc -> 'a'", "doc ->> 'a'", "doc #>> '{a,b}'", "doc ? 'a'", `doc @> '{"a": 1}'`, "doc::text"} {
		if uses := usesOf(t, "SELECT "+expr+" FROM customers", "customers.doc"); len(uses) == 0 || slices.Contains(uses, UseFallible) {
			t.Errorf("%s: %v", expr, uses)
		}
	}
	for _, expr := range []string{"sum(total)", "avg(total)", "total > 1", "total = 1.5", "total BETWEEN 1 AND 2", "total::text"} {
		if uses := usesOf(t, "SELECT "+expr+" FROM orders", "orders.total"); len(uses) == 0 || slices.Contains(uses, UseFallible) {
			t.Errorf("%s: %v", expr, uses)
		}
	}
}

func TestWhatCanFail(t *testing.T) {
	for _, expr := range canFail {
		if uses := usesOf(t, "SELECT "+expr+" FROM customers", "customers.ssn"); !slices.Contains(uses, UseFallible) {
			t.Errorf("%s: %v", expr, uses)
		}
	}
	for _, expr := range []string{
		"total::float8", "total = 1.5::float8", "total IN (1.5::float8)", "total::numeric(4,2)", "total::int", "sum(total + 1)", "total + 1", "CASE WHEN true THEN total ELSE random() END",
		"sum(total::numeric)", "placed::timestamptz", "coalesce(placed, now())", "to_char(total, '9')",
	} {
		if uses := usesOf(t, "SELECT "+expr+" FROM orders", "orders.total"); !slices.Contains(uses, UseFallible) && strings.Contains(expr, "total") {
			t.Errorf("%s: %v", expr, uses)
		}
		if uses := usesOf(t, "SELECT "+expr+" FROM orders", "orders.placed"); !slices.Contains(uses, UseFallible) && strings.Contains(expr, "placed") {
			t.Errorf("%s: %v", expr, uses)
		}
	}
}

// It does not matter where the expression stands, or through how many names it is
// brought there.
func TestFailingIsCarried(t *testing.T) {
	for _, sql := range []string{
		"SELECT id FROM customers WHERE ssn::int > 1",
		"SELECT id FROM customers ORDER BY ssn::int",
		"SELECT count(*) FROM customers GROUP BY ssn::int",
		"SELECT count(*) FROM (SELECT ssn::int FROM customers) x",
		"WITH x AS MATERIALIZED (SELECT ssn::int AS n FROM customers) SELECT count(*) FROM x",
		"SELECT 1 / n FROM (SELECT length(ssn) AS n FROM customers) x",
		"SELECT CASE WHEN s LIKE '1%' THEN f END FROM (SELECT ssn AS s, 1 / (id - 1) AS f FROM customers) x",
		"SELECT CASE WHEN ssn LIKE '1%' THEN (SELECT 1 / (c.id - 1)) END FROM customers c",
		"WITH RECURSIVE t AS (SELECT ssn::text AS s, 1 AS n FROM customers UNION ALL SELECT s || s, n + 1 FROM t WHERE n < 30) SELECT length(s) FROM t",
		"SELECT CASE WHEN c.ssn LIKE '1%' THEN m.ratio END FROM customers c, (SELECT id, 1 / id AS ratio FROM people) m",
		"SELECT EXISTS (SELECT ssn::int FROM customers)",
		"UPDATE orders SET note = (SELECT ssn::int::text FROM customers WHERE id = 1) WHERE id = 1",
		"INSERT INTO orders (id) VALUES ((SELECT ssn::int FROM customers WHERE id = 1))",
		"VALUES ((SELECT ssn::int FROM customers WHERE id = 1))",
		"SELECT 1 FROM generate_series(1, (SELECT ssn::int FROM customers WHERE id = 1))",
		"EXPLAIN ANALYZE SELECT ssn::int FROM customers",
		"COPY (SELECT ssn::int FROM customers) TO STDOUT",
		"DELETE FROM customers WHERE id = 1 RETURNING ssn::int",
		"SELECT count(*) FILTER (WHERE ssn::int > 1) FROM customers",
		"SELECT sum(x) OVER (ORDER BY ssn::int) FROM customers, (SELECT 1 AS x) y",
		"CREATE INDEX ON customers ((1 / length(ssn)))",
		"ALTER TABLE customers ADD CHECK (ssn::int > 1)",
		"ALTER TABLE customers ALTER ssn TYPE int USING ssn::int",
		"ALTER TABLE customers ALTER ssn TYPE varchar(4)",
		"ALTER TABLE customers ADD x int GENERATED ALWAYS AS (ssn::int) STORED",
	} {
		if uses := usesOf(t, sql, "customers.ssn"); !slices.Contains(uses, UseFallible) {
			t.Errorf("%s: %v", sql, uses)
		}
	}
}

// What a view computes is its owner's doing, until somebody makes it depend on more.
func TestFailingInViews(t *testing.T) {
	for sql, want := range map[string]bool{
		"SELECT us FROM masked":                                    false,
		"SELECT * FROM generated":                                  false,
		"SELECT twice FROM generated":                              false,
		"SELECT twice FROM (SELECT * FROM generated) x":            false,
		"SELECT CASE WHEN ssn = 'x' THEN twice END FROM generated": true,
		"SELECT twice + 1 FROM generated":                          true,
	} {
		uses := slices.Concat(usesOf(t, sql, "generated.ssn"), usesOf(t, sql, "generated.id"), usesOf(t, sql, "customers.ssn"))
		if slices.Contains(uses, UseFallible) != want {
			t.Errorf("%s: %v", sql, uses)
		}
	}
}
