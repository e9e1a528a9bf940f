package postgres

import (
	"strings"
	"testing"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// Neither many small texts nor a few wide ones take more memory than is meant.
func TestShapesAreBounded(t *testing.T) {
	for name, columns := range map[string]int{"narrow": 1, "wide": 200} {
		t.Run(name, func(t *testing.T) {
			c, err := newShapes()
			if err != nil {
				t.Fatal(err)
			}
			var last *sqlmeta.Analysis
			for range 2 * shapesKept {
				last = &sqlmeta.Analysis{Statements: []sqlmeta.Statement{{
					Text: strings.Repeat("x", 500), Columns: make([]sqlmeta.ColumnUse, columns),
				}}}
				c.add(last, &shape{analysis: last})
				c.add(last, &shape{analysis: last}) // again counts once
			}
			sum := 0
			for _, sh := range c.lru.Values() {
				sum += weigh(sh)
			}
			if sum > shapeBytesKept || c.bytes != sum {
				t.Errorf("%d bytes are kept, counted as %d", sum, c.bytes)
			}
			if c.get(last) == nil {
				t.Error("the last one is not kept")
			}
		})
	}
	c, err := newShapes()
	if err != nil {
		t.Fatal(err)
	}
	heavy := &sqlmeta.Analysis{Statements: []sqlmeta.Statement{{Text: strings.Repeat("x", heaviestShape)}}}
	if c.add(heavy, &shape{analysis: heavy}); c.get(heavy) != nil {
		t.Error("one that is too heavy is kept")
	}
}
