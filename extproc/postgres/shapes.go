package postgres

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// What is kept of analysed texts in the words of the gate. It keeps the analyses
// too, and with them their texts, whatever the analyzer's own cache forgets.
const (
	shapesKept     = 4096
	shapeBytesKept = 8 << 20
	longestShape   = 64 << 10
)

// shapes keeps the shape of each analysis. It is safe for concurrent use.
type shapes struct {
	mu    sync.Mutex
	lru   *simplelru.LRU[*sqlmeta.Analysis, *shape]
	bytes int // of the texts
}

func newShapes() (*shapes, error) {
	c := &shapes{}
	var err error
	c.lru, err = simplelru.NewLRU(shapesKept, func(an *sqlmeta.Analysis, _ *shape) { c.bytes -= textBytes(an) })
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
	n := textBytes(an)
	if n > longestShape {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lru.Remove(an)
	for c.bytes+n > shapeBytesKept && c.lru.Len() > 0 {
		c.lru.RemoveOldest()
	}
	c.lru.Add(an, sh)
	c.bytes += n
}

func textBytes(an *sqlmeta.Analysis) (n int) {
	for i := range an.Statements {
		n += len(an.Statements[i].Text)
	}
	return n
}
