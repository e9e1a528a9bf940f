package extproc

import "google.golang.org/grpc/mem"

// chunk is a part of a body as it lies in gRPC's buffers. Whoever holds it must
// free it.
type chunk struct {
	bufs mem.BufferSlice
	off  int // into the first buffer
	left int // bytes
}

// newChunk takes count bytes from start out of a message, without copying.
func newChunk(data mem.BufferSlice, start, count int) chunk {
	if count == 0 {
		return chunk{}
	}
	for start >= data[0].Len() {
		start -= data[0].Len()
		data = data[1:]
	}
	last, covered := 0, data[0].Len()-start
	for covered < count {
		last++
		covered += data[last].Len()
	}
	data = data[:last+1]
	data.Ref()
	return chunk{bufs: data, off: start, left: count}
}

func sliceChunk(b []byte) chunk {
	if len(b) == 0 {
		return chunk{}
	}
	return chunk{bufs: mem.BufferSlice{mem.SliceBuffer(b)}, left: len(b)}
}

// read copies from the front of the chunk and frees what is used up.
func (c *chunk) read(p []byte) int {
	n := 0
	for c.left > 0 && n < len(p) {
		data := c.bufs[0].ReadOnlyData()[c.off:]
		copied := copy(p[n:], data[:min(len(data), c.left)])
		n += copied
		c.off += copied
		c.left -= copied
		if copied == len(data) || c.left == 0 {
			c.bufs[0].Free()
			c.bufs = c.bufs[1:]
			c.off = 0
		}
	}
	return n
}

func (c *chunk) free() {
	c.bufs.Free()
	*c = chunk{}
}

// queue holds the chunks that arrived and were not read yet.
type queue struct {
	chunks []chunk
	head   int
	size   int // bytes
}

func (q *queue) push(c chunk) {
	if c.left == 0 {
		return
	}
	if q.head > len(q.chunks)/2 || q.head == len(q.chunks) {
		n := copy(q.chunks, q.chunks[q.head:])
		clear(q.chunks[n:])
		q.chunks, q.head = q.chunks[:n], 0
	}
	q.chunks = append(q.chunks, c)
	q.size += c.left
}

// count is how many chunks there are.
func (q *queue) count() int { return len(q.chunks) - q.head }

// read copies as much as there is, up to len(p).
func (q *queue) read(p []byte) int {
	n := 0
	for q.head < len(q.chunks) && n < len(p) {
		c := &q.chunks[q.head]
		n += c.read(p[n:])
		if c.left == 0 {
			*c = chunk{}
			q.head++
		}
	}
	q.size -= n
	return n
}

func (q *queue) clear() {
	for i := q.head; i < len(q.chunks); i++ {
		q.chunks[i].free()
	}
	*q = queue{}
}
