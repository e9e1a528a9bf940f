package canonical

import "reflect"

// Short is a value that was written without its longest texts.
type Short struct {
	// Long are the texts whose form has more than keep bytes, in order. Those of
	// omit bytes and more were not written: their Start is their End.
	Long []LongText
	// Omitted says that there are such.
	Omitted bool
	// Opaque says that there may be more long texts than Long tells.
	Opaque bool
}

// AppendShort appends v in canonical form to dst, but for its longest texts.
// Positions count from the beginning of dst.
func (e *Encoder) AppendShort(dst []byte, v any, keep, omit int) ([]byte, Short, error) {
	w := e.begin(dst, texts{keep: max(keep, 1), omit: omit})
	defer e.end(w)
	w.any(reflect.ValueOf(v))
	if w.err != nil {
		return dst, Short{}, w.err
	}
	s := Short{Long: w.long, Opaque: w.opaque}
	for _, t := range w.long {
		s.Omitted = s.Omitted || len(t.Text) >= omit
	}
	return w.buf, s, nil
}
