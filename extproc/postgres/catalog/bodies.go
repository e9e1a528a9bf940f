package catalog

import (
	"context"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// lookedInto is a routine with what it sets for itself, and without its body where that
// may mean something else than its text says: where the function runs as another user
// under the caller's search path, or sets more than its search path.
func lookedInto(r sqlmeta.Routine, config []string, definer bool) sqlmeta.Routine {
	r.Path, r.OwnPath, r.Qualified, r.Parameters = nil, false, false, slices.Clone(r.Parameters)
	for _, setting := range config {
		path, ok := strings.CutPrefix(setting, "search_path=")
		if !ok {
			r.Body = ""
			continue
		}
		r.Path, r.OwnPath = sqlmeta.ParseSearchPath(path), true
	}
	if definer && (!r.OwnPath || slices.Contains(r.Path, "$user")) {
		r.Body = ""
	}
	return r
}

// bodies reads those of functions that were made with BEGIN ATOMIC or RETURN. They are
// kept as trees, and written down anew with every name's schema.
const bodies = `
SELECT p.oid, pg_get_function_sqlbody(p.oid)
  FROM pg_proc p
 WHERE p.prosqlbody IS NOT NULL AND p.prokind = 'f' AND p.oid >= 16384 AND p.proconfig IS NULL AND NOT p.prosecdef
 ORDER BY p.oid`

// readBodies reads them all at once. Where one is about a table that is locked, none is
// known until the next look.
func readBodies(ctx context.Context, tx pgx.Tx, b *builder) error {
	part, err := tx.Begin(ctx) // a savepoint
	if err != nil {
		return err
	}
	defer func() { _ = part.Rollback(ctx) }()
	type body struct {
		oid  uint32
		text *string // NULL: it was dropped meanwhile
	}
	rows, err := part.Query(ctx, bodies)
	if err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (one body, err error) {
		return one, row.Scan(&one.oid, &one.text)
	})
	if locked(err) {
		b.incomplete = true
		return nil
	}
	if err != nil {
		return err
	}
	for _, one := range all {
		b.body(one.oid, one.text)
	}
	return nil
}

// longestBody is how long the body of a function may be that is looked into, in bytes.
const longestBody = 64 << 10
