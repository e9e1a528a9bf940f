package conformance

import (
	"fmt"
	"strings"
)

// Scheme is what the scratch schema is made of: that of the corpus, or a random one.
type Scheme struct {
	sql    string // objects and rows, apart by "-- data"; as seed.sql
	values func(Side) *values
}

// fixed is the scheme of the corpus.
func fixed() *Scheme { return &Scheme{seed, newValues} }

// side has the values of a side. They differ from the left ones in those columns that
// the gateway masks; nil are all.
func (s *Scheme) side(side Side, masked []string) *values {
	v := s.values(side)
	if masked == nil || side == Left {
		return v
	}
	left := s.values(Left).literals
	return v.only(masked, left)
}

// The random schema has the same tables for each seed, with columns of any types: so a
// gateway can be told beforehand which of them it has to mask.
const (
	randomTables    = 6
	randomProtected = 4 // p1 … of each table
)

// protectedNames are all columns that may hold a canary, of the corpus and of random
// schemas.
func protectedNames() []string {
	all := append([]string{}, Protected...)
	for table := 1; table <= randomTables; table++ {
		for n := 1; n <= randomProtected; n++ {
			all = append(all, fmt.Sprintf("r%d.p%d", table, n))
		}
	}
	return all
}

// Classification is what a gateway of this project is told of the scratch schema.
func Classification(target, schema, class string) string {
	var b strings.Builder
	for _, column := range protectedNames() {
		_, _ = fmt.Fprintf(&b, "'%s.%s.%s': %s\n", target, schema, column, class)
	}
	return b.String()
}
