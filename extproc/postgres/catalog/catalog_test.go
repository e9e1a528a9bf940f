package catalog

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

func TestConfigIsChecked(t *testing.T) {
	dial := func(context.Context) (*pgx.Conn, error) { return nil, errors.New("no") }
	for _, cfg := range []Config{{}, {Dial: dial, Interval: -1}, {Dial: dial, Timeout: -1}, {Dial: dial, MaxStale: -1}} {
		if _, err := New(cfg, slog.New(slog.DiscardHandler)); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
}

func TestWhatASnapshotKnows(t *testing.T) {
	server := serve(t)
	conn := connect(t, server)
	do(t, conn, `CREATE TEMP TABLE mine (a int)`)
	do(t, conn, `CREATE SCHEMA postgres; CREATE TABLE postgres.users (a int); CREATE TABLE public.users (b int)`)
	s := snapshot(t, open(t, server))
	usual := []string{"$user", "public"}

	for _, c := range []struct {
		path         []string
		schema, name string
		want         string // schema, "" for unknown
	}{
		{usual, "", "customers", "public"},
		{[]string{"crm", "public"}, "", "customers", "crm"},
		{[]string{"nosuch"}, "", "customers", ""},
		{nil, "", "customers", ""},
		{usual, "crm", "customers", "crm"},
		{usual, "", "users", "postgres"}, // "$user" is the one who reads
		{usual, "", "pg_class", "pg_catalog"},
		{[]string{"public", "pg_catalog"}, "", "pg_class", "pg_catalog"},
		{nil, "", "pg_class", "pg_catalog"},
		{usual, "information_schema", "tables", "information_schema"},
		{usual, "", "mine", ""},
		{usual, "pg_temp", "customers", ""},
		{usual, "", "CUSTOMERS", ""},
		{usual, "", "customers_pkey", ""},
	} {
		r, ok := s.Relation(c.path, c.schema, c.name)
		if ok != (c.want != "") || ok && r.Schema != c.want {
			t.Errorf("%v %q.%q: got %v, %v", c.path, c.schema, c.name, r, ok)
		}
	}

	customers, _ := s.Relation(usual, "", "customers")
	if same, ok := s.RelationByOID(customers.OID); !ok || same != customers {
		t.Error("a relation is not found by its OID")
	}
	gone, _ := s.Relation(usual, "", "gone")
	if got := gone.Columns[1]; got.Name != "c" || got.Num != 3 {
		t.Errorf("after a dropped column comes %+v", got)
	}
	generated, _ := s.Relation(usual, "", "generated")
	if generated.Columns[2].Generated == "" || generated.Columns[0].Generated != "" {
		t.Errorf("generated columns: %+v", generated.Columns)
	}
	if v, _ := s.Relation(usual, "", "stacked"); v.Definition == "" {
		t.Error("a view has no definition")
	}
	if v, _ := s.Relation(usual, "", "pg_tables"); v.Definition != "" {
		t.Error("a view of the server's own has a definition")
	}
	people, _ := s.Relation(usual, "", "people")
	employees, _ := s.Relation(usual, "", "employees")
	if !slices.Equal(people.Children, []uint32{employees.OID}) || !slices.Equal(employees.Parents, []uint32{people.OID}) {
		t.Errorf("inheritance: %+v, %+v", people, employees)
	}
	home := customers.Columns[5]
	if a, ok := s.RelationByType(home.TypeOID); !ok || a.Name != "address" {
		t.Errorf("the type of %+v is not found", home)
	}
	if f := s.Routines(usual, "", "leaks"); len(f) != 1 || len(f[0].Outputs) != 2 || f[0].Language != "sql" || !f[0].ReturnsSet {
		t.Errorf("leaks: %+v", f)
	}
	if f := s.Routines(usual, "", "similarity"); len(f) != 1 || f[0].Extension != "pg_trgm" {
		t.Errorf("similarity: %+v", f)
	}
	if f := s.Routines(usual, "", "lower"); len(f) != 0 {
		t.Errorf("lower in %v: %+v", usual, f)
	}
	if f := s.Routines([]string{"evil"}, "", "lower"); len(f) != 1 {
		t.Errorf("lower in evil: %+v", f)
	}
}

func TestFunctionsByOID(t *testing.T) {
	server := serve(t)
	conn := connect(t, server)
	do(t, conn, `CREATE SCHEMA odd; CREATE FUNCTION odd."A b"(int, text) RETURNS int LANGUAGE sql AS 'SELECT 1'`)
	s := snapshot(t, open(t, server))
	var oid uint32
	if err := conn.QueryRow(t.Context(), `SELECT oid FROM pg_proc WHERE proname = 'A b'`).Scan(&oid); err != nil {
		t.Fatal(err)
	}
	for oid, want := range map[uint32]sqlmeta.Function{
		oid: {Schema: "odd", Name: "A b", Arguments: []uint32{23, 25}},
		952: {Schema: "pg_catalog", Name: "lo_open", Arguments: []uint32{26, 23}},
	} {
		if got, ok := s.Function(oid); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%d: %+v", oid, got)
		}
	}
	if f, ok := s.Function(0); ok {
		t.Errorf("0: %+v", f)
	}
}

// The revision keeps analyses warm: it changes with the content and with nothing
// else, and what has not changed stays the same snapshot.
func TestRevision(t *testing.T) {
	server := serve(t)
	conn := connect(t, server)
	c := open(t, server)
	before := snapshot(t, c)
	again := func() *Snapshot {
		t.Helper()
		if err := c.Refresh(context.Background()); err != nil {
			t.Fatal(err)
		}
		return snapshot(t, c)
	}
	if again() != before {
		t.Error("nothing happened, and there is another snapshot")
	}
	do(t, conn, `CREATE TEMP TABLE t (a int); ANALYZE customers; INSERT INTO people VALUES (9, 'x'); CREATE INDEX ON people (id)`)
	if s := again(); s != before {
		t.Error("nothing that is known changed, and there is another snapshot")
	}
	for _, sql := range []string{
		`CREATE TABLE fresh (a int)`,
		`ALTER TABLE fresh ADD COLUMN b text`,
		`ALTER TABLE fresh RENAME COLUMN b TO c`,
		`ALTER TABLE fresh RENAME TO old`,
		`ALTER TABLE old ALTER COLUMN c TYPE varchar(10)`,
		`CREATE OR REPLACE VIEW customer_names AS SELECT id, card AS name FROM customers`,
		`CREATE OR REPLACE FUNCTION leak(i int) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT NULL::text'`,
		`CREATE TABLE manager () INHERITS (people)`,
		`DROP TABLE old`,
	} {
		last := snapshot(t, c).Revision()
		do(t, conn, sql)
		if now := again().Revision(); now == last {
			t.Errorf("the revision did not change after %s", sql)
		}
	}
	if other := snapshot(t, open(t, server)); other.Revision() != snapshot(t, c).Revision() {
		t.Error("the same content has two revisions")
	}
}

// A transaction that changes a table, and waits for the look that its change
// asks for, must not wait for itself. What is locked is not believed.
func TestLockedDefinitions(t *testing.T) {
	server := serve(t)
	conn := connect(t, server)
	do(t, conn, `BEGIN; ALTER TABLE people ADD COLUMN extra int`)
	c := open(t, server)
	s := snapshot(t, c)
	definitionOf := func(s *Snapshot, name string) string {
		r, _ := s.Relation([]string{"public"}, "", name)
		return r.Definition
	}
	if d := definitionOf(s, "unioned"); d != unreadable {
		t.Errorf("a view on a locked table: %q", d)
	}
	if d := definitionOf(s, "stacked"); d == unreadable || d == "" {
		t.Errorf("a view that is not locked: %q", d)
	}
	an, err := newAnalyzer(t).Analyze(context.Background(), "SELECT id FROM unioned", s, []string{"public"})
	if err != nil || !an.Statements[0].Opaque {
		t.Errorf("what is locked is believed: %+v, %v", an, err)
	}
	do(t, conn, `ROLLBACK`)
	if err := c.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	if d := definitionOf(snapshot(t, c), "unioned"); d == unreadable {
		t.Error("it is not read again")
	}
	do(t, conn, `BEGIN; LOCK TABLE generated IN ACCESS EXCLUSIVE MODE; CREATE TABLE other (a int)`)
	do(t, connect(t, server), `CREATE TABLE another (a int)`)
	if err := c.Refresh(context.Background()); err != nil {
		t.Fatal(err)
	}
	do(t, conn, `ROLLBACK`)
	an, err = newAnalyzer(t).Analyze(context.Background(), "SELECT upper_ssn FROM generated", snapshot(t, c), []string{"public"})
	if err != nil {
		t.Fatal(err)
	}
	if r, _ := snapshot(t, c).Relation([]string{"public"}, "", "generated"); r.Columns[2].Generated == unreadable && !an.Statements[0].Opaque {
		t.Error("a locked expression is believed")
	}
}

func TestSearchPath(t *testing.T) {
	server := serve(t)
	do(t, connect(t, server), `ALTER ROLE postgres SET search_path = crm, "Odd, name", public`)
	got, err := open(t, server).SearchPath(context.Background())
	if want := []string{"crm", "Odd, name", "public"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

// A session that changed the schema must see its change: a look that began
// before it does not count.
func TestRefreshLooksAfterTheCall(t *testing.T) {
	server := serve(t)
	conn := connect(t, server)
	c := open(t, server)
	stop := make(chan struct{})
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_ = c.Refresh(context.Background())
				}
			}
		})
	}
	for range 20 {
		do(t, conn, `CREATE TABLE seen (a int)`)
		if err := c.Refresh(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, ok := snapshot(t, c).Relation([]string{"public"}, "", "seen"); !ok {
			t.Error("a table that was there before the call is not seen")
		}
		do(t, conn, `DROP TABLE seen`)
		if err := c.Refresh(context.Background()); err != nil {
			t.Fatal(err)
		}
		if _, ok := snapshot(t, c).Relation([]string{"public"}, "", "seen"); ok {
			t.Error("a table that was gone before the call is seen")
		}
	}
	close(stop)
	others.Wait()
}

// Many who ask at the same time share two looks at most: the one under way, and
// the next.
func TestRefreshIsShared(t *testing.T) {
	begun, release := make(chan struct{}, 100), make(chan struct{})
	c, err := New(Config{Dial: func(context.Context) (*pgx.Conn, error) {
		begun <- struct{}{}
		<-release
		return nil, errors.New("no server")
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	flight := c.join()
	<-begun
	next := c.join()
	if next == flight {
		t.Error("a look that began before counts")
	}
	for range 50 {
		if c.join() != next {
			t.Fatal("every caller gets a look of its own")
		}
	}
	close(release)
	<-next.done
	if n := len(begun); n != 1 {
		t.Errorf("%d more looks", n)
	}
	c.close()
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	release := make(chan struct{})
	c, err := New(Config{Dial: func(context.Context) (*pgx.Conn, error) {
		<-release
		return nil, errors.New("no server")
	}}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Refresh(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if s, err := c.Snapshot(ctx); s != nil || !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v, %v", s, err)
	}
	close(release)
	c.close()
}

// While the server is away the last snapshot serves, but not for ever.
func TestStaleSnapshot(t *testing.T) {
	server := serve(t)
	c := open(t, server)
	now := time.Now()
	c.now = func() time.Time { return now }
	good := snapshot(t, c)
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := c.Refresh(context.Background()); err == nil {
		t.Fatal("the server is gone, and no error")
	}
	now = now.Add(c.cfg.MaxStale)
	if s, err := c.snapshot(context.Background()); s != good || err != nil {
		t.Errorf("got %v, %v", s, err)
	}
	now = now.Add(time.Second)
	if s, err := c.Snapshot(context.Background()); s != nil || !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v, %v", s, err)
	}
}

// Run polls, survives a restart of the server, and ends with nothing left.
func TestRun(t *testing.T) {
	server := serve(t)
	c, err := New(Config{
		Interval: 20 * time.Millisecond,
		Dial:     func(ctx context.Context) (*pgx.Conn, error) { return server.Connect(ctx, "postgres") },
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- c.Run(ctx) }()
	knows := func(table string) func() bool {
		return func() bool {
			s := c.fresh()
			if s == nil {
				return false
			}
			_, ok := s.Relation([]string{"public"}, "", table)
			return ok
		}
	}
	waitUntil(t, knows("customers"))
	do(t, connect(t, server), `CREATE TABLE first (a int)`)
	waitUntil(t, knows("first"))
	if err := server.Restart(context.Background()); err != nil {
		t.Fatal(err)
	}
	do(t, connect(t, server), `CREATE TABLE second (a int)`)
	waitUntil(t, knows("second"))
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c.conn != nil {
		t.Error("a connection is left")
	}
}

func do(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.PgConn().Exec(context.Background(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func waitUntil(t *testing.T, done func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}

var (
	_ sqlmeta.Catalog    = (*Snapshot)(nil)
	_ sqlmeta.Revisioned = (*Snapshot)(nil)
	_ sqlmeta.Routines   = (*Snapshot)(nil)
	_ sqlmeta.Functions  = (*Snapshot)(nil)
)
