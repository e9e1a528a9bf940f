package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	_ "github.com/lib/pq" // the driver "postgres"

	"github.com/weir-gateway/weir/integration/parts"
)

// conversing are the clients whose conversations are kept, by the file's name. An error
// says that a client is not on this machine.
var conversing = map[string]func(t *testing.T, address string) error{
	"pgx-cache-statement": playPgx(pgx.QueryExecModeCacheStatement),
	"pgx-cache-describe":  playPgx(pgx.QueryExecModeCacheDescribe),
	"pgx-describe-exec":   playPgx(pgx.QueryExecModeDescribeExec),
	"pgx-exec":            playPgx(pgx.QueryExecModeExec),
	"pgx-simple":          playPgx(pgx.QueryExecModeSimpleProtocol),
	"pq":                  playPq,
	"psql-18":             playTool("psql", "-X", "-f", filepath.Join("testdata", "conversations", "psql.sql")),
	"psycopg-3":           playPython("psycopg_says.py"),
	"asyncpg":             playPython("asyncpg_says.py"),
	"node-postgres":       playNode,
	"pgjdbc":              playJava,
	"pgbench-prepared":    playTool("pgbench", "-n", "-M", "prepared", "-t", "2", "--random-seed=1", "-f", filepath.Join("testdata", "conversations", "pgbench.sql")),
}

// plainly are the statements that the drivers say.
var plainly = []string{
	"SELECT 1 AS a, 'b' AS b, NULL AS c", "SELECT nosuch", "", "CREATE TEMP TABLE t (id int PRIMARY KEY, v text)", "INSERT INTO t VALUES (1, 'one') RETURNING *",
	"INSERT INTO t VALUES (1, 'again')", "BEGIN", "SAVEPOINT s", "SELECT 1/0", "SELECT 'aborted'", "ROLLBACK TO s", "COMMIT", "SET application_name = 'x'",
	"SET search_path = pg_temp, public", "SELECT generate_series(1, 3)", "DO $$ BEGIN RAISE NOTICE 'noted'; END $$", "PREPARE p AS SELECT 2", "EXECUTE p", "DEALLOCATE p",
	"LISTEN c", "NOTIFY c, 'payload'",
}

func playPgx(mode pgx.QueryExecMode) func(t *testing.T, address string) error {
	return func(_ *testing.T, address string) error {
		ctx := context.Background()
		cfg, err := pgx.ParseConfig(dsn(address))
		if err != nil {
			return err
		}
		cfg.DefaultQueryExecMode = mode
		c, err := pgx.ConnectConfig(ctx, cfg)
		if err != nil {
			return err
		}
		for _, q := range plainly {
			_, _ = c.Exec(ctx, q)
		}
		for range 2 {
			_, _ = c.Exec(ctx, "SELECT $1::int + 1, $2::text", 1, "x")
		}
		b := &pgx.Batch{}
		for i := range 3 {
			b.Queue("SELECT $1::int / $2::int", 6, 2-i)
		}
		_ = c.SendBatch(ctx, b).Close()
		_, copied := c.CopyFrom(ctx, pgx.Identifier{"t"}, []string{"id", "v"}, pgx.CopyFromRows([][]any{{2, "two"}, {3, nil}}))
		var out strings.Builder
		_, read := c.PgConn().CopyTo(ctx, &out, "COPY t TO STDOUT")
		return errors.Join(copied, read, c.Close(ctx))
	}
}

func playPq(_ *testing.T, address string) error {
	ctx := context.Background()
	db, err := sql.Open("postgres", dsn(address))
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	for _, q := range plainly {
		_, _ = db.ExecContext(ctx, q)
	}
	stmt, err := db.PrepareContext(ctx, "SELECT $1::int + 1, $2::text")
	if err != nil {
		return err
	}
	for _, p := range []any{1, 2, "no"} {
		var n int
		var s string
		_ = stmt.QueryRowContext(ctx, p, "x").Scan(&n, &s)
	}
	return errors.Join(stmt.Close(), db.Close())
}

func playTool(name string, args ...string) func(t *testing.T, address string) error {
	return func(t *testing.T, address string) error {
		paths := parts.Need(t, parts.Clients)
		return playProgram(t, address, paths.Client(name), args...)
	}
}

// The drivers of other languages are those of integration/drivers.
var drivers = filepath.Join("..", "..", "integration", "drivers")

func playPython(script string) func(t *testing.T, address string) error {
	return func(t *testing.T, address string) error {
		installer, err := parts.New(os.Stderr)
		if err != nil {
			return err
		}
		packages, err := installer.Python(t.Context(), "drivers-python", filepath.Join(drivers, "python", "requirements.txt"))
		if err != nil {
			return err
		}
		return playProgram(t, address, "env", "PYTHONPATH="+packages, "python3", "-B", filepath.Join("testdata", "conversations", script))
	}
}

func playNode(t *testing.T, address string) error {
	installer, err := parts.New(os.Stderr)
	if err != nil {
		return err
	}
	packages, err := installer.Node(t.Context(), "drivers-node", filepath.Join(drivers, "node"))
	if err != nil {
		return err
	}
	// Node looks for packages beside the script and above it.
	dir := t.TempDir()
	script, err := os.ReadFile(filepath.Join("testdata", "conversations", "pg.mjs"))
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "pg.mjs"), script, 0o600), os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(dir, "node_modules"))); err != nil {
		return err
	}
	return playProgram(t, address, "node", filepath.Join(dir, "pg.mjs"))
}

func playJava(t *testing.T, address string) error {
	installer, err := parts.New(os.Stderr)
	if err != nil {
		return err
	}
	jar, err := installer.Jar(t.Context(), "drivers-java", filepath.Join(drivers, "java", "pgjdbc.lock"))
	if err != nil {
		return err
	}
	return playProgram(t, address, "java", "-cp", jar, filepath.Join("testdata", "conversations", "Pgjdbc.java"))
}

// playProgram runs a program that takes libpq's environment variables.
func playProgram(t *testing.T, address, program string, args ...string) error {
	host, port, _ := strings.Cut(address, ":")
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), "PGHOST="+host, "PGPORT="+port, "PGUSER=anyone", "PGPASSWORD=good", "PGDATABASE=shop", "PGSSLMODE=disable", "PGGSSENCMODE=disable")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}
