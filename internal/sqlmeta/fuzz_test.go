package sqlmeta

import (
	"context"
	"path/filepath"
	"slices"
	"testing"
)

// FuzzAnalyze looks for text that breaks the analysis: that panics in it, or is
// answered with less than the session and the policy rely on.
func FuzzAnalyze(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.sql")
	for _, file := range files {
		for _, text := range paragraphs(f, file) {
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
func check(t *testing.T, s *Statement) {
	t.Helper()
	has := func(risk string) bool { return slices.Contains(s.Risks, risk) }
	switch {
	case has(RiskInternalError):
		t.Fatalf("the analysis failed in %q", s.Text)
	case s.Action == "":
		t.Fatalf("no action: %q", s.Text)
	case s.Action == ActionUnknown && !(s.Opaque && has(RiskUnparsed)):
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
