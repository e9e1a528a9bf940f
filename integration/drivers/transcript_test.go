package drivers

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// firstOwnOID is the first object id that is not of PostgreSQL's own catalog.
const firstOwnOID = 16384

// transcript is what a script of a Go driver writes down of what it sees.
type transcript struct {
	mu    sync.Mutex
	lines []string
	oids  map[uint32]int
}

// say adds a line.
func (t *transcript) say(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lines = append(t.lines, fmt.Sprintf(format, args...))
}

// oid names an object id. Those of the script's own objects are numbered as they come.
func (t *transcript) oid(id uint32) string {
	if id < firstOwnOID {
		return fmt.Sprint(id)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.oids == nil {
		t.oids = map[uint32]int{}
	}
	n, ok := t.oids[id]
	if !ok {
		n = len(t.oids) + 1
		t.oids[id] = n
	}
	return fmt.Sprintf("own#%d", n)
}

// sameScript plays a script on both sides at once, and compares what it wrote down.
// An error of the script itself fails the test.
func sameScript(t *testing.T, sides []side, script func(context.Context, *side, *transcript) error, allowed ...difference) {
	t.Helper()
	seen := make([]string, len(sides))
	each(t, sides, func(ctx context.Context, one *side) error {
		var written transcript
		err := script(ctx, one, &written)
		seen[one.index()] = strings.Join(written.lines, "\n")
		return err
	})
	same(t, sides, seen, allowed...)
}
