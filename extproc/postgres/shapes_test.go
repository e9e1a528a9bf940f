package postgres

import (
	"strings"
	"testing"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// However many texts come, and however long, what is kept of them is bounded.
func TestShapesAreBoundedByBytes(t *testing.T) {
	c, err := newShapes()
	if err != nil {
		t.Fatal(err)
	}
	text := func(n int) *sqlmeta.Analysis {
		return &sqlmeta.Analysis{Statements: []sqlmeta.Statement{{Text: strings.Repeat("x", n)}}}
	}
	huge := text(1 << 20)
	c.add(huge, &shape{})
	if c.get(huge) != nil || c.bytes != 0 {
		t.Errorf("a text of a MiB is kept: %d bytes", c.bytes)
	}
	var last *sqlmeta.Analysis
	for range 1000 {
		last = text(32 << 10)
		c.add(last, &shape{})
		c.add(last, &shape{}) // again counts once
	}
	if c.get(last) == nil {
		t.Error("the last text is not kept")
	}
	if want := c.lru.Len() * 32 << 10; c.bytes != want || c.bytes > shapeBytesKept {
		t.Errorf("%d bytes are counted, %d are kept, at most %d may be", c.bytes, want, shapeBytesKept)
	}
}
