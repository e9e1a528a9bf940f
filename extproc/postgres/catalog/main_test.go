package catalog

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

var update = flag.Bool("update", false, "rewrite what the analysis' own tests take as a catalog")

// sqlmetaTests holds the schema and the statements that the analysis is tested with.
const sqlmetaTests = "../../../internal/sqlmeta/testdata/"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve starts a server with the tests' schema.
func serve(t *testing.T) *postgres.Server {
	t.Helper()
	return serveWith(t, postgres.Options{})
}

func serveWith(t *testing.T, o postgres.Options) *postgres.Server {
	t.Helper()
	schema, err := os.ReadFile(sqlmetaTests + "schema.sql")
	if err != nil {
		t.Fatal(err)
	}
	o.SQL = []string{string(schema)}
	return postgres.Test(t, o)
}

func connect(t *testing.T, s *postgres.Server) *pgx.Conn {
	t.Helper()
	conn, err := s.Connect(context.Background(), "postgres")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// open makes a catalog of a server.
func open(t *testing.T, s *postgres.Server) *Catalog {
	t.Helper()
	c, err := New(Config{Dial: func(ctx context.Context) (*pgx.Conn, error) { return s.Connect(ctx, "postgres") }}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.close)
	return c
}

func snapshot(t *testing.T, c *Catalog) *Snapshot {
	t.Helper()
	s, err := c.snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newAnalyzer(t *testing.T) *sqlmeta.Analyzer {
	t.Helper()
	a, err := sqlmeta.New(sqlmeta.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}
