package classify

import (
	"bytes"
	"hash/maphash"
	"strings"
	"unicode/utf8"

	"github.com/weir-gateway/weir/internal/detect"
)

// values counts what a sample of one column, or of one JSON path, holds. It keeps no value.
type values struct {
	seen     int // that are not NULL and not empty
	distinct map[uint64]struct{}
	whole    [32]count         // by check
	inside   [detect.Count]int // values with something in a part of them
	prose    int               // values of several words
	shapes   map[string]int
}

// count is how often, and by how many different values.
type count struct{ rows, distinct int }

// The bounds of what is kept of one column.
const (
	maxDistinct = 100_000
	maxShapes   = 64
	maxShape    = 32 // characters
	maxLooked   = 64 << 10
)

var seed = maphash.MakeSeed()

func (v *values) add(value []byte) {
	value = bytes.TrimSpace(value)
	if len(value) == 0 {
		return
	}
	if len(value) > maxLooked {
		value = value[:maxLooked]
	}
	if v.distinct == nil {
		v.distinct, v.shapes = map[uint64]struct{}{}, map[string]int{}
	}
	v.seen++
	sum := maphash.Bytes(seed, value)
	_, again := v.distinct[sum]
	if !again && len(v.distinct) < maxDistinct {
		v.distinct[sum] = struct{}{}
	}
	whole, inside := passed(value)
	for i := range checks {
		if whole&(1<<i) != 0 {
			v.whole[i].rows++
			if !again {
				v.whole[i].distinct++
			}
		}
	}
	for d := range detect.Detector(detect.Count) {
		if inside.Has(d) {
			v.inside[d]++
		}
	}
	if bytes.Count(value, []byte(" ")) >= 2 {
		v.prose++
	}
	if s := shape(value); s != "" && (len(v.shapes) < maxShapes || v.shapes[s] > 0) {
		v.shapes[s]++
	}
}

// text says that the column holds prose, at least now and then.
func (v *values) text() bool { return v.prose*3 >= v.seen && v.seen > 0 }

// commonShape is the shape that nine of ten values have, "" where there is none or there
// are too few values to speak of one.
func (v *values) commonShape() string {
	for s, n := range v.shapes {
		if v.seen >= minShaped && n*10 >= v.seen*9 {
			return s
		}
	}
	return ""
}

// minShaped is how many values are needed to speak of their shape.
const minShaped = 20

// shape has 9 for a digit and A or a for a letter; of the rest only what separates. It is
// "" for a value that is long or has no digit: words and names have no shape to tell.
func shape(value []byte) string {
	if len(value) > maxShape || !utf8.Valid(value) {
		return ""
	}
	digits := false
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= '0' && r <= '9':
			digits = true
			return '9'
		case r >= 'A' && r <= 'Z':
			return 'A'
		case r >= 'a' && r <= 'z':
			return 'a'
		case strings.ContainsRune(" -./:+()_@", r):
			return r
		}
		return '?'
	}, string(value))
	if !digits {
		return ""
	}
	return s
}
