package config

import (
	"fmt"
	"regexp"
)

// Fact is what a function's result depends on beside its arguments: a column, or "pure"
// for nothing.
type Fact string

// Pure says that a function's result depends on its arguments alone.
const Pure Fact = "pure"

// dotted is a name in PostgreSQL, quoted or not.
const dotted = `("([^"]|"")+"|[^".()\s*]+)`

var (
	column = regexp.MustCompile(`^` + dotted + `\.` + dotted + `\.` + dotted + `$`)
	// signature is schema.name, with the types of its arguments or without.
	signature = regexp.MustCompile(`^` + dotted + `\.` + dotted + `(\([^()]*(\([^()]*\)[^()]*)*\))?$`)
)

// UnmarshalText reads a fact.
func (f *Fact) UnmarshalText(text []byte) error {
	if *f = Fact(text); *f != Pure && !column.Match(text) {
		return &problem{fmt.Sprintf("%q is not a column", text), "write pure, or the columns that the function reads: schema.table.column"}
	}
	return nil
}
