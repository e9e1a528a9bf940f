package postgres

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// The OIDs of some of the server's own functions (pg_proc.dat).
const (
	oidInt4pl   = 177
	oidLoCreate = 715
	oidLoOpen   = 952
	oidLoRead   = 954 // loread
	oidLoWrite  = 955 // lowrite
	oidQuery    = 2923
)

func int4(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

// binaryCall calls a function with arguments in binary.
func binaryCall(oid uint32, args ...[]byte) *pgproto3.FunctionCall {
	return &pgproto3.FunctionCall{Function: oid, ArgFormatCodes: []uint16{1}, Arguments: args, ResultFormatCode: 1}
}

// textCall calls a function with arguments as text.
func textCall(oid uint32, args ...string) *pgproto3.FunctionCall {
	m := &pgproto3.FunctionCall{Function: oid}
	for _, a := range args {
		m.Arguments = append(m.Arguments, []byte(a))
	}
	return m
}

func TestFunctionCall(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	address := w.serve(server.Addr())
	c := dialRaw(t, address)
	ask := func(m pgproto3.FrontendMessage) []string {
		c.send(m)
		return c.until(1)
	}
	sees(t, ask(textCall(oidInt4pl, "40", "2")), "result 42", "ready I")
	sees(t, ask(textCall(oidInt4pl, "1")), "ERROR 08P01", "ready I") // of the server: it wants two
	sees(t, ask(textCall(4_000_000_000)), "ERROR 42883", "ready I")

	// As libpq's lo_create, lo_open, lo_write, lo_lseek and lo_read do it.
	c.ask("BEGIN")
	sees(t, ask(binaryCall(oidLoCreate, int4(77_777))), "result "+string(int4(77_777)), "ready T")
	sees(t, ask(binaryCall(oidLoOpen, int4(77_777), int4(0x60000))), "result "+string(int4(0)), "ready T")
	sees(t, ask(binaryCall(oidLoWrite, int4(0), []byte("large"))), "result "+string(int4(5)), "ready T")
	sees(t, ask(textCall(4_000_000_000)), "ERROR 42883", "ready E")
	sees(t, ask(textCall(oidInt4pl, "40", "2")), "ERROR 25P02", "ready E")
	sees(t, ask(textCall(4_000_000_000)), "ERROR 25P02", "ready E")
	sees(t, c.ask("ROLLBACK"), "done ROLLBACK", "ready I")

	// A call ends what stands before it, as a query does, and leaves the unnamed
	// statement.
	c.send(&pgproto3.Parse{Query: "SELECT 7 AS seven"}, textCall(oidInt4pl, "1", "2"), textCall(4_000_000_000))
	sees(t, c.until(2), "parsed", "result 3", "ready I", "ERROR 42883", "ready I")
	c.send(script(bindRun("", ""), synced)...)
	sees(t, c.until(1), "bound", "row 7", "done SELECT 1", "ready I")
	c.send(script(run1("SELECT 1/(random()*0)::int"), []pgproto3.FrontendMessage{textCall(oidInt4pl, "1", "2")}, synced)...)
	sees(t, c.until(1), "parsed", "bound", "ERROR 22012", "ready I")

	if err := server.Exec(t.Context(), "shop", "CREATE FUNCTION own(a int, b text) RETURNS text LANGUAGE sql AS $$ SELECT b || a $$"); err != nil {
		t.Fatal(err)
	}
	conn, err := server.Connect(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	var own uint32
	if err := conn.QueryRow(t.Context(), "SELECT 'own'::regproc::oid").Scan(&own); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { // it looks for a name that it does not know once in a second
		return ask(binaryCall(own, int4(5), []byte("x")))[0] == "result x5"
	})
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_largeobject_metadata").Scan(&own); err != nil || own != 0 {
		t.Errorf("%d large objects are left, %v", own, err)
	}
}

// What policy and evidence are shown of a call.
func TestFunctionCallIsJudged(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	var got *gate.Operation
	w.rules = func(in *gate.Input) gate.Decision {
		if in.Operation != nil {
			got = in.Operation
		}
		if in.Operation != nil && slices.Contains(in.Operation.Functions, "pg_catalog.lowrite") {
			return gate.Denied("no_lowrite", "no", "")
		}
		return gate.Decision{Effect: gate.Allow, Limits: gate.Limits{MaxBytes: 100}}
	}
	c := dialRaw(t, w.serve(server.Addr()))
	c.send(binaryCall(oidLoOpen, int4(1), int4(0x40000)))
	sees(t, c.until(1), "ERROR 42704", "ready I")
	want := &gate.Operation{
		ID: got.ID, Protocol: "postgres", Action: "call", Text: `SELECT "pg_catalog"."lo_open"($1, $2)`, Fingerprint: got.Fingerprint,
		Risks: []string{"large_object", "opaque", "function_call"},
		SQL: &gate.SQL{
			Statements: []gate.Statement{{Action: "call", Text: `SELECT "pg_catalog"."lo_open"($1, $2)`}},
			Parameters: []any{"1", "262144"}, Tables: []gate.Table{}, Columns: []gate.Column{}, Functions: []string{"pg_catalog.lo_open"},
		},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(gate.SQL{})); diff != "" {
		t.Errorf("policy was shown (-want +got):\n%s", diff)
	}
	c.send(textCall(oidLoWrite, "0", "x"))
	sees(t, c.until(1), "ERROR 42501", "ready I")
	c.ask("BEGIN")
	c.send(textCall(oidLoWrite, "0", "x"))
	sees(t, c.until(1), "ERROR 42501", "ready E")
	c.ask("ROLLBACK")
	c.ask("BEGIN")
	c.send(textCall(1622 /* repeat */, strings.Repeat("x", 10), "50"))
	sees(t, c.until(1), "ERROR 54000", "ready E")
	c.ask("ROLLBACK")
	if o := w.ledger.outcomes(); o[0].Status != "error" || o[0].Code != "42704" {
		t.Errorf("recorded %+v", o[0])
	}
	if sent := w.ledger.stream(gate.RequestStream); !strings.Contains(string(sent), string(int4(0x40000))) {
		t.Error("the call is not recorded")
	}
}

// No result passes that may hold what is masked.
func TestFunctionCallUnderMasks(t *testing.T) {
	w, address := maskedWorld(t)
	c := dialRaw(t, address)
	for _, m := range []*pgproto3.FunctionCall{
		textCall(oidQuery, "SELECT ssn FROM customers", "true", "true", ""), // query_to_xml
		textCall(oidLoRead, "0", "10"),
		textCall(1642 /* pg_get_viewdef, of which nothing is opaque */, "people"),
	} {
		c.send(m)
		if got := c.until(1); m.Function != 1642 && got[0] != "ERROR 42501" || leaks([]byte(strings.Join(got, " "))) {
			t.Errorf("%d: %q", m.Function, got)
		}
	}
	c.send(textCall(oidInt4pl, "40", "2"))
	sees(t, c.until(1), "result 42", "ready I")
	for _, o := range w.ledger.outcomes() {
		if o.Status == "ok" && o.Tag == "CALL" && o.Rows != 1 {
			t.Errorf("recorded %+v", o)
		}
	}
}
