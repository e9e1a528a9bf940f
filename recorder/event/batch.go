package event

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"github.com/klauspost/compress/s2"
)

// A batch is how events travel through the log: one canonical event a line.
// A canonical event has no line feed in it, so the lines are the events' exact
// bytes. Events of one kind are much alike, so a batch is packed on its way.

// LineEnd stands after each event of a batch.
const LineEnd = '\n'

// AppendLine appends an event's canonical bytes to a batch.
func AppendLine(batch, canonical []byte) []byte {
	return append(append(batch, canonical...), LineEnd)
}

// Lines calls f with the canonical bytes of each event of a batch, in order,
// and stops at the first error.
func Lines(batch []byte, f func(canonical []byte) error) error {
	for line := range bytes.Lines(batch) {
		if err := f(bytes.TrimSuffix(line, []byte{LineEnd})); err != nil {
			return err
		}
	}
	return nil
}

const (
	batchPacked = 1 // the first byte; a batch that is not packed begins with '{'
	batchHead   = 1 + len(uuid.UUID{})
)

// PackBatch packs a batch (S2, a dialect of Snappy) into the memory of dst.
func PackBatch(dst []byte, writer uuid.UUID, batch []byte) []byte {
	dst = slices.Grow(dst[:0], batchHead+s2.MaxEncodedLen(len(batch)))
	dst = append(append(dst, batchPacked), writer[:]...)
	return dst[:batchHead+len(s2.Encode(dst[batchHead:cap(dst)], batch))]
}

// BatchSize is how many bytes a message's batch takes once it is unpacked.
func BatchSize(message []byte) int {
	if len(message) <= batchHead || message[0] != batchPacked {
		return len(message)
	}
	n, err := s2.DecodedLen(message[batchHead:])
	if err != nil || n > maxBlock {
		return len(message)
	}
	return max(n, len(message))
}

// BatchDecoder unpacks batches. It is not safe for concurrent use.
type BatchDecoder struct{ memory buffers }

// Reset says that the batches that were unpacked are no longer needed. Their
// memory serves those to come.
func (d *BatchDecoder) Reset() { d.memory.reset() }

// Decode returns the batch of a message, packed or not. It is good until Reset.
func (d *BatchDecoder) Decode(message []byte) ([]byte, error) {
	if len(message) == 0 || message[0] != batchPacked {
		return message, nil
	}
	if len(message) <= batchHead {
		return nil, errors.New("batch of events: cut short")
	}
	packed := message[batchHead:]
	n, err := s2.DecodedLen(packed)
	if err == nil && n > maxBlock {
		err = fmt.Errorf("%d bytes are more than a batch may have", n)
	}
	if err != nil {
		return nil, fmt.Errorf("batch of events: %w", err)
	}
	batch, err := s2.Decode(slices.Grow(d.memory.take(), n)[:n], packed)
	if err != nil {
		return nil, fmt.Errorf("batch of events: %w", err)
	}
	d.memory.keep(batch)
	return batch, nil
}

// keptBuffer bounds a piece of memory that is used again.
const keptBuffer = 2 << 20

// buffers are pieces of memory that are used again after reset.
type buffers struct {
	all  [][]byte
	used int
}

func (b *buffers) reset() { b.used = 0 }

// take gives memory, with nothing in it.
func (b *buffers) take() []byte {
	if b.used == len(b.all) {
		b.all = append(b.all, nil)
	}
	return b.all[b.used][:0]
}

// keep notes what became of the memory that was taken last. Until reset, nobody
// else gets it.
func (b *buffers) keep(buf []byte) {
	if cap(buf) <= keptBuffer {
		b.all[b.used] = buf
		b.used++
	}
}
