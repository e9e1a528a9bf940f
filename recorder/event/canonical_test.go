package event

import (
	"bytes"
	stdjson "encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestCanonicalFollowsRFC8785(t *testing.T) {
	// The example of RFC 8785, section 3.2.2, and its canonical form (3.2.3).
	in := `{
	  "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
	  "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
	  "literals": [null, true, false]
	}`
	want := `{"literals":[null,true,false],"numbers":["333333333.33333329",1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`
	got, err := canonicalize([]byte(in))
	if err != nil {
		t.Fatal(err)
	}
	// RFC 8785 would round the first number; here it keeps its digits as a text.
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("canonical form (-want +got):\n%s", diff)
	}
}

func TestCanonicalKeepsNumbersExact(t *testing.T) {
	for _, c := range []struct {
		in   any
		want string
	}{
		{int64(9007199254740992), `9007199254740992`},
		{int64(9007199254740993), `"9007199254740993"`},
		{int64(1764000000123456789), `"1764000000123456789"`},
		{int64(1764000000000000000), `1764000000000000000`},
		{uint64(math.MaxUint64), `"18446744073709551615"`},
		{int64(math.MinInt64), `"-9223372036854775808"`}, // a double, but RFC 8785 would write it …6000
		{0.1, `0.1`},
		{1e21, `1e+21`},
		{5e-324, `5e-324`},
		{stdjson.Number("12.30"), `12.3`},
		{stdjson.Number("12345678901234567890.5"), `"12345678901234567890.5"`},
		{stdjson.Number("1e400"), `"1e400"`},
		{stdjson.RawMessage(`{"b":1,"a":123456789012345678}`), `{"a":"123456789012345678","b":1}`},
		{stdjson.RawMessage(`["\"9007199254740993", -0, 1.0]`), `["\"9007199254740993",0,1]`},
		{map[string]any{"b": nil, "a": []string(nil)}, `{"a":null,"b":null}`},
		{"a\xffb<&>\u2028", "\"a\ufffdb<&>\u2028\""},
	} {
		got, err := Canonical(c.in)
		if err != nil {
			t.Errorf("%v: %v", c.in, err)
			continue
		}
		if string(got) != c.want {
			t.Errorf("%v: got %s, want %s", c.in, got, c.want)
		}
	}
}

// anyJSON draws any JSON value, with numbers of every precision.
func anyJSON() *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any { return drawJSON(t, 3) })
}

func drawJSON(t *rapid.T, depth int) any {
	kind := rapid.IntRange(0, 6).Draw(t, "kind")
	if depth == 0 {
		kind %= 5
	}
	switch kind {
	case 0:
		return nil
	case 1:
		return rapid.Bool().Draw(t, "bool")
	case 2:
		return rapid.String().Draw(t, "text")
	case 3:
		return rapid.Int64().Draw(t, "int")
	case 4:
		return rapid.Float64Range(-1e300, 1e300).Draw(t, "float")
	case 5:
		n := rapid.IntRange(0, 4).Draw(t, "n")
		list := make([]any, n)
		for i := range list {
			list[i] = drawJSON(t, depth-1)
		}
		return list
	default:
		n := rapid.IntRange(0, 4).Draw(t, "n")
		object := map[string]any{}
		for range n {
			object[rapid.String().Draw(t, "name")] = drawJSON(t, depth-1)
		}
		return object
	}
}

func TestCanonicalIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := anyJSON().Draw(t, "value")
		once, err := Canonical(v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := canonicalize(bytes.Clone(once))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(once, again) {
			t.Fatalf("not stable:\n%s\n%s", once, again)
		}
		if bytes.IndexByte(once, '\n') >= 0 {
			t.Fatalf("a line feed in %q", once)
		}
		strict := jsontext.Value(bytes.Clone(once))
		if err := strict.Canonicalize(); err != nil || !bytes.Equal(strict, once) {
			t.Fatalf("another RFC 8785 implementation would change it (%v):\n%s\n%s", err, once, strict)
		}
	})
}

func TestShortenKeepsSmallBodies(t *testing.T) {
	body := []byte(`{"operation":{"text":"select 1"}}`)
	got, cuts, err := Shorten(body, 1<<10)
	if err != nil || len(cuts) != 0 || !bytes.Equal(got, body) {
		t.Errorf("got %s, %v, %v", got, cuts, err)
	}
}

func TestShortenCutsEachTextOnce(t *testing.T) {
	text := strings.Repeat("é0123456789", 100_000)
	body, err := Canonical(map[string]any{
		"operation": map[string]any{"text": text, "action": "insert", "risks": []string{"no_where"}},
		"input":     map[string]any{"operation": map[string]any{"text": text}},
	})
	if err != nil {
		t.Fatal(err)
	}
	got, cuts, err := Shorten(body, 256<<10)
	if err != nil {
		t.Fatal(err)
	}
	if len(cuts) != 1 || string(cuts[0].Text) != text {
		t.Fatalf("%d cuts, want the text once", len(cuts))
	}
	for _, want := range []string{cuts[0].Digest, `"bytes":1200000`, `"risks":["no_where"]`, `"head":"é0123456789`} {
		if !strings.Contains(string(got), want) {
			t.Errorf("%s is not in %s", want, got)
		}
	}
}

func TestShortenBoundsAnyBody(t *testing.T) {
	const limit = 16 << 10
	rapid.Check(t, func(t *rapid.T) {
		parameters := make([]string, rapid.IntRange(0, 3000).Draw(t, "parameters"))
		for i := range parameters {
			parameters[i] = strings.Repeat("p", i%40)
		}
		headers := map[string]string{}
		for i := range rapid.IntRange(0, 500).Draw(t, "headers") {
			headers[strings.Repeat("h", i)] = "v"
		}
		body, err := Canonical(map[string]any{
			"operation": map[string]any{"parameters": parameters, "headers": headers,
				"text": strings.Repeat("t", rapid.IntRange(0, 40_000).Draw(t, "text"))},
			"decision": map[string]any{"effect": "allow"},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, cuts, err := Shorten(body, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) > limit {
			t.Fatalf("%d bytes", len(got))
		}
		if !bytes.Contains(got, []byte(`"effect":"allow"`)) {
			t.Fatal("the decision was cut")
		}
		for _, c := range cuts {
			if !bytes.Contains(got, []byte(c.Digest)) {
				t.Fatalf("the text %s is referred to nowhere", c.Digest)
			}
		}
		if again, err := canonicalize(bytes.Clone(got)); err != nil || !bytes.Equal(again, got) {
			t.Fatalf("not canonical: %v", err)
		}
		back, err := Restore(got, func(digest string) ([]byte, bool, error) {
			for _, c := range cuts {
				if c.Digest == digest {
					return c.Text, true, nil
				}
			}
			return nil, false, fmt.Errorf("no text %s", digest)
		})
		if err != nil || !bytes.Equal(back, body) {
			t.Fatalf("restored differently (%v)", err)
		}
	})
}

func TestRestoreWithoutTheText(t *testing.T) {
	body, err := Canonical(map[string]any{"text": strings.Repeat("select ", 10_000), "$cut": "a client's own"})
	if err != nil {
		t.Fatal(err)
	}
	short, cuts, err := Shorten(body, 1<<10)
	if err != nil || len(cuts) != 1 {
		t.Fatal(len(cuts), err)
	}
	got, err := Restore(short, func(string) ([]byte, bool, error) { return nil, false, nil })
	if err != nil || !strings.Contains(string(got), `"text":"select select`) || !strings.Contains(string(got), "no longer kept") {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := Restore(short, func(string) ([]byte, bool, error) { return []byte("another"), true, nil }); err == nil {
		t.Error("another text was taken")
	}
}

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`{"b":[1,2.50,1e3],"a":"\u00e9"}`, `12345678901234567890`, `"x\\"`, `[[[]]]`, `{"a":1,"a":2}`, `-`, `"`, `1e`, "\"\xff\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		once, err := canonicalize(bytes.Clone(raw))
		if err != nil {
			return
		}
		again, err := canonicalize(bytes.Clone(once))
		if err != nil || !bytes.Equal(once, again) {
			t.Errorf("%q became %q, then %q (%v)", raw, once, again, err)
		}
	})
}
