package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// It is known what a column was called, however it and its table are renamed and moved.
func TestFormerNames(t *testing.T) {
	server := serve(t)
	conn := connect(t, server)
	ref := func(schema, table, column string) sqlmeta.ColumnRef {
		return sqlmeta.ColumnRef{Schema: schema, Table: table, Column: column}
	}
	var told []string
	names := new(Names)
	look := func() *Snapshot { // a catalog of its own each time, as with a target that changes
		t.Helper()
		c, err := New(Config{
			Dial:    func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, server.DSN("postgres")) },
			Names:   names,
			Renamed: func(was, now sqlmeta.ColumnRef) { told = append(told, fmt.Sprint(was, now)) },
		}, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.close)
		return snapshot(t, c)
	}
	do(t, conn, `CREATE SCHEMA old; CREATE SCHEMA new; CREATE TABLE old.t (id int, ssn text, note text)`)
	revisions := map[string]bool{look().Revision(): true}
	for _, step := range []struct {
		sql    string
		column sqlmeta.ColumnRef
		want   []sqlmeta.ColumnRef
		told   int
	}{
		{`ALTER TABLE old.t RENAME ssn TO x`, ref("old", "t", "x"), []sqlmeta.ColumnRef{ref("old", "t", "ssn")}, 1},
		{`ALTER TABLE old.t ADD ssn text`, ref("old", "t", "ssn"), nil, 0},
		{`ALTER TABLE old.t SET SCHEMA new; ALTER TABLE new.t RENAME TO u`, ref("new", "u", "x"),
			[]sqlmeta.ColumnRef{ref("old", "t", "ssn"), ref("old", "t", "x")}, 4},
		{`ALTER TABLE new.u RENAME TO t; ALTER TABLE new.t SET SCHEMA old; ALTER TABLE old.t DROP ssn; ALTER TABLE old.t RENAME x TO ssn`, ref("old", "t", "ssn"),
			[]sqlmeta.ColumnRef{ref("old", "t", "x"), ref("new", "u", "x")}, 4}, // of what was dropped the name is gone
		{`DROP TABLE old.t; CREATE TABLE old.t (id int, ssn text)`, ref("old", "t", "ssn"), nil, 1}, // note
	} {
		do(t, conn, step.sql)
		told = nil
		s := look()
		if d := cmp.Diff(step.want, s.Former()[step.column]); d != "" {
			t.Errorf("%s:\n%s", step.sql, d)
		}
		if len(told) != step.told {
			t.Errorf("%s: told %q, want %d", step.sql, told, step.told)
		}
		if revisions[s.Revision()] {
			t.Errorf("%s: the revision is one of before", step.sql)
		}
		revisions[s.Revision()] = true
		if again := look(); again.Revision() != s.Revision() {
			t.Errorf("%s: another revision, and nothing has changed", step.sql)
		}
	}
}
