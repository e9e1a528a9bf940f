package postgres

import (
	"context"
	"net"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-gateway/weir/extproc/postgres/catalog"
	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// The tests in this file and those that use it run against a real PostgreSQL.

const shopSQL = `
CREATE TABLE customers (id int PRIMARY KEY, name text NOT NULL, ssn text, card text, born date);
INSERT INTO customers SELECT i, 'name ' || i, '123-45-' || lpad(i::text, 4, '0'), '4111 1111 1111 ' || lpad(i::text, 4, '0'), date '1970-01-01' + i
	FROM generate_series(1, 100) i;
CREATE TABLE orders (id int PRIMARY KEY, customer int REFERENCES customers, total numeric NOT NULL);
INSERT INTO orders SELECT i, 1 + i % 100, i * 1.5 FROM generate_series(1, 1000) i;
CREATE TABLE notes (id serial PRIMARY KEY, body text);
CREATE ROLE weir_orders LOGIN PASSWORD 'upstream-secret';
GRANT ALL ON ALL TABLES IN SCHEMA public TO weir_orders;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO weir_orders;
GRANT CREATE ON SCHEMA public TO weir_orders;
GRANT CREATE, TEMP ON DATABASE shop TO weir_orders;
`

var sharedAnalyzer = sync.OnceValues(func() (*sqlmeta.Analyzer, error) { return sqlmeta.New(sqlmeta.Config{}) })

// realWorld is a world whose server, analysis and catalog are the real ones.
func realWorld(t testing.TB, o pgserver.Options) (*world, *pgserver.Server) {
	t.Helper()
	o.Databases = append(o.Databases, "shop")
	o.SQL = append(o.SQL, shopSQL)
	server := pgserver.Test(t, o)
	w := newWorld(t)
	analyzer, err := sharedAnalyzer()
	if err != nil {
		t.Fatal(err)
	}
	w.deps.Analyzer = analyzer
	catalogs := map[string]*catalog.Catalog{}
	var mu sync.Mutex
	w.deps.Catalog = func(database string) (Catalog, error) {
		mu.Lock()
		defer mu.Unlock()
		if c, ok := catalogs[database]; ok {
			return c, nil
		}
		c, err := catalog.New(catalog.Config{Dial: func(ctx context.Context) (*pgx.Conn, error) {
			return pgx.Connect(ctx, server.DSNFor("weir_orders", "upstream-secret", database))
		}}, w.deps.Log)
		catalogs[database] = c
		return c, err
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		for _, c := range catalogs {
			_ = c.Run(ctx)
		}
	})
	w.deps.Dial = func(ctx context.Context, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", server.Addr())
	}
	return w, server
}

// dsn is how a client reaches the gateway at an address.
func dsn(address string) string {
	return "postgres://anyone:good@" + address + "/shop?sslmode=disable"
}

func connect(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestRealQuery(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	conn := connect(t, dsn(w.serve(server.Addr())))
	for i := range 3 {
		var n int
		var name string
		if err := conn.QueryRow(context.Background(), "SELECT id, name FROM customers WHERE id = $1", i+1).Scan(&n, &name); err != nil {
			t.Fatal(err)
		}
		if n != i+1 {
			t.Errorf("got id %d", n)
		}
	}
	for _, o := range w.ledger.outcomes() {
		t.Logf("%+v", o)
	}
}

// What the server remarks on the gateway's own questions is not for the client.
func TestProbeIsSilent(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{Settings: map[string]string{"log_statement": "all"}})
	var heard []string
	cfg, err := pgx.ParseConfig(dsn(w.serve(server.Addr())))
	if err != nil {
		t.Fatal(err)
	}
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { heard = append(heard, n.Message) }
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	for _, text := range []string{"SET client_min_messages = log", "SET search_path = public", "SELECT 1"} {
		if _, err := conn.PgConn().Exec(t.Context(), text).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"statement: SET search_path = public", "statement: SELECT 1"}, heard); diff != "" {
		t.Error(diff)
	}
}
