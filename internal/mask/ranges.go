package mask

import (
	"bytes"
	"encoding/binary"
)

// The flags of a range in binary format (PostgreSQL's utils/rangetypes.h).
const (
	rangeEmpty         = 0x01
	rangeLowerIncluded = 0x02
	rangeUpperIncluded = 0x04
	rangeLowerInfinite = 0x08
	rangeUpperInfinite = 0x10
)

// ranges masks the bounds of a range. Only what keeps their order can be used. Bounds
// that have become equal are both included: a range that is not empty stays so.
func (b builder) ranges(t Type) Cell {
	bound := b.bound(t.Of)
	switch {
	case bound == nil:
		return nil
	case b.bin:
		return func(dst, value []byte) ([]byte, bool) { return rangeBinary(dst, value, bound) }
	}
	r := &rangeReader{bound: bound}
	return func(dst, value []byte) ([]byte, bool) {
		start := len(dst)
		dst, rest, ok := r.read(dst, value)
		if !ok || len(rest) > 0 {
			return dst[:start], true
		}
		return dst, false
	}
}

func (b builder) bound(oid uint32) Cell {
	if b.spec.With != Range && b.spec.With != DateTrunc {
		return nil
	}
	return b.inside().cell(oid)
}

// multirange masks the ranges of a multirange.
func (b builder) multirange(t Type) Cell {
	of, ok := typeOf(t.Of, b.types)
	if !ok || of.Kind != RangeOf {
		return nil
	}
	bound := b.inside().bound(of.Of)
	switch {
	case bound == nil:
		return nil
	case b.bin:
		return func(dst, value []byte) ([]byte, bool) { return multirangeBinary(dst, value, bound) }
	}
	r := &rangeReader{bound: bound}
	return r.several
}

func rangeBinary(dst, value []byte, bound Cell) ([]byte, bool) {
	if len(value) == 0 {
		return dst, true
	}
	start, flags := len(dst), value[0]
	dst = append(dst, flags)
	rest := value[1:]
	var ends [2][2]int // of the bounds in dst
	finite := 0
	for i, infinite := range []byte{rangeLowerInfinite, rangeUpperInfinite} {
		if flags&(infinite|rangeEmpty) != 0 {
			continue
		}
		var null, ok bool
		ends[i][0] = len(dst) + 4
		if dst, rest, ok = appendMasked(dst, rest, bound, &null); !ok || null {
			return dst[:start], true
		}
		ends[i][1] = len(dst)
		finite++
	}
	if len(rest) > 0 || flags >= rangeUpperInfinite<<1 {
		return dst[:start], true
	}
	if finite == 2 && bytes.Equal(dst[ends[0][0]:ends[0][1]], dst[ends[1][0]:ends[1][1]]) {
		dst[start] |= rangeLowerIncluded | rangeUpperIncluded
	}
	return dst, false
}

func multirangeBinary(dst, value []byte, bound Cell) ([]byte, bool) {
	if len(value) < 4 {
		return dst, true
	}
	start := len(dst)
	count := binary.BigEndian.Uint32(value)
	if int(count) > len(value) {
		return dst, true
	}
	dst = append(dst, value[:4]...)
	one := func(dst, value []byte) ([]byte, bool) { return rangeBinary(dst, value, bound) }
	rest := value[4:]
	var null, ok bool
	for range count {
		if dst, rest, ok = appendMasked(dst, rest, one, &null); !ok || null {
			return dst[:start], true
		}
	}
	if len(rest) > 0 {
		return dst[:start], true
	}
	return dst, false
}

// rangeReader masks ranges in text format (Range Types, "Input/Output").
type rangeReader struct {
	bound  Cell
	value  []byte    // scratch
	masked [2][]byte // scratch
}

// several masks a multirange: {[1,3),[5,8)}.
func (r *rangeReader) several(dst, value []byte) ([]byte, bool) {
	start := len(dst)
	in, ok := bytes.CutPrefix(value, []byte("{"))
	dst = append(dst, '{')
	for i := 0; ok && len(in) > 0 && in[0] != '}'; i++ {
		if i > 0 {
			if in[0] != ',' {
				return dst[:start], true
			}
			dst, in = append(dst, ','), in[1:]
		}
		dst, in, ok = r.read(dst, in)
	}
	if !ok || string(in) != "}" {
		return dst[:start], true
	}
	return append(dst, '}'), false
}

// read masks the range at the beginning of in, and gives what stands behind it.
func (r *rangeReader) read(dst, in []byte) (out, rest []byte, ok bool) {
	if rest, ok := bytes.CutPrefix(in, []byte("empty")); ok {
		return append(dst, "empty"...), rest, true
	}
	if len(in) == 0 || in[0] != '[' && in[0] != '(' {
		return dst, nil, false
	}
	opening := in[0]
	in = in[1:]
	var finite [2]bool
	for i := range 2 {
		if finite[i], in, ok = r.boundOf(i, in); !ok || i == 0 && in[0] != ',' || i == 1 && in[0] == ',' {
			return dst, nil, false
		}
		if i == 0 {
			in = in[1:]
		}
	}
	closing := in[0]
	if finite[0] && finite[1] && bytes.Equal(r.masked[0], r.masked[1]) {
		opening, closing = '[', ']'
	}
	dst = append(dst, opening)
	if finite[0] {
		dst = appendBound(dst, r.masked[0])
	}
	dst = append(dst, ',')
	if finite[1] {
		dst = appendBound(dst, r.masked[1])
	}
	return append(dst, closing), in[1:], true
}

// boundOf masks a bound, and gives what begins with the , or ] or ) behind it.
func (r *rangeReader) boundOf(i int, in []byte) (finite bool, rest []byte, ok bool) {
	r.value = r.value[:0]
	quoted := false
	for at := 0; at < len(in); at++ {
		c := in[at]
		switch {
		case c == '"' && quoted && at+1 < len(in) && in[at+1] == '"':
			at++
		case c == '"':
			quoted = !quoted
			continue
		case c == '\\':
			if at++; at == len(in) {
				return false, nil, false
			}
			c = in[at]
		case quoted:
		case c == ',' || c == ']' || c == ')':
			if at == 0 {
				return false, in, true
			}
			var null bool
			r.masked[i], null = r.bound(r.masked[i][:0], r.value)
			return true, in[at:], !null
		case c == '(' || c == '[':
			return false, nil, false
		}
		r.value = append(r.value, c)
	}
	return false, nil, false
}

// appendBound writes a bound as the server does.
func appendBound(dst, value []byte) []byte { return appendPart(dst, value, `"\()[],`) }
