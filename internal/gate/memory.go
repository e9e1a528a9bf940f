package gate

import (
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
)

// rememberedTokens bounds how many tokens' reads are remembered.
const rememberedTokens = 100_000

// classMemory remembers which classes each token has read, over all its
// sessions and protocols.
type classMemory struct {
	mu     sync.Mutex // of who adds
	byHash *lru.Cache[string, []string]
}

func newClassMemory() *classMemory {
	cache, err := lru.New[string, []string](rememberedTokens)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &classMemory{byHash: cache}
}

func (m *classMemory) add(hash string, classes []string) {
	if hash == "" || len(classes) == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	have, _ := m.byHash.Get(hash)
	if all := union(have, classes); len(all) > len(have) {
		m.byHash.Add(hash, all)
	}
}

func (m *classMemory) get(hash string) []string {
	have, _ := m.byHash.Get(hash)
	return have
}
