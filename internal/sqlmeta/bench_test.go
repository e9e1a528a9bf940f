package sqlmeta

import (
	"context"
	"strings"
	"testing"
)

const (
	simpleSQL  = "SELECT id, name FROM customers WHERE id = 1"
	complexSQL = `WITH recent AS (
  SELECT c.id, c.name, sum(o.total) AS spent FROM customers c JOIN orders o ON o.customer_id = c.id
   WHERE o.placed > now() - interval '30 days' GROUP BY c.id, c.name HAVING sum(o.total) > 100
), top AS (SELECT * FROM recent WHERE spent > (SELECT avg(spent) FROM recent))
SELECT top.name, top.spent, CASE WHEN top.spent > 1000 THEN 'gold' ELSE 'silver' END AS tier,
       row_number() OVER (PARTITION BY top.name ORDER BY top.spent DESC), x.latest
  FROM top LEFT JOIN LATERAL (SELECT max(placed) AS latest FROM orders o2 WHERE o2.customer_id = top.id) x ON true
 ORDER BY 2 DESC LIMIT 10`
)

// uncached is a catalog without a revision: nothing analysed against it is kept.
type uncached struct {
	Catalog
	Routines
}

func BenchmarkAnalyze(b *testing.B) {
	catalog := indexed(shop)
	rows := "INSERT INTO orders (id, note) VALUES (1, 'a')" + strings.Repeat(", (1, 'a')", 1000)
	literal := "INSERT INTO orders (note) VALUES ('" + strings.Repeat("x", 1<<20-64) + "')"
	for _, c := range []struct {
		name, sql string
		catalog   Catalog
	}{
		{"hit", simpleSQL, catalog},
		{"hit-complex", complexSQL, catalog},
		{"miss-simple", simpleSQL, uncached{catalog, catalog}},
		{"miss-complex", complexSQL, uncached{catalog, catalog}},
		{"miss-view", "SELECT s FROM stacked", uncached{catalog, catalog}},
		{"miss-1000-rows", rows, uncached{catalog, catalog}},
		{"miss-1MiB-literal", literal, uncached{catalog, catalog}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := analyzer.Analyze(context.Background(), c.sql, c.catalog, path); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What a miss is made of.
func BenchmarkParts(b *testing.B) {
	for _, c := range []struct{ name, sql string }{{"simple", simpleSQL}, {"complex", complexSQL}} {
		s, err := analyzer.parser.take()
		if err != nil {
			b.Fatal(err)
		}
		raw, err := s.parse(c.sql)
		if err != nil {
			b.Fatal(err)
		}
		tree, _, err := decodeTree(raw, nil)
		if err != nil {
			b.Fatal(err)
		}
		catalog := indexed(shop)
		for _, part := range []struct {
			name string
			run  func() error
		}{
			{"parse", func() error { _, err := s.parse(c.sql); return err }},
			{"decode", func() error { _, _, err := decodeTree(raw, nil); return err }},
			{"lineage", func() error {
				newRun(analyzer, catalog, path).whole(tree.GetStmts()[0].GetStmt(), new(Statement))
				return nil
			}},
		} {
			b.Run(c.name+"/"+part.name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if err := part.run(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		analyzer.parser.give(s)
	}
}

// mapCatalog is a catalog with the lookups of a real one.
type mapCatalog struct {
	*fileCatalog
	byName   map[[2]string]*Relation
	byOID    map[uint32]*Relation
	routines map[string][]Routine
}

func indexed(c *fileCatalog) *mapCatalog {
	m := &mapCatalog{c, map[[2]string]*Relation{}, map[uint32]*Relation{}, map[string][]Routine{}}
	for _, r := range c.Relations {
		m.byName[[2]string{r.Schema, r.Name}] = r
		m.byOID[r.OID] = r
	}
	for _, f := range c.Funcs {
		m.routines[f.Name] = append(m.routines[f.Name], f)
	}
	return m
}

func (c *mapCatalog) Relation(searchPath []string, schema, name string) (*Relation, bool) {
	if schema == "" {
		if r, ok := c.byName[[2]string{"pg_catalog", name}]; ok {
			return r, true
		}
		for _, s := range searchPath {
			if r, ok := c.byName[[2]string{s, name}]; ok {
				return r, true
			}
		}
	}
	r, ok := c.byName[[2]string{schema, name}]
	return r, ok
}

func (c *mapCatalog) RelationByOID(oid uint32) (*Relation, bool) {
	r, ok := c.byOID[oid]
	return r, ok
}

func (c *mapCatalog) Routines(_ []string, _, name string) []Routine { return c.routines[name] }
