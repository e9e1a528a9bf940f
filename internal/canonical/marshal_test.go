package canonical

import (
	"bytes"
	stdjson "encoding/json"
	"math"
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
	got, err := Form([]byte(in))
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
		got, err := Marshal(c.in)
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
		once, err := Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Form(bytes.Clone(once))
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

func FuzzCanonical(f *testing.F) {
	for _, seed := range []string{`{"b":[1,2.50,1e3],"a":"\u00e9"}`, `12345678901234567890`, `"x\\"`, `[[[]]]`, `{"a":1,"a":2}`, `-`, `"`, `1e`, "\"\xff\""} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		once, err := Form(bytes.Clone(raw))
		if err != nil {
			return
		}
		again, err := Form(bytes.Clone(once))
		if err != nil || !bytes.Equal(once, again) {
			t.Errorf("%q became %q, then %q (%v)", raw, once, again, err)
		}
	})
}
