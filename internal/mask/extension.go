package mask

import (
	"bytes"
	"encoding/binary"
)

// named masks a type of an extension. citext is a text like others; of an hstore the
// values are masked, its keys stay.
func (b builder) named(t Type) Cell {
	switch t.Name {
	case citext:
		return b.textCell()
	case hstore:
		value := b.textCell()
		switch {
		case value == nil:
			return nil
		case b.bin:
			return func(dst, in []byte) ([]byte, bool) { return hstoreBinary(dst, in, value) }
		}
		r := &hstoreReader{cell: value}
		return r.read
	}
	return nil
}

// redactedNamed has one pair for an hstore: not even its keys show.
func (b builder) redactedNamed(t Type) ([]byte, bool) {
	switch {
	case t.Name == citext:
		return []byte(Redacted), true
	case t.Name != hstore:
		return nil, false
	case b.bin:
		out := binary.BigEndian.AppendUint32(nil, 1)
		return appendSized(appendSized(out, []byte(Redacted)), []byte(Redacted)), true
	}
	return []byte(`"` + Redacted + `"=>"` + Redacted + `"`), true
}

// hstoreBinary masks an hstore in binary format: how many pairs, and of each key and
// value behind their lengths (hstore_send in PostgreSQL's contrib/hstore).
func hstoreBinary(dst, value []byte, cell Cell) ([]byte, bool) {
	start := len(dst)
	if len(value) < 4 || int(binary.BigEndian.Uint32(value)) > len(value) {
		return dst, true
	}
	dst = append(dst, value[:4]...)
	rest := value[4:]
	keep := func(dst, key []byte) ([]byte, bool) { return append(dst, key...), false }
	var null, ok bool
	for range binary.BigEndian.Uint32(value) {
		if dst, rest, ok = appendMasked(dst, rest, keep, &null); ok {
			dst, rest, ok = appendMasked(dst, rest, cell, &null)
		}
		if !ok {
			return dst[:start], true
		}
	}
	if len(rest) > 0 {
		return dst[:start], true
	}
	return dst, false
}

// hstoreReader masks hstores in text format: "key"=>"value", "key"=>NULL.
type hstoreReader struct {
	cell   Cell
	value  []byte // scratch
	masked []byte // scratch
}

func (r *hstoreReader) read(dst, in []byte) ([]byte, bool) {
	start := len(dst)
	for i := 0; len(in) > 0; i++ {
		var ok bool
		if i > 0 {
			if in, ok = bytes.CutPrefix(in, []byte(", ")); !ok {
				return dst[:start], true
			}
			dst = append(dst, ", "...)
		}
		if dst, in, ok = r.pair(dst, in); !ok {
			return dst[:start], true
		}
	}
	return dst, false
}

func (r *hstoreReader) pair(dst, in []byte) (out, rest []byte, ok bool) {
	if r.value, rest, ok = quotedOf(r.value[:0], in); !ok {
		return dst, nil, false
	}
	dst = appendQuoted(dst, r.value)
	if rest, ok = bytes.CutPrefix(rest, []byte("=>")); !ok {
		return dst, nil, false
	}
	dst = append(dst, "=>"...)
	if after, ok := bytes.CutPrefix(rest, []byte("NULL")); ok {
		return append(dst, "NULL"...), after, true
	}
	if r.value, rest, ok = quotedOf(r.value[:0], rest); !ok {
		return dst, nil, false
	}
	var null bool
	if r.masked, null = r.cell(r.masked[:0], r.value); null {
		return append(dst, "NULL"...), rest, true
	}
	return appendQuoted(dst, r.masked), rest, true
}

func quotedOf(dst, in []byte) (value, rest []byte, ok bool) {
	if len(in) == 0 || in[0] != '"' {
		return dst, nil, false
	}
	return elementOf(dst, in, 0)
}

func appendQuoted(dst, value []byte) []byte {
	dst = append(dst, '"')
	for _, c := range value {
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}
