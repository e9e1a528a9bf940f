package sqlmeta

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// corpus is the files of statements in testdata. schema.sql is what they are about.
var corpus = []string{"benign", "describe", "evasion", "functions", "introspection", "opaque", "settings", "utility"}

func corpusFile(name string) string { return "testdata/" + name + ".sql" }

// Each file of statements has a golden file beside it that says what they mean.
func TestGolden(t *testing.T) {
	for _, name := range corpus {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			for _, sql := range paragraphs(t, corpusFile(name)) {
				an, err := analyzer.Analyze(context.Background(), sql, shop, path)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&b, "%s\n", sql)
				for i := range an.Statements {
					write(&b, "\t", &an.Statements[i])
				}
				b.WriteString("\n")
			}
			golden := "testdata/" + name + ".golden"
			if *update {
				if err := os.WriteFile(golden, []byte(b.String()), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), b.String()); diff != "" {
				t.Errorf("run with -update if this is right; golden (-), now (+):\n%s", diff)
			}
		})
	}
}

// write says what a statement means, in lines.
func write(b *strings.Builder, indent string, s *Statement) {
	line := func(format string, args ...any) { fmt.Fprintf(b, indent+"> "+format+"\n", args...) }
	opaque := ""
	if s.Opaque {
		opaque = ", opaque"
	}
	line("%s%s", s.Action, opaque)
	for _, o := range s.Outputs {
		line("output %s%s", o.Name, origin(o))
	}
	for _, t := range s.Tables {
		unknown := ""
		if !t.Known {
			unknown = " (unknown)"
		}
		line("table %s.%s %s%s", t.Schema, t.Name, t.Access, unknown)
	}
	uses := map[Use][]ColumnRef{}
	for _, c := range s.Columns {
		uses[c.Use] = append(uses[c.Use], c.ColumnRef)
	}
	for _, u := range []Use{UseOutput, UseDerived, UseFallible, UseFilter, UseOrder, UseGroup, UseOwnerFilter, UseWrite} {
		if len(uses[u]) > 0 {
			line("%s %s", u, columns(uses[u]))
		}
	}
	for _, f := range s.Flows {
		line("flow %s <- %s", columns([]ColumnRef{f.To}), columns(f.From))
	}
	if len(s.Functions) > 0 {
		line("calls %s", strings.Join(s.Functions, " "))
	}
	if len(s.Settings) > 0 {
		line("sets %s", strings.Join(s.Settings, " "))
	}
	if len(s.Risks) > 0 {
		line("risks %s", strings.Join(s.Risks, " "))
	}
	if p := s.Prepare; p != nil {
		line("%s %q", p.Kind, p.Name)
		if p.Inner != nil {
			write(b, indent+"\t", p.Inner)
		}
	}
}

func origin(o Output) string {
	var b strings.Builder
	if o.Direct {
		b.WriteString(" =")
	} else if len(o.Sources) > 0 {
		b.WriteString(" <-")
	}
	if len(o.Sources) > 0 {
		b.WriteString(" " + columns(o.Sources))
	}
	if r, ok := shop.RelationByOID(o.Relation); ok {
		fmt.Fprintf(&b, " @%s.%s.%d", r.Schema, r.Name, o.Column)
	}
	if o.Opaque {
		b.WriteString(" (opaque)")
	}
	return b.String()
}

// columns writes columns, those of one table together.
func columns(refs []ColumnRef) string {
	var b strings.Builder
	for i, c := range refs {
		switch {
		case i > 0 && refs[i-1].Schema == c.Schema && refs[i-1].Table == c.Table:
			b.WriteString("," + c.Column)
		default:
			if i > 0 {
				b.WriteString(" ")
			}
			fmt.Fprintf(&b, "%s.%s.%s", c.Schema, c.Table, c.Column)
		}
	}
	return b.String()
}

// usesSSN says that a statement reads a column that the evasions are after.
func usesSSN(s *Statement, column ...string) bool {
	return slices.ContainsFunc(s.Columns, func(c ColumnUse) bool {
		return slices.Contains(column, c.Column) && c.Schema == "public" && c.Use != UseWrite
	})
}

// Ordinary work is not held up: no doubt, and no column that is not touched.
func TestBenignIsClean(t *testing.T) {
	for _, sql := range paragraphs(t, corpusFile("benign")) {
		if s := analyze(t, sql); s.Opaque || usesSSN(s, "ssn") {
			t.Errorf("%s\nopaque %v, columns %v, risks %v", sql, s.Opaque, s.Columns, s.Risks)
		}
	}
}

// elsewhere is the risks of evasions that do not name a column.
var elsewhere = []string{
	RiskSearchPath, RiskFileAccess, RiskDynamicSQL, RiskValueEscape, RiskNoWhere, RiskMultiStatement, RiskSetRole,
}

// Every way around is seen: the column is named, or the statement is refused.
func TestEvasionIsSeen(t *testing.T) {
	for _, sql := range paragraphs(t, corpusFile("evasion")) {
		s := analyze(t, sql)
		risky := slices.ContainsFunc(s.Risks, func(r string) bool { return slices.Contains(elsewhere, r) })
		if !s.Opaque && !risky && !usesSSN(s, "ssn", "payload") {
			t.Errorf("%s\ncolumns %v, risks %v", sql, s.Columns, s.Risks)
		}
	}
}
