package catalog

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"
)

// generator writes random queries over the tests' schema. Most are valid; what
// the server refuses is left out by the test.
type generator struct {
	*rapid.T
	aliases int
	scopes  []scope // from the inside out: what names are in reach
	ctes    []relation
}

type scope []relation

type relation struct {
	name    string
	columns []string // text
	numbers []string // integer
}

var tables = []relation{
	{"customers", []string{"name", "ssn", "card"}, []string{"id"}},
	{"orders", []string{"note", "name"}, []string{"id"}},
	{"people", []string{"ssn"}, []string{"id"}},
	{"employees", []string{"ssn"}, []string{"id", "salary"}},
	{"customer_names", []string{"name"}, []string{"id"}},
	{"masked", []string{"s", "us"}, []string{"cid"}},
	{"stacked", []string{"s", "us"}, []string{"cid"}},
	{"unioned", []string{"ssn"}, []string{"id"}},
	{"recursive_view", []string{"s"}, []string{"n"}},
	{"mat", []string{"ssn", "name"}, nil},
	{"events", []string{"kind", "payload"}, []string{"id"}},
	{"generated", []string{"ssn", "upper_ssn"}, []string{"id", "twice"}},
	{"crm.customers", []string{"name", "phone"}, []string{"id"}},
	{`"Weird Table"`, []string{`"Ssn"`, `"a""b"`, "ssn"}, []string{`"select"`}},
}

func pick[T any](g *generator, from []T) T { return rapid.SampledFrom(from).Draw(g.T, "") }

func (g *generator) chance(of int) bool { return rapid.IntRange(1, of).Draw(g.T, "") == 1 }

func (g *generator) alias() string {
	g.aliases++
	return fmt.Sprintf("a%d", g.aliases)
}

// query writes a query whose columns are named as it says, all of them text.
func (g *generator) query(depth int) (string, []string) {
	with := ""
	kept := g.ctes
	if depth > 0 && g.chance(4) {
		with = g.with(depth - 1)
	}
	sql, columns := g.body(depth)
	g.ctes = kept
	return with + sql, columns
}

func (g *generator) with(depth int) string {
	name := pick(g, []string{"orders", "customers", "w", g.alias()})
	inner, columns := g.query(depth)
	if g.chance(3) && len(columns) > 0 {
		g.ctes = append(g.ctes[:len(g.ctes):len(g.ctes)], relation{name, columns, nil})
		// a recursive one that turns its columns round
		turned := slices.Concat(columns[1:], columns[:1])
		list := make([]string, len(columns))
		for i, c := range columns {
			list[i] = fmt.Sprintf("%s::text AS %s", c, c)
		}
		return fmt.Sprintf("WITH RECURSIVE %s AS (SELECT %s FROM (%s) q UNION SELECT %s FROM %s) ",
			name, strings.Join(list, ", "), inner, strings.Join(turned, ", "), name)
	}
	g.ctes = append(g.ctes[:len(g.ctes):len(g.ctes)], relation{name, columns, nil})
	return fmt.Sprintf("WITH %s AS (%s) ", name, inner)
}

func (g *generator) body(depth int) (string, []string) {
	if depth > 0 && g.chance(6) {
		n := rapid.IntRange(1, 2).Draw(g.T, "")
		left, columns := g.selects(depth-1, n)
		right, _ := g.selects(depth-1, n)
		op := pick(g, []string{"UNION", "UNION ALL", "INTERSECT", "EXCEPT", "EXCEPT ALL"})
		return fmt.Sprintf("(%s) %s (%s)", left, op, right), columns
	}
	return g.selects(depth, rapid.IntRange(1, 3).Draw(g.T, ""))
}

// selects writes a SELECT of n columns.
func (g *generator) selects(depth, n int) (string, []string) {
	from, items := g.from(depth)
	g.scopes = append([]scope{items}, g.scopes...)
	defer func() { g.scopes = g.scopes[1:] }()
	var list, columns []string
	for range n {
		name := g.alias()
		list = append(list, g.text(depth)+" AS "+name)
		columns = append(columns, name)
	}
	sql := fmt.Sprintf("SELECT %s%s FROM %s", pick(g, []string{"", "", "DISTINCT "}), strings.Join(list, ", "), from)
	if g.chance(2) {
		sql += " WHERE " + g.condition(depth)
	}
	return sql, columns
}

func (g *generator) from(depth int) (string, scope) {
	sql, r := g.item(depth)
	items := scope{r}
	for range rapid.IntRange(0, 2).Draw(g.T, "") {
		kind := pick(g, []string{",", "JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "NATURAL JOIN", "USING", "CROSS JOIN LATERAL"})
		if kind == "CROSS JOIN LATERAL" && depth > 0 {
			g.scopes = append([]scope{items}, g.scopes...)
			inner, columns := g.query(depth - 1)
			g.scopes = g.scopes[1:]
			name := g.alias()
			sql = fmt.Sprintf("%s CROSS JOIN LATERAL (%s) %s", sql, inner, name)
			items = append(items, relation{name, columns, nil})
			continue
		}
		next, r := g.item(depth)
		switch kind {
		case "USING":
			sql = fmt.Sprintf("%s %s %s USING (%s)", sql, pick(g, []string{"JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN"}), next, pick(g, []string{"id", "ssn", "name"}))
		case "NATURAL JOIN":
			sql = fmt.Sprintf("%s NATURAL JOIN %s", sql, next)
		case ",", "CROSS JOIN LATERAL":
			sql = fmt.Sprintf("%s CROSS JOIN %s", sql, next)
		default:
			sql = fmt.Sprintf("%s %s %s ON true", sql, kind, next)
		}
		items = append(items, r)
	}
	return sql, items
}

// item writes an entry of a FROM clause, always with a name of its own.
func (g *generator) item(depth int) (string, relation) {
	name := g.alias()
	if depth > 0 && g.chance(3) {
		inner, columns := g.query(depth - 1)
		return fmt.Sprintf("(%s) %s", inner, name), relation{name, columns, nil}
	}
	if len(g.ctes) > 0 && g.chance(2) {
		c := pick(g, g.ctes)
		return c.name + " " + name, relation{name, c.columns, nil}
	}
	t := pick(g, tables)
	if g.chance(4) && len(t.columns) > 0 { // renamed columns
		renamed := g.alias()
		return fmt.Sprintf("(SELECT %s FROM %s) %s (%s)", t.columns[0], t.name, name, renamed), relation{name, []string{renamed}, nil}
	}
	return t.name + " " + name, relation{name, t.columns, t.numbers}
}

// text writes an expression of type text.
func (g *generator) text(depth int) string {
	s := pick(g, g.scopes)
	r := pick(g, s)
	if len(r.columns) == 0 {
		return "'none'"
	}
	column := r.name + "." + pick(g, r.columns)
	if g.chance(6) {
		column = pick(g, r.columns) // may be ambiguous, or another's
	}
	switch rapid.IntRange(0, 15).Draw(g.T, "") {
	case 0:
		return fmt.Sprintf("lower(%s)", column)
	case 1:
		return fmt.Sprintf("(%s || %s)", column, g.leaf())
	case 2:
		return fmt.Sprintf("coalesce(%s, %s)", column, g.leaf())
	case 3:
		return fmt.Sprintf("CASE WHEN %s THEN %s ELSE %s END", g.condition(0), column, g.leaf())
	case 4:
		return fmt.Sprintf("row_to_json(%s)::text", r.name)
	case 5:
		return fmt.Sprintf("%s::text", r.name)
	case 6:
		return fmt.Sprintf("(%s).%s", r.name, pick(g, r.columns))
	case 7:
		return fmt.Sprintf("(SELECT max(%s::text))", column)
	case 8:
		if depth > 0 {
			inner, columns := g.query(depth - 1)
			if len(columns) == 1 {
				return fmt.Sprintf("(%s LIMIT 1)", inner)
			}
			return fmt.Sprintf("(SELECT q.%s FROM (%s) q LIMIT 1)", columns[0], inner)
		}
	case 9:
		return fmt.Sprintf("(ARRAY[%s::text, %s])[1]", column, g.leaf())
	case 10:
		return fmt.Sprintf("json_build_object('k', %s)::text", column)
	case 11:
		return fmt.Sprintf("(SELECT string_agg(u, '') FROM unnest(ARRAY[%s::text]) u)", column)
	case 12:
		return fmt.Sprintf("(ROW(%s, 1)).f1", column)
	case 13:
		return fmt.Sprintf("first_value(%s) OVER (ORDER BY %s)", column, column)
	}
	return column
}

func (g *generator) leaf() string {
	r := pick(g, pick(g, g.scopes))
	if len(r.columns) == 0 || g.chance(3) {
		return "'const'"
	}
	return r.name + "." + pick(g, r.columns) + "::text"
}

func (g *generator) condition(depth int) string {
	switch rapid.IntRange(0, 3).Draw(g.T, "") {
	case 0:
		return g.leaf() + " IS NOT NULL"
	case 1:
		return g.leaf() + " LIKE '%'"
	case 2:
		if depth > 0 {
			inner, _ := g.query(depth - 1)
			return fmt.Sprintf("EXISTS (%s)", inner)
		}
	}
	return "true"
}
