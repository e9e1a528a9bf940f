package recorder

import (
	"slices"
	"time"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/seal"
)

const (
	blockSize = 1 << 20 // bytes of a block before it is packed
	chunkCost = 160     // bytes that a chunk's names take, about
)

// block gathers bytes of many operations. Its memory serves again once it is
// emptied.
type block struct {
	bytes  []byte // capacity is fixed
	chunks []chunk
	cost   int
	round  uint64 // how often it was emptied
}

// chunk is what a block holds of one stream of one operation.
type chunk struct {
	event.Chunk
	pieces [][2]int  // of the block's bytes, in order
	key    *seal.Key // seals it; nil for what is kept in clear
}

func newBlock(size int) *block { return &block{bytes: make([]byte, 0, size)} }

func (b *block) empty() bool { return len(b.chunks) == 0 }

func (b *block) isFull() bool { return len(b.bytes)+b.cost >= cap(b.bytes) }

// append copies as much of data as there is room for, at least one byte.
func (b *block) append(st *stream, in *gate.Payload, data []byte) int {
	c := b.lastOf(st)
	if c == nil {
		c = b.add(&event.Chunk{
			Session: in.Session, Operation: in.Operation, Target: in.Target, Stream: string(in.Stream), Time: time.Now(), Offset: st.offset,
		})
		c.key = st.key
		st.last = b.lastPlace()
	}
	n := min(len(data), max(1, cap(b.bytes)-len(b.bytes)-b.cost))
	start := len(b.bytes)
	b.bytes = append(b.bytes, data[:n]...)
	if last := len(c.pieces) - 1; last >= 0 && c.pieces[last][1] == start {
		c.pieces[last][1] += n
	} else {
		c.pieces = append(c.pieces, [2]int{start, start + n})
	}
	c.Size += uint64(n)
	st.offset += uint64(n)
	return n
}

// add begins a chunk. It is good until the next one begins.
func (b *block) add(e *event.Chunk) *chunk {
	n := len(b.chunks)
	b.chunks = slices.Grow(b.chunks, 1)[:n+1]
	c := &b.chunks[n]
	c.Chunk, c.pieces, c.key = *e, c.pieces[:0], nil
	b.cost += chunkCost + len(c.Data)
	return c
}

// pack turns the block into what is written, in the memory of the last time.
// Originals are sealed here.
func (b *block) pack(out *event.Block) {
	out.Chunks = slices.Grow(out.Chunks[:0], len(b.chunks))
	for i := range b.chunks {
		c := &b.chunks[i]
		if c.Data == nil {
			c.Data = b.join(c.pieces)
		}
		if c.key != nil {
			c.Data = c.key.Seal(seal.Position{Session: c.Session, Operation: c.Operation, Offset: c.Offset, Final: c.Final}, c.Data)
			c.Sealed, c.Key = true, c.key.ID
		}
		out.Chunks = append(out.Chunks, c.Chunk)
	}
}

func (b *block) join(pieces [][2]int) []byte {
	if len(pieces) == 1 {
		return b.bytes[pieces[0][0]:pieces[0][1]]
	}
	var out []byte
	for _, p := range pieces {
		out = append(out, b.bytes[p[0]:p[1]]...)
	}
	return out
}

// maxPieces bounds what a chunk leaves behind for the next.
const maxPieces = 16

// reset empties the block; nothing of what it held stays in memory.
func (b *block) reset() {
	clear(b.bytes)
	for i := range b.chunks {
		c := &b.chunks[i]
		if *c = (chunk{pieces: c.pieces[:0]}); cap(c.pieces) > maxPieces {
			c.pieces = nil
		}
	}
	b.bytes, b.chunks, b.cost = b.bytes[:0], b.chunks[:0], 0
	b.round++
}

// place is where the last chunk of a stream stands: good as long as its block has
// not been emptied.
type place struct {
	block *block
	round uint64
	index int
}

// lastPlace is that of the chunk that was added last.
func (b *block) lastPlace() place { return place{block: b, round: b.round, index: len(b.chunks) - 1} }

// lastOf is the last chunk of a stream, nil where this block, or no block, does not
// hold it.
func (b *block) lastOf(st *stream) *chunk {
	if b == nil || st.last.block != b || st.last.round != b.round {
		return nil
	}
	return &b.chunks[st.last.index]
}

// stream is how far one stream of an operation has been taken.
type stream struct {
	begun   bool
	offset  uint64 // bytes kept
	missing uint64 // bytes counted only
	last    place
	key     *seal.Key
}
