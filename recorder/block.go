package recorder

import (
	"time"

	"github.com/google/uuid"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/seal"
)

const (
	blockSize = 1 << 20 // bytes of a block before it is packed
	chunkCost = 160     // bytes that a chunk's names take, about
)

// block gathers bytes of many operations.
type block struct {
	bytes  []byte // capacity is fixed
	chunks []*chunk
	cost   int
}

// chunk is what a block holds of one stream of one operation.
type chunk struct {
	event.Chunk
	pieces [][2]int  // of the block's bytes, in order
	key    *seal.Key // seals it; nil for what is kept in clear
	owner  *block
}

func newBlock(size int) *block { return &block{bytes: make([]byte, 0, size)} }

func (b *block) empty() bool { return len(b.chunks) == 0 }

func (b *block) isFull() bool { return len(b.bytes)+b.cost >= cap(b.bytes) }

// append copies as much of data as there is room for, at least one byte.
func (b *block) append(st *stream, in *gate.Payload, data []byte) int {
	c := st.chunk
	if c == nil || c.owner != b {
		c = st.begin(in.Session, in.Operation, in.Target, in.Stream)
		b.add(c)
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

func (b *block) add(c *chunk) {
	c.owner = b
	b.chunks = append(b.chunks, c)
	b.cost += chunkCost + len(c.Data)
}

// pack turns the block into what is written. Originals are sealed here.
func (b *block) pack(writer uuid.UUID, number uint64) *event.Block {
	out := &event.Block{Writer: writer, Number: number, Chunks: make([]event.Chunk, 0, len(b.chunks))}
	for _, c := range b.chunks {
		if c.Data == nil {
			c.Data = b.join(c.pieces)
		}
		if c.key != nil {
			c.Data = c.key.Seal(seal.Position{Session: c.Session, Operation: c.Operation, Offset: c.Offset, Final: c.Final}, c.Data)
			c.Sealed, c.Key = true, c.key.ID
		}
		out.Chunks = append(out.Chunks, c.Chunk)
	}
	return out
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

// disown makes streams begin a new chunk although this block comes back empty.
func (b *block) disown() {
	for _, c := range b.chunks {
		c.owner = nil
	}
}

// reset empties the block; nothing of what it held stays in memory.
func (b *block) reset() {
	clear(b.bytes)
	clear(b.chunks)
	b.bytes, b.chunks, b.cost = b.bytes[:0], b.chunks[:0], 0
}

// stream is how far one stream of an operation has been taken.
type stream struct {
	offset  uint64 // bytes kept
	missing uint64 // bytes counted only
	chunk   *chunk // the last
	key     *seal.Key
}

// begin starts a new chunk of the stream.
func (st *stream) begin(session, operation, target string, name gate.Stream) *chunk {
	st.chunk = &chunk{key: st.key, Chunk: event.Chunk{
		Session: session, Operation: operation, Target: target, Stream: string(name),
		Time: time.Now(), Offset: st.offset,
	}}
	return st.chunk
}
