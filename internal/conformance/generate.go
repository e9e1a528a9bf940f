package conformance

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// Generate makes shapes of random statements over the scratch schema. Each is of
// types that fit, so that the server runs it. The same seed makes the same shapes.
func Generate(seed uint64, n int) []Shape {
	g := &generator{rand.New(rand.NewPCG(seed, 0))}
	all := make([]Shape, n)
	for i := range all {
		all[i] = Shape{Family: "random", Name: fmt.Sprintf("seed %d, number %d", seed, i), SQL: lines{g.query(2)}}
		all[i].Via = all[i].vias()
	}
	return all
}

type generator struct{ *rand.Rand }

func (g *generator) one(of ...string) string { return of[g.IntN(len(of))] }

// query is a SELECT that gives a column t of text and one n of bigint; deeper ones
// have others below.
func (g *generator) query(depth int) string {
	from, alias := g.from(depth), "q"
	q := fmt.Sprintf("SELECT %s AS t, %s AS n FROM %s %s", g.text(depth), g.number(depth), from, alias)
	if g.IntN(4) == 0 {
		q += fmt.Sprintf(" WHERE %s", g.condition(depth))
	}
	switch g.IntN(6) {
	case 0:
		return fmt.Sprintf("WITH w AS (%s) SELECT t, n FROM w", q)
	case 1:
		return fmt.Sprintf("%s UNION ALL %s", q, "SELECT note, id FROM orders")
	case 2:
		return fmt.Sprintf("SELECT %s AS t, count(*) AS n FROM (%s) g", g.one("max(t)", "string_agg(t, ',')", "min(left(t, 9))", "min(t) FILTER (WHERE n > 0)"), q)
	case 3:
		return fmt.Sprintf("SELECT DISTINCT t, n FROM (%s) d", q)
	}
	return q
}

// from is what has the columns t and n.
func (g *generator) from(depth int) string {
	if depth > 0 && g.IntN(2) == 0 {
		return "(" + g.query(depth-1) + ")"
	}
	return g.one(
		"(SELECT ssn AS t, id AS n FROM people)", "(SELECT card AS t, bonus AS n FROM people)", "(SELECT name AS t, salary AS n FROM people)",
		"(SELECT s AS t, pid AS n FROM stacked)", "(SELECT secret AS t, id AS n FROM logs)", "(SELECT note AS t, id AS n FROM orders)",
		"(SELECT p.email AS t, o.id AS n FROM people p JOIN orders o ON o.person = p.id)", "(SELECT title AS t, id AS n FROM depts)",
		`(SELECT "Ssn" AS t, id AS n FROM "Odd Table")`, "(SELECT doc ->> 'key' AS t, id AS n FROM people)", "(SELECT (home).city AS t, id AS n FROM people)",
		"(SELECT to_jsonb(x)::text AS t, id AS n FROM people x)", "(SELECT loud AS t, id AS n FROM generated)",
	)
}

func (g *generator) text(depth int) string {
	if depth == 0 || g.IntN(3) == 0 {
		return g.one("q.t", "q.t", "'x'", "q.n::text")
	}
	a, b := g.text(depth-1), g.text(depth-1)
	form := g.one("upper($a)", "reverse($a)", "$a || $b", "left($a, 8)", "md5($a)", "COALESCE($a, $b)", "replace($a, 'a', $b)",
		"CASE WHEN q.n > 2 THEN $a ELSE $b END", "encode(convert_to($a, 'UTF8'), 'hex')", "NULLIF($a, $b)", "GREATEST($a, $b)",
		"(ARRAY[$a, $b])[1]", "(SELECT max(z) FROM (VALUES ($a), ($b)) v(z))", "json_build_array($a) ->> 0", "format('%s', $a)",
		"lag($a) OVER ()", "(ROW($a, 1)).f1", "$a::varchar(20)")
	return strings.NewReplacer("$a", a, "$b", b).Replace(form)
}

func (g *generator) number(depth int) string {
	if depth == 0 || g.IntN(2) == 0 {
		return g.one("q.n", "length(q.t)", "1")
	}
	return fmt.Sprintf(g.one("(%s + 1)", "(%s %% 7)", "abs(%s)", "COALESCE(%s, 0)", "(- %s)", "sign(%s)::bigint"), g.number(depth-1))
}

func (g *generator) condition(depth int) string {
	return g.one("q.n > 2", "q.t > 'M'", "length(q.t) > 10", "q.t IS NOT NULL", "q.n = "+g.number(depth), g.text(depth)+" LIKE '%1%'")
}
