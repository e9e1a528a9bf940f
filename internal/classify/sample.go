package classify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

const (
	catalogTimeout = 60 * time.Second

	maxText   = 4096     // characters of a text that are asked for
	maxStored = 64 << 10 // bytes that another value may take, as stored, to be asked for
	maxRead   = 32 << 20 // bytes that are read of one table
	fetchRows = 200      // at a time

	maxLeaves   = 32 // partitions that are read through their parent
	someLeaves  = 8  // that are read where there are more
	wholeTables = 4  // times the sample: a table of so few rows is not sampled by blocks
)

// sampler reads values.
type sampler struct {
	conn    *pgx.Conn
	catalog *Catalog
	rows    int           // of a table
	timeout time.Duration // of a statement
}

// sample is what was read of a table's columns.
type sample struct {
	values    map[*Column]*values
	documents map[*Column]*documents
	rows      int
	notes     []string // what could not be read
}

// isOwn says that a column is judged by its own values: one that is inherited is judged with
// its parent's, a generated one by what it is made from.
func (c *Column) isOwn() bool { return !c.Inherited && !c.Generated }

// table reads a sample of a table, its partitions and heirs included. What the server refuses
// is told in notes; an error means that nothing more can be read.
func (s *sampler) table(ctx context.Context, t *Table) (*sample, error) {
	out := &sample{values: map[*Column]*values{}, documents: map[*Column]*documents{}}
	if t.unreadable {
		out.notes = append(out.notes, "the gateway's user may not enter the schema")
		return out, nil
	}
	columns := out.choose(t)
	if len(columns) == 0 {
		return out, nil
	}
	if t.policed {
		out.notes = append(out.notes, "row-level security may hide rows from the gateway's user")
	}
	from := s.from(t, out)
	for _, f := range from {
		rows := s.rows/len(from) + 1
		if len(from) == 1 {
			rows = s.rows
		}
		err := s.read(ctx, f, columns, rows, out)
		if why, told := refusal(err); told && ctx.Err() == nil {
			out.note(f.name() + ": " + why)
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (o *sample) note(text string) {
	if !slices.Contains(o.notes, text) {
		o.notes = append(o.notes, text)
	}
}

// choose picks the columns whose values are looked at.
func (o *sample) choose(t *Table) []*Column {
	var columns []*Column
	var hidden []string
	for _, c := range t.Columns {
		switch {
		case !c.isOwn() || !readable(c.family) || !c.builtin && c.array:
		case !c.readable:
			hidden = append(hidden, c.Name)
		default:
			columns = append(columns, c)
			if c.family == json && !c.array {
				o.documents[c] = &documents{}
			} else {
				o.values[c] = &values{}
			}
		}
	}
	switch {
	case len(hidden) == 0:
	case len(columns) == 0:
		o.note("the gateway's user may not read it")
	default:
		o.note("the gateway's user may not read " + strings.Join(hidden, ", "))
	}
	return columns
}

// source is a table that is read.
type source struct {
	*Table
	through bool // with the tables below it
}

func (s *source) name() string { return s.Schema + "." + s.Name }

// from chooses what is read for a table: itself, or some of the tables that hold its rows
// where there are many or some are on another server.
func (s *sampler) from(t *Table, out *sample) []source {
	leaves := s.catalog.leaves(t)
	foreign := slices.ContainsFunc(leaves, func(l *Table) bool { return l.Kind == "f" })
	if !foreign && len(leaves) <= maxLeaves {
		return []source{{t, true}}
	}
	if foreign {
		out.note("what is on another server was not read")
	}
	leaves = slices.DeleteFunc(leaves, func(l *Table) bool { return l.Kind != "r" })
	slices.SortStableFunc(leaves, func(a, b *Table) int { return int(b.pages - a.pages) })
	leaves = leaves[:min(len(leaves), someLeaves)]
	from := make([]source, 0, len(leaves))
	for _, l := range leaves {
		from = append(from, source{l, false})
	}
	return from
}

// query reads columns of a source, whole or by blocks. Only what came with the server is
// called: a cast or function of somebody else's would run as the gateway's user.
func (s *sampler) query(f source, columns []*Column, rows int, blocks bool) string {
	list := make([]string, 0, len(columns))
	for _, c := range columns {
		name := pgx.Identifier{c.Name}.Sanitize()
		if c.cuttable {
			list = append(list, fmt.Sprintf("pg_catalog.left(%s, %d)", name, maxText))
		} else {
			list = append(list, fmt.Sprintf("CASE WHEN pg_catalog.pg_column_size(%s) <= %d THEN %s END", name, maxStored, name))
		}
	}
	only, sampled := "ONLY ", ""
	if f.through {
		only = ""
	}
	if blocks {
		sampled = fmt.Sprintf(" TABLESAMPLE SYSTEM (%g) REPEATABLE (1)", min(100, 120*float64(rows)/s.size(f)))
	}
	return fmt.Sprintf("SELECT %s FROM %s%s%s LIMIT %d", strings.Join(list, ", "), only, pgx.Identifier{f.Schema, f.Name}.Sanitize(), sampled, rows)
}

// size is about how many rows a source has; below 0 where the server does not know.
func (s *sampler) size(f source) float64 {
	if !f.through {
		return f.rows
	}
	var n float64
	for _, l := range s.catalog.leaves(f.Table) {
		n += max(0, l.rows)
	}
	return n
}

func (s *sampler) read(ctx context.Context, f source, columns []*Column, rows int, out *sample) error {
	return reading(ctx, s.conn.PgConn(), s.timeout, func() error {
		blocks := s.size(f) > float64(wholeTables*rows)
		read, err := s.fetch(ctx, s.query(f, columns, rows, blocks), columns, out)
		if err == nil && blocks && read < rows/10 && read < 100 { // the blocks were empty, or the server has not counted for long
			var more int
			more, err = s.fetch(ctx, s.query(f, columns, rows, false), columns, out)
			read += more
		}
		out.rows += read
		return err
	})
}

// fetch runs a query through a cursor, so that it can stop where much was read.
func (s *sampler) fetch(ctx context.Context, query string, columns []*Column, out *sample) (rows int, err error) {
	conn := s.conn.PgConn()
	if _, err := conn.Exec(ctx, "DECLARE weir_classify NO SCROLL CURSOR FOR "+query).ReadAll(); err != nil {
		return 0, err
	}
	for size := 0; size < maxRead; {
		n := 0
		results := conn.Exec(ctx, fmt.Sprintf("FETCH %d FROM weir_classify", fetchRows))
		for results.NextResult() {
			for r := results.ResultReader(); r.NextRow(); n++ {
				for i, v := range r.Values() {
					size += len(v)
					out.add(columns[i], v)
				}
			}
		}
		if err := results.Close(); err != nil {
			return rows, err
		}
		if rows += n; n < fetchRows {
			break
		}
	}
	_, err = conn.Exec(ctx, "CLOSE weir_classify").ReadAll()
	return rows, err
}

// add counts one value, as the server writes it.
func (o *sample) add(c *Column, value []byte) {
	if value == nil {
		return
	}
	if d := o.documents[c]; d != nil {
		_ = d.add(bytes.NewReader(value), aboutPeople(c.Table.Name, c.Name)) // the server holds no broken JSON
		return
	}
	v := o.values[c]
	if c.array {
		var elements []pgtype.Text
		if pgtype.NewMap().Scan(pgtype.TextArrayOID, pgtype.TextFormatCode, value, &elements) == nil {
			for _, e := range elements {
				v.add([]byte(e.String))
			}
			return
		}
	}
	v.add(value)
}

// refusal says in words of our own why the server did not give what it was asked for; its own
// could hold a value. It is none where the connection is lost.
func refusal(err error) (string, bool) {
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Severity == "FATAL" || e.Severity == "PANIC" {
		return "", false
	}
	switch e.Code {
	case "42501":
		return "the gateway's user may not read it", true
	case "57014":
		return "reading took too long", true
	case "55P03":
		return "it is locked by somebody else", true
	case "42P01", "42703":
		return "it was changed meanwhile", true
	}
	return "the server refused (SQLSTATE " + e.Code + ")", true
}
