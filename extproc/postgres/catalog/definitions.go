package catalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// definitions reads the text of views and of generated columns. The views of the
// server itself are taken as tables: nobody classifies what is under them.
const definitions = `
SELECT c.oid, 0::int2, pg_get_viewdef(c.oid)
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('v', 'm') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
   AND (c.oid = $1 OR $1 = 0)
UNION ALL
SELECT a.attrelid, a.attnum, pg_get_expr(d.adbin, d.adrelid)
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
  JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
 WHERE a.attgenerated <> '' AND NOT a.attisdropped AND c.relpersistence <> 't'
   AND (c.oid = $1 OR $1 = 0)
 ORDER BY 1, 2`

// defined says which relations the query above is about.
const defined = `
SELECT c.oid, 0::int2
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('v', 'm') AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema')
UNION ALL
SELECT a.attrelid, a.attnum FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE a.attgenerated <> '' AND NOT a.attisdropped AND c.relpersistence <> 't'
 ORDER BY 1, 2`

const (
	// lockTimeout is how long one definition may wait for a lock. The server
	// locks what a view stands on to write it down, and whoever changes that
	// table, in a transaction of its own, may be waiting for this very look.
	lockTimeout = 100 * time.Millisecond
	// maxLocked is how many definitions in a row may be waited for in vain.
	maxLocked = 5
	// unreadable is the definition of what could not be read: none that parses,
	// so that nothing is believed about its columns.
	unreadable = "-- locked"
)

// readDefinitions reads all definitions at once, or one by one where one of them
// is locked.
func readDefinitions(ctx context.Context, tx pgx.Tx, b *builder) error {
	if _, err := tx.Exec(ctx, fmt.Sprintf("SET LOCAL lock_timeout = %d", lockTimeout.Milliseconds())); err != nil {
		return err
	}
	all, err := readDefinition(ctx, tx, 0)
	if !locked(err) {
		for _, d := range all {
			b.define(d.relation, d.column, d.text)
		}
		return err
	}
	rows, err := tx.Query(ctx, defined)
	if err != nil {
		return err
	}
	wanted, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (definition, error) {
		d := definition{text: unreadable}
		return d, row.Scan(&d.relation, &d.column)
	})
	if err != nil {
		return err
	}
	return readOneByOne(ctx, tx, b, wanted)
}

func readOneByOne(ctx context.Context, tx pgx.Tx, b *builder, wanted []definition) error {
	b.incomplete = true
	waited := 0
	for i, d := range wanted {
		if i > 0 && wanted[i-1].relation == d.relation {
			continue // read with the one before
		}
		got := wanted[i:min(i+1, len(wanted))]
		if waited < maxLocked {
			read, err := readDefinition(ctx, tx, d.relation)
			switch {
			case locked(err):
				waited++
			case err != nil:
				return err
			default:
				got = read
			}
		}
		if len(got) == 1 && got[0].text == unreadable { // every column of it, then
			for _, other := range wanted[i:] {
				if other.relation == d.relation {
					b.define(other.relation, other.column, unreadable)
				}
			}
			continue
		}
		for _, d := range got {
			b.define(d.relation, d.column, d.text)
		}
	}
	return nil
}

type definition struct {
	relation uint32
	column   int16
	text     string
}

// readDefinition reads the definitions of one relation, or with 0 of all. Failing
// does not end the transaction.
func readDefinition(ctx context.Context, tx pgx.Tx, relation uint32) ([]definition, error) {
	part, err := tx.Begin(ctx) // a savepoint
	if err != nil {
		return nil, err
	}
	defer func() { _ = part.Rollback(ctx) }()
	rows, err := part.Query(ctx, definitions, relation)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (definition, error) {
		var d definition
		var text *string // NULL: it was dropped meanwhile
		err := row.Scan(&d.relation, &d.column, &text)
		if d.text = unreadable; text != nil {
			d.text = *text
		}
		return d, err
	})
}

func locked(err error) bool {
	const lockNotAvailable = "55P03"
	var e *pgconn.PgError
	return errors.As(err, &e) && e.Code == lockNotAvailable
}
