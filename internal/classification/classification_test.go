package classification

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/weir-gateway/weir/internal/detect"
)

const shop = `
# what is sensitive
orders.public.customers.ssn: pii.ssn
orders.public.customers.card: [pci.pan, pii.card]
orders.public.Customers.EMAIL: pii.email
orders.public."Odd.Table"."E""mail": pii.email
"*.*.*.password": secret
orders.hr.*.*: hr
orders.hr.salaries.amount: hr.salary
"*":
  $..ssn: pii.ssn
  detect: [private_key]
billing-api:
  $.customers[*].card: pci.pan
  $..ssn: gov.id
  detect: [credit_card, email]
warehouse:
  public.people.name: pii.name
`

func parse(t *testing.T, text string) *Classification {
	t.Helper()
	c, err := Parse("classification.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestColumn(t *testing.T) {
	c := parse(t, shop)
	tests := []struct {
		name                          string
		target, schema, table, column string
		want                          []string
	}{
		{"plain", "orders", "public", "customers", "ssn", []string{"pii.ssn"}},
		{"a list", "orders", "public", "customers", "card", []string{"pci.pan", "pii.card"}},
		{"bare names fold to lower case", "orders", "public", "customers", "email", []string{"pii.email"}},
		{"a quoted table is another table", "orders", "public", "Customers", "EMAIL", nil},
		{"quoted names as they stand", "orders", "public", "Odd.Table", `E"mail`, []string{"pii.email"}},
		{"any target", "elsewhere", "x", "users", "password", []string{"secret"}},
		{"any table", "orders", "hr", "people", "born", []string{"hr"}},
		{"narrow adds to broad", "orders", "hr", "salaries", "amount", []string{"hr", "hr.salary"}},
		{"three patterns", "orders", "hr", "salaries", "password", []string{"hr", "secret"}},
		{"under a target", "warehouse", "public", "people", "name", []string{"pii.name"}},
		{"another target", "warehouse", "public", "customers", "ssn", nil},
		{"another schema", "orders", "private", "customers", "ssn", nil},
		{"nothing", "orders", "public", "customers", "id", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, c.Column(tt.target, tt.schema, tt.table, tt.column)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWithinColumns(t *testing.T) {
	c := parse(t, `
orders.public.customers.doc: {"$.ssn": pii.ssn, "$.cards[*].number": [pci.pan, pii.card]}
orders.public.*.doc: {"$.ssn": gov.id}
orders.public.secrets.doc: secret
orders: {public.people.doc: {$..name: pii.name}}
`)
	for _, tt := range []struct {
		table     string
		own, want []string
		paths     map[string][]string
	}{
		{"customers", nil, []string{"gov.id", "pci.pan", "pii.card", "pii.ssn"}, map[string][]string{"$.ssn": {"gov.id", "pii.ssn"}, "$.cards[*].number": {"pci.pan", "pii.card"}}},
		{"secrets", []string{"secret"}, []string{"gov.id", "secret"}, map[string][]string{"$.ssn": {"gov.id"}}},
		{"people", nil, []string{"gov.id", "pii.name"}, map[string][]string{"$.ssn": {"gov.id"}, "$..name": {"pii.name"}}},
	} {
		for range 2 { // a second answer is not changed by the first
			own, paths := c.Within("orders", "public", tt.table, "doc")
			if diff := cmp.Diff(tt.own, own) + cmp.Diff(tt.paths, paths) + cmp.Diff(tt.want, c.Column("orders", "public", tt.table, "doc")); diff != "" {
				t.Errorf("%s: %s", tt.table, diff)
			}
		}
	}
	if own, paths := parse(t, shop).Within("orders", "public", "customers", "ssn"); len(own) != 1 || paths != nil {
		t.Errorf("a column without paths: %v, %v", own, paths)
	}
	if all := c.Classes("orders"); len(all) != 6 {
		t.Errorf("all classes: %v", all)
	}
	if n := len(c.WithinPaths()); n != 4 {
		t.Errorf("%d paths", n)
	}
}

func TestPathsAndDetectors(t *testing.T) {
	c := parse(t, shop)
	want := []PathClass{
		{Path: "$..ssn", Classes: []string{"gov.id", "pii.ssn"}},
		{Path: "$.customers[*].card", Classes: []string{"pci.pan"}},
	}
	for range 2 { // a second answer is not changed by the first
		if diff := cmp.Diff(want, c.Paths("billing-api")); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff([]PathClass{{Path: "$..ssn", Classes: []string{"pii.ssn"}}}, c.Paths("other")); diff != "" {
		t.Error(diff)
	}
	key := detect.Asked{Detector: detect.PrivateKey, Classes: []string{"secret.key"}}
	asked := []detect.Asked{
		{Detector: detect.CreditCard, Classes: []string{"pci.pan"}}, {Detector: detect.Email, Classes: []string{"pii.email"}}, key,
	}
	for range 2 {
		if diff := cmp.Diff(asked, c.Detectors("billing-api")); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff([]detect.Asked{key}, c.Detectors("orders")); diff != "" {
		t.Error(diff)
	}
}

func TestDetectorsWithClasses(t *testing.T) {
	c := parse(t, "detect: {email: gdpr.contact}\norders: {detect: {email: [pii.email, pii.contact], us_ssn: hr.ssn}}\n")
	want := []detect.Asked{
		{Detector: detect.Email, Classes: []string{"gdpr.contact", "pii.contact", "pii.email"}},
		{Detector: detect.USSSN, Classes: []string{"hr.ssn"}},
	}
	if diff := cmp.Diff(want, c.Detectors("orders")); diff != "" {
		t.Error(diff)
	}
}

func TestClassified(t *testing.T) {
	c := parse(t, "a.public.t.c: x\nb: {$.x: y}\nc: {detect: email}\n")
	for target, want := range map[string]bool{"a": true, "b": true, "c": true, "d": false} {
		if got := c.Classified(target); got != want {
			t.Errorf("Classified(%q) = %v, want %v", target, got, want)
		}
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, c.Targets()); diff != "" {
		t.Error(diff)
	}
	if all := parse(t, "detect: [jwt]"); !all.Classified("anything") {
		t.Error("a detector for every target classifies every target")
	}
	if none := Empty(); none.Classified("a") || none.Column("a", "b", "c", "d") != nil || none.Revision() == "" {
		t.Error("the empty classification classifies nothing and has a revision")
	}
}

// An empty list says that somebody looked: it classifies nothing, and takes no class away.
func TestHarmless(t *testing.T) {
	c := parse(t, "a.public.t.c: []\na.public.*.note: []\na.public.t.*: x\nb: {$.x: [], public.t.c: []}\n")
	if !c.Harmless("a", "public", "t", "c") || !c.Harmless("a", "public", "u", "note") || c.Harmless("a", "public", "t", "d") || c.Harmless("c", "public", "t", "c") {
		t.Error("the lines with an empty list, and the patterns, are those that say it")
	}
	if !c.HarmlessPath("b", "$.x") || c.HarmlessPath("a", "$.x") {
		t.Error("a path with an empty list")
	}
	if diff := cmp.Diff([]string{"x"}, c.Column("a", "public", "t", "c")); diff != "" {
		t.Error(diff)
	}
	if c.Classified("b") || len(c.Paths("b")) != 0 {
		t.Error("an empty list classifies something")
	}
}

func TestLines(t *testing.T) {
	c := parse(t, "a.public.t.c: x\n\na:\n  s.*.d: [y, x]\n\"*\": {s.t.e: x}\n")
	want := []Line{
		{Number: 1, Schema: "public", Table: "t", Column: "c", Classes: []string{"x"}},
		{Number: 4, Schema: "s", Table: "*", Column: "d", Classes: []string{"x", "y"}},
	}
	if diff := cmp.Diff(want, c.Lines("a"), cmpopts.IgnoreUnexported(Line{})); diff != "" {
		t.Error(diff)
	}
	if l := c.Lines("a")[1]; !l.Matches("s", "any", "d") || l.Matches("s", "any", "e") {
		t.Error("a pattern matches what it stands for")
	}
}

func TestRevisionIsTheTextsHash(t *testing.T) {
	a, b := parse(t, "a.b.c.d: x"), parse(t, "a.b.c.d: y")
	if a.Revision() == b.Revision() || a.Revision() != parse(t, "a.b.c.d: x").Revision() {
		t.Error("the revision must follow the text")
	}
}

func TestProblems(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string // parts of the message, in order
	}{
		{"every error at once", "orders.public.ssn: pii.ssn\nowner: me\nok.a.b.c: PII\nbilling: {$: x}\ndetect: [emial]\n", []string{
			`f.yaml:1: "orders.public.ssn" has 3 names, a column has 4: write target.schema.table.column`,
			`f.yaml:2: unknown key "owner"`,
			`f.yaml:3: "PII" is not a class: write lower-case words`,
			`f.yaml:4: "$": the path names no value`,
			`f.yaml:5: unknown detector "emial": detectors are cloud_keys, credit_card, email`,
		}},
		{"detectors and classes", "detect: {emial: pii.email, email: PII}\na: {detect: {email: {}}}\nb: {detect: {}}\n", []string{
			`f.yaml:1: unknown detector "emial"`, `f.yaml:1: "PII" is not a class`, `f.yaml:2: "email" needs a class`, `f.yaml:3: "detect" has an empty list`,
		}},
		{"an unknown key under a target", "api:\n  detectors: [email]\n", []string{`f.yaml:2: unknown key "detectors" under target "api"`}},
		{"twice", "a.b.c.d: x\na.b.C.d: y\n", []string{`f.yaml:2: "a.b.C.d" is classified in line 1 already`}},
		{"twice, once under its target", "a.b.c.d: x\na: {b.c.d: y}\n", []string{`f.yaml:2: "b.c.d" is classified in line 1 already`}},
		{"an unquoted star", "*.b.c.d: x\n", []string{`f.yaml:1: not YAML`, "quote a name that begins with *"}},
		{"brackets inside braces", "a.b.c.d: x\nb: {$.c[*].d: y}\n", []string{"f.yaml:2: not YAML", "quote"}},
		{"half a star", "a.b.tmp_*.d: x\n", []string{"* stands for a whole name"}},
		{"a number", "a.b.c.d: 7\n", []string{`"a.b.c.d" needs a class`}},
		{"null", "a.b.c.d:\n", []string{`"a.b.c.d" needs a class`}},
		{"nested list", "a.b.c.d: [[x]]\n", []string{`needs a class`}},
		{"no detectors", "detect: []\n", []string{`empty list`}},
		{"twice, once as harmless", "a.b.c.d: []\na: {b.c.d: y}\n", []string{`f.yaml:2: "b.c.d" is classified in line 1 already`}},
		{"a list", "- a\n", []string{"the file is not a mapping"}},
		{"a scalar", "hello\n", []string{"the file is not a mapping"}},
		{"two documents", "a.b.c.d: x\n---\na.b.c.e: x\n", []string{"more than one YAML document"}},
		{"an anchor", "a.b.c.d: &x [pii]\na.b.c.e: *x\n", []string{`f.yaml:1: "a.b.c.d" uses an anchor`, `f.yaml:2: "a.b.c.e" uses an anchor`}},
		{"an open quote", "'a.b.\"c.d': x\n", []string{"a quote is not closed"}},
		{"after a quote", "'a.b.\"c\"c.d': x\n", []string{"goes on after its quote"}},
		{"a missing name", "a..c.d: x\n", []string{"a name is missing"}},
		{"a column without paths", "a.b.c.d: {}\n", []string{`"a.b.c.d" has no paths`}},
		{"a path of a column that is none", "a.b.c.d: {ssn: x}\n", []string{`"ssn": a path begins with $`}},
		{"the whole document as a path", "a.b.c.d: {$: x}\n", []string{`"$": the path names no value`}},
		{"a path of a column without a class", "a.b.c.d: {$.x: []}\n", []string{`"$.x" has an empty list`}},
		{"a filter in a path", "api: {'$.a[?(@.b)]': x}\n", []string{"cannot read the path from [?(@.b)]"}},
		{"too large", strings.Repeat("#", MaxBytes+1), []string{"f.yaml: larger than 4 MiB"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(tt.text))
			var all *Error
			if !errors.As(err, &all) {
				t.Fatalf("got %v, want *Error", err)
			}
			rest := err.Error()
			for _, part := range tt.want {
				_, after, found := strings.Cut(rest, part)
				if !found {
					t.Fatalf("%q is not in what is left of:\n%s", part, err)
				}
				rest = after
			}
		})
	}
}

func TestManyProblemsAreCounted(t *testing.T) {
	_, err := Parse("f.yaml", []byte(strings.Repeat("nonsense: 1\n", 60)))
	if err == nil || !strings.HasSuffix(err.Error(), "f.yaml: and 10 more") {
		t.Errorf("got %v", err)
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "classification.yaml")
	if _, err := Load(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	if err := os.WriteFile(path, []byte(shop), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Column("orders", "public", "customers", "ssn"); len(got) != 1 {
		t.Errorf("got %v", got)
	}
}

// A pattern never takes away a class that another pattern gives.
func TestUnionOfPatterns(t *testing.T) {
	name := rapid.SampledFrom([]string{"a", "b", "*"})
	plain := rapid.SampledFrom([]string{"a", "b"})
	rapid.Check(t, func(t *rapid.T) {
		rules := map[[4]string]string{}
		var text strings.Builder
		for range rapid.IntRange(0, 12).Draw(t, "rules") {
			k := [4]string{name.Draw(t, "t"), name.Draw(t, "s"), name.Draw(t, "t"), name.Draw(t, "c")}
			if _, again := rules[k]; again {
				continue
			}
			rules[k] = rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "class")
			text.WriteString(`"` + strings.Join(k[:], ".") + `": ` + rules[k] + "\n")
		}
		c, err := Parse("f", []byte(text.String()))
		if err != nil {
			t.Fatal(err)
		}
		column := [4]string{plain.Draw(t, "t"), plain.Draw(t, "s"), plain.Draw(t, "t"), plain.Draw(t, "c")}
		want := map[string]bool{}
		for k, class := range rules {
			match := true
			for i := range k {
				match = match && (k[i] == "*" || k[i] == column[i])
			}
			if match {
				want[class] = true
			}
		}
		got := map[string]bool{}
		for _, class := range c.Column(column[0], column[1], column[2], column[3]) {
			got[class] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(shop))
	f.Add([]byte("a: &a [*a]"))
	f.Add([]byte("a.b.c.d: {x: y}\n<<: {}"))
	f.Add([]byte("\"*\": {$..['a b'][*].c: x}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse("f", text)
		if (c == nil) == (err == nil) {
			t.Fatal("either a classification or an error")
		}
		if err != nil {
			return
		}
		for _, target := range c.Targets() {
			if !c.Classified(target) {
				t.Fatalf("%q is not classified", target)
			}
			c.Paths(target)
			c.Detectors(target)
		}
	})
}

func BenchmarkColumn(b *testing.B) {
	c, err := Parse("f", []byte(shop))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		c.Column("orders", "public", "customers", "ssn")
	}
}
