package drivers

import (
	"context"
	"crypto/sha256"
	"regexp"

	"github.com/jackc/pgx/v5/pgconn"
)

// ownOID finds the number of a large object, which the server gave.
var ownOID = regexp.MustCompile(`large object \d+`)

func digest(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }

// pipelines uses pgconn's pipeline mode, with failures in each place.
func pipelines(ctx context.Context, c *pgconn.PgConn, say *transcript) {
	for _, script := range []func(*pgconn.Pipeline){
		func(p *pgconn.Pipeline) {
			for range 2000 {
				p.SendQueryParams("SELECT $1::text AS t", [][]byte{[]byte("x")}, nil, nil, nil)
			}
		},
		func(p *pgconn.Pipeline) {
			p.SendPrepare("one", "SELECT $1::int + 1 AS n", nil)
			p.SendQueryPrepared("one", [][]byte{[]byte("1")}, nil, []int16{1})
			p.SendQueryPrepared("one", [][]byte{[]byte("bad")}, nil, nil)
			p.SendQueryPrepared("one", [][]byte{[]byte("3")}, nil, nil)
		},
		func(p *pgconn.Pipeline) {
			p.SendQueryParams("BEGIN", nil, nil, nil, nil)
			p.SendQueryParams("INSERT INTO visits VALUES (7, 'pipeline')", nil, nil, nil, nil)
			p.SendQueryParams("SELECT 1/0", nil, nil, nil, nil)
		},
		func(p *pgconn.Pipeline) {
			p.SendQueryParams("SELECT 'in a failed transaction'", nil, nil, nil, nil)
		},
		func(p *pgconn.Pipeline) {
			p.SendQueryParams("ROLLBACK", nil, nil, nil, nil)
			p.SendDeallocate("one")
			p.SendPrepare("bad", "SELECT * FROM nosuch", nil)
		},
	} {
		p := c.StartPipeline(ctx)
		script(p)
		say.say("sync %s", problem(p.Sync()))
		readPipeline(p, say)
		say.say("close %s %c", problem(p.Close()), c.TxStatus())
	}
}

// readPipeline writes down the answers up to a Sync's.
func readPipeline(p *pgconn.Pipeline, say *transcript) {
	same, last := 0, ""
	for {
		result, err := p.GetResults()
		line := problem(err)
		switch r := result.(type) {
		case nil:
			if err == nil {
				return
			}
		case *pgconn.ResultReader:
			read := r.Read()
			line = read.CommandTag.String() + " " + problem(read.Err)
			for _, row := range read.Rows {
				line += " " + string(row[0])
			}
		case *pgconn.StatementDescription:
			line = "prepared " + r.SQL
			describe(r.Fields, say)
		case *pgconn.PipelineSync:
			say.say("  %d times %s", same, last)
			say.say("  synced")
			return
		}
		if line != last {
			if same > 0 {
				say.say("  %d times %s", same, last)
			}
			same, last = 0, line
		}
		same++
	}
}

// raw uses what only pgconn has: several statements in one text, formats, limits.
func raw(ctx context.Context, c *pgconn.PgConn, say *transcript) {
	for _, sql := range []string{
		"SELECT 1 AS a; SELECT 2 AS b, 3 AS c; INSERT INTO visits VALUES (8, 'multi')", "SELECT 1; SELECT 1/0; SELECT 2", "", ";;", "SELECT 1;;SELECT 2",
		"BEGIN; SELECT 1", "SELECT nosuch; ROLLBACK", "ROLLBACK", "CREATE TABLE m (x int); INSERT INTO m VALUES (1); SELECT * FROM m; DROP TABLE m",
		"BEGIN; INSERT INTO visits VALUES (9, 'gone'); ROLLBACK; SELECT count(*) FROM visits WHERE note = 'gone'", "SELECT 'unterminated",
	} {
		say.say("> %s", sql)
		results, err := c.Exec(ctx, sql).ReadAll()
		for _, r := range results {
			describe(r.FieldDescriptions, say)
			say.say("  %s %q %s", r.CommandTag, r.Rows, problem(r.Err))
		}
		say.say("  %s %c", problem(err), c.TxStatus())
	}
	for _, formats := range [][]int16{nil, {0}, {1}, {0, 1}, {1, 0, 1}} {
		r := c.ExecParams(ctx, "SELECT $1::int AS a, $2::text AS b", [][]byte{[]byte("1"), nil}, []uint32{23, 25}, []int16{0, 1}, formats).Read()
		say.say("formats %v: %q %s", formats, r.Rows, problem(r.Err))
	}
	d, err := c.Prepare(ctx, "raw", "SELECT $1::int, $2, m FROM people WHERE name = $3", []uint32{0, 25})
	say.say("prepare %s", problem(err))
	if err == nil {
		say.say("parameters %v", d.ParamOIDs)
		describe(d.Fields, say)
	}
	say.say("unknown %s", problem(c.ExecPrepared(ctx, "unknown", nil, nil, nil).Read().Err))
}
