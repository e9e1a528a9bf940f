// Package classification says what is sensitive: it reads classification.yaml,
// which gives classes ("pii.ssn") to columns and JSON paths and names the
// detectors that look for values in free text, once for every protocol.
//
// It knows no policy: what a class means for whom is for Rego to say. It finds
// no values itself and masks nothing.
package classification

import (
	"maps"
	"slices"

	"github.com/weir-gateway/weir/internal/detect"
)

// Any stands for every target, schema, table or column.
const Any = "*"

// Classification is what one file says. It never changes once loaded, and is
// safe for concurrent use.
type Classification struct {
	columns   map[columnKey][]string
	within    map[columnKey]map[string][]string // of those columns of which only parts have classes
	shapes    []shape                           // of the wildcards in use, so that a lookup tries no others
	paths     map[string][]PathClass
	detectors map[string][]detect.Asked
	harmless  map[columnKey]bool  // columns and patterns with an empty list
	plain     map[string][]string // paths with an empty list
	lines     []Line
	targets   []string
	revision  string
}

// PathClass gives classes to the values at a JSONPath.
type PathClass struct {
	Path    string // as written: "$.customers[*].card", "$..ssn"
	Classes []string
}

// Empty classifies nothing: the classification of a gateway without the file.
func Empty() *Classification {
	c, err := Parse("", nil)
	if err != nil {
		panic(err) // no text, no errors
	}
	return c
}

// Column returns the classes of a column, sorted; nil if it has none. The names
// are the catalogue's own, compared exactly. Where several lines of the file
// match, the column has the classes of all of them: a narrow line adds to a
// broad one and never takes a class away. The slice must not be changed.
func (c *Classification) Column(target, schema, table, column string) []string {
	var found []string
	for _, s := range c.shapes {
		found = union(found, c.columns[s.of(columnKey{target, schema, table, column})])
	}
	return found
}

// Within says what of a column's values the classes are for: own those of the whole
// value, and by JSONPath those of what it names in the column's documents. Together
// they are what Column returns. Neither must be changed.
func (c *Classification) Within(target, schema, table, column string) (own []string, paths map[string][]string) {
	k := columnKey{target, schema, table, column}
	for _, s := range c.shapes {
		some, part := c.within[s.of(k)]
		switch {
		case !part:
			own = union(own, c.columns[s.of(k)])
		case paths == nil:
			paths = some
		default:
			paths = maps.Clone(paths)
			for path, classes := range some {
				paths[path] = union(paths[path], classes)
			}
		}
	}
	return own, paths
}

// WithinPaths are the JSONPaths of all columns.
func (c *Classification) WithinPaths() []string {
	var all []string
	for _, paths := range c.within {
		all = slices.AppendSeq(all, maps.Keys(paths))
	}
	return all
}

// Paths returns the classified JSONPaths of a target, in order of path. The
// slice must not be changed.
func (c *Classification) Paths(target string) []PathClass {
	return withAny(c.paths, target, func(list []PathClass, p PathClass) []PathClass { return addPath(list, p.Path, p.Classes) })
}

// Detectors returns what is looked for in a target's texts, in order of detector,
// and the classes of what is found. The slice must not be changed.
func (c *Classification) Detectors(target string) []detect.Asked {
	return withAny(c.detectors, target, addAsked)
}

// withAny is what is said of a target, and of every target added to it.
func withAny[T any](said map[string][]T, target string, add func([]T, T) []T) []T {
	own, every := said[target], said[Any]
	switch {
	case target == Any || len(every) == 0:
		return own
	case len(own) == 0:
		return every
	}
	merged := slices.Clone(own)
	for _, e := range every {
		merged = add(merged, e)
	}
	return merged
}

// Classified says whether anything at all is classified at a target: a column,
// a path, or a detector.
func (c *Classification) Classified(target string) bool {
	return slices.Contains(c.targets, target) || slices.Contains(c.targets, Any)
}

// Classes returns every class that a column of the target may have, sorted. It
// looks at each line of the file.
func (c *Classification) Classes(target string) []string {
	var found []string
	for k, classes := range c.columns {
		if k.target == target || k.target == Any {
			found = union(found, classes)
		}
	}
	return found
}

// Harmless says that a line for this column, or a pattern that it matches, has an
// empty list: somebody looked at it, and it is not sensitive. It takes no class
// away that another line gives; it only keeps `weir classify` from asking again.
func (c *Classification) Harmless(target, schema, table, column string) bool {
	k := columnKey{target, schema, table, column}
	for s := range shape(1 << 4) {
		if c.harmless[s.of(k)] {
			return true
		}
	}
	return false
}

// HarmlessPath says the same of a JSONPath, as it is written.
func (c *Classification) HarmlessPath(target, path string) bool {
	return slices.Contains(c.plain[target], path) || slices.Contains(c.plain[Any], path)
}

// Line is one line of the file about columns. Any stands in it for every schema,
// table or column.
type Line struct {
	Number                int // of the file's lines, the first is 1
	Schema, Table, Column string
	Classes               []string // none: it is not sensitive

	target string
}

// Lines returns the lines that name this target, in the file's order; those of
// every target ("*") are not among them.
func (c *Classification) Lines(target string) []Line {
	var of []Line
	for _, l := range c.lines {
		if l.target == target {
			of = append(of, l)
		}
	}
	return of
}

// Matches says that a line is about a column.
func (l *Line) Matches(schema, table, column string) bool {
	return (l.Schema == Any || l.Schema == schema) && (l.Table == Any || l.Table == table) && (l.Column == Any || l.Column == column)
}

// Targets returns the names for which something is classified, sorted; Any
// ("*") among them means every target. The slice must not be changed.
func (c *Classification) Targets() []string { return c.targets }

// Revision is the hex SHA-256 of the file.
func (c *Classification) Revision() string { return c.revision }

// columnKey is a column, or a pattern of columns where fields are Any.
type columnKey struct{ target, schema, table, column string }

// shape says which fields of a pattern are Any, a bit each.
type shape uint8

const (
	anyTarget shape = 1 << iota
	anySchema
	anyTable
	anyColumn
)

func shapeOf(k columnKey) shape {
	var s shape
	for i, name := range []string{k.target, k.schema, k.table, k.column} {
		if name == Any {
			s |= 1 << i
		}
	}
	return s
}

// of is the pattern of this shape that a column matches.
func (s shape) of(k columnKey) columnKey {
	if s&anyTarget != 0 {
		k.target = Any
	}
	if s&anySchema != 0 {
		k.schema = Any
	}
	if s&anyTable != 0 {
		k.table = Any
	}
	if s&anyColumn != 0 {
		k.column = Any
	}
	return k
}

// union merges two sorted sets, changing neither.
func union(a, b []string) []string {
	if len(a) == 0 {
		return b
	}
	if len(b) == 0 {
		return a
	}
	out := append(slices.Clone(a), b...)
	slices.Sort(out)
	return slices.Compact(out)
}

// addPath adds classes to a path of a list that is kept in order of path.
func addPath(list []PathClass, path string, classes []string) []PathClass {
	i, found := slices.BinarySearchFunc(list, path, func(p PathClass, path string) int {
		switch {
		case p.Path < path:
			return -1
		case p.Path > path:
			return 1
		}
		return 0
	})
	if found {
		list[i].Classes = union(list[i].Classes, classes)
		return list
	}
	return slices.Insert(list, i, PathClass{Path: path, Classes: classes})
}

// addAsked adds classes to a detector of a list that is kept in order.
func addAsked(list []detect.Asked, a detect.Asked) []detect.Asked {
	i, found := slices.BinarySearchFunc(list, a.Detector, func(have detect.Asked, d detect.Detector) int { return int(have.Detector) - int(d) })
	if found {
		list[i].Classes = union(list[i].Classes, a.Classes)
		return list
	}
	return slices.Insert(list, i, a)
}
