package mask

import (
	"bytes"
	"encoding/binary"
)

// maxDimensions is how many an array may have (MAXDIM in PostgreSQL's c.h).
const maxDimensions = 6

// array masks the elements of an array. Its dimensions and bounds stay, and which
// elements are NULL. What is not an array of this type becomes NULL as a whole.
func (b builder) array(t Type) Cell {
	elem := b.inside().cell(t.Of)
	switch {
	case elem == nil:
		return nil
	case b.bin:
		return func(dst, value []byte) ([]byte, bool) { return arrayBinary(dst, value, t.Of, elem) }
	}
	r := &arrayReader{elem: elem, delim: t.Delim}
	return r.cell
}

// redactedArray is an array of one element.
func (b builder) redactedArray(t Type) ([]byte, bool) {
	form, ok := b.inside().redacted(t.Of)
	if !ok {
		return nil, false
	}
	if !b.bin {
		return append(appendElement([]byte{'{'}, form, t.Delim), '}'), true
	}
	var out []byte
	for _, n := range []uint32{1, 0, t.Of, 1, 1} { // dimensions, NULLs, type, size, lower bound
		out = binary.BigEndian.AppendUint32(out, n)
	}
	return appendSized(out, form), true
}

// appendSized writes a value behind its length.
func appendSized(dst, value []byte) []byte {
	return append(binary.BigEndian.AppendUint32(dst, uint32(len(value))), value...)
}

// arrayBinary masks an array in binary format: the number of dimensions, whether
// there are NULLs, the type of the elements, of each dimension its size and lower
// bound, then the elements (array_send in PostgreSQL's utils/adt/arrayfuncs.c).
func arrayBinary(dst, value []byte, of uint32, elem Cell) ([]byte, bool) {
	if len(value) < 12 {
		return dst, true
	}
	dimensions := binary.BigEndian.Uint32(value)
	if dimensions > maxDimensions || binary.BigEndian.Uint32(value[8:]) != of || len(value) < 12+8*int(dimensions) {
		return dst, true
	}
	header := 12 + 8*int(dimensions)
	count := 0
	for i := range int(dimensions) {
		n := int(int32(binary.BigEndian.Uint32(value[12+8*i:])))
		if i == 0 {
			count = 1
		}
		if n < 0 || n > len(value) || count > len(value) {
			return dst, true
		}
		count *= n
	}
	start := len(dst)
	dst = append(dst, value[:header]...)
	var nulls, ok bool
	rest := value[header:]
	for range count {
		if dst, rest, ok = appendMasked(dst, rest, elem, &nulls); !ok {
			return dst[:start], true
		}
	}
	if len(rest) > 0 {
		return dst[:start], true
	}
	flag := uint32(0)
	if nulls {
		flag = 1
	}
	binary.BigEndian.PutUint32(dst[start+4:], flag)
	return dst, false
}

// appendMasked masks a value that stands behind its length, -1 for NULL, at the
// beginning of in. cell may be nil: every value becomes NULL.
func appendMasked(dst, in []byte, cell Cell, nulls *bool) (out, rest []byte, ok bool) {
	if len(in) < 4 {
		return dst, nil, false
	}
	n := int(int32(binary.BigEndian.Uint32(in)))
	in = in[4:]
	if n < -1 || n > len(in) {
		return dst, nil, false
	}
	at := len(dst)
	dst = append(dst, 0xff, 0xff, 0xff, 0xff)
	if n < 0 || cell == nil {
		*nulls = true
		return dst, in[max(n, 0):], true
	}
	dst, null := cell(dst, in[:n])
	if null {
		*nulls = true
		return dst[:at+4], in[n:], true
	}
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst, in[n:], true
}

// arrayReader masks arrays in text format (Arrays, "Array Input and Output Syntax"),
// as the server writes them: without blanks, quoted where needed.
type arrayReader struct {
	elem   Cell
	delim  byte
	value  []byte // scratch
	masked []byte // scratch
}

func (r *arrayReader) cell(dst, value []byte) ([]byte, bool) {
	start := len(dst)
	rest := value
	if len(value) > 0 && value[0] == '[' { // [0:2][1:1]={…}
		bounds, after, ok := bytes.Cut(value, []byte("="))
		if !ok || len(bytes.Trim(bounds, "[]:-0123456789")) > 0 {
			return dst, true
		}
		dst = append(append(dst, bounds...), '=')
		rest = after
	}
	if string(rest) == "{}" {
		return append(dst, "{}"...), false
	}
	var ok bool
	if dst, rest, ok = r.level(dst, rest, 1); !ok || len(rest) > 0 {
		return dst[:start], true
	}
	return dst, false
}

// level masks what stands between braces, and gives what stands behind them.
func (r *arrayReader) level(dst, in []byte, depth int) (out, rest []byte, ok bool) {
	if len(in) == 0 || in[0] != '{' || depth > maxDimensions {
		return dst, nil, false
	}
	dst, in = append(dst, '{'), in[1:]
	for {
		if len(in) > 0 && in[0] == '{' {
			dst, in, ok = r.level(dst, in, depth+1)
		} else {
			dst, in, ok = r.element(dst, in)
		}
		if !ok || len(in) == 0 {
			return dst, nil, false
		}
		next := in[0]
		in = in[1:]
		switch next {
		case '}':
			return append(dst, '}'), in, true
		case r.delim:
			dst = append(dst, r.delim)
		default:
			return dst, nil, false
		}
	}
}

func (r *arrayReader) element(dst, in []byte) (out, rest []byte, ok bool) {
	if r.value, rest, ok = elementOf(r.value[:0], in, r.delim); !ok {
		return dst, nil, false
	}
	if in[0] != '"' && bytes.EqualFold(r.value, []byte("NULL")) {
		return append(dst, "NULL"...), rest, true
	}
	var null bool
	if r.masked, null = r.elem(r.masked[:0], r.value); null {
		return append(dst, "NULL"...), rest, true
	}
	return appendElement(dst, r.masked, r.delim), rest, true
}

// elementOf reads an element, in quotes or not.
func elementOf(dst, in []byte, delim byte) (value, rest []byte, ok bool) {
	if len(in) > 0 && in[0] == '"' {
		for i := 1; i < len(in); i++ {
			switch in[i] {
			case '"':
				return dst, in[i+1:], true
			case '\\':
				if i++; i == len(in) {
					return dst, nil, false
				}
			}
			dst = append(dst, in[i])
		}
		return dst, nil, false
	}
	for i, c := range in {
		switch c {
		case delim, '}':
			return dst, in[i:], i > 0
		case '{', '"', '\\':
			return dst, nil, false
		}
		dst = append(dst, c)
	}
	return dst, nil, false
}

// appendElement writes an element, in quotes where the server would read it as
// something else without.
func appendElement(dst, value []byte, delim byte) []byte {
	bare := len(value) > 0 && !bytes.EqualFold(value, []byte("NULL"))
	for _, c := range value {
		bare = bare && c != delim && c != '{' && c != '}' && c != '"' && c != '\\' && !isSpace(c)
	}
	if bare {
		return append(dst, value...)
	}
	dst = append(dst, '"')
	for _, c := range value {
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// isSpace is the white space of arrays and rows (scanner_isspace in PostgreSQL's
// parser/scansup.c, and \v).
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
