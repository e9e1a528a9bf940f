package copyout

import (
	"bytes"
	"fmt"
)

// text is the text format: what a delimiter, a newline or a backslash could be
// taken for stands behind a backslash.
type text struct {
	Format
	header bool // comes next
	seen   int  // of a row that is not whole: no newline before this
}

func (t *text) next(data []byte) (int, error) {
	from := min(t.seen, len(data))
	n := bytes.IndexByte(data[from:], '\n')
	if n < 0 {
		t.seen = len(data)
		return 0, nil
	}
	t.seen = 0
	return from + n + 1, nil
}

func (t *text) split(fields []field, row []byte) ([]field, bool, error) {
	if t.header {
		t.header = false
		return fields, true, nil
	}
	end := len(row) - 1 // without the newline
	if bytes.IndexByte(row, '\\') < 0 {
		return t.splitPlain(fields, row[:end]), false, nil
	}
	from := 0
	for at := 0; at <= end; at++ {
		switch {
		case at == end || row[at] == t.Delimiter:
			fields = append(fields, field{from, at, string(row[from:at]) == t.Null})
			from = at + 1
		case row[at] == '\\':
			at++ // whatever it is, it does not end the field
			if at == end {
				return fields, false, fmt.Errorf("%w: a line ends in a backslash", ErrData)
			}
		}
	}
	return fields, false, nil
}

// splitPlain is split of a line without a backslash, which most are.
func (t *text) splitPlain(fields []field, line []byte) []field {
	for from := 0; ; {
		n := bytes.IndexByte(line[from:], t.Delimiter)
		if n < 0 {
			n = len(line) - from
		}
		to := from + n
		fields = append(fields, field{from, to, string(line[from:to]) == t.Null})
		if to == len(line) {
			return fields
		}
		from = to + 1
	}
}

// unescape and escape are the signs that stand for control characters.
var unescape, escape = func() (un, es [256]byte) {
	for letter, c := range map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'} {
		un[letter], es[c] = c, letter
	}
	es['\\'] = '\\'
	return un, es
}()

func (t *text) decode(dst, raw []byte) ([]byte, error) {
	for {
		at := bytes.IndexByte(raw, '\\')
		if at < 0 {
			return append(dst, raw...), nil
		}
		if at+1 == len(raw) {
			return dst, fmt.Errorf("%w: a field ends in a backslash", ErrData)
		}
		dst = append(dst, raw[:at]...)
		c := raw[at+1]
		switch {
		case unescape[c] != 0:
			c = unescape[c]
		case c != '\\' && c != t.Delimiter:
			return dst, fmt.Errorf("%w: a backslash before %q", ErrData, c)
		}
		dst = append(dst, c)
		raw = raw[at+2:]
	}
}

func (t *text) encode(dst []byte, _ int, value []byte) []byte {
	plain := 0
	for plain < len(value) && escape[value[plain]] == 0 && value[plain] != t.Delimiter {
		plain++
	}
	dst = append(dst, value[:plain]...)
	for _, c := range value[plain:] {
		switch {
		case escape[c] != 0:
			dst = append(dst, '\\', escape[c])
		case c == t.Delimiter:
			dst = append(dst, '\\', c)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func (t *text) null(dst []byte) []byte { return append(dst, t.Null...) }

func (t *text) ended() bool { return true }
