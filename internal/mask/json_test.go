package mask

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func rule(t testing.TB, path, class string, s Spec) Rule {
	t.Helper()
	p, err := ParsePath(path)
	if err != nil {
		t.Fatal(err)
	}
	return Rule{Path: p, Class: class, Spec: s}
}

func TestJSONCopy(t *testing.T) {
	for _, tc := range []struct{ name, path, in, want string }{
		{"member", "$.ssn", `{"ssn":"123","a":"123"}`, `{"ssn":"[redacted]","a":"123"}`},
		{"each element", "$.customers[*].card", `{"customers":[{"card":"4111"},{"card":"5500","id":1}]}`, `{"customers":[{"card":"[redacted]"},{"card":"[redacted]","id":1}]}`},
		{"one element", "$[1]", `["a","b","c"]`, `["a","[redacted]","c"]`},
		{"any depth", "$..card", `{"card":"1","x":[{"y":{"card":"2"}}]}`, `{"card":"[redacted]","x":[{"y":{"card":"[redacted]"}}]}`},
		{"any depth, then a member", "$..owner.ssn", `{"a":{"owner":{"ssn":"1"}},"owner":{"x":{"ssn":"2"}}}`, `{"a":{"owner":{"ssn":"[redacted]"}},"owner":{"x":{"ssn":"2"}}}`},
		{"quoted name", "$['a b']", `{"a b":"x"}`, `{"a b":"[redacted]"}`},
		{"escaped name in the document", "$.ssn", `{"\u0073sn":"123"}`, `{"\u0073sn":"[redacted]"}`},
		{"twice the same name", "$.ssn", `{"ssn":"1","ssn":"2"}`, `{"ssn":"[redacted]","ssn":"[redacted]"}`},
		{"null stays", "$.ssn", `{"ssn":null}`, `{"ssn":null}`},
		{"a number has no word", "$.ssn", `{"ssn":123456789}`, `{"ssn":null}`},
		{"a whole object", "$.person", `{"person":{"ssn":"1"}}`, `{"person":null}`},
		{"big numbers elsewhere keep their digits", "$.x", `{"n":12345678901234567890.10}`, `{"n":12345678901234567890.10}`},
		{"many documents", "$.a", "{\"a\":\"1\"}\n{\"a\":\"2\"}", "{\"a\":\"[redacted]\"}\n{\"a\":\"[redacted]\"}"},
		{"the document itself", "$", `"secret"`, `"[redacted]"`},
		{"nothing", "$.a", ``, ``},
	} {
		t.Run(tc.name, func(t *testing.T) {
			j, err := newMasker(t).JSON([]Rule{rule(t, tc.path, "c", Spec{With: Redact})})
			if err != nil {
				t.Fatal(err)
			}
			var out bytes.Buffer
			if err := j.Copy(&out, strings.NewReader(tc.in), nil); err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(out.String()); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestJSONKeepsTypes(t *testing.T) {
	j, err := newMasker(t).JSON([]Rule{
		rule(t, "$.age", "age", Spec{With: Range, Size: 10}),
		rule(t, "$.card", "pan", Spec{With: Partial, KeepLast: 4}),
		rule(t, "$.born", "dob", Spec{With: DateTrunc, Unit: "year"}),
	})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	counts := map[string]int{}
	in := `{"age":42,"card":"4111-1111-1111-1111","born":"1984-05-17"}`
	if err := j.Copy(&out, strings.NewReader(in), func(class string, _ []byte) { counts[class]++ }); err != nil {
		t.Fatal(err)
	}
	want := `{"age":40,"card":"****-****-****-1111","born":"1984-01-01"}`
	if got := strings.TrimSpace(out.String()); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if counts["age"] != 1 || counts["pan"] != 1 || counts["dob"] != 1 {
		t.Errorf("counted %v", counts)
	}
}

func TestDatesInJSON(t *testing.T) {
	j, err := newMasker(t).JSON([]Rule{rule(t, "$.at", "dob", Spec{With: DateTrunc, Unit: "month"})})
	if err != nil {
		t.Fatal(err)
	}
	for in, want := range map[string]string{
		`"1984-05-17"`:                      `"1984-05-01"`,
		`"1984-05-17T10:11:12.5Z"`:          `"1984-05-01T00:00:00Z"`,
		`"1984-05-17 10:11:12+05:30"`:       `"1984-05-01 00:00:00+05:30"`,
		`"1984-05-17 10:11:12 or secret"`:   `null`,
		`"1984-05-17 10:11:12+secret"`:      `null`,
		`"1984-05-17secret"`:                `null`,
		`"1984-05"`:                         `null`,
		`"17.05.1984"`:                      `null`,
		`"1984-05-17 secret secret secret"`: `null`,
	} {
		var out bytes.Buffer
		if err := j.Copy(&out, strings.NewReader(`{"at":`+in+`}`), nil); err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimSpace(out.String()); got != `{"at":`+want+`}` {
			t.Errorf("%s: %s", in, got)
		}
	}
}

// What cannot be read to its end is an error, and what was written of it is
// already masked.
func TestBrokenJSONFails(t *testing.T) {
	for _, in := range []string{`{"ssn":"123"`, `{"ssn":"123",}`, `{"ssn" "123"}`, `[1,2`, `nul`, "{\"ssn\":\"\xff\"}", strings.Repeat("[", 20000)} {
		j, _ := newMasker(t).JSON([]Rule{rule(t, "$..ssn", "c", Spec{})})
		var out bytes.Buffer
		if err := j.Copy(&out, strings.NewReader(in), nil); err == nil {
			t.Errorf("%.40q was taken", in)
		}
		if bytes.Contains(out.Bytes(), []byte("123")) {
			t.Errorf("%.40q leaked: %s", in, out.Bytes())
		}
	}
}

func TestPathsOutsideTheSubset(t *testing.T) {
	for _, p := range []string{"", "ssn", "$.", "$..", "$[", "$['a", "$[-1]", "$[1:2]", "$[?(@.a)]", "$.a b", "$x", "$[1", "$['a\\'b']"} {
		if _, err := ParsePath(p); err == nil {
			t.Errorf("%q was taken", p)
		}
	}
}

// Whatever the shape of the document, a canary under the name never comes out,
// and everything else does.
func TestNoCanarySurvives(t *testing.T) {
	m := newMasker(t)
	j, _ := m.JSON([]Rule{rule(t, "$..secret", "c", Spec{With: Redact})})
	rapid.Check(t, func(r *rapid.T) {
		doc := randomDocument(r, 4)
		raw, err := json.Marshal(doc)
		if err != nil {
			r.Fatal(err)
		}
		var out bytes.Buffer
		if err := j.Copy(&out, bytes.NewReader(raw), nil); err != nil {
			r.Fatal(err)
		}
		if bytes.Contains(out.Bytes(), []byte("canary")) {
			r.Fatalf("%s\n→ %s", raw, out.Bytes())
		}
		if bytes.Count(raw, []byte("benign")) != bytes.Count(out.Bytes(), []byte("benign")) {
			r.Fatalf("over-masked: %s\n→ %s", raw, out.Bytes())
		}
	})
}

func randomDocument(r *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 3).Draw(r, "kind")
	if depth == 0 {
		kind %= 2
	}
	switch kind {
	case 0:
		return "benign"
	case 1:
		return rapid.Int().Draw(r, "n")
	case 2:
		n := rapid.IntRange(0, 3).Draw(r, "len")
		list := make([]any, n)
		for i := range list {
			list[i] = randomDocument(r, depth-1)
		}
		return list
	default:
		doc := map[string]any{"a": randomDocument(r, depth-1), "b": randomDocument(r, depth-1)}
		if rapid.Bool().Draw(r, "secret") {
			doc["secret"] = rapid.SampledFrom([]any{"canary", []any{"canary"}, map[string]any{"x": "canary"}}).Draw(r, "value")
		}
		return doc
	}
}

func FuzzJSONCopy(f *testing.F) {
	for _, seed := range []string{`{"ssn":"1"}`, `[{"ssn":[1,2]}]`, `"x"`, `{"a":{"ssn":null}}`, `{"ssn":`} {
		f.Add([]byte(seed))
	}
	j, _ := newMasker(f).JSON([]Rule{rule(f, "$..ssn", "c", Spec{With: Null}), rule(f, "$.a[*].b", "d", Spec{With: Hash})})
	f.Fuzz(func(t *testing.T, in []byte) {
		var out bytes.Buffer
		if j.Copy(&out, bytes.NewReader(in), nil) == nil && json.Valid(in) && !json.Valid(out.Bytes()) {
			t.Errorf("%q became %q", in, out.Bytes())
		}
	})
}

func FuzzParsePath(f *testing.F) {
	for _, seed := range []string{"$", "$.a.b[*].c", "$..x", "$['a b'][3]"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		if p, err := ParsePath(in); err == nil && p.String() != in {
			t.Errorf("%q became %q", in, p)
		}
	})
}

func BenchmarkJSONCopy(b *testing.B) {
	j, _ := newMasker(b).JSON([]Rule{rule(b, "$.customers[*].card", "pan", Spec{With: Partial, KeepLast: 4})})
	in := []byte(`{"customers":[` + strings.Repeat(`{"id":1,"card":"4111-1111-1111-1111","name":"Ann"},`, 20) + `{"id":2}]}`)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	var out bytes.Buffer
	for b.Loop() {
		out.Reset()
		if err := j.Copy(&out, bytes.NewReader(in), nil); err != nil {
			b.Fatal(err)
		}
	}
}
