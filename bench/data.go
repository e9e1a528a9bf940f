package main

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// The wide tables: columns c1 to c8 of 32 characters.
const (
	wideRows     = 1000
	wideColumns  = 8
	wideRowBytes = 1 + 4 + 2 + wideColumns*(4+32) // a DataRow message (PostgreSQL, "Message Formats")
	copyRowBytes = wideColumns * 33               // in COPY's text format
)

// load fills the database that is measured, as its owner.
func (r *rig) load(ctx context.Context) error {
	r.say("  … filling the database of the measurements")
	dsn := r.stage.Postgres.DSNFor(databaseUser, databasePassword, databaseName)
	out, err := r.stage.Run(ctx, nil, r.stage.Env(), r.stage.Parts.Client("pgbench"), "-i", "-q", "-I", "dtgp", "-s", fmt.Sprint(r.options.scale), dsn)
	if err != nil {
		return fmt.Errorf("pgbench -i: %w\n%s", err, out)
	}
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	bulk := r.options.copied << 20 / copyRowBytes
	for _, sql := range []string{
		table("wide", wideRows), "CREATE TABLE wide_masked AS TABLE wide",
		table("bulk", bulk), "CREATE UNLOGGED TABLE bulk_masked AS TABLE bulk",
		"CREATE TABLE large (text text)", "ALTER TABLE large ALTER text SET STORAGE external",
		"VACUUM ANALYZE",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return r.stage.Postgres.Exec(ctx, databaseName, "CHECKPOINT")
}

func table(name string, rows int) string {
	columns := ""
	for i := range wideColumns {
		columns += fmt.Sprintf(", md5(i || '%d') AS c%d", i, i+1)
	}
	return fmt.Sprintf("CREATE UNLOGGED TABLE %s AS SELECT %s FROM generate_series(1, %d) i", name, columns[2:], rows)
}
