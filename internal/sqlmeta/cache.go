package sqlmeta

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	pg "github.com/pganalyze/pg_query_go/v6"
)

// cache keeps analyses by text, catalog revision and search path. It is bounded
// by entries and by the bytes of the texts, so that many long texts do not take
// more than many short ones. A text that is very long is not kept at all: a
// literal of a MiB hardly comes twice, and would push out a thousand that do.
type cache struct {
	seed     maphash.Seed
	maxBytes int
	longest  int // text that is kept, in bytes

	mu    sync.Mutex
	lru   *simplelru.LRU[cacheKey, cacheEntry]
	bytes int
}

type cacheKey struct {
	text, revision string
	path           uint64 // hash of the search path; the entry holds it whole
}

type cacheEntry struct {
	path     []string
	analysis *Analysis
	bytes    int
}

func newCache(entries, bytes int) (*cache, error) {
	c := &cache{seed: maphash.MakeSeed(), maxBytes: bytes, longest: bytes / 64}
	var err error
	c.lru, err = simplelru.NewLRU(entries, func(_ cacheKey, e cacheEntry) { c.bytes -= e.bytes })
	return c, err
}

func (c *cache) key(text, revision string, path []string) cacheKey {
	var h uint64
	for _, p := range path {
		h = h*1099511628211 ^ maphash.String(c.seed, p)
	}
	return cacheKey{text, revision, h}
}

func (c *cache) get(text, revision string, path []string) *Analysis {
	if len(text) > c.longest {
		return nil
	}
	k := c.key(text, revision, path)
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.lru.Get(k)
	if !ok || !slices.Equal(e.path, path) {
		return nil
	}
	return e.analysis
}

func (c *cache) add(text, revision string, path []string, a *Analysis) {
	if len(text) > c.longest {
		return
	}
	e := cacheEntry{slices.Clone(path), a, weigh(text, a)}
	if e.bytes > c.maxBytes/8 {
		return
	}
	k := c.key(text, revision, path)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lru.Remove(k)
	for c.bytes+e.bytes > c.maxBytes && c.lru.Len() > 0 {
		c.lru.RemoveOldest()
	}
	c.lru.Add(k, e)
	c.bytes += e.bytes
}

// weigh is about how many bytes an analysis takes.
func weigh(text string, a *Analysis) int {
	const column = 64 // three strings and what is beside them
	n := len(text) + 256
	for i := range a.Statements {
		s := &a.Statements[i]
		n += 256 + column*(len(s.Tables)+len(s.Columns)+2*len(s.Outputs)+len(s.Functions)+len(s.Flows))
		for _, o := range s.Outputs {
			n += column * len(o.Sources)
		}
		for _, f := range s.Flows {
			n += column * len(f.From)
		}
	}
	return n
}

// trees keeps the parse trees of texts that are the database's own: definitions
// of views and expressions of generated columns.
type trees struct {
	parser *parser

	mu  sync.Mutex
	lru *simplelru.LRU[string, *pg.Node]
}

const keptTrees = 512

func newTrees(p *parser) (*trees, error) {
	lru, err := simplelru.NewLRU[string, *pg.Node](keptTrees, nil)
	return &trees{parser: p, lru: lru}, err
}

// query is the parse tree of one statement; an error where it is none.
func (t *trees) query(text string) (*pg.Node, error) {
	t.mu.Lock()
	n, ok := t.lru.Get(text)
	t.mu.Unlock()
	if ok {
		return n, nil
	}
	tree, _, err := t.parser.parse(context.Background(), text)
	if err != nil {
		return nil, err
	}
	if len(tree.GetStmts()) != 1 {
		return nil, &syntaxError{"not one statement"}
	}
	n = tree.GetStmts()[0].GetStmt()
	t.mu.Lock()
	t.lru.Add(text, n)
	t.mu.Unlock()
	return n, nil
}

// expression is the parse tree of an expression.
func (t *trees) expression(text string) (*pg.Node, error) {
	n, err := t.query("SELECT " + text)
	if err != nil {
		return nil, err
	}
	targets := n.GetSelectStmt().GetTargetList()
	if len(targets) != 1 {
		return nil, &syntaxError{"not one expression"}
	}
	return targets[0].GetResTarget().GetVal(), nil
}
