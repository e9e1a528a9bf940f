package conformance

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// mark is the comment by which the kit knows a schema as its own.
const mark = "scratch schema of weir conformance: dropped and made again by each run"

// cleanupWithin is how long the scratch schema may take to go, after Ctrl-C too.
const cleanupWithin = 20 * time.Second

// world is the scratch schema on one side.
type world struct {
	schema string
	sql    string // objects and rows, apart by "-- data"
	values *values
	owner  *pgx.Conn // past the gateway
	rows   string    // what the rows were after the seed
	shape  string    // what the schema was
}

// newWorld connects to the database itself, and seeds.
func newWorld(ctx context.Context, dsn string, o *Options, side Side) (*world, error) {
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	cfg.RuntimeParams["application_name"] = "weir conformance"
	cfg.RuntimeParams["search_path"] = o.Schema
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // the schema changes below it
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = signInWithin
	}
	w := &world{schema: o.Schema, sql: o.Scheme.sql, values: o.Scheme.side(side, o.Masked)}
	w.values.literals["{mark}"] = rand.Text() // tells this run's schema from any other of its name
	if w.owner, err = pgx.ConnectConfig(ctx, cfg); err != nil {
		return nil, fmt.Errorf("connecting to the database past the gateway: %w", err)
	}
	if err := w.ours(ctx); err != nil {
		err = fmt.Errorf("looking at the database past the gateway (by a user who may: --direct): %w", err)
		return nil, errors.Join(err, w.owner.Close(ctx))
	}
	if err := w.seed(ctx); err != nil {
		return nil, errors.Join(err, w.close(ctx))
	}
	return w, nil
}

// ours says whether the schema does not exist or is the kit's own, and keeps other runs
// away from it until the connection ends.
func (w *world) ours(ctx context.Context) error {
	var free bool
	if err := w.owner.QueryRow(ctx, "SELECT pg_try_advisory_lock(hashtext('weir conformance'), hashtext($1))", w.schema).Scan(&free); err != nil {
		return err
	}
	if !free {
		return fmt.Errorf("another run has the schema %q: wait for it, or name another one with --schema", w.schema)
	}
	var note *string
	err := w.owner.QueryRow(ctx, "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = $1", w.schema).Scan(&note)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil
	case err != nil:
		return err
	case note == nil || *note != mark:
		return fmt.Errorf("the database has a schema %q that is not of this kit: name another one with --schema", w.schema)
	}
	return nil
}

// seed makes the schema again, with all in it.
func (w *world) seed(ctx context.Context) error {
	name := pgx.Identifier{w.schema}.Sanitize()
	objects, rows, _ := strings.Cut(w.sql, "-- data\n")
	begin := fmt.Sprintf("SET client_min_messages = warning; DROP SCHEMA IF EXISTS %s CASCADE; CREATE SCHEMA %s; COMMENT ON SCHEMA %s IS '%s'; GRANT ALL ON SCHEMA %s TO PUBLIC;", name, name, name, mark, name)
	grants := fmt.Sprintf("GRANT ALL ON ALL TABLES IN SCHEMA %s TO PUBLIC; GRANT ALL ON ALL SEQUENCES IN SCHEMA %s TO PUBLIC;", name, name)
	for _, sql := range []string{begin, objects, rows, grants} {
		if _, err := w.owner.Exec(ctx, w.fill(sql)); err != nil {
			return fmt.Errorf("making the scratch schema %s past the gateway (by a user who may: --direct): %w", w.schema, err)
		}
	}
	var err error
	w.rows, w.shape, err = w.state(ctx)
	return err
}

func (w *world) fill(sql string) string {
	return strings.ReplaceAll(w.values.fill(sql), "{schema}", pgx.Identifier{w.schema}.Sanitize())
}

// state is a digest of all rows and one of all definitions.
func (w *world) state(ctx context.Context) (rows, shape string, err error) {
	err = w.owner.QueryRow(ctx, `
SELECT md5(query_to_xml(string_agg(format('SELECT %L AS t, x::text FROM ONLY %I.%I x', relname, nspname, relname), ' UNION ALL ' ORDER BY relname) FILTER (WHERE relkind <> 'S') || ' ORDER BY 1, 2', true, true, '')::text || coalesce(max(pg_sequence_last_value(c.oid)) FILTER (WHERE relkind = 'S'), 0))
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = $1 AND relkind IN ('r', 'm', 'S')`, w.schema).Scan(&rows)
	if err != nil {
		return "", "", err
	}
	err = w.owner.QueryRow(ctx, `
SELECT md5(string_agg(what, '|' ORDER BY what)) FROM (
  SELECT format('%s %s %s %s', c.oid, relname, relkind, CASE WHEN relkind = 'v' THEN pg_get_viewdef(c.oid) END) AS what FROM pg_class c WHERE relnamespace = $1::regnamespace
  UNION ALL SELECT format('%s %s %s', attrelid, attname, atttypid) FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = $1::regnamespace
  UNION ALL SELECT format('%s %s %s', oid, proname, prosrc) FROM pg_proc WHERE pronamespace = $1::regnamespace
  UNION ALL SELECT format('%s %s', tgrelid, tgname) FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE relnamespace = $1::regnamespace
  UNION ALL SELECT format('%s %s', oid, typname) FROM pg_type WHERE typnamespace = $1::regnamespace) x`, w.schema).Scan(&shape)
	return rows, shape, err
}

// restore undoes what a shape has changed, and says whether the schema had to be
// made again.
func (w *world) restore(ctx context.Context) (again bool, err error) {
	rows, shape, err := w.state(ctx)
	switch {
	case err != nil:
		return false, err
	case shape != w.shape:
		return true, w.seed(ctx)
	case rows != w.rows:
		_, data, _ := strings.Cut(w.sql, "-- data\n")
		_, err := w.owner.Exec(ctx, w.fill(data))
		return false, err
	}
	return false, nil
}

// setup runs what the owner of the schema does before a shape.
func (w *world) setup(ctx context.Context, s *Shape) error {
	for _, sql := range s.Setup {
		if _, err := w.owner.Exec(ctx, w.fill(sql)); err != nil {
			return fmt.Errorf("setup of %s: %w", s.ID(), err)
		}
	}
	return nil
}

// function is the OID of the function that a shape calls.
func (w *world) function(ctx context.Context, s *Shape) (oid uint32, err error) {
	if s.Call == "" {
		return 0, nil
	}
	err = w.owner.QueryRow(ctx, "SELECT $1::text::regprocedure::oid", s.Call).Scan(&oid)
	return oid, err
}

// close drops the schema, also where ctx is done.
func (w *world) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupWithin)
	defer cancel()
	var err error
	if w.owner.IsClosed() { // a query that is cancelled closes its connection
		if w.owner, err = pgx.ConnectConfig(ctx, w.owner.Config()); err != nil {
			return err
		}
	}
	if _, err = w.owner.Exec(ctx, fmt.Sprintf("DROP SCHEMA IF EXISTS %s CASCADE", pgx.Identifier{w.schema}.Sanitize())); err == nil {
		_, err = w.owner.Exec(ctx, "SELECT pg_advisory_unlock_all()") // the end of a session is told to nobody
	}
	return errors.Join(err, w.owner.Close(ctx))
}
