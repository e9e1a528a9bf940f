package mask

import (
	"encoding/binary"
	"strings"
)

// composite masks the fields of a row, each as its type can be. A field that cannot
// becomes NULL, and the row where none can.
func (b builder) composite(t Type) Cell {
	cells := make([]Cell, len(t.Fields))
	keeps := false
	for i, oid := range t.Fields {
		cells[i] = b.inside().cell(oid)
		keeps = keeps || cells[i] != nil
	}
	switch {
	case !keeps:
		return nil
	case b.bin:
		return func(dst, value []byte) ([]byte, bool) { return rowBinary(dst, value, t.Fields, cells) }
	}
	r := &rowReader{cells: cells}
	return r.cell
}

// redactedRow is a row of redacted fields.
func (b builder) redactedRow(t Type) ([]byte, bool) {
	text, bin := []byte{'('}, binary.BigEndian.AppendUint32(nil, uint32(len(t.Fields)))
	keeps := false
	for i, oid := range t.Fields {
		form, ok := b.inside().redacted(oid)
		keeps = keeps || ok
		if i > 0 {
			text = append(text, ',')
		}
		bin = binary.BigEndian.AppendUint32(bin, oid)
		if !ok {
			bin = append(bin, 0xff, 0xff, 0xff, 0xff)
			continue
		}
		text, bin = appendField(text, form), appendSized(bin, form)
	}
	if b.bin {
		return bin, keeps
	}
	return append(text, ')'), keeps
}

// rowBinary masks a row in binary format: how many fields, and of each its type and
// its value behind its length (record_send in PostgreSQL's utils/adt/rowtypes.c).
func rowBinary(dst, value []byte, fields []uint32, cells []Cell) ([]byte, bool) {
	start := len(dst)
	if len(value) < 4 || int(int32(binary.BigEndian.Uint32(value))) != len(fields) {
		return dst, true
	}
	dst = append(dst, value[:4]...)
	rest := value[4:]
	var nulls, ok bool
	for i, cell := range cells {
		if len(rest) < 4 || binary.BigEndian.Uint32(rest) != fields[i] {
			return dst[:start], true
		}
		dst = append(dst, rest[:4]...)
		if dst, rest, ok = appendMasked(dst, rest[4:], cell, &nulls); !ok {
			return dst[:start], true
		}
	}
	if len(rest) > 0 {
		return dst[:start], true
	}
	return dst, false
}

// rowReader masks rows in text format (Composite Types, "Composite Type Input and
// Output Syntax").
type rowReader struct {
	cells  []Cell
	value  []byte // scratch
	masked []byte // scratch
}

func (r *rowReader) cell(dst, value []byte) ([]byte, bool) {
	start, end := len(dst), len(value)-1
	if end < 1 || value[0] != '(' || value[end] != ')' {
		return dst, true
	}
	dst = append(dst, '(')
	in := value[1:]
	for i, cell := range r.cells {
		last := i == len(r.cells)-1
		var null, ok bool
		if r.value, in, null, ok = fieldOf(r.value[:0], in); !ok || (in[0] == ')') != last {
			return dst[:start], true
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		if !null && cell != nil {
			if r.masked, null = cell(r.masked[:0], r.value); !null {
				dst = appendField(dst, r.masked)
			}
		}
		in = in[1:]
	}
	if len(in) > 0 {
		return dst[:start], true
	}
	return append(dst, ')'), false
}

// fieldOf reads a field, and gives what begins with the , or ) behind it. Nothing at
// all is NULL.
func fieldOf(dst, in []byte) (value, rest []byte, null, ok bool) {
	quoted, written := false, false
	for i := 0; i < len(in); i++ {
		c := in[i]
		switch {
		case c == '"' && quoted && i+1 < len(in) && in[i+1] == '"':
			i++
		case c == '"':
			quoted, written = !quoted, true
			continue
		case c == '\\':
			if i++; i == len(in) {
				return dst, nil, false, false
			}
			c = in[i]
		case quoted:
		case c == ',' || c == ')':
			return dst, in[i:], !written, true
		case c == '(':
			return dst, nil, false, false
		}
		dst, written = append(dst, c), true
	}
	return dst, nil, false, false
}

// appendField writes a field as the server does.
func appendField(dst, value []byte) []byte { return appendPart(dst, value, `"\(),`) }

// appendPart writes a part of a row or range, between quotes where it is empty or
// has white space or one of special in it.
func appendPart(dst, value []byte, special string) []byte {
	bare := len(value) > 0
	for _, c := range value {
		bare = bare && strings.IndexByte(special, c) < 0 && !isSpace(c)
	}
	if bare {
		return append(dst, value...)
	}
	dst = append(dst, '"')
	for _, c := range value {
		if c == '"' || c == '\\' {
			dst = append(dst, c)
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}
