package drivers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

// conn connects pgx, and writes down what comes at any time.
func (s *side) conn(ctx context.Context, mode pgx.QueryExecMode, say *transcript) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(s.url("application_name=drivers"))
	if err != nil {
		return nil, err
	}
	cfg.DefaultQueryExecMode = mode
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { say.say("notice %s", problem((*pgconn.PgError)(n))) }
	return pgx.ConnectConfig(ctx, cfg)
}

// problem is all that an error of the server says.
func problem(err error) string {
	var e *pgconn.PgError
	switch {
	case err == nil:
		return "fine"
	case errors.As(err, &e):
		return fmt.Sprintf("%+v", *e)
	}
	return fmt.Sprintf("%T %v", err, err)
}

// told writes down what a connection has been told of the server.
func told(c *pgconn.PgConn, say *transcript) {
	for _, name := range []string{
		"server_version", "server_encoding", "client_encoding", "application_name", "default_transaction_read_only", "in_hot_standby", "is_superuser",
		"session_authorization", "DateStyle", "IntervalStyle", "TimeZone", "integer_datetimes", "standard_conforming_strings", "scram_iterations", "search_path",
	} {
		say.say("%s = %q", name, c.ParameterStatus(name))
	}
	say.say("status %c", c.TxStatus())
}

// ask runs a statement and writes down the whole answer.
func ask(ctx context.Context, c *pgx.Conn, say *transcript, sql string, args ...any) {
	rows, err := c.Query(ctx, sql, args...)
	say.say("> %.200s", sql)
	if err != nil {
		say.say("  query: %s", problem(err))
	}
	if rows == nil {
		return
	}
	for i := 0; rows.Next(); i++ {
		if i == 0 {
			describe(rows.FieldDescriptions(), say)
		}
		say.say("  %q", rows.RawValues())
	}
	rows.Close()
	say.say("  %s %s %c", rows.CommandTag(), problem(rows.Err()), c.PgConn().TxStatus())
}

func describe(fields []pgconn.FieldDescription, say *transcript) {
	for _, f := range fields {
		say.say("  column %q type %s size %d modifier %d format %d table %s.%d", f.Name, say.oid(f.DataTypeOID), f.DataTypeSize, f.TypeModifier, f.Format,
			say.oid(f.TableOID), f.TableAttributeNumber)
	}
}

// ownLine is ownWords in Go.
var ownLine = difference{why: ownWords.why, what: `File:(prepare\.c)? Line:(454|0) Routine:(FetchPreparedStatement)?`}

func TestPgx(t *testing.T) {
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		t.Run(strings.ReplaceAll(mode.String(), " ", "_"), func(t *testing.T) {
			sides := both(t, schema)
			sameScript(t, sides, func(ctx context.Context, one *side, say *transcript) error {
				c, err := one.conn(ctx, mode, say)
				if err != nil {
					return err
				}
				defer func() { _ = c.Close(ctx) }()
				// What the server says of a type is the same in each mode but these two.
				whole := wholeSuites || mode == pgx.QueryExecModeCacheStatement || mode == pgx.QueryExecModeSimpleProtocol
				told(c.PgConn(), say)
				for _, sql := range statements {
					ask(ctx, c, say, sql)
				}
				for i, v := range values {
					if !whole && i%4 > 0 {
						continue
					}
					ask(ctx, c, say, "SELECT "+v+" AS v")
					ask(ctx, c, say, "SELECT $1::text AS v", "as text: "+v)
				}
				large := 5 << 20
				if !whole {
					large = 64 << 10
				} else if mode == pgx.QueryExecModeSimpleProtocol { // it is part of the text then, of which limits.statement are analysed
					large = 1 << 20
				}
				parameters(ctx, c, say, large)
				batches(ctx, c, say)
				changedPlan(ctx, c, say)
				transactions(ctx, c, say)
				told(c.PgConn(), say)
				return nil
			}, ownLine)
		})
	}
}

// parameters gives parameters of many types, in the format that pgx prefers.
func parameters(ctx context.Context, c *pgx.Conn, say *transcript, large int) {
	when := time.Date(2020, 2, 29, 12, 30, 0, 123456000, time.UTC)
	for _, p := range []struct {
		typ   string
		value any
	}{
		{"int4", 42}, {"int8", int64(-1) << 63}, {"int2", "not a number"}, {"float8", 1.5}, {"numeric", "123456789.000000001"}, {"bool", true},
		{"text", nil}, {"text", strings.Repeat("large ", large/6)}, {"bytea", make([]byte, large/5)}, {"timestamptz", when}, {"timestamp", when}, {"date", when},
		{"interval", time.Hour + time.Millisecond}, {"uuid", "550e8400-e29b-41d4-a716-446655440000"}, {"jsonb", map[string]any{"a": 1}}, {"json", `{"a":1}`},
		{"int4[]", []int32{1, 2, 3}}, {"text[]", []*string{nil}}, {"inet", "10.0.0.1"}, {"int4range", pgtype.Range[pgtype.Int4]{LowerType: pgtype.Empty, UpperType: pgtype.Empty, Valid: true}},
		{"mood", "happy"}, {"mood", "bad"}, {"positive", 0},
	} {
		ask(ctx, c, say, "SELECT md5($1::"+p.typ+"::text) AS v, $1 IS NULL", p.value)
	}
	many := make([]any, 2000)
	places := make([]string, len(many))
	for i := range many {
		many[i], places[i] = i, fmt.Sprintf("($%d::int)", i+1)
	}
	ask(ctx, c, say, "SELECT sum(v) FROM (VALUES "+strings.Join(places, ",")+") t(v)", many...)
	ask(ctx, c, say, "SELECT $1::int, $2::int", 1)
}

// batches sends many statements before it reads an answer.
func batches(ctx context.Context, c *pgx.Conn, say *transcript) {
	for _, fail := range []int{-1, 700} {
		b := &pgx.Batch{}
		for i := range 1000 {
			if i == fail {
				b.Queue("SELECT 1 / ($1::int - $1)", i)
			}
			b.Queue("SELECT $1::int AS n, $2::text AS t", i, "text")
		}
		results := c.SendBatch(ctx, b)
		sum := 0
		for {
			var n int
			var text string
			err := results.QueryRow().Scan(&n, &text)
			if err != nil {
				say.say("batch: %d, then %s", sum, problem(err))
				break
			}
			if sum += n; n == 999 {
				break
			}
		}
		say.say("batch: %d %s %c", sum, problem(results.Close()), c.PgConn().TxStatus())
	}
}

// changedPlan changes what a prepared statement returns.
func changedPlan(ctx context.Context, c *pgx.Conn, say *transcript) {
	ask(ctx, c, say, "CREATE TABLE changing (a int)")
	ask(ctx, c, say, "INSERT INTO changing VALUES (1)")
	for range 3 {
		ask(ctx, c, say, "SELECT * FROM changing WHERE a = $1", 1)
		ask(ctx, c, say, "ALTER TABLE changing ADD COLUMN c_"+fmt.Sprint(time.Duration(len(say.lines)))+" int")
	}
	ask(ctx, c, say, "BEGIN")
	ask(ctx, c, say, "SELECT * FROM changing WHERE a = $1", 1)
	ask(ctx, c, say, "ALTER TABLE changing ALTER COLUMN a TYPE text")
	ask(ctx, c, say, "SELECT * FROM changing WHERE a = $1", 1)
	ask(ctx, c, say, "ROLLBACK")
	_, err := c.Prepare(ctx, "named", "SELECT a, $1::text FROM changing")
	say.say("prepare %s", problem(err))
	ask(ctx, c, say, "named", "x")
	ask(ctx, c, say, "DROP TABLE changing")
	ask(ctx, c, say, "named", "x")
	say.say("deallocate %s", problem(c.Deallocate(ctx, "named")))
	_, err = c.Prepare(ctx, "bad", "SELECT * FROM nosuch WHERE x = $1")
	say.say("prepare %s", problem(err))
	say.say("deallocate all %s", problem(c.DeallocateAll(ctx)))
}

func transactions(ctx context.Context, c *pgx.Conn, say *transcript) {
	err := pgx.BeginTxFunc(ctx, c, pgx.TxOptions{IsoLevel: pgx.Serializable, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, "INSERT INTO visits VALUES (1, 'read only')")
		return err
	})
	say.say("read only: %s", problem(err))
	err = pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		inner := pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { _, err := tx.Exec(ctx, "SELECT 1/0"); return err })
		say.say("savepoint: %s %c", problem(inner), c.PgConn().TxStatus())
		_, err := tx.Exec(ctx, "INSERT INTO visits VALUES (5, 'kept')")
		return err
	})
	say.say("nested: %s %c", problem(err), c.PgConn().TxStatus())
}

// What pgx has of the protocol beyond statements.
func TestPgxProtocol(t *testing.T) {
	sides := both(t, schema)
	sameScript(t, sides, func(ctx context.Context, one *side, say *transcript) error {
		c, err := one.conn(ctx, pgx.QueryExecModeCacheStatement, say)
		if err != nil {
			return err
		}
		defer func() { _ = c.Close(ctx) }()
		copying(ctx, c, say)
		if err := notifications(ctx, one, c, say); err != nil {
			return err
		}
		cancelling(ctx, c, say)
		largeObjects(ctx, c, say)
		pipelines(ctx, c.PgConn(), say)
		raw(ctx, c.PgConn(), say)
		ask(ctx, c, say, "SELECT count(*) FROM people")
		say.say("backend %v", c.PgConn().PID() != 0)
		var pid uint32
		err = c.QueryRow(ctx, "SELECT pg_backend_pid()").Scan(&pid)
		say.say("pid is the backend's: %v %s", pid == c.PgConn().PID(), problem(err))
		return nil
	}, difference{why: "process id of the notifying server", what: `from \d+`}, ownLine)
}

func copying(ctx context.Context, c *pgx.Conn, say *transcript) {
	ask(ctx, c, say, "CREATE TABLE copied (id int PRIMARY KEY, t text, n numeric, at timestamptz)")
	row := func(i int) ([]any, error) {
		return []any{i, strings.Repeat("x", i%300), i, time.Unix(int64(i), 0)}, nil
	}
	n, err := c.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"id", "t", "n", "at"}, pgx.CopyFromSlice(20_000, row))
	say.say("copy in: %d %s", n, problem(err))
	n, err = c.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"id", "t", "n", "at"}, pgx.CopyFromSlice(20_000, row))
	say.say("copy in again: %d %s", n, problem(err))
	n, err = c.CopyFrom(ctx, pgx.Identifier{"copied"}, []string{"id"}, pgx.CopyFromSlice(5000, func(i int) ([]any, error) {
		if i == 4000 {
			return nil, errors.New("the client has had enough")
		}
		return []any{i + 100_000}, nil
	}))
	say.say("copy in given up: %d %s", n, problem(err))
	n, err = c.CopyFrom(ctx, pgx.Identifier{"nosuch"}, []string{"id"}, pgx.CopyFromRows(nil))
	say.say("copy in to nothing: %d %s", n, problem(err))
	for _, sql := range []string{
		"COPY (SELECT * FROM copied ORDER BY id LIMIT 2000) TO STDOUT", "COPY copied TO STDOUT (FORMAT csv, HEADER)", "COPY copied TO STDOUT (FORMAT binary)",
		"COPY (SELECT 10 / (500 - id) FROM copied ORDER BY id) TO STDOUT", "COPY nosuch TO STDOUT", "COPY (SELECT 1 WHERE false) TO STDOUT",
	} {
		var out strings.Builder
		tag, err := c.PgConn().CopyTo(ctx, &out, sql)
		say.say("%s: %s %s %d %x", sql, tag, problem(err), out.Len(), digest(out.String()))
	}
	for _, in := range []struct{ sql, data string }{
		{"COPY copied (id, t) FROM STDIN (FORMAT csv)", "200001,\"a, \"\"b\"\"\"\n200002,\n"}, {"COPY copied (id, t) FROM STDIN", "200003\t\\N\n\\.\n"},
		{"COPY copied (id, t) FROM STDIN", "200004\ttoo\tmany\n"}, {"COPY copied (id) FROM STDIN", "x\n"}, {"COPY copied (id) FROM STDIN (FORMAT binary)", "no"},
		{"COPY copied (id) FROM STDIN", strings.Repeat("1\n", 1<<20)}, {"SELECT 1", "not a copy"},
	} {
		tag, err := c.PgConn().CopyFrom(ctx, strings.NewReader(in.data), in.sql)
		say.say("%s: %s %s %c", in.sql, tag, problem(err), c.PgConn().TxStatus())
	}
	ask(ctx, c, say, "SELECT count(*), sum(id), sum(length(t)) FROM copied")
}

func notifications(ctx context.Context, one *side, c *pgx.Conn, say *transcript) error {
	other, err := one.conn(ctx, pgx.QueryExecModeExec, say)
	if err != nil {
		return err
	}
	defer func() { _ = other.Close(ctx) }()
	ask(ctx, c, say, `LISTEN "Odd channel"`)
	for i := range 3 {
		ask(ctx, other, say, `SELECT pg_notify('Odd channel', $1)`, fmt.Sprint("payload ", i))
	}
	for range 3 {
		n, err := c.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		say.say("notified on %q of %q, by the other: %v", n.Channel, n.Payload, n.PID == other.PgConn().PID())
	}
	ask(ctx, c, say, `NOTIFY "Odd channel", 'to myself'`)
	n, err := c.WaitForNotification(ctx)
	if err != nil {
		return err
	}
	say.say("notified on %q of %q from %d", n.Channel, n.Payload, n.PID)
	ask(ctx, c, say, `UNLISTEN *`)
	return nil
}

func cancelling(ctx context.Context, c *pgx.Conn, say *transcript) {
	_, err := c.Exec(ctx, "BEGIN")
	say.say("begin: %s", problem(err))
	answered, done := make(chan struct{}), make(chan struct{})
	go func() { // again and again: a request that comes before the statement does nothing
		defer close(done)
		for {
			if err := c.PgConn().CancelRequest(ctx); err != nil {
				say.say("cancel: %s", problem(err))
			}
			select {
			case <-time.After(50 * time.Millisecond):
			case <-answered:
				return
			case <-ctx.Done():
				return
			}
		}
	}()
	_, err = c.Exec(ctx, "SELECT pg_sleep(60)")
	close(answered)
	<-done
	say.say("cancelled: %s %c", problem(err), c.PgConn().TxStatus())
	for range 3 { // a late cancel request may hit what follows
		if _, err = c.Exec(ctx, "ROLLBACK"); err == nil {
			break
		}
	}
}

func largeObjects(ctx context.Context, c *pgx.Conn, say *transcript) {
	err := pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		objects := tx.LargeObjects()
		id, err := objects.Create(ctx, 0)
		if err != nil {
			return err
		}
		o, err := objects.Open(ctx, id, pgx.LargeObjectModeRead|pgx.LargeObjectModeWrite)
		if err != nil {
			return err
		}
		n, err := o.Write([]byte(strings.Repeat("large", 50_000)))
		say.say("wrote %d %s", n, problem(err))
		if _, err := o.Seek(-10, io.SeekEnd); err != nil {
			return err
		}
		rest, err := io.ReadAll(o)
		say.say("read %q %s", rest, problem(err))
		say.say("truncate %s", problem(o.Truncate(7)))
		say.say("unlink %s", problem(objects.Unlink(ctx, id)))
		_, err = objects.Open(ctx, id, pgx.LargeObjectModeRead)
		return err
	})
	say.say("large objects: %s", ownOID.ReplaceAllString(problem(err), "large object N"))
}
