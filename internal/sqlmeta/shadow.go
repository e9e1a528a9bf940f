package sqlmeta

import (
	"slices"
	"strings"
)

// Shadowed is a catalog as a session sees it that has temporary relations of
// these names: without a schema they lead to those, of which nothing is known.
func Shadowed(c Catalog, names ...string) Catalog {
	if len(names) == 0 {
		return c
	}
	names = slices.Clone(names)
	slices.Sort(names)
	s := shadowed{c, slices.Compact(names)}
	if r, ok := c.(Routines); ok {
		return shadowedRoutines{s, r}
	}
	return s
}

// ShadowedAs is a catalog as the session sees it that sees the other one so.
func ShadowedAs(c, other Catalog) Catalog {
	switch s := other.(type) {
	case shadowed:
		return Shadowed(c, s.names...)
	case shadowedRoutines:
		return Shadowed(c, s.names...)
	}
	return c
}

// Unshadowed is the catalog that Shadowed was given, or the catalog itself.
func Unshadowed(c Catalog) Catalog {
	switch s := c.(type) {
	case shadowed:
		return Unshadowed(s.Catalog)
	case shadowedRoutines:
		return Unshadowed(s.Catalog)
	case bodiless:
		return Unshadowed(s.Catalog)
	}
	return c
}

// Bodiless is a catalog as a session sees it that may have made functions anew in a
// transaction that is still open: what the catalog knows of what they do may be wrong.
func Bodiless(c Catalog) Catalog {
	if r, ok := c.(Routines); ok {
		return bodiless{c, r}
	}
	return c
}

type bodiless struct {
	Catalog
	routines Routines
}

func (b bodiless) Routines(searchPath []string, schema, name string) []Routine {
	known := slices.Clone(b.routines.Routines(searchPath, schema, name))
	for i := range known {
		known[i].Body, known[i].Facts = "", nil
	}
	return known
}

func (b bodiless) RelationByType(oid uint32) (*Relation, bool) { return b.routines.RelationByType(oid) }

// Revision is that of the catalog with a mark; "" where it has none.
func (b bodiless) Revision() string {
	if r, ok := b.Catalog.(Revisioned); ok && r.Revision() != "" {
		return r.Revision() + "\x00\x00bodiless"
	}
	return ""
}

type shadowed struct {
	Catalog
	names []string // sorted
}

type shadowedRoutines struct {
	shadowed
	Routines
}

func (s shadowed) Relation(searchPath []string, schema, name string) (*Relation, bool) {
	if schema == "" {
		if _, found := slices.BinarySearch(s.names, name); found {
			return nil, false
		}
	}
	return s.Catalog.Relation(searchPath, schema, name)
}

// Revision is that of the catalog and of the names; "" where it has none.
func (s shadowed) Revision() string {
	r, ok := s.Catalog.(Revisioned)
	if !ok || r.Revision() == "" {
		return ""
	}
	return r.Revision() + "\x00" + strings.Join(s.names, "\x00")
}
