package postgres

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"pgregory.net/rapid"

	"github.com/weir-gateway/weir/extproc/postgres/copyout"
	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/mask"
)

// copied is what COPY gives a client, and its command tag.
func copied(t testing.TB, conn *pgx.Conn, sql string) (string, string, error) {
	t.Helper()
	var b bytes.Buffer
	tag, err := conn.PgConn().CopyTo(context.Background(), &b, sql)
	return b.String(), tag.String(), err
}

func TestCopyIsMasked(t *testing.T) {
	w, address := maskedWorld(t)
	conn := connect(t, dsn(address))
	binaryRow := func(cells ...string) string {
		out := "PGCOPY\n\xff\r\n\x00" + strings.Repeat("\x00", 8) + fmt.Sprintf("\x00%c", len(cells))
		for _, c := range cells {
			if c == "NULL" {
				out += "\xff\xff\xff\xff"
				continue
			}
			out += fmt.Sprintf("\x00\x00\x00%c%s", len(c), c)
		}
		return out + "\xff\xff"
	}
	for _, test := range []struct{ name, sql, want string }{
		{"query", "COPY (SELECT * FROM customers WHERE id = 1) TO STDOUT", "1\tname 1\t***-**-0001\t[redacted]\t1970-01-01\n"},
		{"columns in another order", "COPY (SELECT ssn, id FROM customers WHERE id = 1) TO STDOUT", "***-**-0001\t1\n"},
		{"csv with header", "COPY (SELECT ssn AS harmless, id FROM customers WHERE id = 1) TO STDOUT (FORMAT csv, HEADER)", "harmless,id\n***-**-0001,1\n"},
		{"force quote", "COPY (SELECT ssn, born FROM customers WHERE id = 1) TO STDOUT CSV QUOTE '''' FORCE QUOTE ssn", "'***-**-0001',1970-01-01\n"},
		{"binary", "COPY (SELECT ssn, id FROM customers WHERE id = 1) TO STDOUT (FORMAT binary)", binaryRow("***-**-0001", "\x00\x00\x00\x01")},
		{"what the type cannot keep", "COPY (SELECT total, id FROM orders WHERE id = 1) TO STDOUT (FORMAT binary)", binaryRow("NULL", "\x00\x00\x00\x01")},
		{"derived", "COPY (SELECT 'x' || ssn, id FROM customers WHERE id = 1) TO STDOUT", "\\N\t1\n"},
		{"view", "COPY (SELECT * FROM people WHERE id = 1) TO STDOUT", "1\t***-**-0001\tNAME 1\t\\N\n"},
		{"with", "COPY (WITH x AS (SELECT ssn AS s FROM customers WHERE id = 1) SELECT s FROM x) TO STDOUT", "***-**-0001\n"},
		{"returning", "COPY (UPDATE customers SET name = name WHERE id = 1 RETURNING ssn) TO STDOUT", "***-**-0001\n"},
		{"only used", "COPY (SELECT id FROM customers WHERE ssn LIKE '%0001') TO STDOUT", "1\n"},
		{"untouched", "COPY (SELECT id, name FROM customers WHERE id = 1) TO STDOUT (FORMAT csv)", "1,name 1\n"},
		{"no rows", "COPY (SELECT ssn FROM customers WHERE id < 0) TO STDOUT (FORMAT csv, HEADER)", "ssn\n"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, _, err := copied(t, conn, test.sql)
			if err != nil || got != test.want {
				t.Errorf("%q, want %q (%v)", got, test.want, err)
			}
		})
	}
	// A word for NULL that is a value does not show where that value is.
	got, _, err := copied(t, conn, "COPY (SELECT card FROM customers WHERE id < 3) TO STDOUT (FORMAT csv, NULL '4111 1111 1111 0001')")
	if err != nil || got != "[redacted]\n[redacted]\n" {
		t.Errorf("%q, %v", got, err)
	}
	got, tag, err := copied(t, conn, "COPY customers TO STDOUT")
	if err != nil || tag != "COPY 100" || strings.Count(got, "\n") != 100 || strings.Count(got, "***-**-0") != 100 {
		t.Errorf("a whole table: %s, %v, %.200q", tag, err, got)
	}
	if leaks([]byte(got)) || leaks(w.ledger.stream(gate.ResponseStream)) {
		t.Error("a protected value was delivered")
	}
	if original := w.ledger.stream(gate.OriginalStream); !bytes.Contains(original, []byte("123-45-0100")) {
		t.Error("the originals are not in the evidence")
	}
	o := w.ledger.outcomes()
	if last := o[len(o)-1]; last.Rows != 100 || last.Masked["pii.ssn"] != 100 || last.Masked["pci.pan"] != 100 || last.Status != "ok" {
		t.Errorf("the outcome of it: %+v", last)
	}
}

// Ways to have a value, or a row of which something could be learned, delivered by
// COPY as it is.
func TestCopyLeaks(t *testing.T) {
	w, address := maskedWorld(t)
	conn := connect(t, dsn(address))
	for _, test := range []struct {
		name  string
		setup []string
		sql   string
	}{
		{"the word for NULL is a value", nil, "COPY customers (ssn) TO STDOUT (NULL '123-45-0001')"},
		{"another encoding", nil, "COPY customers (ssn) TO STDOUT (ENCODING 'LATIN1')"},
		{"another encoding of the session", []string{"SET client_encoding TO 'LATIN1'"}, "COPY customers (ssn) TO STDOUT"},
		{"a wide delimiter", nil, "COPY customers (ssn) TO STDOUT (DELIMITER '--')"},
		{"an option that is not known", nil, "COPY customers (ssn) TO STDOUT (SOMETHING new)"},
		{"to a program", nil, "COPY customers (ssn) TO PROGRAM 'cat'"},
		{"to a file", nil, "COPY customers (ssn) TO '/tmp/ssn'"},
		{"what cannot be traced", nil, "COPY (SELECT query_to_xml('SELECT ssn FROM customers', true, false, '')) TO STDOUT"},
		{"a column renamed in the transaction", []string{"BEGIN", "CREATE TEMP TABLE t (a text)"}, "COPY customers (name) TO STDOUT"},
		{"settings changed in the transaction", []string{"BEGIN", "SET LOCAL search_path TO pg_temp"}, "COPY public.customers (ssn) TO STDOUT"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, sql := range test.setup {
				if _, err := conn.Exec(context.Background(), sql); err != nil {
					t.Fatal(err)
				}
			}
			got, _, err := copied(t, conn, test.sql)
			if err == nil || got != "" {
				t.Errorf("delivered %.100q", got)
			}
			for _, sql := range []string{"ROLLBACK", "RESET client_encoding"} {
				_, _ = conn.Exec(context.Background(), sql)
			}
		})
	}
	if leaks(w.ledger.stream(gate.ResponseStream)) {
		t.Error("a protected value was delivered")
	}
}

// A catalog that has become old without anybody's notice masks nothing wrongly.
func TestCopyChecksTheCatalog(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	w.classify(shopClasses)
	w.rules = maskPII
	conn := connect(t, dsn(w.serve(server.Addr())))
	if got, _, err := copied(t, conn, "COPY (SELECT name FROM customers WHERE id = 1) TO STDOUT"); err != nil || got != "name 1\n" {
		t.Fatalf("%q, %v", got, err)
	}
	// Somebody else gives the column another name, and the gateway has not looked yet.
	if err := server.Exec(context.Background(), "shop", "ALTER TABLE customers RENAME name TO first; ALTER TABLE customers RENAME ssn TO name"); err != nil {
		t.Fatal(err)
	}
	got, _, err := copied(t, conn, "COPY (SELECT name FROM customers WHERE id = 1) TO STDOUT")
	if err == nil || leaks([]byte(got)) || !strings.Contains(err.Error(), "catalog_changed") {
		t.Errorf("%q, %v", got, err)
	}
	if leaks(w.ledger.stream(gate.ResponseStream)) {
		t.Error("a protected value was delivered")
	}
}

// pg_dump's transaction changes nothing that COPY depends on.
func TestCopyAsPgDumpDoes(t *testing.T) {
	_, address := maskedWorld(t)
	conn := connect(t, dsn(address))
	for _, sql := range []string{
		"SELECT pg_catalog.set_config('search_path', '', false)", "SET statement_timeout = 0", "SET row_security = off",
		"BEGIN", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY", "LOCK TABLE public.customers IN ACCESS SHARE MODE",
	} {
		if _, err := conn.Exec(context.Background(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
	got, tag, err := copied(t, conn, "COPY public.customers (id, name, ssn, card, born) TO stdout;")
	if err != nil || tag != "COPY 100" || leaks([]byte(got)) {
		t.Errorf("%s, %v, %.100q", tag, err, got)
	}
	if _, tag, err = copied(t, conn, "COPY public.notes (id, body) TO stdout;"); err != nil || tag != "COPY 0" {
		t.Errorf("what no mask touches: %s, %v", tag, err)
	}
}

func TestCopyLimits(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	limit := gate.Limits{MaxRows: 10}
	w.rules = func(*gate.Input) gate.Decision { return gate.Decision{Effect: gate.Allow, Limits: limit} }
	conn := connect(t, dsn(w.serve(server.Addr())))
	for _, options := range []string{"", "(FORMAT csv, HEADER)", "(FORMAT binary)"} {
		if _, tag, err := copied(t, conn, "COPY (SELECT * FROM customers LIMIT 10) TO STDOUT "+options); err != nil || tag != "COPY 10" {
			t.Errorf("10 rows %s: %s, %v", options, tag, err)
		}
		if _, _, err := copied(t, conn, "COPY (SELECT * FROM customers LIMIT 11) TO STDOUT "+options); err == nil || !strings.Contains(err.Error(), "max_rows") {
			t.Errorf("11 rows %s: %v", options, err)
		}
	}
}

// TestCopyIsTheServers compares what the stream makes of the server's COPY data with
// the server's own COPY of the masked values, byte by byte.
func TestCopyIsTheServers(t *testing.T) {
	server := pgserver.Test(t, pgserver.Options{Databases: []string{"shop"}})
	conn, err := pgx.Connect(context.Background(), server.DSN("shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(context.Background(), "CREATE TABLE c (n int, a text, b text)"); err != nil {
		t.Fatal(err)
	}
	// Values made of what the formats treat in a way of their own.
	value := rapid.Custom(func(t *rapid.T) any {
		if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
			return nil
		}
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{
			"a", "N", "b", "n", "\\", "\\.", "\\N", "\n", "\r", "\t", "\b", "\f", "\v", "\x01", "\"", "'", ",", ";", "|", " ", "é", "猫", "NULL", "$",
		}), 0, 6).Draw(t, "parts"), "")
	})
	masks := map[string]struct {
		sql  string
		cell mask.Cell
	}{
		"the same": {"b", func(dst, v []byte) ([]byte, bool) { return append(dst, v...), false }},
		"null":     {"NULL::text", func(dst, _ []byte) ([]byte, bool) { return dst, true }},
		"a word":   {"'[redacted]' || left(b, 0)", func(dst, _ []byte) ([]byte, bool) { return append(dst, "[redacted]"...), false }},
		"twice":    {"b || b", func(dst, v []byte) ([]byte, bool) { return append(append(dst, v...), v...), false }},
	}
	rapid.Check(t, func(t *rapid.T) {
		f := copyout.Format{Kind: copyout.Kind(rapid.IntRange(1, 3).Draw(t, "format")), Header: rapid.Bool().Draw(t, "header")}
		options := "FORMAT binary"
		switch f.Kind {
		case copyout.Text:
			f.Delimiter = rapid.SampledFrom([]byte("\t|,;N")).Draw(t, "delimiter")
			f.Null = `\N`
			if f.Delimiter == 'N' {
				f.Null = ""
			}
			options = fmt.Sprintf("FORMAT text, HEADER %v, DELIMITER E'\\x%02x', NULL '%s'", f.Header, f.Delimiter, f.Null)
		case copyout.CSV:
			f.Delimiter = rapid.SampledFrom([]byte(",;\t|")).Draw(t, "delimiter")
			f.Quote = rapid.SampledFrom([]byte(`"'$`)).Draw(t, "quote")
			f.Escape = rapid.SampledFrom([]byte{f.Quote, '\\', '"', 'a'}).Draw(t, "escape")
			f.Null = rapid.SampledFrom([]string{"", "N", "NULL", "a"}).Draw(t, "null")
			options = fmt.Sprintf("FORMAT csv, HEADER %v, DELIMITER E'\\x%02x', QUOTE E'\\x%02x', ESCAPE E'\\x%02x', NULL '%s'", f.Header, f.Delimiter, f.Quote, f.Escape, f.Null)
			if rapid.Bool().Draw(t, "force") {
				f.Quoted = []bool{false, false, true}
				options += ", FORCE_QUOTE (b)"
			}
		case copyout.Binary:
			f.Header = false
		}
		m := masks[rapid.SampledFrom([]string{"the same", "null", "a word", "twice"}).Draw(t, "mask")]
		batch := &pgx.Batch{}
		batch.Queue("TRUNCATE c")
		for i := range rapid.IntRange(0, 4).Draw(t, "rows") {
			batch.Queue("INSERT INTO c VALUES ($1, $2, $3)", i, value.Draw(t, "a"), value.Draw(t, "b"))
		}
		if err := conn.SendBatch(context.Background(), batch).Close(); err != nil {
			t.Fatal(err)
		}
		stream, err := copyout.New(f, []mask.Cell{nil, nil, m.cell}, nil, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		from := "c"
		if f.Kind == copyout.Text && f.Null == "" { // an empty text is written like NULL, and taken for it
			from = "(SELECT n, a, NULLIF(b, '') AS b FROM c) AS c"
		}
		in := serverCopy(t, conn.PgConn(), "COPY (SELECT n, a, b FROM c ORDER BY n) TO STDOUT ("+options+")")
		want := serverCopy(t, conn.PgConn(), "COPY (SELECT n, a, "+m.sql+" AS b FROM "+from+" ORDER BY n) TO STDOUT ("+options+")")
		var got []byte
		for at := 0; at < len(in); {
			n := rapid.IntRange(1, len(in)-at).Draw(t, "piece")
			if got, _, err = stream.Append(got, nil, in[at:at+n]); err != nil {
				t.Fatalf("%v in\n%s", err, hex.Dump(in))
			}
			at += n
		}
		if err := stream.Close(); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("%s: of %q\ngot  %q\nwant %q", options, in, got, want)
		}
	})
}

func serverCopy(t *rapid.T, conn *pgconn.PgConn, sql string) []byte {
	var b bytes.Buffer
	if _, err := conn.CopyTo(context.Background(), &b, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return b.Bytes()
}
