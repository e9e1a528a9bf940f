package conformance

import (
	"fmt"
	"strings"
)

// composer makes the parts of random statements over relations. What it draws is of types
// that fit, so that the server runs it.
type composer struct {
	*draws
	relations []relation
	view      bool // is made for a view: its columns need names of their own
	names     int  // of aliases so far
}

// source is a relation under an alias.
type source struct {
	alias string
	cols  []column
}

// scope is what expressions may name.
type scope []source

func (q *composer) alias() string {
	q.names++
	return fmt.Sprintf("t%d", q.names)
}

// fits lists the columns of a type; of secret ones only where they may be.
func (sc scope) fits(kind string, secret bool) (all []column, names []string) {
	for _, s := range sc {
		for _, c := range s.cols {
			if c.kind == kind && (secret || !c.secret) {
				all, names = append(all, c), append(names, s.alias+"."+c.name)
			}
		}
	}
	return all, names
}

// expression is one, and whether it is made from a protected value.
type expression struct {
	sql    string
	secret bool
}

// column draws one of a type; there may be none.
func (q *composer) column(sc scope, kind string, secret bool) (expression, bool) {
	cols, names := sc.fits(kind, secret)
	if len(cols) == 0 {
		return expression{}, false
	}
	i := q.intN(len(cols))
	return expression{names[i], cols[i].secret}, true
}

// any draws a column of any type.
func (q *composer) any(sc scope, secret bool) (expression, string) {
	s := one(q.draws, sc...)
	for range 4 {
		c := one(q.draws, s.cols...)
		if secret || !c.secret {
			return expression{s.alias + "." + c.name, c.secret}, c.kind
		}
	}
	return expression{"1", false}, "int"
}

// templates make a type from others: $t is a text, $n a whole number, $b a condition,
// $j a document, $a an array of text, $x a column of any type. None can fail.
var templates = map[string][]string{
	"text": {
		"upper($t)", "reverse($t)", "$t || $t", "left($t, 8)", "right($t, 5)", "md5($t)", "COALESCE($t, $t)", "replace($t, 'a', $t)", "$x::text", "CAST($x AS varchar(30))",
		"CASE WHEN $b THEN $t ELSE $t END", "encode(convert_to($t, 'UTF8'), 'hex')", "NULLIF($t, $t)", "GREATEST($t, $t)", "(ARRAY[$t, $t])[1]", "(ROW($t, 1)).f1",
		"(SELECT max(z) FROM (VALUES ($t), ($t)) v(z))", "json_build_array($t) ->> 0", "format('%s-%s', $t, $x)", "concat_ws(',', $t, $x)", "$j ->> 'key'", "($j)::text", "substr($t, 2, 5)",
		"array_to_string($a, '/')", "($a)[1]", "translate($t, 'abc', 'xyz')", "lpad($t, 20, '*')", "to_jsonb($x) #>> '{}'", "JSON_VALUE($j, '$.key')", "JSON_QUERY($j, '$.key')::text",
		"regexp_replace($t, '[0-9]', '#', 'g')", "split_part($t, '-', 1)", "$t COLLATE \"C\"", "quote_literal($t)", "overlay($t PLACING 'x' FROM 2)", "(SELECT $t LIMIT 1)", "initcap($t)",
		"to_char($n, '999')", "trim(both 'a' from $t)", "string_to_array($t, 'a')::text", "JSON_OBJECT('a': $t)::text", "JSON_ARRAY($t, $n)::text", "xmlelement(name a, $t)::text",
	},
	"int": {
		"length($t)", "COALESCE($n, 0)", "abs($n % 7)", "CASE WHEN $b THEN $n ELSE 0 END", "ascii($t)", "strpos($t, 'a')", "octet_length($t)", "cardinality($a)", "GREATEST($n, 1)", "sign($n::numeric)::int",
		"(SELECT count(*)::int FROM (VALUES ($t)) v(z) WHERE z IS NULL)", "num_nulls($x, $t)", "($b)::int",
	},
	"bool": {
		"$n > 2", "$t IS NOT NULL", "$t LIKE '%a%'", "$n IN (1, 2, 3)", "$n BETWEEN 1 AND 30", "NOT ($b)", "($b) AND ($b)", "($b) OR ($b)", "$t > 'M'", "$x IS NULL", "$t ~ '^[a-m]'", "$t = ANY ($a)",
		"$j ? 'key'", "$t IS DISTINCT FROM $t", "EXISTS (SELECT $t)", "length($t) > 3", "starts_with($t, 'p')", "JSON_EXISTS($j, '$.n')",
	},
	"jsonb": {
		"jsonb_build_object('a', $x, 'b', $t)", "to_jsonb($x)", "jsonb_build_array($t, $n)", "$j || $j", "jsonb_set($j, '{z}', to_jsonb($t))", "jsonb_strip_nulls($j)", "$j #- '{n}'", "to_jsonb(ROW($t, $x))",
	},
	"text[]": {"ARRAY[$t, $t]", "string_to_array($t, ' ')", "array_append($a, $t)", "ARRAY(SELECT $t)", "regexp_split_to_array($t, 'a')", "array_remove($a, $t)"},
}

// fallible ones may fail, and so tell of what they are computed from.
var fallible = []string{"(100 / ($n % 5 + 1))", "length($t)::int4", "COALESCE($n, 1)::smallint::int", "(length($t) - 3) * 100000"}

var constants = map[string]string{"text": "'x'::text", "int": "1", "bool": "true", "jsonb": `'{"key": "x"}'::jsonb`, "text[]": "'{x}'::text[]"}

// expression makes one of a type of templates.
func (q *composer) expression(sc scope, kind string, depth int, secret bool) expression {
	if depth == 0 || q.percent(40) {
		if c, ok := q.column(sc, kind, secret); ok {
			return c
		}
		return expression{constants[kind], false}
	}
	form := one(q.draws, templates[kind]...)
	if kind == "int" && q.percent(3) {
		form = one(q.draws, fallible...)
	}
	var b strings.Builder
	e := expression{}
	add := func(part expression) {
		b.WriteString(part.sql)
		e.secret = e.secret || part.secret
	}
	for at := 0; at < len(form); at++ {
		next := byte(0)
		if form[at] == '$' && at+1 < len(form) {
			next = form[at+1]
		}
		kinds := map[byte]string{'t': "text", 'n': "int", 'b': "bool", 'j': "jsonb", 'a': "text[]"}
		switch {
		case next == 'x':
			c, _ := q.any(sc, secret)
			add(c)
			at++
		case kinds[next] != "":
			// What is asked about a protected value is refused: seldom, as it finds little.
			add(q.expression(sc, kinds[next], depth-1, secret && (next != 'b' || q.asks(10))))
			at++
		default:
			b.WriteByte(form[at])
		}
	}
	e.sql = b.String()
	return e
}

// asks says yes in so many cases of a hundred to something that is asked about a
// protected value: never in a view, as what its owner filters by is the owner's.
func (q *composer) asks(n int) bool { return q.percent(n) && !q.view }

// condition is over unprotected values, but for a few.
func (q *composer) condition(sc scope, depth int) string {
	return q.expression(sc, "bool", depth, q.asks(4)).sql
}

// output draws one column of a result.
func (q *composer) output(sc scope, depth int) (expression, string) {
	if q.percent(45) {
		kind := one(q.draws, "text", "text", "int", "jsonb", "bool", "text[]")
		return q.expression(sc, kind, depth, true), kind
	}
	return q.any(sc, true)
}

// from draws what is read: a relation, a subquery, joins.
func (q *composer) from(depth int) (string, scope) {
	sql, first := q.relation(depth)
	sc := scope{first}
	for q.percent(25) && len(sc) < 3 {
		more, s := q.relation(depth)
		if q.percent(15) {
			e := q.expression(sc, "text", 1, true)
			s = source{q.alias(), []column{{"u", "text", e.secret}}}
			more = one(q.draws, fmt.Sprintf("(SELECT %s AS u) %s", e.sql, s.alias), fmt.Sprintf("unnest(ARRAY[%s]) %s(u)", e.sql, s.alias))
			sql += " CROSS JOIN LATERAL " + more
			sc = append(sc, s)
			continue
		}
		left, l := q.column(sc, "int", false)
		right, r := q.column(scope{s}, "int", false)
		if !l || !r {
			sql += " CROSS JOIN " + more
		} else {
			sql += fmt.Sprintf(" %s %s ON %s = %s", one(q.draws, "JOIN", "LEFT JOIN", "FULL JOIN", "RIGHT JOIN"), more, left.sql, right.sql)
		}
		sc = append(sc, s)
	}
	return sql, sc
}

func (q *composer) relation(depth int) (string, source) {
	alias := q.alias()
	if depth > 0 && q.percent(30) {
		sql, cols := q.selection(depth - 1)
		return fmt.Sprintf("(%s) %s", sql, alias), source{alias, cols}
	}
	r := one(q.draws, q.relations...)
	if r.table && q.percent(5) {
		return fmt.Sprintf("%s %s TABLESAMPLE BERNOULLI (100)", r.name, alias), source{alias, r.cols}
	}
	if r.table && q.percent(10) {
		return fmt.Sprintf("ONLY %s %s", r.name, alias), source{alias, r.cols}
	}
	return r.name + " " + alias, source{alias, r.cols}
}

// selection is a query, and its columns by name.
func (q *composer) selection(depth int) (string, []column) {
	switch {
	case q.percent(12):
		return q.grouped(depth)
	case depth > 0 && q.percent(8):
		return q.union(depth)
	case depth > 0 && q.percent(10):
		return q.with(depth)
	}
	from, sc := q.from(depth)
	var outputs []string
	var cols []column
	for i := range 1 + q.intN(4) {
		e, kind := q.output(sc, 2)
		name := fmt.Sprintf("o%d", i+1)
		if plain := kind == "int" && !e.secret; plain && q.percent(15) {
			e.sql = fmt.Sprintf("%s OVER (PARTITION BY %s)", one(q.draws, "count(*)", "max("+e.sql+")"), e.sql)
			kind = "window"
		} else if kind == "text" && q.percent(10) {
			e.sql = one(q.draws, "lag(%s) OVER ()", "first_value(%s) OVER ()", "max(%s) OVER ()")
			e.sql = strings.Replace(e.sql, "%s", q.expression(sc, "text", 1, true).sql, 1)
			e.secret = true
		}
		outputs, cols = append(outputs, e.sql+" AS "+name), append(cols, column{name, kind, e.secret})
	}
	distinct, secret, hashed := "", false, true
	for _, c := range cols {
		secret = secret || c.secret
		// An enum's hash is made from its OID, which another database has otherwise: so
		// would be the order of rows.
		hashed = hashed && c.kind != "window" && c.kind != "mood"
	}
	if hashed && (!secret && q.percent(20) || q.asks(2)) {
		distinct = "DISTINCT "
	}
	sql := "SELECT " + distinct + strings.Join(outputs, ", ") + " FROM " + from
	if q.percent(35) {
		sql += " WHERE " + q.condition(sc, 2)
	}
	if distinct == "" && q.percent(25) {
		by := q.expression(sc, one(q.draws, "int", "text"), 1, q.asks(4))
		sql += " ORDER BY " + by.sql + one(q.draws, "", " DESC", " NULLS FIRST")
		if q.percent(40) {
			sql += " LIMIT 3"
		}
	}
	return sql, cols
}

// grouped aggregates, by what is not protected.
func (q *composer) grouped(depth int) (string, []column) {
	from, sc := q.from(depth)
	key := q.expression(sc, one(q.draws, "int", "text"), 0, q.asks(3))
	e := q.expression(sc, "text", 1, true)
	form := one(q.draws, "max(%s)", "min(%s)", "string_agg(%s, ',')", "(array_agg(%s))[1]", "max(left(%s, 4))", "jsonb_agg(%s)::text", "min(%s) FILTER (WHERE true)", "JSON_ARRAYAGG(%s)::text", "count(%s)::text", "bool_or(%s IS NULL)::text")
	by := "GROUP BY " + one(q.draws, key.sql, "ROLLUP ("+key.sql+")", "CUBE ("+key.sql+")", "GROUPING SETS (("+key.sql+"), ())")
	if key.sql == constants["int"] || key.sql == constants["text"] { // a position, or nothing
		by = ""
	}
	having := ""
	if by != "" && q.percent(20) {
		having = " HAVING count(*) > 0"
	}
	return fmt.Sprintf("SELECT %s AS o1, count(*)::int AS o2 FROM %s %s%s", strings.Replace(form, "%s", e.sql, 1), from, by, having), []column{{"o1", "text", true}, {"o2", "int", false}}
}

func (q *composer) union(depth int) (string, []column) {
	part := func() (string, bool) {
		from, sc := q.from(depth - 1)
		e := q.expression(sc, "text", 2, true)
		return fmt.Sprintf("SELECT %s AS o1 FROM %s", e.sql, from), e.secret
	}
	a, one1 := part()
	b, two := part()
	word := "UNION ALL"
	if !one1 && !two || q.asks(5) {
		word = one(q.draws, "UNION", "EXCEPT", "INTERSECT", "EXCEPT ALL")
	}
	return fmt.Sprintf("(%s) %s (%s)", a, word, b), []column{{"o1", "text", one1 || two}}
}

func (q *composer) with(depth int) (string, []column) {
	inner, cols := q.selection(depth - 1)
	name := q.alias()
	how := one(q.draws, "", "MATERIALIZED ", "NOT MATERIALIZED ")
	sc := scope{{name, cols}}
	e := q.expression(sc, "text", 1, true)
	return fmt.Sprintf("WITH %s AS %s(%s) SELECT %s AS o1 FROM %s", name, how, inner, e.sql, name), []column{{"o1", "text", e.secret}}
}
