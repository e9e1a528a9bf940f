package sqlmeta

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"
)

// long stands for a passage that is long enough to be left out.
const long = "\x01"

func lengthen(text, with string) string {
	return strings.ReplaceAll(text, long, strings.Repeat(with, omitted/len(with)+1))
}

// abridgedTree is the tree of a text without its long passages; false where it
// must be parsed whole.
func abridgedTree(t fataler, text string) (*pg.ParseResult, bool) {
	a := abridge(text)
	if a == nil {
		return nil, false
	}
	tree, _, err := analyzer.parser.parseText(context.Background(), a.text, a)
	if err != nil && !errors.Is(err, errTrap) && !errors.As(err, new(*syntaxError)) {
		t.Fatalf("%v", err)
	}
	return tree, err == nil
}

type fataler interface{ Fatalf(string, ...any) }

// sameTree holds the way over the abridged text to that of the whole one.
func sameTree(t fataler, text string) (short bool) {
	got, prints, err := analyzer.parser.parse(context.Background(), text)
	want, wantPrints, wantErr := analyzer.parser.parseText(context.Background(), text, nil)
	var syntax, wantSyntax *syntaxError
	switch {
	case errors.As(wantErr, &wantSyntax):
		if !errors.As(err, &syntax) || syntax.message != wantSyntax.message {
			t.Fatalf("%.200q: got %v, want %v", text, err, wantErr)
		}
		return false
	case errors.Is(wantErr, errTrap): // the scanner does not read what is left out
		return false
	case err != nil || wantErr != nil:
		t.Fatalf("%.200q: got %v, want %v", text, err, wantErr)
	}
	if diff := cmp.Diff(wantPrints, prints); diff != "" {
		t.Fatalf("%.200q: %s", text, diff)
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Fatalf("%.200q: %.2000s", text, diff)
	}
	_, short = abridgedTree(t, text)
	return short
}

// What is left out is what the scanner says is in a plain constant, and else the
// text is parsed whole. In each text a passage of 4 KiB stands for \x01.
func TestAbridged(t *testing.T) {
	for _, c := range []struct {
		text  string
		short bool
	}{
		{"INSERT INTO orders (note) VALUES ('\x01')", true},
		{"INSERT INTO orders (id, note) VALUES (1, '\x01'), (2, 'é\x01'), (3, 'x') RETURNING id, note AS \"y\"", true},
		{"SELECT 'it''s \x01 and ''\x01''', ssn FROM customers WHERE name = '\x01'; DELETE FROM customers", true},
		{"SELECT 'a'\n'\x01'", true},
		{"SELECT 'a'\n'b''\x01'", true},
		{"SELECT '\x01' -- it's\n, ssn FROM customers", true},
		{"-- it's\nSELECT '\x01', ssn FROM customers", false},
		{"UPDATE customers SET (name, ssn) = ('\x01', ssn)", true},
		{"SELECT set_config('\x01', 'x', false)", true},
		{"SELECT '\x01'::jsonb, date '\x01', interval '\x01' day, int4 '\x01'", true},
		{"PREPARE p AS SELECT '\x01', ssn FROM customers", true},
		{"DECLARE c CURSOR FOR SELECT '\x01' UESCAPE, ssn FROM customers", true},
		{"SELECT E'\x01', ssn FROM customers", false},
		{"SELECT N'\x01', ssn FROM customers", true}, // the scanner puts the N back and begins with the quote
		{"SELECT U&'\x01', ssn FROM customers", false},
		{"SELECT U&'\x01' UESCAPE 'q', ssn FROM customers", false},
		{"SELECT b'1\x01', x'a\x01'", false},
		{"SELECT E'\\'', ssn FROM customers --\x01'", false},
		{"SELECT $$'$$, ssn \x01 FROM customers, $$'$$", false},
		{"SELECT $$ '\x01' $$, ssn FROM customers", false},
		{"SELECT \"'\", ssn, x.\x01 FROM customers AS x(\"'\")", false},
		{"SELECT /* ' */ ssn \x01 /* ' */ FROM customers", false},
		{"COMMENT ON TABLE customers IS '\x01'", false},
		{"DO '\x01'", false},
		{"SET search_path = '\x01', public", true},
		{"COPY customers FROM '\x01'", false},
		{"SELECT '\x01', '\x01", false},
		{"SELECT 'x' '\x01'", false},
		{"", false},
	} {
		for _, with := range []string{"x", "é", `\`, "$1 ", "--", "/* ", "\n", `"`, "+-"} {
			text := lengthen(c.text, with)
			short := sameTree(t, text)
			if short && !c.short || with == "x" && short != c.short {
				t.Errorf("%q with %q: abridged: %v", c.text, with, short)
			}
		}
	}
}

// What is too long for the whole text to be parsed is no reason to parse less.
func TestAbridgedOfManyConstants(t *testing.T) {
	text := "INSERT INTO orders (id, note) VALUES (0, '')"
	for range 100 {
		text += lengthen(", (1, '\x01')", "v")
	}
	if !sameTree(t, text) {
		t.Error("parsed whole")
	}
}

// A text with invalid characters is refused by the parser, wherever they stand.
func TestAbridgedHidesNoInvalidText(t *testing.T) {
	_, _, err := analyzer.parser.parse(context.Background(), lengthen("SELECT '\x01'", "\xff"))
	if !errors.Is(err, errTrap) {
		t.Errorf("got %v", err)
	}
}

// Somebody who wrote the mark of a passage elsewhere could take its place.
func TestMarksAreNotKnownBefore(t *testing.T) {
	text := lengthen("SELECT '\x01'", "x")
	if a, b := abridge(text), abridge(text); a.mark == b.mark || len(a.mark) < 26 {
		t.Errorf("marks %q and %q", a.mark, b.mark)
	}
}

// pieces are what the property test makes constants of: whatever changes the
// state of PostgreSQL's scanner, and passages.
var pieces = []string{long, long, long, long, "''", "''", "'", "'\n'", "' '", `\`, `\'`, "--", "/*", "*/", "$$", `"`, ",", "$1", ")", ";", "x"}

func TestAbridgedAgreesWithWhole(t *testing.T) {
	draw := func(t *rapid.T, label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	whole, short := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		text := draw(t, "begin", "SELECT 1, ", "SELECT ", "INSERT INTO orders (note) VALUES (", "DELETE FROM customers WHERE name IN (", "UPDATE orders SET note = ", "DO ", "PREPARE p AS SELECT ")
		for i := range rapid.IntRange(1, 4).Draw(t, "constants") {
			if i > 0 {
				text += draw(t, "between", ", ", ", ", ", ssn, ", "\n", "; SELECT ", " || ", "), (", " -- it's\n,", " /* ' */, ", " $$'$$, ")
			}
			quote := draw(t, "quote", "'", "'", "'", "'", "E'", "U&'", "N'", "$$", `"`, "x'")
			text += quote + strings.Join(rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 3).Draw(t, "pieces"), "") + strings.TrimLeft(quote, "EUNx&")
		}
		text += draw(t, "end", "", "", ")", ")", " FROM customers", " UESCAPE '!'", "::text", "; SELECT ssn FROM customers")
		if sameTree(t, lengthen(text, draw(t, "passage", "x", "é ", "!0041", "\n", "1,", `\\`, "+ "))) {
			short++
		} else {
			whole++
		}
	})
	t.Logf("%d texts were abridged, %d were not", short, whole)
	if short == 0 || whole == 0 {
		t.Error("not both kinds were seen")
	}
}

func FuzzAbridged(f *testing.F) {
	for _, name := range corpus {
		for _, text := range paragraphs(f, corpusFile(name)) {
			f.Add(strings.ReplaceAll(text, "'", "'\x01"))
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) < 1<<10 && strings.Count(text, long) < 8 {
			sameTree(t, lengthen(text, "x"))
		}
	})
}
