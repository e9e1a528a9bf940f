package postgres

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
	"pgregory.net/rapid"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

const ledgerSQL = `
	CREATE TABLE ledger (owner text, amount int);
	INSERT INTO ledger VALUES ('agent-1', 1), ('mallory', 2);
	ALTER TABLE ledger ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON ledger USING (owner = current_setting('weir.subject', true));
	GRANT ALL ON ledger TO weir_orders;
	CREATE FUNCTION run(text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE $1; END $$;
	CREATE TABLE boxes (list int[]);
	GRANT ALL ON boxes TO weir_orders;
	ALTER TABLE boxes OWNER TO weir_orders;
	CREATE TABLE parted (a text) PARTITION BY LIST (a);
	ALTER TABLE parted OWNER TO weir_orders;
	CREATE DOMAIN short AS text;
	ALTER DOMAIN short OWNER TO weir_orders;
	CREATE SCHEMA elsewhere;
	CREATE TABLE elsewhere.pg_settings (name text, setting text);
	GRANT ALL ON SCHEMA elsewhere TO weir_orders;
	GRANT ALL ON elsewhere.pg_settings TO weir_orders;
	CREATE VIEW my_settings AS SELECT * FROM pg_settings;
	CREATE VIEW over_settings AS SELECT * FROM my_settings;
	GRANT ALL ON my_settings, over_settings TO weir_orders;
	CREATE VIEW mine AS SELECT 1 AS one;
	ALTER VIEW mine OWNER TO weir_orders;
	ALTER TABLE notes OWNER TO weir_orders;
	ALTER ROLE weir_orders SET weir.subject = 'of the role';
	ALTER DATABASE shop SET application_name = 'of the database';`

// asTheLibrary denies what the shipped rules deny of identity.
func asTheLibrary(in *gate.Input) gate.Decision {
	if in.Operation != nil && (slices.Contains(in.Operation.Risks, riskIdentitySetting) || slices.Contains(in.Operation.Risks, riskIdentityHidden)) {
		return gate.Denied("identity", "the server is not told otherwise", "")
	}
	return allowAll(in)
}

// introducedWorld is one whose server is told who is there, and has a table of
// which everybody sees the own rows.
func introducedWorld(t *testing.T) (*world, string) {
	t.Helper()
	w, server := realWorld(t, pgserver.Options{})
	if err := server.Exec(context.Background(), "shop", ledgerSQL); err != nil {
		t.Fatal(err)
	}
	w.cfg.Introduce = Introduce{Name: true, Settings: true}
	w.rules = asTheLibrary
	return w, w.serve(server.Addr())
}

// stillAgent1 says that the server knows the session's principal, and shows the
// rows of nobody else.
func stillAgent1(t *testing.T, c *rawClient) {
	t.Helper()
	const ask = "SELECT owner, current_setting('weir.subject'), current_setting('weir.issuer') FROM ledger"
	sees(t, c.ask(ask), "columns owner,current_setting,current_setting", "row agent-1|agent-1|", "done SELECT 1", "ready I")
}

// testdata/attacks/identity holds every way that was ever tried to have the server
// take a session for somebody else's.
func TestIdentityAttacks(t *testing.T) {
	_, address := introducedWorld(t)
	raw, err := os.ReadFile("testdata/attacks/identity/statements.sql")
	if err != nil {
		t.Fatal(err)
	}
	c := dialRaw(t, address)
	for _, sql := range []string{"SET my.x = 'work_mem'", "SET bytea_output = 'escape'", "PREPARE said(text) AS SELECT $1"} {
		if got := c.ask(sql); !strings.HasPrefix(got[0], "done ") {
			t.Fatal(sql, got)
		}
	}
	for line := range strings.Lines(string(raw)) {
		sql := strings.TrimSpace(line)
		if strings.HasPrefix(sql, "--") {
			continue
		}
		t.Run(sql, func(t *testing.T) {
			if got := c.ask(sql); got[0] != "ERROR 42501" {
				t.Errorf("as a query it was not refused: %v", got)
			}
			stillAgent1(t, c)
			c.send(&pgproto3.Parse{Query: sql}, &pgproto3.Bind{}, &pgproto3.Execute{}, &pgproto3.Sync{})
			if got := c.until(1); !strings.HasPrefix(got[0], "ERROR 42") {
				t.Errorf("as an extended query it was not refused: %v", got)
			}
			stillAgent1(t, c)
		})
	}
	files, err := filepath.Glob("testdata/attacks/identity/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no conversations", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c := dialRaw(t, address)
			play(t, c, file)
			stillAgent1(t, c)
		})
	}
}

// A FunctionCall is a statement like any other.
func TestIdentityFunctionCall(t *testing.T) {
	_, address := introducedWorld(t)
	c := dialRaw(t, address)
	got := c.ask("SELECT 'pg_catalog.set_config'::regproc::oid::text AS o")
	if len(got) < 2 {
		t.Fatal(got)
	}
	oid := uint32(0)
	for _, d := range strings.TrimPrefix(got[1], "row ") {
		oid = oid*10 + uint32(d-'0')
	}
	c.send(&pgproto3.FunctionCall{Function: oid, Arguments: [][]byte{[]byte("weir.subject"), []byte("mallory"), []byte("f")}})
	if got := c.until(1); got[0] != "ERROR 42501" {
		t.Errorf("it was not refused: %v", got)
	}
	stillAgent1(t, c)
}

func TestIdentityAtStartUp(t *testing.T) {
	_, address := introducedWorld(t)
	for _, params := range [][]string{
		{"weir.subject", "mallory"}, {"WEIR.subject", "mallory"}, {"options", "-c weir.subject=mallory"}, {"options", "--Weir.Subject=mallory"},
		{"options", `-c\ weir.subject=mallory`}, {"weir.anything", "x"},
	} {
		k := newTalk(t, address)
		k.write(startPacket(pgproto3.ProtocolVersion30, append(append([]string{}, userShop...), params...)...))
		if got := k.signIn("good"); !strings.HasPrefix(got[0], "FATAL ") {
			t.Errorf("%q: %v", params, got)
		}
	}
	k := newTalk(t, address)
	k.write(startPacket(pgproto3.ProtocolVersion30, append(append([]string{}, userShop...), "application_name", "mallory", "options", "-c application_name=mallory")...))
	if got := k.signIn("good"); got[0] != "ready" {
		t.Fatal(got)
	}
	k.b.Send(&pgproto3.Query{String: "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"})
	if err := k.b.Flush(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for len(got) < 2 {
		m, err := k.b.Receive()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, describeMessage(m))
	}
	if got[1] != "row agent-1 (mallory)" {
		t.Errorf("the server shows %q", got)
	}
}

// What most statements are is not in the way of an introduction.
func TestIntroducedSessionsWork(t *testing.T) {
	_, address := introducedWorld(t)
	c := dialRaw(t, address)
	for _, sql := range []string{
		"SELECT id, upper(name), count(*) OVER () FROM customers WHERE id = 1", "SET work_mem = '8MB'", "SELECT set_config('work_mem', '1MB', false)",
		"SELECT set_config(name, '2MB', false) FROM pg_settings WHERE name = 'work_mem'", "SELECT * FROM pg_settings LIMIT 1", "SHOW ALL",
		"CREATE TEMP TABLE t (a int)", "INSERT INTO t VALUES (1)", "CREATE VIEW ours AS SELECT id FROM customers", "ALTER ROLE weir_orders RESET ALL",
		"UPDATE orders SET total = total WHERE id = 1", "SELECT current_setting('weir.subject')", "SHOW weir.session",
	} {
		if got := c.ask(sql); !strings.HasPrefix(got[len(got)-2], "done ") {
			t.Errorf("%s: %v", sql, got)
		}
	}
}

// A principal whose name cannot be told as it is does not come in under another.
func TestNamesThatCannotBeTold(t *testing.T) {
	h := &Handler{cfg: Config{Introduce: Introduce{Settings: true}}}
	for name, p := range map[string]gate.Principal{
		"a zero": {Subject: "mal\x00lory"}, "a line": {Subject: "a\nb"}, "no UTF-8": {Subject: "a\xff"}, "an issuer": {Subject: "a", Issuer: "x\ny"},
		"too many roles": {Subject: "a", Roles: slices.Repeat([]string{"group:" + strings.Repeat("x", 100)}, 100)},
	} {
		if err := h.introduce(&gate.Session{Principal: p}, &startupParams{}); err == nil {
			t.Errorf("%s was told", name)
		}
	}
	var params startupParams
	err := h.introduce(&gate.Session{ID: "s", Principal: gate.Principal{Subject: "Zoë", Issuer: "i", Roles: []string{"group:a,b"}}}, &params)
	want := []setting{{"weir.subject", "Zoë"}, {"weir.issuer", "i"}, {"weir.kind", "agent"}, {"weir.roles", `["group:a,b"]`}, {"weir.session", "s"}}
	if diff := cmp.Diff(want, params.settings, cmp.AllowUnexported(setting{})); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestShownName(t *testing.T) {
	for _, test := range []struct{ subject, app, want string }{
		{"agent-1", "", "agent-1"},
		{"agent-1", "psql", "agent-1 (psql)"},
		{"Zoë\n", "", "Zo??"},
		{strings.Repeat("a", 60), "psql", strings.Repeat("a", 60)},
		{strings.Repeat("a", 64), "psql", strings.Repeat("a", 60) + "..."},
	} {
		if got := shownName(test.subject, test.app); got != test.want {
			t.Errorf("%q, %q: %q", test.subject, test.app, got)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		got := shownName(rapid.String().Draw(t, "subject"), rapid.String().Draw(t, "application"))
		if len(got) > maxName || !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("shown as %q", got)
		}
	})
}
