package canonical

import (
	"bytes"
	stdjson "encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

type level uint8

func (l level) MarshalText() ([]byte, error) { return []byte{'"', 'a' + byte(l)}, nil }

type inner struct {
	Zeta  []string          `json:"zeta"`
	Alpha map[string]string `json:"alpha,omitempty"`
}

type Embedded struct {
	Middle string `json:"middle"`
	Nested *inner `json:"nested,omitempty"`
}

// shadow has a member that hides an embedded one.
type shadow struct {
	Middle Raw `json:"middle"`
	*Embedded
}

type recursive struct {
	Name string      `json:"name"`
	Next []recursive `json:"next"`
}

type everything struct {
	Text      string         `json:"text"`
	Any       any            `json:"any"`
	Level     level          `json:"level"`
	When      time.Time      `json:"when"`
	Number    int64          `json:"number"`
	Small     int            `json:"small,omitempty"`
	Unsigned  uint64         `json:"unsigned"`
	Float     float64        `json:"float"`
	Float32   float32        `json:"float32"`
	Bytes     []byte         `json:"bytes"`
	Raw       Raw            `json:"raw"`
	JSON      stdjson.Number `json:"json"`
	Counts    map[string]int `json:"counts"`
	ByNumber  map[int]string `json:"by_number"`
	List      []inner        `json:"list"`
	Recursive recursive      `json:"recursive"`
	Truth     bool           `json:"truth,omitempty"`
	Hidden    string         `json:"-"`
	Zero      any            `json:"zero,omitempty"`
	hidden    string
	*Embedded
	Wait time.Duration `json:"wait,omitempty"`
}

func drawText(t *rapid.T) string {
	return string(rapid.SliceOf(rapid.SampledFrom([]byte("ab\"\\\n\x00\x1f<&\xff\xc3\xa9\xe2\x80\xa8"))).Draw(t, "text"))
}

func drawInner(t *rapid.T) inner {
	i := inner{Zeta: rapid.SliceOf(rapid.Custom(drawText)).Draw(t, "zeta")}
	if rapid.Bool().Draw(t, "has alpha") {
		i.Alpha = rapid.MapOf(rapid.Custom(drawText), rapid.Custom(drawText)).Draw(t, "alpha")
	}
	return i
}

func drawEverything(t *rapid.T) everything {
	e := everything{
		Text: drawText(t), Any: drawJSON(t, 3), Level: level(rapid.IntRange(0, 3).Draw(t, "level")),
		When:   time.Unix(rapid.Int64Range(-1<<33, 1<<36).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).In(time.FixedZone("", rapid.IntRange(-50_000, 50_000).Draw(t, "zone"))),
		Number: rapid.Int64().Draw(t, "int64"), Small: rapid.Int().Draw(t, "int"), Unsigned: rapid.Uint64().Draw(t, "uint64"),
		Float: rapid.Float64().Draw(t, "float"), Float32: rapid.Float32().Draw(t, "float32"), Bytes: []byte(drawText(t)),
		JSON: "12.50", Counts: rapid.MapOf(rapid.String(), rapid.Int()).Draw(t, "counts"), ByNumber: map[int]string{10: "b", 2: "a"},
		List: rapid.SliceOf(rapid.Custom(drawInner)).Draw(t, "list"), Recursive: recursive{Name: "a", Next: []recursive{{Name: drawText(t)}}},
		Truth: rapid.Bool().Draw(t, "truth"), Hidden: "hidden", hidden: "hidden", Wait: time.Duration(rapid.IntRange(0, 3).Draw(t, "wait")),
	}
	if rapid.Bool().Draw(t, "has raw") {
		e.Raw = Raw(`{"a":"b"}`)
	}
	if rapid.Bool().Draw(t, "has embedded") {
		e.Embedded = &Embedded{Middle: drawText(t)}
		if rapid.Bool().Draw(t, "has nested") {
			n := drawInner(t)
			e.Nested = &n
		}
	}
	return e
}

func TestEncoderWritesWhatMarshalWrites(t *testing.T) {
	var e Encoder
	same := func(t *rapid.T, v any) {
		want, wantErr := Marshal(v)
		got, err := e.Append([]byte("before"), v)
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("error %v, Marshal's is %v", err, wantErr)
		}
		if diff := cmp.Diff("before"+string(want), string(got)); diff != "" {
			t.Fatalf("(-Marshal +Encoder):\n%s", diff)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		v := drawEverything(t)
		same(t, v)
		same(t, &v)
		same(t, v.Any)
		same(t, shadow{Raw(`"outer"`), v.Embedded})
		same(t, map[string]any{"a": v, "b": []any{v.Float, v.Number}})
	})
}

func TestEncoderNamesWhatItCannotWrite(t *testing.T) {
	var e Encoder
	for _, v := range []any{math.NaN(), math.Inf(1), make(chan int), map[string]any{"a": func() {}}, []any{everything{Any: math.NaN()}}} {
		got, err := e.Append([]byte("before"), v)
		if err == nil || string(got) != "before" {
			t.Errorf("%T: got %q, %v", v, got, err)
		}
	}
}

func TestShortLeavesOutLongTexts(t *testing.T) {
	var e Encoder
	medium, large := strings.Repeat("m", 100), strings.Repeat("l", 1000)
	v := map[string]any{"a": large, "b": []any{medium, "short"}, "c": large}
	got, s, err := e.AppendShort(nil, v, 50, 500)
	if err != nil || !s.Omitted || s.Opaque || len(s.Long) != 3 {
		t.Fatalf("%v, %+v", err, s)
	}
	var whole []byte
	done := 0
	for _, l := range s.Long {
		whole = AppendString(append(whole, got[done:l.Start]...), l.Text)
		done = l.End
	}
	whole = append(whole, got[done:]...)
	if want, _ := Marshal(v); !bytes.Equal(whole, want) {
		t.Errorf("got %s, want %s", whole, want)
	}
}

func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{"", "a\"\\\b\f\n\r\t\x00\x1f\x7f", "é\u2028\U0001f600", "\xff\xc3", "a\xed\xa0\x80b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		want, err := Marshal(s)
		if got := AppendString(nil, s); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: got %s, want %s (%v)", s, got, want, err)
		}
	})
}
