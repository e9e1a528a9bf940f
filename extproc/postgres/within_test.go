package postgres

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// docsWorld has a table with documents of which parts are classified.
func docsWorld(t *testing.T) (*world, string) {
	w, server := realWorld(t, pgserver.Options{})
	if err := server.Exec(context.Background(), "shop", `
		CREATE TABLE docs (id int PRIMARY KEY, doc jsonb, raw json, body text, many jsonb[]);
		INSERT INTO docs VALUES (1, '{"ssn":"123-45-6789","name":"Ann","n":1.50}', '{"\u0073sn" : "123-45-6789","name":"Ann", "n":1.50}',
			'{"ssn":"123-45-6789"} and more', ARRAY['{"ssn":"123-45-6789"}', '{"n": 7}']::jsonb[]), (2, NULL, 'null', '{"ssn": "123-45-6789"}', '{}');
		CREATE VIEW shown AS SELECT id, doc, doc->>'name' AS name FROM docs;
		GRANT ALL ON docs, shown TO weir_orders`); err != nil {
		t.Fatal(err)
	}
	paths := map[string][]string{"$.ssn": {"pii.ssn"}, "$.other": {"pii.other"}}
	have := &classified{by: classes{}, within: map[string]map[string][]string{}}
	for _, column := range []string{"doc", "raw", "body", "many"} {
		have.by["public.docs."+column] = []string{"pii.other", "pii.ssn"}
		have.within["public.docs."+column] = paths
	}
	w.deps.Classification = func() Classification { return have }
	w.rules = maskPII
	return w, w.serve(server.Addr())
}

func TestPartsOfDocumentsAreMasked(t *testing.T) {
	w, address := docsWorld(t)
	for _, test := range []struct {
		name, sql string
		want      []string
	}{
		{"a column", "SELECT doc FROM docs WHERE id = 1", []string{"columns doc", `row {"n": 1.50, "ssn": "***-**-6789", "name": "Ann"}`, "done SELECT 1"}},
		{"as it was written", "SELECT raw FROM docs WHERE id = 1", []string{"columns raw", `row {"\u0073sn" : "***-**-6789","name":"Ann", "n":1.50}`, "done SELECT 1"}},
		{"an array", "SELECT many FROM docs WHERE id = 1", []string{"columns many", `row {"{\"ssn\": \"***-**-6789\"}","{\"n\": 7}"}`, "done SELECT 1"}},
		{"texts", "SELECT body FROM docs ORDER BY id", []string{"columns body", "row [redacted]", `row {"ssn": "***-**-6789"}`, "done SELECT 2"}},
		{"NULL and null", "SELECT doc, raw FROM docs WHERE id = 2", []string{"columns doc,raw", "row NULL|null", "done SELECT 1"}},
		{"through a view", "SELECT doc FROM shown WHERE id = 1", []string{"columns doc", `row {"n": 1.50, "ssn": "***-**-6789", "name": "Ann"}`, "done SELECT 1"}},
		{"what is derived", "SELECT doc->>'ssn' AS a, doc::text AS b, jsonb_pretty(doc) AS c FROM docs WHERE id = 1", []string{"columns a,b,c", "row [redacted]|[redacted]|[redacted]", "done SELECT 1"}},
		{"derived in a view", "SELECT name FROM shown WHERE id = 1", []string{"columns name", "row [redacted]", "done SELECT 1"}},
		{"copied", "COPY (SELECT id, doc FROM docs WHERE id = 1) TO STDOUT", []string{"copy out", `data 1` + "\t" + `{"n": 1.50, "ssn": "***-**-6789", "name": "Ann"}`, "copy done", "done COPY 1"}},
		{"copied what is derived", "COPY (SELECT id, doc->'ssn' FROM docs WHERE id = 1) TO STDOUT", []string{"copy out", "data 1\t\\N", "copy done", "done COPY 1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := dialRaw(t, address)
			sees(t, c.ask(test.sql), append(test.want, "ready I")...)
		})
	}
	conn := connect(t, dsn(address))
	for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeCacheStatement, pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol} {
		var doc map[string]any
		if err := conn.QueryRow(context.Background(), "SELECT doc FROM docs WHERE id = 1", mode).Scan(&doc); err != nil || doc["ssn"] != "***-**-6789" || doc["name"] != "Ann" {
			t.Errorf("%v: %v, %v", mode, doc, err)
		}
	}
	for _, options := range []string{"(FORMAT csv)", "(FORMAT binary)"} {
		got, _, err := copied(t, conn, "COPY (SELECT doc FROM docs WHERE id = 1) TO STDOUT "+options)
		if err != nil || !strings.Contains(got, "***-**-6789") || !strings.Contains(got, "Ann") {
			t.Errorf("%s: %q, %v", options, got, err)
		}
	}
	if bytes.Contains(w.ledger.stream(gate.ResponseStream), []byte("123-45-6789")) {
		t.Error("a protected value was delivered")
	}
	if !bytes.Contains(w.ledger.stream(gate.OriginalStream), []byte("123-45-6789")) {
		t.Error("the originals are not in the evidence")
	}
}

// A mask of the whole column, by its name, leaves nothing of its documents; policy
// hears which paths are classified.
func TestDocumentsAreMaskedWholeByName(t *testing.T) {
	w, address := docsWorld(t)
	w.rules = func(in *gate.Input) gate.Decision {
		if in.Operation == nil { // as it connects
			return maskPII(in)
		}
		for _, c := range in.Operation.Columns {
			if c.Name == "doc" && strings.Join(c.Paths, " ") != "$.other $.ssn" {
				t.Errorf("policy was told of the paths %q", c.Paths)
			}
		}
		d := maskPII(in)
		d.Mask = append(d.Mask, gate.Mask{Column: "public.docs.doc", MaskSpec: gate.MaskSpec{With: "redact"}})
		return d
	}
	sees(t, dialRaw(t, address).ask("SELECT doc FROM docs WHERE id = 1"), "columns doc", `row "[redacted]"`, "done SELECT 1", "ready I")
}

func TestStricterMaskOfTwoPaths(t *testing.T) {
	var p hiddenPaths
	p.add([]gate.Mask{
		{Class: "a", MaskSpec: gate.MaskSpec{With: "partial", KeepLast: 4}}, {Class: "b", MaskSpec: gate.MaskSpec{With: "redact"}},
		{Class: "a", MaskSpec: gate.MaskSpec{With: "partial", KeepLast: 2}},
	}, map[string][]string{"$.a": {"a"}, "$..b": {"b"}, "$.c": {"c"}})
	spec, label := p.spec()
	if label != "b" || len(spec.Paths) != 2 || spec.Paths[0].Spec.With != "redact" || spec.Paths[1].Spec.KeepLast != 2 {
		t.Errorf("%s %+v", label, spec)
	}
}
