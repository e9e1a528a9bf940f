package catalog

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// What is done to a relation may run code of users' that no statement names.

// code is a function that the server may call because of what is done to a relation.
type code struct {
	relation         uint32
	language, source string
}

// coded reads which functions of users' the server calls because of what a statement
// does to a relation, without being told to: of triggers, rules, defaults, checks, policies, indexes and
// domains. A rule may do anything itself.
const coded = `
WITH called (relation, fn) AS (
  SELECT tgrelid, tgfoid FROM pg_trigger WHERE NOT tgisinternal
  UNION
  SELECT adrelid, refobjid FROM pg_attrdef d JOIN pg_depend p ON p.classid = 2604 AND p.objid = d.oid AND p.refclassid = 1255
  UNION
  SELECT conrelid, refobjid FROM pg_constraint c JOIN pg_depend p ON p.classid = 2606 AND p.objid = c.oid AND p.refclassid = 1255 WHERE conrelid <> 0
  UNION
  SELECT attrelid, refobjid FROM pg_constraint c JOIN pg_depend p ON p.classid = 2606 AND p.objid = c.oid AND p.refclassid = 1255
    JOIN pg_attribute a ON a.atttypid = c.contypid WHERE c.contypid <> 0
  UNION
  SELECT polrelid, refobjid FROM pg_policy c JOIN pg_depend p ON p.classid = 3256 AND p.objid = c.oid AND p.refclassid = 1255
  UNION
  SELECT indrelid, refobjid FROM pg_index i JOIN pg_depend p ON p.classid = 1259 AND p.objid = i.indexrelid AND p.refclassid = 1255
)
SELECT relation, lanname::text, prosrc FROM called JOIN pg_proc p ON p.oid = fn JOIN pg_language l ON l.oid = prolang WHERE p.oid >= 16384
UNION ALL
SELECT ev_class, '', '' FROM pg_rewrite JOIN pg_class c ON c.oid = ev_class WHERE ev_class >= 16384 AND ev_type <> '1'
 ORDER BY 1, 2, 3`

// cascades reads which tables are written because another is: by foreign keys.
const cascades = `
SELECT DISTINCT confrelid, conrelid FROM pg_constraint
 WHERE contype = 'f' AND (confdeltype IN ('c', 'n', 'd') OR confupdtype IN ('c', 'n', 'd')) ORDER BY 1, 2`

func readCode(ctx context.Context, tx pgx.Tx, b *builder) error {
	rows, err := tx.Query(ctx, coded)
	if err != nil {
		return err
	}
	var c code
	if _, err = pgx.ForEachRow(rows, []any{&c.relation, &c.language, &c.source}, func() error {
		b.code(c)
		return nil
	}); err != nil {
		return err
	}
	if rows, err = tx.Query(ctx, cascades); err != nil {
		return err
	}
	var from, to uint32
	_, err = pgx.ForEachRow(rows, []any{&from, &to}, func() error {
		b.cascade(from, to)
		return nil
	})
	return err
}

// code notes that a relation has a function of users' behind it, unless that looks at
// nothing but the row.
func (b *builder) code(c code) {
	b.note("code", c.relation, c.language, c.source)
	if r := b.snapshot.byOID[c.relation]; r != nil && !sqlmeta.Harmless(c.language, c.source, b.users) {
		r.Code = true
	}
}

func (b *builder) cascade(from, to uint32) {
	b.note("cascade", from, to)
	b.reaches[from] = append(b.reaches[from], to)
}

// spread has relations run code that another runs which is written along with them: by
// a foreign key, as a partition, or as a parent.
func (b *builder) spread() {
	back := map[uint32][]uint32{}
	for from, all := range b.reaches {
		for _, to := range all {
			back[to] = append(back[to], from)
		}
	}
	var todo []*sqlmeta.Relation
	for _, r := range b.relations {
		if r.Code {
			todo = append(todo, r)
		}
	}
	for len(todo) > 0 {
		r := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, list := range [][]uint32{back[r.OID], r.Parents} {
			for _, oid := range list {
				if next := b.snapshot.byOID[oid]; next != nil && !next.Code {
					next.Code = true
					todo = append(todo, next)
				}
			}
		}
	}
}
