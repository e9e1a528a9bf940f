package copyout

import (
	"bytes"
	"fmt"
)

// csv is the CSV format: what could be taken for something else stands in quotes,
// and is NULL only where it does not.
type csv struct {
	Format
	header bool // comes next
	seen   int  // of a row that is not whole: looked at up to here
	quoted bool // which is within quotes
	single bool // rows have one column
}

func (c *csv) next(data []byte) (int, error) {
	at := min(c.seen, len(data))
	if n := bytes.IndexByte(data[at:], '\n'); n >= 0 && !c.quoted && bytes.IndexByte(data[at:at+n], c.Quote) < 0 {
		c.seen = 0
		return at + n + 1, nil
	}
	for ; at < len(data); at++ {
		b := data[at]
		switch {
		case c.quoted && b == c.Escape && c.Escape != c.Quote:
			if at+1 == len(data) {
				c.seen = at // what it stands before is still to come
				return 0, nil
			}
			if next := data[at+1]; next == c.Quote || next == c.Escape {
				at++
			}
		case b == c.Quote: // two of them, of which the first is the escape, end and begin again
			c.quoted = !c.quoted
		case b == '\n' && !c.quoted:
			c.seen = 0
			return at + 1, nil
		}
	}
	c.seen = at
	return 0, nil
}

func (c *csv) split(fields []field, row []byte) ([]field, bool, error) {
	if c.header {
		c.header = false
		return fields, true, nil
	}
	end := len(row) - 1 // without the newline
	for from := 0; ; {
		to, err := c.fieldEnd(row[:end], from)
		if err != nil {
			return fields, false, err
		}
		fields = append(fields, field{from, to, string(row[from:to]) == c.Null})
		if to == end {
			return fields, false, nil
		}
		if row[to] != c.Delimiter {
			return fields, false, fmt.Errorf("%w: %q behind a quote", ErrData, row[to])
		}
		from = to + 1
	}
}

// fieldEnd is where the field that begins at from ends.
func (c *csv) fieldEnd(row []byte, from int) (int, error) {
	if from == len(row) || row[from] != c.Quote {
		n := bytes.IndexByte(row[from:], c.Delimiter)
		if n < 0 {
			n = len(row) - from
		}
		if bytes.IndexByte(row[from:from+n], c.Quote) >= 0 {
			return 0, fmt.Errorf("%w: a quote within a field", ErrData)
		}
		return from + n, nil
	}
	for at := from + 1; at < len(row); at++ {
		escaped := at+1 < len(row) && row[at] == c.Escape && (row[at+1] == c.Quote || row[at+1] == c.Escape)
		switch {
		case escaped:
			at++
		case row[at] == c.Quote:
			return at + 1, nil
		}
	}
	return 0, fmt.Errorf("%w: a quote that does not end", ErrData)
}

func (c *csv) decode(dst, raw []byte) ([]byte, error) {
	if len(raw) == 0 || raw[0] != c.Quote {
		return append(dst, raw...), nil
	}
	raw = raw[1 : len(raw)-1]
	for at := 0; at < len(raw); at++ {
		if raw[at] == c.Escape && at+1 < len(raw) && (raw[at+1] == c.Quote || raw[at+1] == c.Escape) {
			at++
		}
		dst = append(dst, raw[at])
	}
	return dst, nil
}

// encode quotes what has to be, and no more because the value before was: a word
// for NULL that is a value would show by its quotes.
func (c *csv) encode(dst []byte, column int, value []byte) []byte {
	if (c.Quoted == nil || !c.Quoted[column]) && !c.needsQuotes(value) {
		return append(dst, value...)
	}
	dst = append(dst, c.Quote)
	for _, b := range value {
		if b == c.Quote || b == c.Escape {
			dst = append(dst, c.Escape)
		}
		dst = append(dst, b)
	}
	return append(dst, c.Quote)
}

func (c *csv) needsQuotes(value []byte) bool {
	if string(value) == c.Null || c.single && string(value) == `\.` { // which, alone on a line, could be an end marker
		return true
	}
	for _, b := range value {
		if b == c.Delimiter || b == c.Quote || b == '\n' || b == '\r' {
			return true
		}
	}
	return false
}

func (c *csv) null(dst []byte) []byte { return append(dst, c.Null...) }

func (c *csv) ended() bool { return true }
