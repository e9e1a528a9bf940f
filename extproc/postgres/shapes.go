package postgres

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// What is kept of analysed texts in the words of the gate, for each handler. It keeps
// the analyses too, and with them their texts, whatever the analyzer's own cache forgets.
const (
	shapesKept     = 4096
	shapeBytesKept = 8 << 20
	heaviestShape  = shapeBytesKept / 16
)

// shapes keeps the shape of each analysis. It is safe for concurrent use.
type shapes struct {
	mu    sync.Mutex
	lru   *simplelru.LRU[*sqlmeta.Analysis, *shape]
	bytes int // that they take, about
}

func newShapes() (*shapes, error) {
	c := &shapes{}
	var err error
	c.lru, err = simplelru.NewLRU(shapesKept, func(_ *sqlmeta.Analysis, sh *shape) { c.bytes -= sh.weight })
	return c, err
}

// get returns nil for what is not kept.
func (c *shapes) get(an *sqlmeta.Analysis) *shape {
	c.mu.Lock()
	defer c.mu.Unlock()
	sh, _ := c.lru.Get(an)
	return sh
}

func (c *shapes) add(an *sqlmeta.Analysis, sh *shape) {
	sh.weight = weigh(sh)
	if sh.weight > heaviestShape {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lru.Remove(an)
	for c.bytes+sh.weight > shapeBytesKept && c.lru.Len() > 0 {
		c.lru.RemoveOldest()
	}
	c.lru.Add(an, sh)
	c.bytes += sh.weight
}

// weigh is about how many bytes a shape and its analysis take. The text counts with
// both: an event's form of it is kept beside it.
func weigh(sh *shape) int {
	const (
		whole  = 1 << 10
		column = 256 // in the analysis, in the gate's words, and encoded
	)
	n := whole
	for i := range sh.analysis.Statements {
		st := &sh.analysis.Statements[i]
		n += 2*len(st.Text) + whole
		n += column * (len(st.Tables) + len(st.Columns) + len(st.Outputs) + len(st.Functions) + len(st.Flows))
	}
	return n
}
