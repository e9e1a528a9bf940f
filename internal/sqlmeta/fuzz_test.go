package sqlmeta

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// FuzzAnalyze looks for text that breaks the analysis: that panics in it, or is
// answered with less than the session and the policy rely on.
func FuzzAnalyze(f *testing.F) {
	for _, name := range corpus {
		for _, text := range paragraphs(f, corpusFile(name)) {
			f.Add(text)
		}
	}
	for _, n := range []int{3, 50} {
		for _, text := range deep(n) {
			f.Add(text)
		}
	}
	catalog := indexed(shop)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 1<<16 {
			return
		}
		an, err := analyzer.Analyze(context.Background(), text, uncached{catalog, catalog}, path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range an.Statements {
			check(t, &an.Statements[i])
		}
	})
}

// check holds what is true of every statement.
func check(t interface{ Fatalf(string, ...any) }, s *Statement) {
	has := func(risk string) bool { return slices.Contains(s.Risks, risk) }
	switch {
	case has(RiskInternalError):
		t.Fatalf("the analysis failed in %q", s.Text)
	case s.Action == "":
		t.Fatalf("no action: %q", s.Text)
	case s.Action == ActionUnknown && (!s.Opaque || !has(RiskUnparsed)):
		t.Fatalf("unknown but not said: %q", s.Text)
	case has(RiskUnknownRelation) && !slices.ContainsFunc(s.Tables, func(u TableUse) bool { return !u.Known }):
		t.Fatalf("no unknown relation: %q", s.Text)
	case !slices.IsSorted(s.Risks) || !slices.IsSortedFunc(s.Columns, compareUses) || !slices.IsSortedFunc(s.Tables, compareTables):
		t.Fatalf("not in order: %q", s.Text)
	}
	uses := map[ColumnRef]bool{}
	for _, c := range s.Columns {
		uses[c.ColumnRef] = true
	}
	for _, o := range s.Outputs {
		if o.Opaque && !s.Opaque {
			t.Fatalf("an opaque output in a statement that is not: %q", s.Text)
		}
		if o.Direct && len(o.Sources) == 0 {
			t.Fatalf("a base column without a name: %q", s.Text)
		}
		for _, c := range o.Sources {
			if !uses[c] {
				t.Fatalf("%v is delivered, but not among the uses: %q", c, s.Text)
			}
		}
	}
	if s.Prepare != nil && s.Prepare.Inner != nil {
		check(t, s.Prepare.Inner)
	}
}

var token = regexp.MustCompile(`'[^']*'|"[^"]*"|[A-Za-z_]\w*|\d+|::|\|\||[^\s\w]`)

// TestMixedTokens puts tokens of the corpus together anew: what still parses is
// odd in ways that random bytes never are.
func TestMixedTokens(t *testing.T) {
	var statements [][]string
	for _, name := range corpus {
		for _, text := range paragraphs(t, corpusFile(name)) {
			if tokens := token.FindAllString(text, -1); len(tokens) < 60 {
				statements = append(statements, tokens)
			}
		}
	}
	catalog := indexed(shop)
	parsed := 0
	rapid.Check(t, func(t *rapid.T) {
		mixed := slices.Clone(rapid.SampledFrom(statements).Draw(t, "statement"))
		for range rapid.IntRange(1, 4).Draw(t, "changes") {
			other := rapid.SampledFrom(statements).Draw(t, "other")
			from := rapid.IntRange(0, len(other)-1).Draw(t, "from")
			to := min(len(other), from+rapid.IntRange(0, 6).Draw(t, "tokens"))
			at := rapid.IntRange(0, len(mixed)).Draw(t, "at")
			end := min(len(mixed), at+rapid.IntRange(0, 3).Draw(t, "instead of"))
			mixed = slices.Replace(mixed, at, end, other[from:to]...)
		}
		text := strings.Join(mixed, " ")
		an, err := analyzer.Analyze(context.Background(), text, uncached{catalog, catalog}, path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range an.Statements {
			if an.Statements[i].Action != ActionUnknown {
				parsed++
			}
			check(t, &an.Statements[i])
		}
	})
	t.Logf("%d statements parsed", parsed)
}
