package policies

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"maps"
	"slices"
)

// keyWriter hashes a value in a form that no other value has: each piece has a
// kind, and what is not of fixed size is preceded by its length.
type keyWriter struct {
	buf []byte
	err error
}

const (
	kindNull   = 'z'
	kindFalse  = 'f'
	kindTrue   = 't'
	kindInt    = 'i'
	kindNumber = 'n'
	kindText   = 's'
	kindList   = 'l'
	kindObject = 'o'
	kindName   = 'k'
	kindAbsent = 'a'
	kindOther  = 'j'
)

func (w *keyWriter) absent() { w.buf = append(w.buf, kindAbsent) }
func (w *keyWriter) null()   { w.buf = append(w.buf, kindNull) }

func (w *keyWriter) flag(v bool) {
	if v {
		w.buf = append(w.buf, kindTrue)
		return
	}
	w.buf = append(w.buf, kindFalse)
}

func (w *keyWriter) integer(v int64) {
	w.buf = binary.BigEndian.AppendUint64(append(w.buf, kindInt), uint64(v))
}

func (w *keyWriter) sized(kind byte, v string) {
	w.buf = binary.AppendUvarint(append(w.buf, kind), uint64(len(v)))
	w.buf = append(w.buf, v...)
}

func (w *keyWriter) count(kind byte, n int) {
	w.buf = binary.AppendUvarint(append(w.buf, kind), uint64(n))
}

func (w *keyWriter) text(v string) { w.sized(kindText, v) }
func (w *keyWriter) name(v string) { w.sized(kindName, v) }
func (w *keyWriter) list(n int)    { w.count(kindList, n) }
func (w *keyWriter) object(n int)  { w.count(kindObject, n) }

func (w *keyWriter) value(v any) {
	switch v := v.(type) {
	case nil:
		w.null()
	case bool:
		w.flag(v)
	case string:
		w.text(v)
	case json.Number:
		w.sized(kindNumber, string(v))
	case []any:
		if v == nil {
			w.null()
			return
		}
		w.list(len(v))
		for _, item := range v {
			w.value(item)
		}
	case map[string]any:
		if v == nil {
			w.null()
			return
		}
		w.object(len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			w.name(k)
			w.value(v[k])
		}
	case map[string]string:
		if v == nil {
			w.null()
			return
		}
		w.object(len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			w.name(k)
			w.text(v[k])
		}
	case map[string][]string:
		if v == nil {
			w.null()
			return
		}
		w.object(len(v))
		for _, k := range slices.Sorted(maps.Keys(v)) {
			w.name(k)
			texts(w, v[k])
		}
	case []string:
		texts(w, v)
	default:
		raw, err := json.Marshal(v)
		if err != nil {
			w.err = err
		}
		w.sized(kindOther, string(raw))
	}
}

// sum is the key of all that was written.
func (w *keyWriter) sum() [sha256.Size]byte { return sha256.Sum256(w.buf) }
