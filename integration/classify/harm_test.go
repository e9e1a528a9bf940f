package classify_test

import (
	"regexp"
	"strings"
	"testing"
)

// harmless are the statements that may be run at somebody's database.
var harmless = regexp.MustCompile(`(?i)^(?:(?:BEGIN(?: TRANSACTION)?(?: ISOLATION LEVEL REPEATABLE READ)? READ ONLY;? ?)?(?:SET LOCAL [^;]*;?\s*)*|ROLLBACK|(?:ROLLBACK TO|RELEASE)? ?SAVEPOINT \S+|\s*SELECT\b.*|DECLARE weir_classify NO SCROLL CURSOR FOR SELECT .*|FETCH \d+ FROM weir_classify|CLOSE weir_classify|\s*WITH \w+.*)$`)

func TestNothingIsChangedOrLocked(t *testing.T) {
	d := newDesk(t)
	if _, stderr, code := d.weir("crm", "--sample", "10"); code != 0 {
		t.Fatal(stderr)
	}
	said := regexp.MustCompile(`^<weir classify> LOG:  (?:statement|execute [^:]*): (.*)$`)
	n := 0
	for line := range strings.Lines(shared.server.Log()) {
		m := said.FindStringSubmatch(strings.TrimSuffix(line, "\n"))
		if m == nil {
			continue
		}
		n++
		if !harmless.MatchString(strings.ToUpper(m[1])) && !harmless.MatchString(m[1]) {
			t.Errorf("was run: %s", m[1])
		}
	}
	if n < 50 {
		t.Errorf("only %d statements of it are in the server's log", n)
	}
}

// What other users made must not run as the gateway's user, and their names are only names.
func TestAHostileDatabase(t *testing.T) {
	d := newDesk(t)
	const name = `"x: []` + "\n" + `  public.customers.ssn: []"`
	d.exec(`
CREATE TYPE ops.mood AS ENUM ('calm');
CREATE TYPE ops.pair AS (email text, ssn text);
CREATE FUNCTION ops.evil() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE LOG 'EVIL'; RETURN 'x'; END $$;
CREATE FUNCTION ops.evil(ops.mood) RETURNS text LANGUAGE sql AS 'SELECT ops.evil()';
CREATE FUNCTION ops.evil(ops.pair) RETURNS text LANGUAGE sql AS 'SELECT ops.evil()';
CREATE FUNCTION public."left"(text, int) RETURNS text LANGUAGE sql AS 'SELECT ops.evil()';
CREATE CAST (ops.mood AS text) WITH FUNCTION ops.evil(ops.mood) AS IMPLICIT;
CREATE CAST (ops.pair AS text) WITH FUNCTION ops.evil(ops.pair) AS IMPLICIT;
CREATE TABLE ops.odd (gender ops.mood, pairs ops.pair[], pair ops.pair, plain text);
INSERT INTO ops.odd VALUES ('calm', '{"(a@b.de,219-09-9998)"}', '(a@b.de,219-09-9998)', 'x');
CREATE VIEW ops.trap AS SELECT ops.evil() AS email, 1 AS one;
CREATE TABLE ops.` + name + ` (email text PRIMARY KEY);
INSERT INTO ops.` + name + ` VALUES ('hostile@example.com');
CREATE TABLE ops.refers (x text REFERENCES ops.` + name + `);
GRANT SELECT ON ALL TABLES IN SCHEMA ops TO weir_reader; REVOKE ALL ON ops.hidden FROM weir_reader;
ALTER DATABASE ` + d.database + ` SET search_path = public, ops, pg_catalog`)
	d.secret = append(d.secret, "hostile@example.com", "a@b.de", "219-09-9998")

	out, stderr, code := d.weir("crm", "--schema", "ops")
	if code != 0 {
		t.Fatal(stderr)
	}
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "  public.customers.ssn") {
			t.Errorf("a name became a line:\n%s", out)
		}
	}
	if !strings.Contains(out, "ops.trap.email") {
		t.Errorf("a view's column that cannot be traced is judged by its name:\n%s", out)
	}
	if !strings.Contains(out, "ops.hidden: the gateway's user may not read it") {
		t.Errorf("what could not be read is not told:\n%s", out)
	}
	d.exec("DROP VIEW ops.trap, public.customer_list") // and so the parser is not needed again
	if _, stderr, code := d.weir("crm", "--write", d.path("classification.yaml")); code != 0 {
		t.Fatal(stderr)
	}
	if text := d.read("classification.yaml"); strings.Contains(text, "\n  public.customers.ssn: []") || !strings.Contains(text, "\n  public.customers.ssn: pii.ssn") {
		t.Errorf("a name became a line of the file:\n%s", text)
	}
	if strings.Contains(shared.server.Log(), "LOG:  EVIL") {
		t.Error("a function of somebody else's was run")
	}
}

func TestALockedTableIsTold(t *testing.T) {
	d := withoutViews(t)
	conn, err := shared.server.Connect(t.Context(), d.database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if _, err := conn.Exec(t.Context(), "BEGIN; LOCK TABLE public.customers IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	out, stderr, code := d.weir("crm", "--schema", "public")
	if code != 0 || !strings.Contains(out, "public.customers: it is locked by somebody else") {
		t.Errorf("exit %d: %s\n%s", code, stderr, out)
	}
	if !strings.Contains(out, "public.customers.ssn") || !strings.Contains(out, "public.payments.card_number") {
		t.Errorf("the names of it, and the other tables, are judged all the same:\n%s", out)
	}
}

func TestServerDown(t *testing.T) {
	d := newDesk(t)
	d.configure("127.0.0.1:1")
	if _, stderr, code := d.weir("crm"); code != 1 || !strings.Contains(stderr, "of target crm must be read") || strings.Contains(stderr, "reader:") {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if _, stderr, code := d.weir("nobody"); code != 1 || !strings.Contains(stderr, `no target "nobody"`) {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
