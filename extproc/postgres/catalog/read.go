package catalog

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/internal/mask"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// settings are for the reading transaction: with an empty search path the server
// writes every name in a view's definition with its schema.
const settings = `SELECT current_user::text, current_setting('search_path'), set_config('search_path', '', true)`

// probe says in one row whether any of the tables that are read has changed.
const probe = `
SELECT string_agg(part, ' ') FROM (
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', oid, xmin), 0))) AS part FROM pg_namespace
  UNION ALL
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', oid, xmin), 0))) FROM pg_class WHERE relpersistence <> 't'
  UNION ALL
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', attrelid, attnum, xmin), 0))) FROM pg_attribute WHERE attnum > 0
  UNION ALL
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', oid, xmin), 0))) FROM pg_attrdef
  UNION ALL
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', inhrelid, inhparent, xmin), 0))) FROM pg_inherits
  UNION ALL
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', oid, xmin), 0))) FROM pg_rewrite
  UNION ALL
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', oid, xmin), 0))) FROM pg_proc
  UNION ALL
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', oid, xmin), 0))) FROM pg_operator
  UNION ALL
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', oid, xmin), 0))) FROM pg_cast
  UNION ALL
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', oid, xmin), 0))) FROM pg_extension
  UNION ALL
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', oid, xmin), 0))) FROM pg_type WHERE typtype IN ('d', 'r', 'm')
  UNION ALL
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', oid, xmin), 0))) FROM pg_trigger
  UNION ALL
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', oid, xmin), 0))) FROM pg_constraint
  UNION ALL
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', oid, xmin), 0))) FROM pg_policy
  UNION ALL
  SELECT concat(count(*), '/', sum(hashtextextended(concat_ws(':', indexrelid, xmin), 0))) FROM pg_index WHERE indexprs IS NOT NULL OR indpred IS NOT NULL
) AS parts`

// relations reads tables, views, sequences and composite types.
const relations = `
SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.reltype
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND c.relpersistence <> 't' AND n.nspname <> 'pg_toast'
 ORDER BY c.oid`

const columns = `
SELECT a.attrelid, a.attname, a.attnum, a.atttypid, a.atttypmod
  FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
 WHERE a.attnum > 0 AND NOT a.attisdropped
   AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND c.relpersistence <> 't'
 ORDER BY a.attrelid, a.attnum`

// types reads what those types are made of that users have made: domains, arrays,
// ranges and multiranges; and of extensions the types that masks know by name.
const types = `
WITH own AS (
  SELECT t.* FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.oid >= 16384 AND n.nspname NOT LIKE 'pg\_temp\_%'
)
SELECT oid, typname, 'domain', typbasetype, ',' FROM own WHERE typtype = 'd'
UNION ALL
SELECT a.oid, a.typname, 'array', e.oid, e.typdelim::text FROM own a JOIN pg_type e ON e.oid = a.typelem AND e.typarray = a.oid
UNION ALL
SELECT oid, typname, 'range', rngsubtype, ',' FROM own JOIN pg_range ON rngtypid = oid
UNION ALL
SELECT oid, typname, 'multirange', rngtypid, ',' FROM own JOIN pg_range ON rngmultitypid = oid
UNION ALL
SELECT own.oid, typname, 'named', 0, ',' FROM own JOIN pg_depend d ON d.classid = 'pg_type'::regclass AND d.objid = own.oid AND d.deptype = 'e'
  JOIN pg_extension e ON e.oid = d.refobjid AND d.refclassid = 'pg_extension'::regclass AND e.extname = own.typname
 WHERE typname IN ('hstore', 'citext')
 ORDER BY 1`

const inheritance = `SELECT inhrelid, inhparent FROM pg_inherits ORDER BY inhrelid, inhseqno, inhparent`

// routines reads every function that did not come with the server, and of those
// that did the ones that return rows.
const routines = `
SELECT p.oid, n.nspname, p.proname, p.prokind::text, l.lanname, p.provolatile::text, p.proretset, p.prorettype,
       coalesce(e.extname, ''), p.oid::regprocedure::text,
       CASE WHEN l.lanname = 'sql' AND p.prokind = 'f' AND p.prosqlbody IS NULL AND length(p.prosrc) <= 65536 THEN p.prosrc ELSE '' END,
       coalesce(pg_get_expr(p.proargdefaults, 0), ''), coalesce(p.proconfig, '{}'), p.prosecdef,
       coalesce((SELECT array_agg(coalesce(u.n, '') ORDER BY u.o) FROM unnest(p.proargnames) WITH ORDINALITY AS u (n, o)
                  WHERE p.proargmodes IS NULL OR p.proargmodes[u.o] IN ('i', 'b', 'v')), '{}'),
       coalesce((SELECT array_agg(coalesce(u.n, '') ORDER BY u.o) FROM unnest(p.proargmodes, p.proargnames) WITH ORDINALITY AS u (m, n, o)
                  WHERE u.m IN ('o', 'b', 't')), '{}'),
       coalesce((SELECT array_agg(u.t ORDER BY u.o) FROM unnest(p.proargmodes, p.proallargtypes) WITH ORDINALITY AS u (m, t, o)
                  WHERE u.m IN ('o', 'b', 't')), '{}')
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace JOIN pg_language l ON l.oid = p.prolang
  LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                       AND d.refclassid = 'pg_extension'::regclass
  LEFT JOIN pg_extension e ON e.oid = d.refobjid
 WHERE n.nspname <> 'pg_catalog' OR e.oid IS NOT NULL OR (p.proargmodes IS NOT NULL AND p.proname <> 'unnest')
 ORDER BY p.oid`

// operators reads what calls a function that did not come with the server without
// its name: operators, and casts by their target, found in any search path; those that
// need not be written, by their source too. A cast to a domain calls what its checks call.
const operators = `
WITH called (fn, schema, name) AS (
  SELECT oprcode, nspname, 'operator ' || oprname FROM pg_operator o JOIN pg_namespace n ON n.oid = o.oprnamespace
   WHERE o.oid >= 16384
  UNION ALL
  SELECT castfunc, 'pg_catalog', 'cast ' || typname FROM pg_cast c JOIN pg_type t ON t.oid = c.casttarget
   WHERE c.oid >= 16384 AND castfunc <> 0
  UNION ALL
  SELECT castfunc, 'pg_catalog', from_.name FROM pg_cast c JOIN pg_type t ON t.oid = c.castsource,
         LATERAL (VALUES ('cast from ' || typname), ('cast from #' || t.oid)) AS from_ (name)
   WHERE c.oid >= 16384 AND castfunc <> 0 AND castcontext <> 'e'
  UNION ALL
  SELECT refobjid, 'pg_catalog', 'cast ' || typname FROM pg_constraint c JOIN pg_type t ON t.oid = c.contypid
    JOIN pg_depend p ON p.classid = 2606 AND p.objid = c.oid AND p.refclassid = 1255
   WHERE contypid <> 0 AND refobjid >= 16384
)
SELECT p.oid, called.schema, called.name, p.prokind::text, l.lanname, p.provolatile::text, p.proretset, p.prorettype,
       coalesce(e.extname, ''), p.oid::regprocedure::text,
       CASE WHEN l.lanname = 'sql' AND p.prokind = 'f' AND p.prosqlbody IS NULL AND length(p.prosrc) <= 65536 THEN p.prosrc ELSE '' END,
       coalesce(pg_get_expr(p.proargdefaults, 0), ''), coalesce(p.proconfig, '{}'), p.prosecdef,
       coalesce((SELECT array_agg(coalesce(u.n, '') ORDER BY u.o) FROM unnest(p.proargnames) WITH ORDINALITY AS u (n, o)
                  WHERE p.proargmodes IS NULL OR p.proargmodes[u.o] IN ('i', 'b', 'v')), '{}'),
       '{}'::text[], '{}'::oid[]
  FROM called JOIN pg_proc p ON p.oid = called.fn JOIN pg_language l ON l.oid = p.prolang
  LEFT JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e'
                       AND d.refclassid = 'pg_extension'::regclass
  LEFT JOIN pg_extension e ON e.oid = d.refobjid
 ORDER BY called.name, called.schema, p.oid`

// functions reads all that can be called by OID.
const functions = `
SELECT p.oid, n.nspname, p.proname, p.proargtypes::oid[]
  FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace ORDER BY p.oid`

// read reads a whole snapshot and its versions in one transaction; nil where the probe
// answers the same as before.
func read(ctx context.Context, conn *pgx.Conn, facts map[string]*sqlmeta.Facts, before string) (*Snapshot, versions, string, error) {
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, nil, "", fmt.Errorf("beginning: %w", err)
	}
	defer func() { _ = tx.Rollback(ctx) }()
	b := newBuilder(facts)
	var path, ignored, now string
	if err := tx.QueryRow(ctx, settings).Scan(&b.snapshot.user, &path, &ignored); err != nil {
		return nil, nil, "", fmt.Errorf("reading settings: %w", err)
	}
	b.snapshot.searchPath = sqlmeta.ParseSearchPath(path)
	if err := tx.QueryRow(ctx, probe).Scan(&now); err != nil {
		return nil, nil, "", fmt.Errorf("looking for changes: %w", err)
	}
	if now == before {
		return nil, nil, now, nil
	}
	v, err := readVersions(tx.Query(ctx, allVersions)) // before definitions: they may be newer, never older
	if err != nil {
		return nil, nil, "", fmt.Errorf("reading versions: %w", err)
	}
	for _, part := range []struct {
		what string
		read func(context.Context, pgx.Tx, *builder) error
	}{
		{"relations", readRelations}, {"columns", readColumns}, {"inheritance", readInheritance}, {"types", readTypes},
		{"functions", readRoutines}, {"functions by OID", readFunctions}, {"code", readCode}, {"definitions", readDefinitions},
		{"bodies of functions", readBodies},
	} {
		if err := part.read(ctx, tx, b); err != nil {
			return nil, nil, "", fmt.Errorf("reading %s: %w", part.what, err)
		}
	}
	if b.incomplete {
		now = "" // look again even if nothing changes
	}
	return b.done(), v, now, nil
}

func readRelations(ctx context.Context, tx pgx.Tx, b *builder) error {
	rows, err := tx.Query(ctx, relations)
	if err != nil {
		return err
	}
	var r sqlmeta.Relation
	var rowType uint32
	_, err = pgx.ForEachRow(rows, []any{&r.OID, &r.Schema, &r.Name, &r.Kind, &rowType}, func() error {
		b.relation(r, rowType)
		return nil
	})
	return err
}

func readColumns(ctx context.Context, tx pgx.Tx, b *builder) error {
	rows, err := tx.Query(ctx, columns)
	if err != nil {
		return err
	}
	var of uint32
	var c sqlmeta.RelationColumn
	_, err = pgx.ForEachRow(rows, []any{&of, &c.Name, &c.Num, &c.TypeOID, &c.TypeMod}, func() error {
		b.column(of, c)
		return nil
	})
	return err
}

var kinds = map[string]mask.Kind{
	"domain": mask.Domain, "array": mask.Array, "range": mask.RangeOf, "multirange": mask.MultirangeOf, "named": mask.Named,
}

func readTypes(ctx context.Context, tx pgx.Tx, b *builder) error {
	rows, err := tx.Query(ctx, types)
	if err != nil {
		return err
	}
	var oid uint32
	var t mask.Type
	var kind, delim string
	_, err = pgx.ForEachRow(rows, []any{&oid, &t.Name, &kind, &t.Of, &delim}, func() error {
		t.Kind, t.Delim = kinds[kind], delim[0]
		b.typ(oid, t)
		return nil
	})
	return err
}

func readInheritance(ctx context.Context, tx pgx.Tx, b *builder) error {
	rows, err := tx.Query(ctx, inheritance)
	if err != nil {
		return err
	}
	var child, parent uint32
	_, err = pgx.ForEachRow(rows, []any{&child, &parent}, func() error {
		b.inherits(child, parent)
		return nil
	})
	return err
}

func readRoutines(ctx context.Context, tx pgx.Tx, b *builder) error {
	return errors.Join(addRoutines(ctx, tx, b, routines), addRoutines(ctx, tx, b, operators))
}

func addRoutines(ctx context.Context, tx pgx.Tx, b *builder, query string) error {
	rows, err := tx.Query(ctx, query)
	if err != nil {
		return err
	}
	var r sqlmeta.Routine
	var names, config []string
	var types []uint32
	var signature string
	var definer bool
	into := []any{
		&r.OID, &r.Schema, &r.Name, &r.Kind, &r.Language, &r.Volatility, &r.ReturnsSet, &r.ReturnType, &r.Extension,
		&signature, &r.Body, &r.Defaults, &config, &definer, &r.Parameters, &names, &types,
	}
	_, err = pgx.ForEachRow(rows, into, func() error {
		b.routineOf(lookedInto(r, config, definer), signature, names, types)
		return nil
	})
	return err
}

func readFunctions(ctx context.Context, tx pgx.Tx, b *builder) error {
	rows, err := tx.Query(ctx, functions)
	if err != nil {
		return err
	}
	var oid uint32
	var f sqlmeta.Function
	_, err = pgx.ForEachRow(rows, []any{&oid, &f.Schema, &f.Name, &f.Arguments}, func() error {
		b.function(oid, f)
		return nil
	})
	return err
}
