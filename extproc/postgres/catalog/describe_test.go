package catalog

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// statements reads the paragraphs of a file of SQL.
func statements(t testing.TB, file string) []string {
	t.Helper()
	raw, err := os.ReadFile(sqlmetaTests + file)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, p := range strings.Split(string(raw), "\n\n") {
		if p = strings.TrimSpace(p); p != "" && !strings.HasPrefix(p, "-- ") {
			out = append(out, p)
		}
	}
	return out
}

// column is an output as the server and the analysis both describe it.
type column struct {
	Name     string
	Relation uint32
	Number   int16
}

func described(d *pgconn.StatementDescription) []column {
	var out []column
	for _, f := range d.Fields {
		out = append(out, column{f.Name, f.TableOID, int16(f.TableAttributeNumber)}) //nolint:gosec // system columns are negative
	}
	return out
}

func analysed(s *sqlmeta.Statement) []column {
	var out []column
	for _, o := range s.Outputs {
		out = append(out, column{o.Name, o.Relation, o.Column})
	}
	return out
}

// What the analysis says of a result must be what the server says of it, in
// every name and origin: a session delivers nothing where the two disagree.
func TestOutputsAreTheServers(t *testing.T) {
	ctx := context.Background()
	server := serve(t)
	conn := connect(t, server)
	catalog := snapshot(t, open(t, server))
	analyzer := newAnalyzer(t)
	for i, sql := range append(statements(t, "describe.sql"), statements(t, "introspection.sql")...) {
		an, err := analyzer.Analyze(ctx, sql, catalog, []string{"$user", "public"})
		if err != nil {
			t.Fatal(err)
		}
		d, err := conn.PgConn().Prepare(ctx, fmt.Sprint("s", i), sql, nil)
		if err != nil {
			t.Errorf("%s\nthe server: %v", sql, err)
			continue
		}
		if diff := cmp.Diff(described(d), analysed(&an.Statements[0])); diff != "" {
			t.Errorf("%s\nserver (-), analysis (+):\n%s", sql, diff)
		}
	}
}
