package sqlmeta

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"

	pg "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/encoding/protowire"
)

// omitted is the length, in bytes, from which a passage is left out of what is
// parsed: the parser takes about 10 ns a byte.
const omitted = 4 << 10

// abridged is a text in which marks stand for long passages without a quote. It
// is a guess that those are what string constants hold; PostgreSQL's own scanner
// says whether it is right. The tree of the abridged text is that of the text,
// but for what the constants hold and where things stand, if the scanner has taken
// every mark for what is in a constant that begins with a plain quote:
//
//   - Up to the first mark both texts are the same, so the scanner comes to the
//     passage in the same state: in such a constant.
//   - There whatever is not a quote is what the constant holds (xqinside in scan.l,
//     "[^']+"), so it leaves the passage in the state in which it came. The same
//     is then true up to the next mark, and after the last.
//
// Nobody can know a mark before, and so write a text in which the mark comes to be
// in a constant otherwise than by standing there.
type abridged struct {
	text     string
	mark     string // what all marks begin with
	passages []passage
}

// passage is what a mark stands for.
type passage struct {
	text    string
	end     int // of the mark in the abridged text
	shorter int // by how much the abridged text is, up to there
}

// abridge returns nil for a text that is not worth it, or that the parser is to
// refuse for its encoding.
func abridge(text string) *abridged {
	if len(text) < omitted {
		return nil
	}
	var a *abridged
	var b strings.Builder
	done, open := 0, -1 // open is where the last quote stands if it is an odd one
	for at := 0; ; at++ {
		n := strings.IndexByte(text[at:], '\'')
		if n < 0 {
			break
		}
		at += n
		if open >= 0 && at-open > omitted {
			if a == nil {
				a = &abridged{mark: rand.Text()}
			}
			b.WriteString(text[done : open+1])
			fmt.Fprintf(&b, "%s%d.", a.mark, len(a.passages))
			a.passages = append(a.passages, passage{text[open+1 : at], b.Len(), at - b.Len()})
			done = at
		}
		if open >= 0 {
			open = -1
		} else {
			open = at
		}
	}
	if a == nil || !utf8.ValidString(text) {
		return nil
	}
	b.WriteString(text[done:])
	a.text = b.String()
	return a
}

// original is where in the text stands what stands at a place of the abridged one.
func (a *abridged) original(at int) int {
	n := sort.Search(len(a.passages), func(i int) bool { return a.passages[i].end > at })
	if n == 0 {
		return at
	}
	return at + a.passages[n-1].shorter
}

// find looks for marks in a value of the tree.
func (a *abridged) find(value []byte) (passages []int, err error) {
	for {
		_, rest, found := bytes.Cut(value, []byte(a.mark))
		if !found {
			return passages, nil
		}
		number, rest, _ := bytes.Cut(rest, []byte("."))
		n, err := strconv.Atoi(string(number))
		if err != nil || n >= len(a.passages) {
			return nil, fmt.Errorf("%w: a mark is damaged", errTree)
		}
		passages, value = append(passages, n), rest
	}
}

// quoted says that what begins at a place of the abridged text begins with a
// plain quote: neither E, nor N, U& and the like, nor a dollar.
func (a *abridged) quoted(at int) bool {
	return at >= 0 && at < len(a.text) && a.text[at] == '\''
}

// restore puts a passage back for every mark in a constant.
func (a *abridged) restore(value string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(value, a.mark)
		if !found {
			break
		}
		number, after, _ := strings.Cut(rest, ".")
		n, _ := strconv.Atoi(number) // find has read it
		if before == "" && after == "" && b.Len() == 0 {
			return a.passages[n].text
		}
		b.WriteString(before)
		b.WriteString(a.passages[n].text)
		value = after
	}
	b.WriteString(value)
	return b.String()
}

// errAbridged says that a passage may not be what a plain constant holds.
var errAbridged = errors.New("the text must be parsed whole")

// marked is a constant of the tree in which marks stand.
type marked struct {
	steps    []step // to it, from the root
	passages []int
}

// complete makes the tree of the abridged text that of the text.
func (a *abridged) complete(tree *pg.ParseResult, constants []marked) error {
	found := make([]bool, len(a.passages))
	for _, c := range constants {
		for _, n := range c.passages {
			found[n] = true
		}
		s := constantAt(tree, c.steps).GetSval()
		if s == nil {
			return errTree
		}
		s.Sval = a.restore(s.GetSval())
	}
	if slices.Contains(found, false) {
		return errAbridged
	}
	for _, s := range tree.GetStmts() {
		start, end := int(s.GetStmtLocation()), int(s.GetStmtLocation()+s.GetStmtLen())
		s.StmtLocation = int32(a.original(start))
		if s.GetStmtLen() > 0 {
			s.StmtLen = int32(a.original(end)) - s.GetStmtLocation()
		}
	}
	return nil
}

// step leads from a message of the tree to one below it.
type step struct {
	field protowire.Number
	index int // in a list
}

// constantAt is the constant to which steps lead.
func constantAt(tree *pg.ParseResult, steps []step) *pg.A_Const {
	m := tree.ProtoReflect()
	for _, s := range steps {
		f := m.Descriptor().Fields().ByNumber(s.field)
		if f.IsList() {
			m = m.Mutable(f).List().Get(s.index).Message()
		} else {
			m = m.Mutable(f).Message()
		}
	}
	c, _ := m.Interface().(*pg.A_Const)
	return c
}
