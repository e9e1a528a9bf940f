package conformance

import (
	"bytes"
	"slices"

	"github.com/jackc/pgx/v5/pgproto3"
)

// sighting is a canary that was seen in an answer.
type sighting struct {
	Column string `json:"column"`
	As     string `json:"as"` // raw, reversed, md5 hex …
	whole  bool
}

// searcher looks for the canaries of one side.
type searcher struct{ forms []form }

// newSearcher looks for the canaries of those columns that the gateway masks; nil
// are all.
func newSearcher(v *values, masked []string) *searcher {
	s := &searcher{}
	for i := range v.canaries {
		if c := &v.canaries[i]; masked == nil || slices.Contains(masked, c.column) {
			s.forms = append(s.forms, c.forms()...)
		}
	}
	return s
}

// search looks at an answer: at each message, and at what the cells of a row and of
// a column spell together.
func (s *searcher) search(messages []pgproto3.BackendMessage) []sighting {
	var seen []sighting
	for _, text := range spelled(messages) {
		lower := bytes.ToLower(text)
		for i := range s.forms {
			f := &s.forms[i]
			found := f.text && bytes.Contains(lower, f.bytes) || !f.text && bytes.Contains(text, f.bytes)
			if one := (sighting{f.column, f.what, f.whole}); found && !slices.Contains(seen, one) {
				seen = append(seen, one)
			}
		}
	}
	return seen
}

// spelled are the texts of an answer that canaries are looked for in.
func spelled(messages []pgproto3.BackendMessage) [][]byte {
	var all, rows []byte
	var columns [][]byte
	for _, m := range messages {
		all = append(all, encoded(m)...)
		switch m := m.(type) {
		case *pgproto3.DataRow:
			for i, cell := range m.Values {
				rows = append(rows, cell...)
				if i == len(columns) {
					columns = append(columns, nil)
				}
				columns[i] = append(columns[i], cell...)
			}
			rows = append(rows, 0)
		case *pgproto3.CopyData:
			rows = append(rows, bytes.Map(keepWord, m.Data)...)
		}
	}
	return append(columns, all, rows, bytes.Map(keepWord, rows))
}

// keepWord drops all but letters and digits: what stands between the pieces of a
// value in an array or a line of COPY.
func keepWord(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return -1
}

// encoded is a message as it is on the wire.
func encoded(m pgproto3.BackendMessage) []byte {
	b, err := m.Encode(nil)
	if err != nil {
		return []byte(err.Error())
	}
	return b
}
