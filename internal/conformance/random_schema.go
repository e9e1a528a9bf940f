package conformance

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// column is one of a relation of a random schema.
type column struct {
	name   string
	kind   string // the type, as expressions call it
	secret bool   // holds canaries, or is made from one that does
}

// relation is what a random statement reads.
type relation struct {
	name  string
	cols  []column
	table bool // rows can be written
}

// schema is a random one.
type schema struct {
	random    *rand.Rand
	relations []relation
	types     map[string]*sqlType // of table columns, r1.p1
	objects   strings.Builder
	rows      strings.Builder
}

// randomScheme makes a schema of a seed: six tables with partitions, heirs, generated
// columns and foreign keys, views upon views, and SQL functions.
func randomScheme(seed uint64) (*Scheme, []relation) {
	s := &schema{random: rand.New(rand.NewPCG(seed, 0)), types: map[string]*sqlType{}}
	s.objects.WriteString(`CREATE TYPE pair AS (a text, b int);
CREATE TYPE mood AS ENUM ('low', 'high');
CREATE DOMAIN shouted AS text;
CREATE TABLE control (mark text);
`)
	var names []string
	for n := 1; n <= randomTables; n++ {
		s.table(n)
		names = append(names, fmt.Sprintf("r%d", n))
	}
	tables := len(s.relations)
	for n := 1; n <= 5; n++ {
		s.view(n, tables)
	}
	for n := 1; n <= 2; n++ {
		s.function(n, tables)
	}
	sql := s.objects.String() + "-- data\nTRUNCATE control, " + strings.Join(names, ", ") + ";\n" + s.rows.String() +
		"INSERT INTO control VALUES ('{mark}');\nREFRESH MATERIALIZED VIEW v5;\n"
	types := s.types
	return &Scheme{sql, func(side Side) *values {
		v := &values{side: side, random: rand.New(rand.NewPCG(seed, 1+uint64(side))), literals: map[string]string{}} //nolint:gosec // 0 or 1
		for _, name := range protectedNames() {
			if t := types[name]; t != nil {
				for row := 1; row <= people; row++ {
					t.place(v, name, row)
				}
			}
		}
		return v
	}}, s.relations
}

func (s *schema) draw() *sqlType { return sqlTypes[s.random.IntN(len(sqlTypes))] }

// table makes table n. The fifth is partitioned, the sixth inherits from the third.
func (s *schema) table(n int) {
	r := relation{name: fmt.Sprintf("r%d", n), table: true, cols: []column{{"id", "int", false}, {"ref", "int", false}}}
	defs := []string{"id int PRIMARY KEY", "ref int"}
	add := func(name string, secret bool) {
		t := s.draw()
		s.types[r.name+"."+name] = t
		defs, r.cols = append(defs, name+" "+t.name), append(r.cols, column{name, called(t.name), secret})
	}
	// What autovacuum learns of one side, when it likes, would change plans there.
	const quiet = " WITH (autovacuum_enabled = off)"
	end, first := quiet, 1
	switch n {
	case 1:
	case 5:
		defs[0], end = "id int", " PARTITION BY LIST (k)"
	case 6:
		end, first = " INHERITS (r3)"+quiet, 9
		for _, c := range s.relations[2].cols[2:] {
			r.cols = append(r.cols, c)
			s.types["r6."+c.name] = s.types["r3."+c.name]
		}
	default:
		defs[1] += fmt.Sprintf(" REFERENCES r%d (id)", n-1)
	}
	for c := range 3 + s.random.IntN(3) {
		add(fmt.Sprintf("c%d", first+c), false)
	}
	for p := range 2 + s.random.IntN(randomProtected-1) {
		if n != 6 {
			add(fmt.Sprintf("p%d", p+1), true)
		}
	}
	given := len(r.cols)
	if n < 5 && n != 3 {
		s.generated(&r, &defs)
	}
	if n == 5 {
		defs, r.cols = append(defs, "k text"), append(r.cols, column{"k", "text", false})
	}
	_, _ = fmt.Fprintf(&s.objects, "CREATE TABLE %s (%s)%s;\n", r.name, strings.Join(defs, ", "), end)
	s.relations = append(s.relations, r)
	s.fill(&r, given)
	if n == 5 {
		s.objects.WriteString("CREATE TABLE r5a PARTITION OF r5 FOR VALUES IN ('a')" + quiet + ";\nCREATE TABLE r5b PARTITION OF r5 FOR VALUES IN ('b')" + quiet + ";\n")
	}
}

// generated adds a column that is computed from a protected text, where there is one.
func (s *schema) generated(r *relation, cols *[]string) {
	for _, c := range r.cols {
		if c.kind == "text" && c.name[0] == 'p' {
			stored := []string{"STORED", "VIRTUAL"}[s.random.IntN(2)]
			if s.types[r.name+"."+c.name].name == "shouted" {
				stored = "STORED" // virtual ones have no domains
			}
			*cols = append(*cols, fmt.Sprintf("g1 text GENERATED ALWAYS AS (reverse(%s)) %s", c.name, stored))
			r.cols = append(r.cols, column{"g1", "text", true})
			return
		}
	}
}

// fill gives a table its rows.
func (s *schema) fill(r *relation, given int) {
	var names []string
	for _, c := range r.cols[:given] {
		names = append(names, c.name)
	}
	if r.name == "r5" {
		names = append(names, "k")
	}
	for row := 1; row <= people; row++ {
		var values []string
		for _, name := range names {
			switch {
			case name == "id":
				values = append(values, fmt.Sprint(row))
			case name == "ref":
				values = append(values, fmt.Sprint(1+s.random.IntN(people)))
			case name == "k":
				values = append(values, []string{"'a'", "'b'"}[row%2])
			case name[0] == 'p':
				values = append(values, "'"+placeholder(r.name+"."+name, row)+"'")
			default:
				values = append(values, "'"+s.types[r.name+"."+name].plain(s.random)+"'")
			}
		}
		_, _ = fmt.Fprintf(&s.rows, "INSERT INTO %s (%s) VALUES (%s);\n", r.name, strings.Join(names, ", "), strings.Join(values, ", "))
	}
}

// called is what expressions call a type: the texts are one.
func called(name string) string {
	if name == "varchar(40)" || name == "shouted" {
		return "text"
	}
	return name
}

// view makes view n: of a table, of a join, of a view; the last is materialized.
func (s *schema) view(n, tables int) {
	among := tables
	if n > 2 {
		among = len(s.relations)
	}
	g := &composer{draws: &draws{random: s.random}, relations: s.relations[:among], view: true}
	sql, cols := g.selection(1)
	word := "VIEW"
	if n == 5 {
		word = "MATERIALIZED VIEW"
	}
	name := fmt.Sprintf("v%d", n)
	_, _ = fmt.Fprintf(&s.objects, "CREATE %s %s AS %s;\n", word, name, sql)
	s.relations = append(s.relations, relation{name, cols, false})
}

// function makes an SQL function that gives a table; calls are read like a relation.
func (s *schema) function(n, tables int) {
	r := s.relations[s.random.IntN(tables)]
	a := r.cols[s.random.IntN(len(r.cols))]
	b := r.cols[s.random.IntN(len(r.cols))]
	_, _ = fmt.Fprintf(&s.objects, "CREATE FUNCTION f%d() RETURNS TABLE (a text, b text) LANGUAGE sql STABLE AS 'SELECT z.%s::text, upper(z.%s::text) FROM {schema}.%s z';\n", n, a.name, b.name, r.name)
	s.relations = append(s.relations, relation{fmt.Sprintf("f%d()", n), []column{{"a", "text", a.secret}, {"b", "text", b.secret}}, false})
}
