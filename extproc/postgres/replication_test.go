package postgres

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// replicas are a world whose server lets the gateway replicate.
func replicas(t *testing.T) (*world, *pgserver.Server) {
	t.Helper()
	w, server := realWorld(t, pgserver.Options{
		HBA:      []string{"host all all 127.0.0.1/32 trust", "host replication all 127.0.0.1/32 trust"},
		Settings: map[string]string{"wal_level": "logical", "autovacuum": "off", "max_wal_senders": "200", "max_connections": "250"},
	})
	if err := server.Exec(t.Context(), "shop", "ALTER ROLE weir_orders REPLICATION; CREATE PUBLICATION everything FOR ALL TABLES"); err != nil {
		t.Fatal(err)
	}
	return w, server
}

// dialReplication signs a client in for replication: "true" or "database".
func dialReplication(t *testing.T, address, kind string) *rawClient {
	t.Helper()
	conn := dial(t, address)
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	c := &rawClient{t: t, conn: conn, f: pgproto3.NewFrontend(conn, conn)}
	parameters := map[string]string{"user": "weir_orders", "database": "shop", "replication": kind}
	if kind == "true" {
		parameters["database"] = "replication" // as libpq does
	}
	c.signIn(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: parameters}, "good")
	return c
}

// positions in the log go on by themselves.
var positions = regexp.MustCompile(`\b[0-9A-F]+/[0-9A-F]+\b`)

// play waits for the answer to each message that has one: the server takes nothing
// while it makes a slot.
func (c *rawClient) play(messages ...pgproto3.FrontendMessage) (got []string) {
	c.t.Helper()
	skipped := false // what comes, up to a Sync
	for _, m := range messages {
		c.send(m)
		switch m.(type) {
		case *pgproto3.Parse:
			skipped = true
		case *pgproto3.Sync:
			skipped = false
			got = append(got, c.until(1)...)
		case *pgproto3.Query, *pgproto3.FunctionCall:
			if !skipped {
				got = append(got, c.until(1)...)
			}
		}
	}
	for i := range got {
		got[i] = positions.ReplaceAllString(got[i], "X/X")
	}
	return got
}

// What is no data is answered as PostgreSQL answers it.
func TestReplicationAsPostgres(t *testing.T) {
	w, server := replicas(t)
	address := w.serve(server.Addr())
	query := func(texts ...string) (all []pgproto3.FrontendMessage) {
		for _, text := range texts {
			all = append(all, &pgproto3.Query{String: text})
		}
		return all
	}
	scripts := [][]pgproto3.FrontendMessage{
		query("IDENTIFY_SYSTEM"), query(" IDENTIFY_SYSTEM;"), query("IDENTIFY_SYSTEM; SELECT 1"), query("identify_system"), query(""), query(";"),
		query("SHOW server_version_num"), query("SHOW nosuch"), query("show work_mem"), query("SHOW work_mem; SELECT 1"), query("SELECT 1"), query("SELECT 1; SELECT 2"),
		query("READ_REPLICATION_SLOT nosuch"), query("DROP_REPLICATION_SLOT nosuch"), query("TIMELINE_HISTORY 99"), query("TIMELINE_HISTORY"), query("START_REPLICATION"),
		query("START_REPLICATION SLOT nosuch LOGICAL 0/0"), query("START_REPLICATION SLOT nosuch 0/0"), query("SLOT"), query("-- SHOW x"), query("SHOW 'open"),
		query("CREATE_REPLICATION_SLOT a TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')", "READ_REPLICATION_SLOT a", "DROP_REPLICATION_SLOT a WAIT"),
		query("CREATE_REPLICATION_SLOT b TEMPORARY PHYSICAL RESERVE_WAL", "READ_REPLICATION_SLOT b", "DROP_REPLICATION_SLOT b"),
		query("CREATE_REPLICATION_SLOT c TEMPORARY LOGICAL nosuch"),
		query("BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ", "CREATE_REPLICATION_SLOT d TEMPORARY LOGICAL pgoutput (SNAPSHOT 'use')", "SELECT count(*) FROM customers",
			"COPY (SELECT id FROM customers WHERE id < 3) TO STDOUT", "COMMIT", "DROP_REPLICATION_SLOT d"),
		query("BEGIN", "SELECT 1/0", "IDENTIFY_SYSTEM", "SHOW work_mem", "ROLLBACK", "SET search_path = pg_catalog", "SELECT count(*) FROM pg_class WHERE oid = 0"),
		query("BASE_BACKUP (NOSUCH)"), query("BASE_BACKUP (LABEL)"), query("ALTER_REPLICATION_SLOT nosuch (FAILOVER true)"),
		script(run1("SELECT 1"), synced), script(run1("IDENTIFY_SYSTEM"), query("SELECT 3"), synced), script(query("SELECT 4"), run1("SELECT 1"), synced), synced,
		script([]pgproto3.FrontendMessage{textCall(oidInt4pl, "40", "2")}),
		script(query("BEGIN"), run1("SELECT 1"), synced, query("SELECT 1", "ROLLBACK")),
		script(query("BEGIN"), []pgproto3.FrontendMessage{textCall(oidInt4pl, "40", "2")}, query("SELECT 1", "ROLLBACK")),
	}
	for _, kind := range []string{"database", "true"} {
		for _, script := range scripts {
			want := dialReplication(t, server.Addr(), kind).play(script...)
			if got := dialReplication(t, address, kind).play(script...); !cmp.Equal(want, got) {
				t.Errorf("%s: %#v (-PostgreSQL +gateway)\n%s", kind, script[0], cmp.Diff(want, got))
			}
		}
	}
}

// What policy is shown, and what the server is told.
func TestReplicationFacts(t *testing.T) {
	for kind, want := range map[string]struct{ shown, database, sent string }{
		"database": {"database", "shop", "database"}, "true": {"physical", "", "true"}, "ON": {"physical", "", "true"}, "0": {"", "shop", ""},
	} {
		w := fakeWorld(t)
		server := newFakeServer()
		var shown, database string
		w.rules = func(in *gate.Input) gate.Decision {
			shown, database = in.Session.Replication, in.Session.Database
			return allowAll(in)
		}
		k := newTalk(t, w.serve(server.serve(t)))
		k.write(startPacket(pgproto3.ProtocolVersion30, "user", "anyone", "database", "shop", "replication", kind))
		if got := k.signIn("good"); got[0] != "ready" {
			t.Fatalf("%s: %v", kind, got)
		}
		sent := (<-server.started).Parameters
		if shown != want.shown || database != want.database || sent["replication"] != want.sent || sent["database"] != want.database {
			t.Errorf("%s: policy saw %q of %q, the server %v", kind, shown, database, sent)
		}
	}
}

// A command is an operation like any other.
func TestReplicationIsJudged(t *testing.T) {
	w, server := replicas(t)
	var seen []*gate.Operation
	w.rules = func(in *gate.Input) gate.Decision {
		if in.Operation == nil {
			return allowAll(in)
		}
		seen = append(seen, in.Operation)
		if slices.Contains(in.Operation.Functions, "DROP_REPLICATION_SLOT") {
			return gate.Denied("no_drop", "slots stay", "")
		}
		return allowAll(in)
	}
	c := dialReplication(t, w.serve(server.Addr()), "database")
	sees(t, c.ask("DROP_REPLICATION_SLOT x"), "ERROR 42501", "ready I")
	sees(t, c.ask("BEGIN"), "done BEGIN", "ready T")
	sees(t, c.ask("DROP_REPLICATION_SLOT x"), "ERROR 42501", "ready E")
	sees(t, c.ask("ROLLBACK"), "done ROLLBACK", "ready I")
	c.ask("BASE_BACKUP (TARGET 'server', TARGET_DETAIL '/nowhere/at/all')")
	c.ask(`CREATE_REPLICATION_SLOT x TEMPORARY LOGICAL "/tmp/x"`)
	type facts struct {
		Action, Text, Function string
		Risks                  []string
	}
	var got []facts
	for _, o := range seen {
		if o.Action == "replication" {
			got = append(got, facts{o.Action, o.Text, o.Functions[0], o.Risks})
		}
	}
	want := []facts{
		{"replication", "DROP_REPLICATION_SLOT x", "DROP_REPLICATION_SLOT", []string{"replication"}},
		{"replication", "DROP_REPLICATION_SLOT x", "DROP_REPLICATION_SLOT", []string{"replication"}},
		{"replication", "BASE_BACKUP (TARGET 'server', TARGET_DETAIL '/nowhere/at/all')", "BASE_BACKUP", []string{"replication", "opaque", "file_access", "program"}},
		{"replication", `CREATE_REPLICATION_SLOT x TEMPORARY LOGICAL "/tmp/x"`, "CREATE_REPLICATION_SLOT", []string{"replication", "file_access"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// What streams cannot be masked or counted in rows, so it is refused where that is
// asked for; SQL on the same connection is masked.
func TestReplicationUnderMasks(t *testing.T) {
	w, server := replicas(t)
	w.classify(shopClasses)
	w.rules = maskPII
	address := w.serve(server.Addr())
	c := dialReplication(t, address, "database")
	streams := []string{"START_REPLICATION SLOT a LOGICAL 0/0 (proto_version '1', publication_names 'everything')", "START_REPLICATION 0/0", "BASE_BACKUP (TARGET 'blackhole')"}
	sees(t, c.ask("CREATE_REPLICATION_SLOT a TEMPORARY LOGICAL pgoutput (SNAPSHOT 'nothing')")[2:], "done CREATE_REPLICATION_SLOT", "ready I")
	for _, text := range streams {
		sees(t, c.ask(text), "ERROR 42501", "ready I")
	}
	sees(t, c.ask("SELECT ssn FROM customers WHERE id = 1"), "columns ssn", "row ***-**-0001", "done SELECT 1", "ready I")
	sees(t, c.ask("COPY (SELECT ssn FROM customers WHERE id = 1) TO STDOUT"), "copy out", "data ***-**-0001", "copy done", "done COPY 1", "ready I")
	sees(t, dialReplication(t, address, "true").ask("BASE_BACKUP"), "ERROR 42501", "ready I")
	for _, o := range w.ledger.outcomes() {
		if o.Status == "refused" && !strings.Contains(o.Error, "replication_masked") {
			t.Errorf("recorded %+v", o)
		}
	}
	w.rule(func(*gate.Input) gate.Decision {
		return gate.Decision{Effect: gate.Allow, Limits: gate.Limits{MaxRows: 5}}
	})
	for _, text := range streams {
		sees(t, c.ask(text), "ERROR 42501", "ready I")
	}
	if leaks(w.ledger.stream(gate.ResponseStream)) {
		t.Error("a protected value was delivered")
	}
}

// A base backup is delivered whole, in all its parts, and only its size is recorded.
func TestBaseBackup(t *testing.T) {
	w, server := replicas(t)
	w.classify(shopClasses)
	var read []string
	w.rules = func(in *gate.Input) gate.Decision {
		read = in.Session.ClassesRead
		return allowAll(in)
	}
	c := dialReplication(t, w.serve(server.Addr()), "true")
	c.send(&pgproto3.Query{String: "BASE_BACKUP (LABEL 'through', CHECKPOINT 'fast', MANIFEST 'no', WAIT 0)"})
	var shape []string
	size, found := 0, false
	for {
		m := c.receive()
		switch m := m.(type) {
		case *pgproto3.CopyData:
			size += len(m.Data)
			found = found || bytes.Contains(m.Data, []byte("LABEL: through"))
			continue
		case *pgproto3.NoticeResponse, *pgproto3.ParameterStatus:
			continue
		}
		word, _, _ := strings.Cut(describeMessage(m), " ")
		shape = append(shape, word)
		if word == "ready" {
			break
		}
	}
	if diff := cmp.Diff("columns row done columns row done copy copy columns row done done ready", strings.Join(shape, " ")); diff != "" || !found || size < 10<<20 {
		t.Errorf("%d bytes (label: %v)\n%s", size, found, diff)
	}
	outcomes := w.ledger.outcomes()
	if o := outcomes[len(outcomes)-1]; o.Status != "ok" || o.Bytes < int64(size) || o.Tag != "BASE_BACKUP" {
		t.Errorf("recorded %+v", o)
	}
	if n := len(w.ledger.stream(gate.ResponseStream)); n > 1000 {
		t.Errorf("%d bytes of it were recorded", n)
	}
	c.ask("IDENTIFY_SYSTEM")
	if want := (&classified{by: shopClasses}).Classes(""); !cmp.Equal(want, read) {
		t.Errorf("the token has read %v, want %v", read, want)
	}
}
