package classify

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDocuments(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
		keyed      bool
	}{
		{"members and lists", `{"id": 1, "items": [{"email": "a@b.de"}, {"email": "c@d.de"}], "ok": true}`, []string{"$.id", "$.items[*].email"}, false},
		{"a list of values", `["a"]`, []string{"$[*]"}, false},
		{"odd names", `{"e-mail": "x", "a b": "x", "it's": "x", "a.b": "x"}`, []string{"$.e-mail", "$['a b']", `$["it's"]`, "$['a.b']"}, false},
		{"keys that are values", `{"by": {"ann@example.com": {"card": "x"}, "4111111111111111": {"card": 1}, "1234567": "x"}}`, []string{"$..card"}, true},
		{"what no path can name", `{"'\"": 1, "": 2, "\\": 3}`, nil, true},
		{"twice the same", `{"ssn": 1, "ssn": "2"}`, []string{"$.ssn"}, false},
		{"several documents", "{\"a\": 1}\n{\"b\": 1}\n", []string{"$.a", "$.b"}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d documents
			if err := d.add(strings.NewReader(tt.text), false); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, d.paths); diff != "" || d.keyed != tt.keyed {
				t.Errorf("keyed %v\n%s", d.keyed, diff)
			}
		})
	}
}

func TestBrokenDocumentsAreToldWithoutTheirText(t *testing.T) {
	for _, text := range []string{`{"ssn": "219-09-9998"`, `{"ssn" 219}`, "", "219-09-9998x", strings.Repeat("[", 100)} {
		var d documents
		if err := d.add(strings.NewReader(text), false); err == nil || strings.Contains(err.Error(), "219") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzDocuments(f *testing.F) {
	f.Add(`{"a": [1, {"b": "x"}]}`)
	f.Add(`{"ann@example.com": {"\u0000": 1}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var d documents
		_ = d.add(strings.NewReader(text), true)
		for _, p := range d.paths {
			if strings.ContainsAny(p, "@\n\r\u0085") {
				t.Fatalf("%q", p)
			}
		}
	})
}
