package sqlmeta

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/testing/protocmp"
)

// deep is text that nests n levels in each of the ways that SQL nests.
func deep(n int) map[string]string {
	around := func(open, middle, end string) string {
		return strings.Repeat(open, n) + middle + strings.Repeat(end, n)
	}
	return map[string]string{
		"terms":       "SELECT 1" + strings.Repeat("+1", n),
		"concat":      "SELECT 'a'" + strings.Repeat("||'a'", n),
		"and":         "SELECT 1 WHERE true" + strings.Repeat(" AND (true OR false)", n),
		"parentheses": "SELECT " + around("(", "1", ")"),
		"subqueries":  around("SELECT * FROM (", "SELECT 1", ") x"),
		"scalars":     around("SELECT (", "SELECT 1", ")"),
		"functions":   "SELECT " + around("f(", "1", ")"),
		"cases":       "SELECT " + around("CASE WHEN a THEN ", "1", " END"),
		"arrays":      "SELECT " + around("ARRAY[", "1", "]"),
		"joins":       "SELECT 1 FROM a" + strings.Repeat(" JOIN b ON a.x = b.y", n),
		"unions":      "SELECT a FROM t" + strings.Repeat(" UNION ALL SELECT a FROM t", n),
		"withs":       around("WITH a AS (", "SELECT 1", ") SELECT 1"),
		"exists":      around("SELECT 1 WHERE EXISTS (", "SELECT 1", ")"),
		"xml":         "SELECT " + around("xmlelement(name a, ", "1", ")"),
		"json":        "SELECT " + around("json_array(", "1", ")"),
		"windows":     "SELECT " + around("f() OVER (ORDER BY ", "1", ")"),
		"not":         "SELECT " + strings.Repeat("NOT ", n) + "true",
		"minus":       "SELECT " + strings.Repeat("- ", n) + "1",
		"casts":       "SELECT 1" + strings.Repeat("::int", n),
		"collations":  "SELECT 'a'" + strings.Repeat(` COLLATE "C"`, n),
		"subscripts":  "SELECT a" + strings.Repeat("[1]", n),
		"fields":      "SELECT (a)" + strings.Repeat(".b", n),
	}
}

// freshParser shares the compiled module with the other tests, but no sandbox.
func freshParser() *parser {
	p := analyzer.parser
	return &parser{runtime: p.runtime, code: p.code, slots: make(chan struct{}, 2)}
}

// Hostile text costs a sandbox at most: it is answered, and what comes after it
// is parsed as ever.
func TestHostileTextCostsASandbox(t *testing.T) {
	p := freshParser()
	for _, n := range []int{10, 1_000, 3_000, 30_000} {
		for name, text := range deep(n) {
			tree, _, err := p.parse(context.Background(), text)
			var syntax *syntaxError
			switch {
			case err == nil:
				if len(tree.GetStmts()) != 1 {
					t.Errorf("%s, %d deep: %d statements", name, n, len(tree.GetStmts()))
				}
			case !errors.As(err, &syntax) && !errors.Is(err, errTrap):
				t.Errorf("%s, %d deep: %v", name, n, err)
			case n == 10:
				t.Errorf("%s is not even parsed 10 deep: %v", name, err)
			}
			tree, _, err = p.parse(context.Background(), "SELECT ssn FROM customers")
			if err != nil || tree.GetStmts()[0].GetStmt().GetSelectStmt().GetFromClause()[0].GetRangeVar().GetRelname() != "customers" {
				t.Fatalf("after %s, %d deep: %v, %v", name, n, tree, err)
			}
		}
	}
}

// What is deep must arrive whole: a tree that lost a part would hide it.
func TestDeepTreesAreWhole(t *testing.T) {
	for _, n := range []int{1, 100, 2_000} {
		tree, _, err := analyzer.parser.parse(context.Background(), "SELECT 1"+strings.Repeat("+1", n)+", (SELECT ssn FROM customers)")
		if err != nil {
			t.Fatal(err)
		}
		targets := tree.GetStmts()[0].GetStmt().GetSelectStmt().GetTargetList()
		depth := 0
		for e := targets[0].GetResTarget().GetVal(); e.GetAExpr() != nil; e = e.GetAExpr().GetLexpr() {
			depth++
		}
		if depth != n || len(targets) != 2 || targets[1].GetResTarget().GetVal().GetSubLink() == nil {
			t.Errorf("%d terms: depth %d, %d targets", n+1, depth, len(targets))
		}
	}
}

// The C stack of a sandbox must never be used up: what lies below it is data.
func TestCStackIsLargeEnough(t *testing.T) {
	for name, text := range deep(3_400) {
		s, err := analyzer.parser.take()
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.parse(text)
		const top = 1 << 20 // of it may have been used
		stack, ok := s.module.Memory().Read(s.stackLow+64<<10, stackBytes-64<<10-top)
		if !ok {
			t.Fatal("no stack")
		}
		if strings.Trim(string(stack), "\x00") != "" {
			t.Errorf("%s uses more than 1 of %d MB of C stack", name, stackBytes>>20)
		}
		s.close()
	}
}

// The sandbox gives the memory of a large text back by being thrown away.
func TestLargeSandboxIsThrownAway(t *testing.T) {
	p := freshParser()
	if _, _, err := p.parse(context.Background(), "SELECT 1"+strings.Repeat(",1", 100_000)); err != nil {
		t.Fatal(err)
	}
	if len(p.idle) != 0 {
		t.Errorf("%d sandboxes are kept, of %d bytes", len(p.idle), p.idle[0].bytes())
	}
}

// The way over JSON and wire format must give what protobuf's own mapping gives.
func TestTreesAreThoseOfTheProtobufMapping(t *testing.T) {
	texts := []string{"", ";;", "SELECT 'é', '\t\"\\', E'\\x01\\n', U&'\\+01F600'", "SELECT -1, 99999999999, 1.5e10, b'01', x'ff', true, NULL", "FETCH -5 FROM c"}
	for _, name := range append(corpus, "schema") {
		texts = append(texts, paragraphs(t, corpusFile(name))...)
	}
	for _, text := range texts {
		s, err := analyzer.parser.take()
		if err != nil {
			t.Fatal(err)
		}
		raw, err := s.parse(text)
		analyzer.parser.give(s)
		if err != nil {
			continue
		}
		got, _, err := decodeTree(raw, nil)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		want := new(pg.ParseResult)
		if err := protojson.Unmarshal(raw, want); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s:\n%s", text, diff)
		}
	}
}

func TestFingerprint(t *testing.T) {
	print := func(text string) string {
		an, err := analyzer.Analyze(context.Background(), text, shop, path)
		if err != nil {
			t.Fatal(err)
		}
		return an.Statements[0].Fingerprint
	}
	for _, same := range [][]string{
		{"SELECT * FROM t WHERE id = 1", "select  *\nfrom t where id=2 -- x", "SELECT * FROM t WHERE id = $1", "SELECT * FROM t WHERE id = 'x'"},
		{"SELECT 1 IN (1, 2, 3)", "SELECT 5 IN (6)"},
		{"INSERT INTO t VALUES (1, 'a'), (2, 'b')", "INSERT INTO t VALUES (3, NULL)"},
		{"PREPARE a AS SELECT 1", "PREPARE b AS SELECT 2"},
		{"FETCH 1 FROM a", "FETCH 1 FROM b"},
	} {
		for _, text := range same[1:] {
			if print(text) != print(same[0]) {
				t.Errorf("%q and %q have different fingerprints", same[0], text)
			}
		}
	}
	seen := map[string]string{}
	for _, text := range []string{
		"SELECT a FROM t", "SELECT b FROM t", "SELECT a FROM u", "SELECT a, a FROM t", "SELECT a AS x FROM t", "SELECT a FROM t WHERE a = 1",
		"SELECT a FROM t WHERE a > 1", "DELETE FROM t", "DELETE FROM t WHERE a = 1", "SELECT f(a) FROM t", "SELECT g(a) FROM t", "SELECT DISTINCT a FROM t",
	} {
		if other, ok := seen[print(text)]; ok {
			t.Errorf("%q and %q have the same fingerprint", text, other)
		}
		seen[print(text)] = text
	}
	an, err := analyzer.Analyze(context.Background(), "SELECT a FROM t; SELECT a FROM u", shop, path)
	if err != nil || an.Statements[0].Fingerprint != print("SELECT a FROM t") || an.Statements[1].Fingerprint != print("SELECT a FROM u") {
		t.Errorf("a statement has another fingerprint among others: %v", err)
	}
}

func TestManyParseAtOnce(t *testing.T) {
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 25 {
				column := fmt.Sprintf("c%d_%d", i, j)
				text := "SELECT " + column + " FROM customers"
				if j%5 == 0 {
					text = "SELECT 1" + strings.Repeat("+1", 20_000)
				}
				an, err := analyzer.Analyze(context.Background(), text, shop, path)
				if err != nil {
					t.Error(err)
					return
				}
				if j%5 != 0 && an.Statements[0].Outputs[0].Name != column {
					t.Errorf("%s: %+v", text, an.Statements[0])
				}
			}
		})
	}
	wg.Wait()
}

func TestWaitingForASandboxEndsWithTheContext(t *testing.T) {
	p := &parser{slots: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := p.parse(ctx, "SELECT 1"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// A compiled parser that was kept is used again, and a damaged one is not.
func TestKeptParser(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "compiled")
	works := func() {
		t.Helper()
		p, err := newParser(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = p.close() }()
		if _, _, err := p.parse(context.Background(), "SELECT 1"); err != nil {
			t.Error(err)
		}
	}
	works()
	var files []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("nothing is kept: %v", err)
	}
	works()
	for _, f := range files {
		if err := os.WriteFile(f, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	works()
}
