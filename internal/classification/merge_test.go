package classification

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-gateway/weir/internal/detect"
)

func TestMerge(t *testing.T) {
	add := Additions{
		Target: "orders", Detectors: []string{"iban"},
		Lines: []Addition{
			{Column: "public.customers.card", Classes: []string{"pci.pan"}, Comment: "high: 982 of 1000 values"},
			{Column: `public."Odd.Table".x`, Classes: []string{"a", "b"}},
		},
	}
	const two = "public.customers.card: pci.pan # high: 982 of 1000 values\n"
	tests := []struct{ name, before, after string }{
		{"an empty file", "", "orders:\n  " + two + "  \"public.\\\"Odd.Table\\\".x\": [a, b]\n  detect: [iban]\n"},
		{"a file of comments", "# ours\n", "# ours\n\norders:\n  " + two + "  \"public.\\\"Odd.Table\\\".x\": [a, b]\n  detect: [iban]\n"},
		{
			"below the target's key", "# ours\norders:\n    # people\n    public.customers.ssn: pii.ssn   # the worst\n    detect: [email]\n    # the end\n\n# others\nbilling:\n  $.x: y\n",
			"# ours\norders:\n    # people\n    public.customers.ssn: pii.ssn   # the worst\n    detect: [iban, email]\n    # the end\n    " + two + "    \"public.\\\"Odd.Table\\\".x\": [a, b]\n\n# others\nbilling:\n  $.x: y\n",
		},
		{
			"behind the target's last line", "orders.a.b.c: x\n# two\norders.a.b.d: [x,\n  y]\nother.a.b.c: z\n",
			"orders.a.b.c: x\n# two\norders.a.b.d: [x,\n  y]\norders." + two + "\"orders.public.\\\"Odd.Table\\\".x\": [a, b]\nother.a.b.c: z\n\norders:\n  detect: [iban]\n",
		},
		{"one detector", "orders:\n  detect: email # now\n", "orders:\n  detect: [email, iban] # now\n  " + two + "  \"public.\\\"Odd.Table\\\".x\": [a, b]\n"},
		{"detectors line by line", "orders:\n  detect:\n    - email\n    # and\n    - jwt\n  a.b.c: d\n", "orders:\n  detect:\n    - email\n    # and\n    - jwt\n    - iban\n  a.b.c: d\n  " + two + "  \"public.\\\"Odd.Table\\\".x\": [a, b]\n"},
		{"a target in braces", "orders: {a.b.c: x, detect: [email]}\n", "orders: {a.b.c: x, detect: [iban, email]}\norders." + two + "\"orders.public.\\\"Odd.Table\\\".x\": [a, b]\n"},
		{"DOS lines", "orders:\r\n  a.b.c: d\r\n", "orders:\r\n  a.b.c: d\r\n  " + strings.TrimSuffix(two, "\n") + "\r\n  \"public.\\\"Odd.Table\\\".x\": [a, b]\r\n  detect: [iban]\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Merge("f.yaml", []byte(tt.before), add)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.after, string(got)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestMergeRefusesWhatItCannotWrite(t *testing.T) {
	add := Additions{Target: "orders", Lines: []Addition{{Column: "a.b.c", Classes: []string{"x"}}}, Detectors: []string{"jwt"}}
	for name, text := range map[string]string{
		"a mapping in braces":    "{other: {a.b.c: x}}\n",
		"no list in braces":      "orders: {a.b.d: x}\n",
		"an end of the document": "other: {a.b.c: x}\n...\n",
	} {
		got, err := Merge("f.yaml", []byte(text), add)
		if !errors.Is(err, ErrMerge) {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
	if _, err := Merge("f.yaml", []byte("orders: 7\n"), add); err == nil || errors.Is(err, ErrMerge) {
		t.Errorf("a file with mistakes: %v", err)
	}
	hostile := Additions{Target: "orders", Lines: []Addition{{Column: "a.b.c", Classes: []string{"x"}, Comment: "x\norders.a.b.d: []"}}}
	if got, err := Merge("f.yaml", nil, hostile); !errors.Is(err, ErrMerge) {
		t.Errorf("a comment of two lines: %v\n%s", err, got)
	}
}

// What was in a file stays there byte for byte, and the file says what it said and what was
// to be added.
func TestMergeIsAUnion(t *testing.T) {
	name := rapid.SampledFrom([]string{"a", "b", "ssn", `"Odd Name"`, `"é.x"`})
	class := rapid.SampledFrom([]string{"pii.x", "[pii.x, gdpr]", "[]", "[a,\n    b]"})
	noise := rapid.SampledFrom([]string{"", "# a comment\n", "\n", "\n  # deeper: [\n", "# x: y\n\n"})
	rapid.Check(t, func(t *rapid.T) {
		var text strings.Builder
		taken := map[string]bool{}
		line := func(prefix, target string) {
			key := name.Draw(t, "schema") + "." + name.Draw(t, "table") + "." + name.Draw(t, "column")
			if taken[target+key] {
				return
			}
			taken[target+key] = true
			quoted := "'" + prefix + key + "'"
			text.WriteString(quoted + ": " + class.Draw(t, "class") + rapid.SampledFrom([]string{"", " # why"}).Draw(t, "remark") + "\n")
		}
		blocks := map[string]bool{}
		for range rapid.IntRange(0, 5).Draw(t, "parts") {
			text.WriteString(noise.Draw(t, "noise"))
			target := rapid.SampledFrom([]string{"orders", "billing"}).Draw(t, "target")
			if rapid.Bool().Draw(t, "flat") || blocks[target] {
				line(target+".", target)
				continue
			}
			blocks[target] = true
			text.WriteString(target + ":\n")
			for i := range rapid.IntRange(0, 3).Draw(t, "lines") {
				if i > 0 {
					text.WriteString(rapid.SampledFrom([]string{"", "  # in it\n", "\n"}).Draw(t, "between"))
				}
				text.WriteString("  ")
				line("", target)
			}
			text.WriteString("  detect: " + rapid.SampledFrom([]string{"email", "[email, jwt]", "\n  - email", "\n    - jwt\n    - email", "{jwt: a.b}", "\n    jwt: [a, b]\n    # c\n    email: x"}).Draw(t, "detect") + "\n")
		}
		before := text.String()
		if rapid.Bool().Draw(t, "unfinished") {
			before = strings.TrimSuffix(before, "\n")
		}
		old, err := Parse("f", []byte(before))
		if err != nil {
			t.Skip(err) // two blanks alone, and the like
		}
		add := Additions{Target: "orders", Detectors: rapid.SampledFrom([][]string{nil, {"iban"}, {"iban", "us_ssn"}}).Draw(t, "detectors")}
		for range rapid.IntRange(0, 4).Draw(t, "additions") {
			column := "new." + name.Draw(t, "t") + "." + name.Draw(t, "c")
			if !slices.ContainsFunc(add.Lines, func(l Addition) bool { return l.Column == column }) {
				add.Lines = append(add.Lines, Addition{Column: column, Classes: []string{"added"}, Comment: "because"})
			}
		}
		merged, err := Merge("f", []byte(before), add)
		if err != nil {
			t.Fatalf("%v\n%s", err, before)
		}
		c, err := Parse("f", merged)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range add.Lines {
			names, _ := splitName(l.Column)
			if got := c.Column("orders", names[0].folded, names[1].folded, names[2].folded); !slices.Contains(got, "added") {
				t.Fatalf("%s has %v", l.Column, got)
			}
		}
		for _, target := range []string{"orders", "billing"} {
			for _, l := range old.Lines(target) {
				if got := c.Column(target, l.Schema, l.Table, l.Column); !slices.Equal(got, old.Column(target, l.Schema, l.Table, l.Column)) {
					t.Fatalf("%+v has %v now", l, got)
				}
			}
		}
		for _, a := range old.Detectors("orders") {
			if !slices.ContainsFunc(c.Detectors("orders"), func(b detect.Asked) bool { return cmp.Equal(a, b) }) {
				t.Fatalf("%v is not asked for any more:\n%s", a, merged)
			}
		}
		for _, name := range add.Detectors {
			if !slices.ContainsFunc(c.Detectors("orders"), func(a detect.Asked) bool { return a.Detector.String() == name }) {
				t.Fatalf("%s is not asked for:\n%s", name, merged)
			}
		}
		kept := 0
		was := strings.Split(strings.TrimSuffix(before, "\n"), "\n")
		for _, l := range strings.Split(string(merged), "\n") {
			if kept < len(was) && (l == was[kept] || strings.Contains(was[kept], "detect:") && strings.Contains(l, "detect:")) {
				kept++
			}
		}
		if before != "" && kept != len(was) {
			t.Fatalf("line %d is not where it was:\n%s\n----\n%s", kept, before, merged)
		}
		again, err := Merge("f", merged, Additions{Target: "orders"})
		if err != nil || string(again) != string(merged) {
			t.Fatal("adding nothing changes something")
		}
	})
}

func FuzzMerge(f *testing.F) {
	f.Add([]byte("orders:\n  a.b.c: x # y\n  detect: [email]\n"), `public."x".y`, "why")
	f.Add([]byte("orders.a.b.c: x\n"), "a.b.d", "why\nnot: x")
	f.Fuzz(func(t *testing.T, text []byte, column, comment string) {
		add := Additions{Target: "orders", Lines: []Addition{{Column: column, Classes: []string{"x"}, Comment: comment}}, Detectors: []string{"jwt"}}
		merged, err := Merge("f", text, add)
		if err != nil {
			return
		}
		if _, err := Parse("f", merged); err != nil {
			t.Fatalf("%v\n%s", err, merged)
		}
	})
}
