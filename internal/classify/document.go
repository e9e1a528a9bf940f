package classify

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/weir-gateway/weir/internal/detect"
)

// documents counts what JSON documents hold, by path.
type documents struct {
	leaves map[string]*leaf
	paths  []string // of leaves, in the order in which they were met
	full   bool     // further paths were left out
	keyed  bool     // values stand where no path leads: under keys that are values themselves
}

// leaf is what stands at a path: strings and numbers.
type leaf struct {
	key    string // the last name of the path
	people bool
	values values
}

const (
	maxPaths     = 2000
	maxNesting   = 64
	maxKeyLength = 128
)

// place is where in a document one is.
type place struct {
	path   string
	key    string
	people bool // a key above is a word for people
	lost   bool // under a key that is a value: only a name below can be told
}

// add reads one document. What cannot be read as JSON is left out and told.
func (d *documents) add(r io.Reader, people bool) error {
	dec := jsontext.NewDecoder(r, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	read := 0
	for {
		err := d.value(dec, place{path: "$", people: people}, 0)
		if errors.Is(err, io.EOF) && read > 0 {
			return nil
		}
		if err != nil { // its words may hold a part of the document
			var syntax *jsontext.SyntacticError
			if errors.As(err, &syntax) {
				return fmt.Errorf("not JSON, at byte %d", syntax.ByteOffset)
			}
			return err
		}
		read++
	}
}

var errNesting = fmt.Errorf("JSON is nested deeper than %d levels", maxNesting)

func (d *documents) value(dec *jsontext.Decoder, at place, depth int) error {
	if depth > maxNesting {
		return errNesting
	}
	t, err := dec.ReadToken()
	if err != nil {
		return err
	}
	switch t.Kind() {
	case '"', '0':
		d.leaf(at, []byte(t.String()))
		return nil
	case '{':
		for dec.PeekKind() == '"' {
			name, err := dec.ReadToken()
			if err != nil {
				return err
			}
			if err := d.value(dec, at.member(name.String()), depth+1); err != nil {
				return err
			}
		}
	case '[':
		at.path += "[*]"
		for k := dec.PeekKind(); k != ']' && k != 0; k = dec.PeekKind() {
			if err := d.value(dec, at, depth+1); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = dec.ReadToken() // the end
	return err
}

// leaf counts a value.
func (d *documents) leaf(at place, value []byte) {
	if at.lost || at.path == "$" {
		d.keyed = true
		return
	}
	l := d.leaves[at.path]
	if l == nil {
		if len(d.leaves) >= maxPaths {
			d.full = true
			return
		}
		if d.leaves == nil {
			d.leaves = map[string]*leaf{}
		}
		l = &leaf{key: at.key, people: at.people}
		d.leaves[at.path] = l
		d.paths = append(d.paths, at.path)
	}
	l.values.add(value)
}

var plainStep = regexp.MustCompile(`^[A-Za-z_\x{80}-\x{10FFFF}][0-9A-Za-z_\x{80}-\x{10FFFF}-]*$`)

// member is a member of an object. A path is a name that is printed, so a key that looks like
// a value is none of its steps: what is below is told as $..name.
func (p place) member(name string) place {
	next := place{key: name, people: p.people || aboutPeople(p.key)}
	switch {
	case !tellable(name):
		next.path, next.lost, next.key = "$", true, ""
	case p.lost && plainStep.MatchString(name):
		next.path = "$.." + name
	case plainStep.MatchString(name):
		next.path = p.path + "." + name
	case p.lost:
		next.path, next.lost = "$", true
	case !strings.ContainsAny(name, `'\`):
		next.path = p.path + "['" + name + "']"
	case !strings.ContainsAny(name, `"\`):
		next.path = p.path + `["` + name + `"]`
	default:
		next.path, next.lost = "$", true
	}
	return next
}

// tellable says that a key is a name, and no value or id.
func tellable(key string) bool {
	if key == "" || len(key) > maxKeyLength || strings.ContainsFunc(key, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return false
	}
	if n := countDigits(key); n*2 >= len(key) || n >= 6 {
		return false
	}
	return !strings.Contains(key, "@") && len(detect.Scan([]byte(key), detect.All)) == 0 && len(strings.Fields(key)) < 6
}
