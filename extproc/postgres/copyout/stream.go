package copyout

import (
	"errors"
	"fmt"

	"github.com/weir-gateway/weir/internal/mask"
)

// Format is how the rows are written.
type Format struct {
	Kind      Kind
	Delimiter byte
	Null      string
	Header    bool // the first row holds the names of the columns
	Quote     byte // of CSV, like the next
	Escape    byte
	// Quoted are the columns that are always in quotes (FORCE_QUOTE); nil: none.
	Quoted []bool
}

// Kind is one of the formats.
type Kind uint8

// The formats. The zero value is none of them.
const (
	Text Kind = iota + 1
	CSV
	Binary
)

// ErrData reports bytes that are not what the server writes in this format.
var ErrData = errors.New("COPY data is not as expected")

// ErrRowSize reports a row that is too large to be held.
var ErrRowSize = errors.New("a row of COPY data is too large to be masked")

// Stream masks the data of one COPY. It is not safe for concurrent use.
type Stream struct {
	cells  []mask.Cell   // by column; nil passes
	seek   []mask.Seeker // of those that no cell masks; nil passes
	found  mask.Found
	counts []int // values replaced, by column
	maxRow int
	rows   rows

	partial []byte // of a row that has not come to its end
	fields  []field
	value   []byte // scratch
	masked  []byte // scratch
}

// rows is one of the formats.
type rows interface {
	// next is the size of the first row of data, 0 where it is not whole.
	next(data []byte) (size int, err error)
	// split finds the fields of a row. A row that has none is passed as it is.
	split(fields []field, row []byte) ([]field, bool, error)
	// decode appends the value of a field.
	decode(dst, raw []byte) ([]byte, error)
	// encode appends the field of a column. How it is written tells nothing of the
	// value that it replaces.
	encode(dst []byte, column int, value []byte) []byte
	// null appends a field that is NULL.
	null(dst []byte) []byte
	// ended says whether the data may end here.
	ended() bool
}

// field is where in a row the field lies, with its quotes or its length.
type field struct {
	from, to int
	null     bool
}

// New makes a Stream for rows of as many columns as there are cells. seek are for
// the columns without one, and may be nil. maxRow
// bounds what is held of a row that comes in pieces, in bytes.
func New(f Format, cells []mask.Cell, seek []mask.Seeker, maxRow int) (*Stream, error) {
	s := &Stream{cells: cells, seek: seek, counts: make([]int, len(cells)), maxRow: maxRow}
	switch f.Kind {
	case Text:
		s.rows = &text{Format: f, header: f.Header}
	case CSV:
		s.rows = &csv{Format: f, header: f.Header, single: len(cells) == 1}
	case Binary:
		s.rows = &binaryRows{}
	default:
		return nil, fmt.Errorf("copyout: no format %d", f.Kind)
	}
	return s, nil
}

// Counts are the values replaced so far, by column.
func (s *Stream) Counts() []int { return s.counts }

// Found is what was found so far in the columns that are looked through.
func (s *Stream) Found() *mask.Found { return &s.found }

// Append takes the next piece of the data. It appends the rows that are whole now,
// masked, to dst, and what was replaced in them to originals: of each row a
// DataRow message in which what was not replaced is NULL.
func (s *Stream) Append(dst, originals, data []byte) (masked, replaced []byte, err error) {
	joined := len(s.partial) > 0
	if joined {
		s.partial = append(s.partial, data...)
		data = s.partial
	}
	used := 0
	for used < len(data) {
		size, err := s.rows.next(data[used:])
		if err != nil {
			return dst, originals, err
		}
		if size == 0 {
			break
		}
		if dst, originals, err = s.row(dst, originals, data[used:used+size]); err != nil {
			return dst, originals, err
		}
		used += size
	}
	if len(data)-used > s.maxRow {
		return dst, originals, ErrRowSize
	}
	if joined {
		s.partial = s.partial[:copy(s.partial, data[used:])]
	} else {
		s.partial = append(s.partial, data[used:]...)
	}
	return dst, originals, nil
}

// Close ends the data. It is an error in the middle of a row.
func (s *Stream) Close() error {
	if len(s.partial) > 0 || !s.rows.ended() {
		return fmt.Errorf("%w: it ends in the middle", ErrData)
	}
	return nil
}

// row appends one row, or nothing with an error.
func (s *Stream) row(dst, originals, row []byte) (masked, replaced []byte, err error) {
	var plain bool
	if s.fields, plain, err = s.rows.split(s.fields[:0], row); err != nil {
		return dst, originals, err
	}
	if plain {
		return append(dst, row...), originals, nil
	}
	if len(s.fields) != len(s.cells) {
		return dst, originals, fmt.Errorf("%w: a row of %d columns where %d were described", ErrData, len(s.fields), len(s.cells))
	}
	o := original{start: len(originals), dst: originals, columns: len(s.cells)}
	start, kept := len(dst), 0 // the row up to kept is in dst
	for i, f := range s.fields {
		cell := s.cells[i]
		if f.null || cell == nil && (s.seek == nil || s.seek[i] == nil) {
			continue
		}
		if s.value, err = s.rows.decode(s.value[:0], row[f.from:f.to]); err != nil {
			return dst[:start], o.dst[:o.start], err
		}
		null, changed := false, true
		if cell == nil {
			s.masked, null, changed = s.seek[i](s.masked[:0], s.value, &s.found)
		} else {
			s.masked, null = cell(s.masked[:0], s.value)
			s.counts[i]++
		}
		if !changed {
			continue
		}
		dst = append(dst, row[kept:f.from]...)
		kept = f.to
		if null {
			dst = s.rows.null(dst)
		} else {
			dst = s.rows.encode(dst, i, s.masked)
		}
		o.add(i, s.value)
	}
	return append(dst, row[kept:]...), o.finish(), nil
}
