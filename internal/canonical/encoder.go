package canonical

import (
	"encoding"
	stdjson "encoding/json"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
)

// Raw is JSON that is in canonical form already. It is written as it is: what
// many values have in common is encoded once. Whoever makes one vouches for it.
type Raw []byte

// MarshalJSON lets Marshal and encoding/json write it as well.
func (r Raw) MarshalJSON() ([]byte, error) {
	if r == nil {
		return []byte("null"), nil
	}
	return r, nil
}

// Encoder writes values as Marshal does, byte for byte, but straight into their
// canonical form: the members of a struct are put in order once for each type.
// It is safe for concurrent use.
type Encoder struct {
	plans   sync.Map  // reflect.Type → plan
	writers sync.Pool // of *writer
}

// plan appends a value of one type.
type plan func(w *writer, v reflect.Value)

// writer is one value being written.
type writer struct {
	encoder *Encoder
	buf     []byte
	err     error // the first
	texts
}

// Append appends v in canonical form to dst. After an error dst is returned as
// it was.
func (e *Encoder) Append(dst []byte, v any) ([]byte, error) {
	w := e.begin(dst, texts{})
	defer e.end(w)
	w.any(reflect.ValueOf(v))
	if w.err != nil {
		return dst, w.err
	}
	return w.buf, nil
}

// begin takes a writer that was used before, where there is one.
func (e *Encoder) begin(dst []byte, t texts) *writer {
	w, _ := e.writers.Get().(*writer)
	if w == nil {
		w = &writer{encoder: e}
	}
	w.buf, w.texts = dst, t
	return w
}

func (e *Encoder) end(w *writer) {
	*w = writer{encoder: e}
	e.writers.Put(w)
}

// any appends what an interface holds.
func (w *writer) any(v reflect.Value) {
	if !v.IsValid() {
		w.buf = append(w.buf, "null"...)
		return
	}
	w.encoder.plan(v.Type())(w, v)
}

// plan returns the plan of a type, made at its first use.
func (e *Encoder) plan(t reflect.Type) plan {
	if p, ok := e.plans.Load(t); ok {
		return p.(plan)
	}
	p := e.make(t, nil)
	e.plans.Store(t, p)
	return p
}

var (
	timeType   = reflect.TypeFor[time.Time]()
	rawType    = reflect.TypeFor[Raw]()
	stringType = reflect.TypeFor[string]()
	numberType = reflect.TypeFor[stdjson.Number]()
	jsonForm   = reflect.TypeFor[stdjson.Marshaler]()
	jsonFormTo = reflect.TypeFor[json.MarshalerTo]()
	textForm   = reflect.TypeFor[encoding.TextMarshaler]()
)

// make plans a type. outer are the types that it stands in: one that holds
// itself is left to Marshal. So is every type with a form of its own.
func (e *Encoder) make(t reflect.Type, outer []reflect.Type) plan {
	for _, o := range outer {
		if o == t {
			return other
		}
	}
	outer = append(outer, t)
	switch {
	case t == timeType:
		return writeTime
	case t == rawType:
		return writeRaw
	case t == numberType || has(t, jsonForm) || has(t, jsonFormTo):
		return other
	case t.Implements(textForm) && t.Kind() < reflect.Array: // a number, or a truth
		return writeText
	case has(t, textForm):
		return other
	}
	switch t.Kind() {
	case reflect.String:
		return func(w *writer, v reflect.Value) { w.text(v.String()) }
	case reflect.Bool:
		return func(w *writer, v reflect.Value) { w.buf = strconv.AppendBool(w.buf, v.Bool()) }
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return func(w *writer, v reflect.Value) { w.buf = appendInt(w.buf, v.Int()) }
	case reflect.Float64:
		return writeFloat
	case reflect.Interface:
		return func(w *writer, v reflect.Value) { w.any(v.Elem()) }
	case reflect.Pointer:
		elem := e.make(t.Elem(), outer)
		return func(w *writer, v reflect.Value) {
			if v.IsNil() {
				w.buf = append(w.buf, "null"...)
				return
			}
			elem(w, v.Elem())
		}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 { // written as base64
			return other
		}
		return listPlan(e.make(t.Elem(), outer))
	case reflect.Map:
		if t.Key() != stringType {
			return other
		}
		return mapPlan(e.make(t.Elem(), outer))
	case reflect.Struct:
		return e.structPlan(t, outer)
	default:
		return other
	}
}

// has says whether values of a type, or pointers to them, have a form of their
// own. What an interface holds is looked at when it is written.
func has(t, form reflect.Type) bool {
	return t.Kind() != reflect.Interface && (t.Implements(form) || reflect.PointerTo(t).Implements(form))
}

// other leaves a value to Marshal.
func other(w *writer, v reflect.Value) {
	out, err := Marshal(v.Interface())
	if err != nil {
		w.fail(err)
		return
	}
	w.opaque = w.opaque || w.keep > 0 && len(out) > w.keep
	w.buf = append(w.buf, out...)
}

func (w *writer) fail(err error) {
	if w.err == nil {
		w.err = err
	}
}

func writeRaw(w *writer, v reflect.Value) {
	raw := v.Bytes()
	if raw == nil {
		raw = []byte("null")
	}
	w.opaque = w.opaque || w.keep > 0 && len(raw) > w.keep
	w.buf = append(w.buf, raw...)
}

func writeText(w *writer, v reflect.Value) {
	text, err := v.Interface().(encoding.TextMarshaler).MarshalText()
	if err != nil {
		w.fail(fmt.Errorf("event body: %w", err))
		return
	}
	w.buf = AppendString(w.buf, string(text))
}

func writeTime(w *writer, v reflect.Value) {
	t := v.Interface().(time.Time)
	_, offset := t.Zone()
	if t.Year() < 0 || t.Year() > 9999 || offset%60 != 0 || offset <= -86400 || offset >= 86400 {
		other(w, v)
		return
	}
	w.buf = append(w.buf, '"')
	w.buf = t.AppendFormat(w.buf, time.RFC3339Nano)
	w.buf = append(w.buf, '"')
}

// writeFloat appends a number as ECMAScript does (RFC 8785, section 3.2.2.3).
func writeFloat(w *writer, v reflect.Value) {
	f := v.Float()
	abs := math.Abs(f)
	if f != 0 && !(abs >= 1e-6 && abs < 1e21) {
		other(w, v)
		return
	}
	if f == 0 {
		f = 0 // not -0
	}
	w.buf = strconv.AppendFloat(w.buf, f, 'f', -1, 64)
}

// exactInt is below where every integer is written as its plain digits: 10^15.
const exactInt = 1_000_000_000_000_000

// appendInt appends an integer, as a string where a double has other digits.
func appendInt(dst []byte, n int64) []byte {
	if -exactInt < n && n < exactInt {
		return strconv.AppendInt(dst, n, 10)
	}
	start := len(dst)
	dst = append(dst, '"')
	dst = strconv.AppendInt(dst, n, 10)
	var digits [24]byte
	if double := strconv.AppendFloat(digits[:0], float64(n), 'f', -1, 64); string(double) == string(dst[start+1:]) {
		return append(dst[:start], double...)
	}
	return append(dst, '"')
}
