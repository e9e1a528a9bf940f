package extproc

import (
	"slices"
	"sync"

	"google.golang.org/grpc/mem"
)

// bufferPool is a mem.BufferPool that does not fill its buffers with zeros first,
// as gRPC's own does: what is sent of a buffer here is always written before.
type bufferPool struct {
	sizes []int // in order
	pools []sync.Pool
}

var _ mem.BufferPool = (*bufferPool)(nil)

func newBufferPool(sizes ...int) *bufferPool {
	slices.Sort(sizes)
	return &bufferPool{sizes: sizes, pools: make([]sync.Pool, len(sizes))}
}

// Get returns a buffer of length n with any content.
func (p *bufferPool) Get(n int) *[]byte {
	i, _ := slices.BinarySearch(p.sizes, n)
	if i == len(p.sizes) {
		b := make([]byte, n)
		return &b
	}
	b, ok := p.pools[i].Get().(*[]byte)
	if !ok {
		fresh := make([]byte, p.sizes[i])
		b = &fresh
	}
	*b = (*b)[:n]
	return b
}

// Put takes a buffer back.
func (p *bufferPool) Put(b *[]byte) {
	if i, ok := slices.BinarySearch(p.sizes, cap(*b)); ok {
		p.pools[i].Put(b)
	}
}
