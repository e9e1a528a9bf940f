package conformance

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
)

// Random makes a schema of a seed, and shapes of random statements over it. The same
// seed makes the same ones, and each by its number alone.
func Random(seed uint64, n int) (*Scheme, []Shape) {
	scheme, relations := randomScheme(seed)
	all := make([]Shape, n)
	for i := range all {
		all[i], _ = randomShape(relations, seed, i, nil)
	}
	return scheme, all
}

// randomShape makes one from decisions; nil are new ones, by seed and number. Those
// that were taken come back.
func randomShape(relations []relation, seed uint64, number int, given []int) (Shape, []int) {
	d := &draws{given: given}
	if given == nil {
		d.random = rand.New(rand.NewPCG(seed, 1000+uint64(number))) //nolint:gosec // a count
	}
	q := &composer{draws: d, relations: relations}
	s := Shape{Family: "random", Name: fmt.Sprintf("seed %d, number %d", seed, number)}
	s.SQL = q.statements()
	first := strings.ToUpper(s.SQL[0])
	s.Writes = strings.Contains(first, "INSERT") || strings.Contains(first, "UPDATE") || strings.Contains(first, "DELETE")
	s.Via = s.vias()
	forms := rand.New(rand.NewPCG(seed, 1<<40+uint64(number))) //nolint:gosec // a count
	forms.Shuffle(len(s.Via), func(i, j int) { s.Via[i], s.Via[j] = s.Via[j], s.Via[i] })
	s.Via = slices.DeleteFunc(s.Via, func(via string) bool { return via == viaBatch })[:2]
	return s, d.taken
}

// statements draws a statement, or the several of one session.
func (q *composer) statements() lines {
	switch kind := q.intN(100); {
	case kind < 68:
		sql, _ := q.selection(2)
		return lines{sql}
	case kind < 84:
		return lines{q.change()}
	case kind < 87:
		return lines{q.copy()}
	case kind < 90:
		sql, _ := q.selection(1)
		return lines{"BEGIN", "DECLARE c CURSOR FOR " + sql, "FETCH 2 FROM c", "FETCH ALL FROM c", "COMMIT"}
	case kind < 93:
		sql, _ := q.selection(1)
		return lines{"PREPARE p AS " + sql, "EXECUTE p", "EXECUTE p"}
	case kind < 95:
		sql, _ := q.selection(1)
		return lines{"EXPLAIN (COSTS OFF) " + sql}
	case kind < 97:
		sql, cols := q.selection(1)
		return lines{fmt.Sprintf("CREATE TEMP TABLE mine AS %s", sql), "SELECT " + cols[0].name + " FROM mine"}
	default:
		change := q.change()
		if !strings.Contains(change, "RETURNING") {
			change += " RETURNING 1 AS o1"
		}
		return lines{"WITH w AS (" + change + ") SELECT w.* FROM w"}
	}
}

// change is a statement that writes rows.
func (q *composer) change() string {
	r := one(q.draws, q.tables()...)
	alias := q.alias()
	sc := scope{{alias, r.cols}}
	var plain []column
	for _, c := range r.cols {
		if constants[c.kind] != "" && c.name != "id" && c.name != "ref" && c.name != "k" && c.name != "g1" && !c.secret {
			plain = append(plain, c)
		}
	}
	target := column{"ref", "int", false}
	if len(plain) > 0 {
		target = one(q.draws, plain...)
	}
	value := q.expression(sc, target.kind, 1, q.percent(8)).sql
	if target.name == "ref" {
		value = "NULL"
	}
	back := q.returning(sc)
	where := " WHERE " + alias + ".id = 1"
	if q.percent(30) {
		where = " WHERE " + q.condition(sc, 1)
	}
	switch q.intN(5) {
	case 0:
		return fmt.Sprintf("UPDATE %s %s SET %s = %s%s%s", r.name, alias, target.name, value, where, back)
	case 1:
		return fmt.Sprintf("DELETE FROM %s %s%s%s", r.name, alias, where, back)
	case 2:
		key := one(q.draws, "'a'", "'b'")
		if r.name == "r5" {
			return fmt.Sprintf("INSERT INTO %s AS %s (id, k) VALUES (77, %s)%s", r.name, alias, key, back)
		}
		return fmt.Sprintf("INSERT INTO %s AS %s (id, ref) VALUES (77, NULL)%s", r.name, alias, back)
	case 3:
		if r.name == "r5" || r.name == "r5a" {
			return fmt.Sprintf("UPDATE %s %s SET id = %s.id%s%s", r.name, alias, alias, where, back)
		}
		return fmt.Sprintf("INSERT INTO %s AS %s (id, ref) VALUES (1, NULL) ON CONFLICT (id) DO UPDATE SET %s = %s%s", r.name, alias, target.name, value, back)
	default:
		return fmt.Sprintf("MERGE INTO %s %s USING (VALUES (1), (78)) s(n) ON %s.id = s.n WHEN MATCHED THEN UPDATE SET %s = %s WHEN NOT MATCHED THEN DO NOTHING%s", r.name, alias, alias, target.name, value, back)
	}
}

// returning is what a statement that writes gives back.
func (q *composer) returning(sc scope) string {
	if q.percent(15) {
		return ""
	}
	if q.percent(25) {
		return " RETURNING *"
	}
	e, _ := q.output(sc, 1)
	if q.percent(20) {
		e.sql = strings.ReplaceAll(e.sql, sc[0].alias+".", one(q.draws, "old.", "new."))
	}
	return " RETURNING " + e.sql + " AS o1"
}

func (q *composer) tables() (all []relation) {
	for _, r := range q.relations {
		if r.table {
			all = append(all, r)
		}
	}
	return all
}

func (q *composer) copy() string {
	r := one(q.draws, q.tables()...)
	options := one(q.draws, "", " (FORMAT csv)", " (FORMAT binary)", " (FORMAT csv, HEADER, FORCE_QUOTE *)")
	if q.percent(50) {
		sql, _ := q.selection(1)
		return fmt.Sprintf("COPY (%s) TO STDOUT%s", sql, options)
	}
	var names []string
	for _, c := range r.cols {
		if c.name != "g1" && q.percent(60) {
			names = append(names, c.name)
		}
	}
	if len(names) == 0 {
		names = []string{"id"}
	}
	return fmt.Sprintf("COPY %s (%s) TO STDOUT%s", r.name, strings.Join(names, ", "), options)
}

// tries is how many simpler statements are played to shorten one.
const tries = 60

// Shorten looks for a simpler statement that still shows something bad, where number n
// of a seed does. The shape is the first again where there is none.
func Shorten(ctx context.Context, o Options, seed uint64, number int) (Shape, error) {
	scheme, relations := randomScheme(seed)
	o.Scheme, o.Progress = scheme, nil
	best, taken := randomShape(relations, seed, number, nil)
	for left := tries; left > 0; {
		better := false
		for _, given := range shorter(taken) {
			s, now := randomShape(relations, seed, number, given)
			if len(s.text()) >= len(best.text()) {
				continue
			}
			if left--; left < 0 {
				break
			}
			findings, err := Run(ctx, o, []Shape{s})
			if err != nil {
				return best, err
			}
			if len(Bad(findings)) > 0 {
				best, taken, better = s, now, true
				break
			}
		}
		if !better {
			break
		}
	}
	return best, nil
}
