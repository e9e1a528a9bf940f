package gate

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/weir-gateway/weir/internal/canonical"
)

// draw fills a value of any of this package's types.
func draw(t *rapid.T, v reflect.Value) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		v.Set(reflect.ValueOf(time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(rapid.OneOf(rapid.Just(""), rapid.Just("a\"\\\n\xff"), rapid.String()).Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int, reflect.Int64:
		v.SetInt(rapid.OneOf(rapid.Just(int64(0)), rapid.Int64()).Draw(t, "int"))
	case reflect.Uint8: // an effect
		v.SetUint(uint64(rapid.IntRange(0, 3).Draw(t, "effect")))
	case reflect.Float64:
		v.SetFloat(rapid.Float64().Draw(t, "float"))
	case reflect.Interface:
		v.Set(reflect.ValueOf(rapid.SampledFrom([]any{"text", 1.5, true, map[string]any{"b": nil, "a": []any{"x"}}}).Draw(t, "any")))
	case reflect.Pointer:
		if rapid.IntRange(0, 3).Draw(t, "set") > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			draw(t, v.Elem())
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), rapid.IntRange(0, 2).Draw(t, "len"), 2))
		for i := range v.Len() {
			draw(t, v.Index(i))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for _, name := range []string{"b", "a", "ü"}[:rapid.IntRange(0, 3).Draw(t, "len")] {
			value := reflect.New(v.Type().Elem()).Elem()
			draw(t, value)
			v.SetMapIndex(reflect.ValueOf(name), value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				draw(t, v.Field(i))
			}
		}
	default:
		t.Fatalf("a %s is not drawn yet", v.Type())
	}
}

// TestBodiesAreWrittenAsMarshalDoes: what an event holds does not depend on how
// it is encoded.
func TestBodiesAreWrittenAsMarshalDoes(t *testing.T) {
	var enc canonical.Encoder
	for _, body := range []any{sessionBody{}, refusalBody{}, Closing{}, Outcome{}, Approval{}, Operation{}, Input{}, Decision{}} {
		rapid.Check(t, func(t *rapid.T) {
			v := reflect.New(reflect.TypeOf(body))
			draw(t, v.Elem())
			want, err := canonical.Marshal(v.Interface())
			if err != nil {
				t.Fatal(err)
			}
			got, err := enc.Append(nil, v.Interface())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Fatalf("%T (-Marshal +Encoder):\n%s", body, diff)
			}
		})
	}
}

// TestOperationBodyHoldsTheInput: what a session has in common is encoded once,
// and stands in each event as if it had not been.
func TestOperationBodyHoldsTheInput(t *testing.T) {
	var enc canonical.Encoder
	rapid.Check(t, func(t *rapid.T) {
		var s Session
		var in Input
		var d Decision
		draw(t, reflect.ValueOf(&s.Principal).Elem())
		draw(t, reflect.ValueOf(&s.Target).Elem())
		draw(t, reflect.ValueOf(&in).Elem())
		draw(t, reflect.ValueOf(&d).Elem())
		op := in.Operation
		in.Principal, in.Target = &s.Principal, &s.Target
		if op != nil && op.SQL != nil && rapid.Bool().Draw(t, "fixed") {
			if err := op.Fix(); err != nil {
				t.Fatal(err)
			}
		}
		body, err := newOperationBody(&s, op, &d, &in)
		if err != nil {
			t.Fatal(err)
		}
		got, err := enc.Append(nil, body)
		if err != nil {
			t.Fatal(err)
		}
		in.Operation = nil
		want, err := canonical.Marshal(map[string]any{"operation": op, "decision": d, "input": &in})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}
