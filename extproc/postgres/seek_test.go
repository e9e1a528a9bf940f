package postgres

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/detect"
	"github.com/weir-gateway/weir/internal/gate"
)

const tickets = `
CREATE TYPE contact AS (name text, mail text);
CREATE TYPE mood AS ENUM ('fine', 'ask bob@example.com');
CREATE TABLE tickets (id int PRIMARY KEY, body text, doc json, docb jsonb, tags text[], docs jsonb[], page xml, by contact, feels mood,
	label varchar(200), ratio float8, big bigint, uid uuid);
INSERT INTO tickets VALUES (1, 'write to bob@example.com, card 4111 1111 1111 1111', '{"to": "bob\u0040example.com", "n":  1}',
	'{"cards": [4111111111111111], "bob@example.com": 0.4111111111111111}', '{a,bob@example.com}', '{"{\"m\": \"bob@example.com\"}"}',
	'<m>bob@example.com</m>', '(Bob,bob@example.com)', 'ask bob@example.com', 'bob@example.com', 0.4111111111111111, 4111111111111111,
	'41111111-1111-4111-8111-111111111111');
INSERT INTO tickets VALUES (2, 'nothing to see', '{"n":  1}', '{}', '{a}', '{}', '<a/>', '(a,b)', 'fine', 'x', 1, 2, '41111111-1111-4111-8111-111111111111');
CREATE FUNCTION remark(id int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'seen bob@example.com' USING HINT = 'or ann@example.com'; RETURN id; END $$;
GRANT ALL ON tickets TO weir_orders;`

// seekingWorld is one in whose texts mailboxes and cards are looked for.
func seekingWorld(t *testing.T) (*world, string) {
	w, server := realWorld(t, pgserver.Options{SQL: []string{}})
	if err := server.Exec(context.Background(), "shop", tickets); err != nil {
		t.Fatal(err)
	}
	have := &classified{by: shopClasses, detect: []detect.Asked{
		{Detector: detect.CreditCard, Classes: []string{"pci.pan"}}, {Detector: detect.Email, Classes: []string{"pii.email"}},
		{Detector: detect.JWT, Classes: []string{"secret.token"}},
	}}
	w.deps.Classification = func() Classification { return have }
	w.rules = func(*gate.Input) gate.Decision {
		return gate.Decision{Effect: gate.Allow, ID: "d-1", Mask: []gate.Mask{
			{Class: "pii.email", MaskSpec: gate.MaskSpec{With: "redact"}},
			{Class: "pci.pan", MaskSpec: gate.MaskSpec{With: "partial", KeepLast: 4}},
		}}
	}
	return w, w.serve(server.Addr())
}

func TestPassagesInCells(t *testing.T) {
	w, address := seekingWorld(t)
	c := dialRaw(t, address)
	for _, test := range []struct{ name, sql, want string }{
		{"text", "SELECT body FROM tickets WHERE id = 1", "write to [redacted], card **** **** **** 1111"},
		{"derived", "SELECT upper(body) AS b FROM tickets WHERE id = 1", "WRITE TO [redacted], CARD **** **** **** 1111"},
		{"varchar and enum", "SELECT label, feels FROM tickets WHERE id = 1", "[redacted]|ask [redacted]"},
		{"json", "SELECT doc, docb FROM tickets WHERE id = 1", `{"to":"[redacted]","n":1}|{"cards":[null],"[redacted]":0.4111111111111111}`},
		{"arrays", "SELECT tags, docs FROM tickets WHERE id = 1", `{a,[redacted]}|{"{\"m\": \"[redacted]\"}"}`},
		{"xml and composites", "SELECT page, by FROM tickets WHERE id = 1", `<m>[redacted]</m>|(Bob,[redacted])`},
		{"numbers are none", "SELECT ratio, big, uid FROM tickets WHERE id = 1", "0.4111111111111111|4111111111111111|41111111-1111-4111-8111-111111111111"},
		{"nothing", "SELECT body, doc FROM tickets WHERE id = 2", `nothing to see|{"n":  1}`},
		{"NULL", "SELECT NULL::text AS n, body FROM tickets WHERE id = 2", "NULL|nothing to see"},
		{"a mask of its own stays", "SELECT card, body FROM tickets, customers c WHERE tickets.id = 1 AND c.id = 1", "**** **** **** 0001|write to [redacted], card **** **** **** 1111"},
		{"a plan", "EXPLAIN (COSTS OFF) SELECT FROM tickets WHERE label = 'bob@example.com'", "Seq Scan on tickets"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c.t = t
			var rows []string
			for _, line := range c.ask(test.sql) {
				if row, ok := strings.CutPrefix(line, "row "); ok {
					rows = append(rows, row)
				}
				if strings.Contains(line, "bob") || strings.HasPrefix(line, "ERROR") {
					t.Error(line)
				}
			}
			if len(rows) == 0 || rows[0] != test.want {
				t.Errorf("got %q, want %q", rows, test.want)
			}
		})
	}
	if delivered := w.ledger.stream(gate.ResponseStream); bytes.Contains(delivered, []byte("bob@")) {
		t.Error("the record of what was delivered holds a mailbox")
	}
	if original := w.ledger.stream(gate.OriginalStream); !bytes.Contains(original, []byte("write to bob@example.com, card 4111 1111 1111 1111")) {
		t.Error("the originals are not in the evidence")
	}
	o := w.ledger.outcomes()[0]
	if diff := cmp.Diff(map[string]int{"email": 1, "credit_card": 1}, o.Detected); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]int{"pii.email": 1, "pci.pan": 1}, o.Masked); diff != "" {
		t.Error(diff)
	}
}

func TestPassagesInBinary(t *testing.T) {
	_, address := seekingWorld(t)
	conn := connect(t, dsn(address))
	var body, doc string
	var tags []string
	row := conn.QueryRow(context.Background(), "SELECT body, docb->>'cards', tags FROM tickets WHERE id = $1", 1)
	if err := row.Scan(&body, &doc, &tags); err != nil {
		t.Fatal(err)
	}
	if body != "write to [redacted], card **** **** **** 1111" || doc != "[************1111]" || strings.Join(tags, ",") != "a,[redacted]" {
		t.Errorf("got %q, %q, %q", body, doc, tags)
	}
	raw := conn.PgConn().ExecParams(context.Background(), "SELECT tags, docb, docs, by FROM tickets WHERE id = 1", nil, nil, nil, []int16{1, 1, 1, 1}).Read()
	if raw.Err != nil || len(raw.Rows) != 1 {
		t.Fatal(raw.Err)
	}
	for i, cell := range raw.Rows[0] {
		if bytes.Contains(cell, []byte("bob@")) {
			t.Errorf("column %d: %q", i, cell)
		}
	}
	if raw.Rows[0][3] != nil {
		t.Errorf("a composite in which nothing can be replaced is delivered: %q", raw.Rows[0][3])
	}
}

func TestPassagesInCopy(t *testing.T) {
	_, address := seekingWorld(t)
	conn := connect(t, dsn(address))
	for sql, want := range map[string]string{
		"COPY (SELECT id, body, doc FROM tickets WHERE id = 1) TO STDOUT":                           "1\twrite to [redacted], card **** **** **** 1111\t{\"to\":\"[redacted]\",\"n\":1}\n",
		"COPY (SELECT id, body FROM tickets WHERE id = 1) TO STDOUT (FORMAT csv)":                   "1,\"write to [redacted], card **** **** **** 1111\"\n",
		"COPY (SELECT lower(body) FROM tickets WHERE id = 1) TO STDOUT":                             "write to [redacted], card **** **** **** 1111\n",
		"COPY (SELECT id, doc FROM tickets WHERE id = 2) TO STDOUT":                                 "2\t{\"n\":  1}\n",
		"COPY (SELECT body, ssn FROM tickets t, customers c WHERE t.id = 2 AND c.id = 1) TO STDOUT": "nothing to see\t123-45-0001\n",
	} {
		if got, _, err := copied(t, conn, sql); err != nil || got != want {
			t.Errorf("%s: %q (%v)", sql, got, err)
		}
	}
	got, _, err := copied(t, conn, "COPY tickets TO STDOUT (FORMAT binary)")
	if err != nil || strings.Contains(got, "bob@") || !strings.Contains(got, "write to [redacted]") {
		t.Errorf("binary: %q, %v", got, err)
	}
}

func TestPassagesInMessages(t *testing.T) {
	w, address := seekingWorld(t)
	cfg, err := pgx.ParseConfig(dsn(address))
	if err != nil {
		t.Fatal(err)
	}
	var notices []string
	cfg.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices = append(notices, n.Message+"|"+n.Hint) }
	conn, err := pgx.ConnectConfig(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	_, err = conn.Exec(context.Background(), "SELECT body::int FROM tickets WHERE id = 1", pgx.QueryExecModeSimpleProtocol)
	var e *pgconn.PgError
	if !errors.As(err, &e) || e.Code != "22P02" || e.Message != `invalid input syntax for type integer: "write to [redacted], card **** **** **** 1111"` {
		t.Errorf("got %v", err)
	}
	o := w.ledger.outcomes()
	if last := o[len(o)-1]; strings.Contains(last.Error, "bob") || last.Detected["email"] != 1 {
		t.Errorf("the outcome: %+v", last)
	}
	if !bytes.Contains(w.ledger.stream(gate.OriginalStream), []byte("invalid input syntax for type integer: \"write to bob@example.com")) {
		t.Error("the original of the error is not in the evidence")
	}
	if _, err := conn.Exec(context.Background(), "DO $$ BEGIN RAISE NOTICE 'seen bob@example.com' USING HINT = 'or ann@example.com'; END $$"); err != nil {
		t.Fatal(err)
	}
	for _, n := range notices {
		if strings.Contains(n, "@example") {
			t.Error(n)
		}
	}
	if len(notices) == 0 {
		t.Error("no notice came")
	}
}

// What no mask is for is not looked for.
func TestPassagesWithoutAMask(t *testing.T) {
	w, address := seekingWorld(t)
	w.rule(func(*gate.Input) gate.Decision {
		return gate.Decision{Effect: gate.Allow, Mask: []gate.Mask{{Class: "pii.ssn", MaskSpec: gate.MaskSpec{With: "redact"}}}}
	})
	sees(t, dialRaw(t, address).ask("SELECT body FROM tickets WHERE id = 1"),
		"columns body", "row write to bob@example.com, card 4111 1111 1111 1111", "done SELECT 1", "ready I")
}
