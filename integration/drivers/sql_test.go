package drivers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/lib/pq"
)

// sqlProblem is all that an error says, of either driver.
func sqlProblem(err error) string {
	var p *pq.Error
	var x *pgconn.PgError
	switch {
	case errors.As(err, &p):
		return p.ErrorWithDetail() + fmt.Sprintf(" %q", []string{
			p.Severity, string(p.Code), p.Message, p.Detail, p.Hint, p.Position, p.InternalPosition, p.InternalQuery, p.Where, p.Schema, p.Table, p.Column,
			p.DataTypeName, p.Constraint, p.File, p.Line, p.Routine,
		})
	case errors.As(err, &x):
		return problem(x)
	case err == nil:
		return "fine"
	}
	return fmt.Sprintf("%T %v", err, err)
}

// queries is what *sql.DB, *sql.Conn and *sql.Tx have in common.
type queries interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// askSQL runs a statement and writes down the whole answer.
func askSQL(ctx context.Context, c queries, say *transcript, query string, args ...any) {
	say.say("> %.200s", query)
	rows, err := c.QueryContext(ctx, query, args...)
	if err != nil {
		say.say("  %s", sqlProblem(err))
		return
	}
	defer rows.Close()
	for more := true; more; more = rows.NextResultSet() {
		columns, err := rows.ColumnTypes()
		if err != nil {
			say.say("  columns: %s", sqlProblem(err))
			continue
		}
		row := make([]any, len(columns))
		for i, c := range columns {
			length, known := c.Length()
			precision, scale, decimal := c.DecimalSize()
			typ := c.DatabaseTypeName()
			if strings.Trim(typ, "0123456789") == "" { // a type of the script's own
				typ = "own"
			}
			say.say("  column %q %s %v %d %v %d %d %v", c.Name(), typ, c.ScanType(), length, known, precision, scale, decimal)
			row[i] = new(any)
		}
		for rows.Next() {
			if err := rows.Scan(row...); err != nil {
				say.say("  scan: %v", err)
			}
			line := "  row"
			for _, cell := range row {
				v := *cell.(*any)
				if at, ok := v.(time.Time); ok {
					v = at.String()
				}
				line += fmt.Sprintf(" %T %.300q", v, fmt.Sprint(v))
			}
			say.say("%s", line)
		}
		say.say("  %s", sqlProblem(rows.Err()))
	}
}

// sqlWays are the drivers of database/sql, and how they can be told to speak.
var sqlWays = []struct{ name, driver, options string }{
	{"stdlib", "pgx", ""},
	{"stdlib_simple", "pgx", "default_query_exec_mode=simple_protocol"},
	{"pq", "postgres", ""},
	{"pq_binary", "postgres", "binary_parameters=yes"},
}

func TestDatabaseSQL(t *testing.T) {
	for _, way := range sqlWays {
		t.Run(way.name, func(t *testing.T) {
			sides := both(t, schema)
			sameScript(t, sides, func(ctx context.Context, one *side, say *transcript) error {
				db, err := sql.Open(way.driver, one.url(way.options))
				if err != nil {
					return err
				}
				defer db.Close()
				c, err := db.Conn(ctx)
				if err != nil {
					return err
				}
				for _, query := range statements {
					askSQL(ctx, c, say, query)
				}
				for _, v := range values {
					askSQL(ctx, c, say, "SELECT "+v+" AS v")
				}
				sqlParameters(ctx, c, say)
				if err := c.Close(); err != nil {
					return err
				}
				sqlTransactions(ctx, db, say)
				sqlStatements(ctx, db, say)
				sqlAtOnce(ctx, db, say)
				return nil
			})
		})
	}
}

func sqlParameters(ctx context.Context, c queries, say *transcript) {
	when := time.Date(2020, 2, 29, 12, 30, 0, 123456000, time.UTC)
	for _, p := range []struct {
		typ   string
		value any
	}{
		{"int4", 42}, {"int8", int64(-1) << 63}, {"int4", "not a number"}, {"float8", 1.5}, {"numeric", "123456789.000000001"}, {"bool", true}, {"text", nil},
		{"text", strings.Repeat("large ", 2<<20/6)}, {"bytea", make([]byte, 1<<20)}, {"timestamptz", when}, {"date", when}, {"jsonb", `{"a":1}`}, {"mood", "bad"}, {"positive", 0},
		{"text", sql.NullString{}}, {"text[]", pq.Array([]string{"a", `b"c`})},
	} {
		askSQL(ctx, c, say, "SELECT md5($1::"+p.typ+"::text) AS v", p.value)
	}
	askSQL(ctx, c, say, "SELECT $1::int, $2::int", 1)
	askSQL(ctx, c, say, "SELECT 1; SELECT 2 AS two")
	result, err := c.ExecContext(ctx, "UPDATE people SET name = name WHERE id < $1", 10)
	if err == nil {
		n, _ := result.RowsAffected()
		say.say("%d rows", n)
	}
	say.say("%s", sqlProblem(err))
}

func sqlTransactions(ctx context.Context, db *sql.DB, say *transcript) {
	for _, o := range []*sql.TxOptions{nil, {ReadOnly: true}, {Isolation: sql.LevelSerializable}} {
		tx, err := db.BeginTx(ctx, o)
		if err != nil {
			say.say("begin %s", sqlProblem(err))
			continue
		}
		askSQL(ctx, tx, say, "SHOW transaction_isolation")
		askSQL(ctx, tx, say, "INSERT INTO visits VALUES (20, 'tx')")
		askSQL(ctx, tx, say, "SELECT 1/0")
		askSQL(ctx, tx, say, "SELECT 'in a failed transaction'")
		say.say("commit %s", sqlProblem(tx.Commit()))
	}
	brief, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	_, err := db.ExecContext(brief, "SELECT pg_sleep(60)")
	say.say("cancelled %v", err != nil)
	askSQL(ctx, db, say, "SELECT 'alive'")
}

// sqlStatements keeps prepared statements while what they return changes.
func sqlStatements(ctx context.Context, db *sql.DB, say *transcript) {
	db.SetMaxOpenConns(1)
	askSQL(ctx, db, say, "CREATE TABLE changing (a int)")
	stmt, err := db.PrepareContext(ctx, "SELECT * FROM changing WHERE a = $1")
	if err != nil {
		say.say("prepare %s", sqlProblem(err))
		return
	}
	defer stmt.Close()
	for range 3 {
		rows, err := stmt.QueryContext(ctx, 1)
		say.say("prepared: %s", sqlProblem(err))
		if err == nil {
			columns, _ := rows.Columns()
			say.say("%v %s", columns, sqlProblem(rows.Close()))
		}
		askSQL(ctx, db, say, "ALTER TABLE changing ADD COLUMN c"+fmt.Sprint(len(say.lines))+" int")
	}
	_, err = db.PrepareContext(ctx, "SELECT * FROM nosuch")
	say.say("prepare %s", sqlProblem(err))
}

// sqlAtOnce uses many connections at once.
func sqlAtOnce(ctx context.Context, db *sql.DB, say *transcript) {
	db.SetMaxOpenConns(20)
	sums := make([]int, 20)
	var all sync.WaitGroup
	for i := range sums {
		all.Go(func() {
			for range 20 {
				var n int
				if err := db.QueryRowContext(ctx, "SELECT sum(id) FROM people WHERE id < $1", i+2).Scan(&n); err != nil {
					say.say("at once: %s", sqlProblem(err))
				}
				sums[i] += n
			}
		})
	}
	all.Wait()
	say.say("%v", sums)
}

// What lib/pq has of its own: COPY, notifications, notices.
func TestPq(t *testing.T) {
	sides := both(t, schema)
	sameScript(t, sides, func(ctx context.Context, one *side, say *transcript) error {
		connector, err := pq.NewConnector(one.url(""))
		if err != nil {
			return err
		}
		db := sql.OpenDB(pq.ConnectorWithNoticeHandler(connector, func(n *pq.Error) { say.say("notice %s", sqlProblem(n)) }))
		defer db.Close()
		askSQL(ctx, db, say, "SELECT shout('hey')")
		for _, bad := range []int{-1, 700} {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			stmt, err := tx.PrepareContext(ctx, "COPY visits (id, note) FROM STDIN")
			if err != nil {
				return err
			}
			for i := range 5000 {
				id := i%500 + 1
				if i == bad {
					id = 9999
				}
				if _, err := stmt.ExecContext(ctx, id, fmt.Sprint("note ", i, bad)); err != nil {
					break
				}
			}
			_, err = stmt.ExecContext(ctx)
			say.say("copied %s", sqlProblem(err))
			say.say("closed %s", sqlProblem(stmt.Close()))
			say.say("commit %s", sqlProblem(tx.Commit()))
		}
		askSQL(ctx, db, say, "SELECT count(*) FROM visits")
		listener := pq.NewListener(one.url(""), time.Second, time.Minute, nil)
		defer listener.Close()
		if err := listener.Listen("channel"); err != nil {
			return err
		}
		askSQL(ctx, db, say, "NOTIFY channel, 'payload'")
		select {
		case n := <-listener.Notify:
			say.say("notified on %s of %s", n.Channel, n.Extra)
		case <-ctx.Done():
			return ctx.Err()
		}
		say.say("ping %s", sqlProblem(listener.Ping()))
		return nil
	})
}
