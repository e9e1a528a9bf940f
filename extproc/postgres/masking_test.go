package postgres

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// maskPII hides what holds personal data.
func maskPII(in *gate.Input) gate.Decision {
	return gate.Decision{Effect: gate.Allow, ID: "d-1", Mask: []gate.Mask{
		{Class: "pii.ssn", MaskSpec: gate.MaskSpec{With: "partial", KeepLast: 4}},
		{Class: "pci.pan", MaskSpec: gate.MaskSpec{With: "redact"}},
		{Class: "pii.birth", MaskSpec: gate.MaskSpec{With: "date_trunc", Unit: "year"}},
		{Column: "public.orders.total", MaskSpec: gate.MaskSpec{With: "null"}},
	}}
}

var shopClasses = classes{
	"public.customers.ssn": {"pii.ssn"}, "public.customers.card": {"pci.pan"}, "public.customers.born": {"pii.birth"},
}

func maskedWorld(t *testing.T) (*world, string) {
	w, server := realWorld(t, pgserver.Options{SQL: []string{}})
	if err := server.Exec(context.Background(), "shop", `
		CREATE VIEW people AS SELECT id, ssn AS number, upper(name) AS loud, right(ssn, 4) AS tail FROM customers;
		GRANT ALL ON people TO weir_orders;`); err != nil {
		t.Fatal(err)
	}
	w.classify(shopClasses)
	w.rules = maskPII
	return w, w.serve(server.Addr())
}

// leaks says whether bytes hold the protected values of the first customer.
func leaks(b []byte) bool {
	return bytes.Contains(b, []byte("123-45")) || bytes.Contains(b, []byte("1111 1111"))
}

func TestMasks(t *testing.T) {
	w, address := maskedWorld(t)
	tests := []struct {
		name, sql string
		want      []string
	}{
		{"column", "SELECT ssn FROM customers WHERE id = 1", []string{"columns ssn", "row ***-**-0001", "done SELECT 1"}},
		{"alias", "SELECT c.ssn AS harmless FROM customers c WHERE id = 1", []string{"columns harmless", "row ***-**-0001", "done SELECT 1"}},
		{"star", "SELECT * FROM customers WHERE id = 1", []string{"columns id,name,ssn,card,born", "row 1|name 1|***-**-0001|[redacted]|1970-01-01", "done SELECT 1"}},
		{"null stays", "SELECT c.ssn FROM (VALUES (0)) v(i) LEFT JOIN customers c ON c.id = v.i", []string{"columns ssn", "row NULL", "done SELECT 1"}},
		{"view", "SELECT * FROM people WHERE id = 1", []string{"columns id,number,loud,tail", "row 1|***-**-0001|NAME 1|[redacted]", "done SELECT 1"}},
		{"derived", "SELECT 'x' || ssn AS d, length(card) AS n FROM customers WHERE id = 1", []string{"columns d,n", "row [redacted]|NULL", "done SELECT 1"}},
		{"cast to its own type", "SELECT ssn::text AS s, born::date AS b FROM customers WHERE id = 1", []string{"columns s,b", "row ***-**-0001|1970-01-01", "done SELECT 1"}},
		{"by column", "SELECT id, total FROM orders WHERE id = 1", []string{"columns id,total", "row 1|NULL", "done SELECT 1"}},
		{"subquery", "WITH x AS (SELECT ssn AS s FROM customers WHERE id = 1) SELECT (SELECT s FROM x) AS s", []string{"columns s", "row ***-**-0001", "done SELECT 1"}},
		{"returning", "UPDATE customers SET name = name WHERE id = 1 RETURNING id, ssn", []string{"columns id,ssn", "row 1|***-**-0001", "done UPDATE 1"}},
		{"many statements", "SELECT id FROM customers WHERE id = 1; SELECT ssn FROM customers WHERE id = 1", []string{"columns id", "row 1", "done SELECT 1", "columns ssn", "row ***-**-0001", "done SELECT 1"}},
		{"untouched", "SELECT id, name FROM customers WHERE id = 1", []string{"columns id,name", "row 1|name 1", "done SELECT 1"}},
		{"no table", "SELECT 1 AS one", []string{"columns one", "row 1", "done SELECT 1"}},
		{"copy", "COPY (SELECT id, ssn FROM customers WHERE id = 1) TO STDOUT", []string{"copy out", "data 1\t***-**-0001", "copy done", "done COPY 1"}},
		{"copy refused", "COPY customers (ssn) TO STDOUT (NULL '123-45-0001')", []string{"ERROR 42501"}},
		{"copy of the rest", "COPY (SELECT id, name FROM customers WHERE id = 1) TO STDOUT", []string{"copy out", "data 1\tname 1", "copy done", "done COPY 1"}},
		{"error withheld", "SELECT ssn::int FROM customers", []string{"columns ssn", "ERROR 22P02"}},
	}
	c := dialRaw(t, address)
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c.t = t
			sees(t, c.ask(test.sql), append(test.want, "ready I")...)
		})
	}
	if delivered := w.ledger.stream(gate.ResponseStream); leaks(delivered) || len(delivered) == 0 {
		t.Error("the record of what was delivered holds a protected value, or nothing")
	}
	if original := w.ledger.stream(gate.OriginalStream); !bytes.Contains(original, []byte("123-45-0001")) || !bytes.Contains(original, []byte("invalid input syntax")) {
		t.Error("the originals are not in the evidence")
	}
	masked := 0
	for _, o := range w.ledger.outcomes() {
		masked += o.Masked["pii.ssn"]
	}
	if masked == 0 {
		t.Error("no outcome counts what was masked")
	}
}

func TestErrorTextIsWithheld(t *testing.T) {
	_, address := maskedWorld(t)
	conn := connect(t, dsn(address))
	for _, sql := range []string{
		"SELECT ssn::int FROM customers", "SELECT ssn::regclass FROM customers",
		"UPDATE customers SET id = 1 WHERE ssn = '123-45-0002'",
		"SELECT 1 / (length(ssn) - 11) FROM customers",
	} {
		for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
			_, err := conn.Exec(context.Background(), sql, mode)
			var e *pgconn.PgError
			if !errors.As(err, &e) {
				t.Errorf("%s: %v", sql, err)
				continue
			}
			if text := e.Message + e.Detail + e.Hint + e.Where; leaks([]byte(text)) || !strings.Contains(e.Message, "withheld") || e.Code == "" {
				t.Errorf("%s: %s %q %q", sql, e.Code, e.Message, e.Detail)
			}
		}
	}
	_, err := conn.Exec(context.Background(), "SELECT nosuch FROM customers")
	if err == nil || !strings.Contains(err.Error(), `column "nosuch" does not exist`) {
		t.Errorf("an error about the statement itself: %v", err)
	}
}

func TestMasksInTheExtendedProtocol(t *testing.T) {
	_, address := maskedWorld(t)
	conn := connect(t, dsn(address))
	ctx := context.Background()
	for _, mode := range []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	} {
		for range 2 {
			var ssn, born, total any
			err := conn.QueryRow(ctx, "SELECT c.ssn, c.born::text, o.total FROM customers c JOIN orders o ON o.customer = c.id WHERE c.id = $1 ORDER BY o.id LIMIT 1", mode, 2).Scan(&ssn, &born, &total)
			if err != nil {
				t.Fatalf("%v: %v", mode, err)
			}
			if ssn != "***-**-0002" || born != "[redacted]" || total != nil {
				t.Errorf("%v: got %v, %v, %v", mode, ssn, born, total)
			}
		}
	}
	var born any
	if err := conn.QueryRow(ctx, "SELECT born FROM customers WHERE id = $1", 40).Scan(&born); err != nil {
		t.Fatal(err)
	}
	if s := strings.Fields(strings.TrimSpace(timeText(born)))[0]; s != "1970-01-01" {
		t.Errorf("a masked date in binary is %s", s)
	}
}

// What the client does not describe, it does not get described either.
func TestHiddenDescribe(t *testing.T) {
	_, address := maskedWorld(t)
	c := dialRaw(t, address)
	c.send(script(run1("SELECT ssn FROM customers WHERE id = $1", "1"), run1("SELECT id FROM customers WHERE id = 1"), synced)...)
	sees(t, c.until(1), "parsed", "bound", "row ***-**-0001", "done SELECT 1", "parsed", "bound", "row 1", "done SELECT 1", "ready I")
	c.send(&pgproto3.Parse{Query: "SELECT ssn FROM customers ORDER BY id"}, &pgproto3.Bind{DestinationPortal: "p"},
		&pgproto3.Describe{ObjectType: 'P', Name: "p"}, &pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Sync{})
	sees(t, c.until(1), "parsed", "bound", "columns ssn", "row ***-**-0001", "suspended", "row ***-**-0002", "suspended", "ready I")
}

func TestMasksOfNamesOfTheSession(t *testing.T) {
	_, address := maskedWorld(t)
	c := dialRaw(t, address)
	sees(t, c.ask("PREPARE p AS SELECT ssn FROM customers WHERE id = 1"), "done PREPARE", "ready I")
	sees(t, c.ask("EXECUTE p"), "columns ssn", "row ***-**-0001", "done SELECT 1", "ready I")
	c.send(script(bindRun("p", ""), synced)...)
	sees(t, c.until(1), "bound", "row ***-**-0001", "done SELECT 1", "ready I")
	c.send(script([]pgproto3.FrontendMessage{&pgproto3.Parse{Name: "q", Query: "SELECT card FROM customers WHERE id = 1"}}, synced)...)
	sees(t, c.until(1), "parsed", "ready I")
	sees(t, c.ask("EXECUTE q"), "columns card", "row [redacted]", "done SELECT 1", "ready I")
	sees(t, c.ask("EXECUTE nosuch"), "ERROR 42501", "ready I")
	sees(t, c.ask("DEALLOCATE p; PREPARE p AS SELECT card FROM customers WHERE id = 2; EXECUTE p"),
		"done DEALLOCATE", "done PREPARE", "columns card", "row [redacted]", "done SELECT 1", "ready I")
	sees(t, c.ask("BEGIN; DECLARE c CURSOR FOR SELECT id, ssn FROM customers ORDER BY id; FETCH 1 FROM c"),
		"done BEGIN", "done DECLARE CURSOR", "columns id,ssn", "row 1|***-**-0001", "done FETCH 1", "ready T")
	sees(t, c.ask("FETCH 1 FROM c"), "columns id,ssn", "row 2|***-**-0002", "done FETCH 1", "ready T")
	c.send(&pgproto3.Execute{Portal: "c", MaxRows: 1}, &pgproto3.Sync{})
	sees(t, c.until(1), "row 3|***-**-0003", "suspended", "ready T")
	sees(t, c.ask("COMMIT"), "done COMMIT", "ready I")
}

func TestOpaqueIsNotDelivered(t *testing.T) {
	_, address := maskedWorld(t)
	c := dialRaw(t, address)
	for _, sql := range []string{
		"SELECT query_to_xml('SELECT ssn FROM customers', true, true, '')",
		"SET search_path TO public; SELECT upper(ssn) FROM customers",
		"DO $$ BEGIN EXECUTE 'DECLARE hidden CURSOR WITH HOLD FOR SELECT ssn FROM customers'; END $$; FETCH 1 FROM hidden",
	} {
		got := strings.Join(c.ask(sql), " ")
		if !strings.Contains(got, "ERROR 42501") || leaks([]byte(got)) {
			t.Errorf("%s: %s", sql, got)
		}
	}
	// The same within a transaction fails it, as an error of the server's would.
	c.ask("BEGIN")
	sees(t, c.ask("EXECUTE nosuch"), "ERROR 42501", "ready E")
	c.ask("ROLLBACK")
}

// The search path decides what a name means; it is known after every change.
func TestSearchPathIsFollowed(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	if err := server.Exec(context.Background(), "shop", `
		CREATE SCHEMA secret; CREATE TABLE secret.customers (id int, ssn text); INSERT INTO secret.customers VALUES (1, 'plain');
		GRANT ALL ON SCHEMA secret TO weir_orders; GRANT ALL ON ALL TABLES IN SCHEMA secret TO weir_orders;
		CREATE ROLE other; GRANT other TO weir_orders; CREATE SCHEMA other; GRANT ALL ON SCHEMA other TO other;
		CREATE TABLE other.customers (id int, ssn text); INSERT INTO other.customers VALUES (1, 'theirs'); GRANT ALL ON other.customers TO other;`); err != nil {
		t.Fatal(err)
	}
	w.classify(shopClasses)
	w.rules = maskPII
	c := dialRaw(t, w.serve(server.Addr()))
	const query = "SELECT 'a' || ssn AS s FROM customers WHERE id = 1"
	masked := []string{"columns s", "row [redacted]", "done SELECT 1"}
	sees(t, c.ask(query), append(masked, "ready I")...)
	sees(t, c.ask("SET search_path TO secret"), "done SET", "ready I")
	sees(t, c.ask(query), "columns s", "row aplain", "done SELECT 1", "ready I")
	c.ask("BEGIN")
	c.ask("SET LOCAL search_path TO public")
	sees(t, c.ask(query), append(masked, "ready T")...)
	sees(t, c.ask("ROLLBACK"), "done ROLLBACK", "ready I")
	sees(t, c.ask(query), "columns s", "row aplain", "done SELECT 1", "ready I")
	sees(t, c.ask("SELECT set_config('search_path', 'public', false) AS p"), "columns p", "row public", "done SELECT 1", "ready I")
	sees(t, c.ask(query), append(masked, "ready I")...)
	sees(t, c.ask("RESET search_path"), "done RESET", "ready I")
	sees(t, c.ask("SET ROLE other"), "done SET", "ready I")
	sees(t, c.ask(query), "columns s", "row atheirs", "done SELECT 1", "ready I")
	// In one pipeline nobody knows yet.
	c.send(script(run1("RESET ROLE"), run1(query), synced)...)
	sees(t, c.until(1), "parsed", "bound", "done RESET", "ERROR 42501", "ready I")
}

func TestDDLIsSeenAtOnce(t *testing.T) {
	_, address := maskedWorld(t)
	c := dialRaw(t, address)
	sees(t, c.ask("CREATE VIEW mine AS SELECT 'a' || ssn AS s, id FROM customers"), "done CREATE VIEW", "ready I")
	sees(t, c.ask("SELECT s FROM mine WHERE id = 1"), "columns s", "row [redacted]", "done SELECT 1", "ready I")
	sees(t, c.ask("CREATE TABLE fresh (a int)"), "done CREATE TABLE", "ready I")
	sees(t, c.ask("SELECT a FROM fresh"), "columns a", "done SELECT 0", "ready I")
}
