package mask

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgtype"
	"pgregory.net/rapid"
)

func documentSpec(t testing.TB) Spec {
	return Spec{Paths: []Rule{
		rule(t, "$.ssn", "pii.ssn", Spec{With: Partial, KeepLast: 4}),
		rule(t, "$.people[*].name", "pii.name", Spec{With: Redact}),
		rule(t, "$..secret", "secret", Spec{With: Hash}),
		rule(t, "$.age", "age", Spec{With: Range, Size: 10}),
	}}
}

func TestDocuments(t *testing.T) {
	m := newMasker(t)
	spec := documentSpec(t)
	deep := strings.Repeat("[", 20_000) + `{"secret":"x"}` + strings.Repeat("]", 20_000)
	for _, tc := range []struct {
		name string
		oid  uint32
		in   string
		want string
	}{
		{"all else stays, byte for byte", pgtype.JSONOID, " {\"ssn\" :\t\"123-45-6789\", \"n\": 1.50e+3 ,\"u\":\"\\u00e9\\/\" }\n", " {\"ssn\" :\t\"***-**-6789\", \"n\": 1.50e+3 ,\"u\":\"\\u00e9\\/\" }\n"},
		{"a name with an escape", pgtype.JSONOID, `{"\u0073sn":"123-45-6789"}`, `{"\u0073sn":"***-**-6789"}`},
		{"a name twice", pgtype.JSONOID, `{"ssn":"1234567","ssn":"7654321"}`, `{"ssn":"***4567","ssn":"***4321"}`},
		{"null stays", pgtype.JSONBOID, `{"ssn": null}`, `{"ssn": null}`},
		{"a value with an escape", pgtype.JSONBOID, `{"ssn": "\"12345\\6"}`, `{"ssn": "\"**345\\6"}`},
		{"numbers", pgtype.JSONBOID, `{"age": 42}`, `{"age": 40}`},
		{"numbers with a fraction", pgtype.JSONBOID, `{"age": 42.75}`, `{"age": 40}`},
		{"numbers with an exponent", pgtype.JSONOID, `{"age": 4e1}`, `{"age": null}`},
		{"a number has no word", pgtype.JSONBOID, `{"ssn": 123456789}`, `{"ssn": null}`},
		{"an object under a path", pgtype.JSONBOID, `{"ssn": {"x": "123456789"}, "y": 1}`, `{"ssn": null, "y": 1}`},
		{"elements", pgtype.JSONBOID, `{"people": [{"name": "Ann", "id": 1}, 7, {"name": "Bo"}]}`, `{"people": [{"name": "[redacted]", "id": 1}, 7, {"name": "[redacted]"}]}`},
		{"at any depth", pgtype.JSONBOID, `[[{"secret": true}]]`, `[[{"secret": null}]]`},
		{"elsewhere", pgtype.JSONBOID, `{"a": {"ssn": "123-45-6789"}}`, `{"a": {"ssn": "123-45-6789"}}`},
		{"a document that is no object", pgtype.JSONBOID, `"123-45-6789"`, `"123-45-6789"`},
		{"empty", pgtype.JSONBOID, `{}`, `{}`},
		{"half of a surrogate", pgtype.JSONOID, `{"x":"\ud800","ssn":"12345\ud800"}`, `{"x":"\ud800","ssn":"**345` + "\uFFFD" + `"}`},
		{"too deep", pgtype.JSONOID, deep, `"[redacted]"`},
		{"no JSON", pgtype.JSONOID, `{"ssn":`, `"[redacted]"`},
		{"two documents", pgtype.JSONOID, `{} {"ssn":"123456789"}`, `"[redacted]"`},
		{"a text that is JSON", pgtype.TextOID, `{"ssn": "123-45-6789"}`, `{"ssn": "***-**-6789"}`},
		{"a text that is none", pgtype.TextOID, `ssn 123-45-6789`, `[redacted]`},
		{"an array", pgtype.JSONBArrayOID, `{"{\"ssn\": \"123-45-6789\"}",NULL}`, `{"{\"ssn\": \"***-**-6789\"}",NULL}`},
		{"an array of texts", pgtype.TextArrayOID, `{"{\"ssn\": \"123-45-6789\"}",secret}`, `{"{\"ssn\": \"***-**-6789\"}",[redacted]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cell, err := m.Cell(spec, tc.oid, false, nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // what the first left behind is not in the second
				if out, null := cell([]byte("kept"), []byte(tc.in)); null || string(out) != "kept"+tc.want {
					t.Errorf("got  %s\nwant %s", out, tc.want)
				}
			}
			if tc.oid != pgtype.JSONBOID {
				return
			}
			bin, err := m.Cell(spec, tc.oid, true, nil)
			if err != nil {
				t.Fatal(err)
			}
			if out, null := bin(nil, append([]byte{1}, tc.in...)); null || string(out) != "\x01"+tc.want {
				t.Errorf("in binary format: %q", out)
			}
			if out, _ := bin(nil, append([]byte{2}, tc.in...)); string(out) != "\x01\"[redacted]\"" {
				t.Errorf("of another version: %q", out)
			}
		})
	}
	for oid, want := range map[uint32]string{pgtype.Int4OID: "", pgtype.XMLOID: "<redacted/>"} { // which hold no documents
		cell, err := m.Cell(spec, oid, false, nil)
		if err != nil {
			t.Fatal(err)
		}
		if out, null := cell(nil, []byte("7")); string(out) != want || null != (want == "") {
			t.Errorf("oid %d: %q", oid, out)
		}
	}
	if _, err := m.Cell(Spec{Paths: []Rule{{Spec: Spec{With: Range}}}}, pgtype.JSONOID, false, nil); err == nil {
		t.Error("a range without a size was taken")
	}
}

// What a document becomes is what the masker of HTTP bodies makes of it, which is
// another way to the same end, but for its white space.
func TestDocumentsAreMaskedAsBodies(t *testing.T) {
	m := newMasker(t)
	spec := documentSpec(t)
	spec.Paths = append(spec.Paths, rule(t, "$..a[*].b", "b", Spec{With: Fake}), rule(t, "$.*.a[1]", "c", Spec{}))
	bodies, err := m.JSON(spec.Paths)
	if err != nil {
		t.Fatal(err)
	}
	cell, err := m.Cell(spec, pgtype.JSONOID, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(r *rapid.T) {
		raw, err := json.MarshalIndent(randomDocument(r, 4), "", " ")
		if err != nil {
			r.Fatal(err)
		}
		raw = bytes.ReplaceAll(raw, []byte(`"a"`), []byte(`"\u0061"`))
		var body, out bytes.Buffer
		if err := bodies.Copy(&body, bytes.NewReader(raw), nil); err != nil {
			r.Fatal(err)
		}
		masked, _ := cell(nil, raw)
		if err := json.Compact(&out, masked); err != nil || strings.TrimSpace(body.String()) != out.String() {
			r.Fatalf("%s\ngot  %s\nwant %s (%v)", raw, out.Bytes(), body.Bytes(), err)
		}
	})
}

func FuzzDocument(f *testing.F) {
	for _, seed := range []string{`{"ssn":"1"}`, `{"people":[{"name":1}]}`, `[{"secret":[]}]`, `{"\u0073sn" : "x"}`, `{"a":`, "\"\xff\""} {
		f.Add([]byte(seed))
	}
	cell, err := newMasker(f).Cell(documentSpec(f), pgtype.JSONOID, false, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		out, null := cell(nil, in)
		if null || json.Valid(in) && !json.Valid(out) {
			t.Errorf("%q became %q", in, out)
		}
	})
}

func BenchmarkDocumentCell(b *testing.B) {
	cell, err := newMasker(b).Cell(Spec{Paths: []Rule{rule(b, "$.customers[*].card", "pan", Spec{With: Partial, KeepLast: 4})}}, pgtype.JSONBOID, false, nil)
	if err != nil {
		b.Fatal(err)
	}
	in := []byte(`{"customers":[` + strings.Repeat(`{"id":1,"card":"4111-1111-1111-1111","name":"Ann"},`, 20) + `{"id":2}]}`)
	dst := make([]byte, 0, 2*len(in))
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = cell(dst[:0], in)
	}
}
