package event

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/google/uuid"
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

// PackBatch packs a batch into the memory of dst.
func PackBatch(dst []byte, writer uuid.UUID, batch []byte) []byte {
	dst = append(append(dst[:0], batchPacked), writer[:]...)
	return appendPacked(dst, batch)
}

// Joiner joins batches that follow each other into one message, packed. Its messages
// begin with an id that is its own.
func Joiner() func(batches ...[]byte) []byte {
	id := uuid.New()
	return func(batches ...[]byte) []byte {
		d := desks.Get().(*desk)
		defer d.leave()
		joined := batches[0]
		if len(batches) > 1 {
			d.joined = d.joined[:0]
			for _, b := range batches {
				d.joined = append(d.joined, b...)
			}
			joined = d.joined
		}
		d.packed = PackBatch(d.packed, id, joined)
		return bytes.Clone(d.packed) // a tenth of the room that packing takes
	}
}

// desk is where a message is joined and packed: room that the next message has too.
type desk struct{ joined, packed []byte }

var desks = sync.Pool{New: func() any { return new(desk) }}

// largestDesk is the room that is kept, in bytes. Messages are about half as large.
const largestDesk = 1 << 20

func (d *desk) leave() {
	if cap(d.joined)+cap(d.packed) <= 2*largestDesk {
		desks.Put(d)
	}
}

// BatchSize is how many bytes a message's batch takes once it is unpacked.
func BatchSize(message []byte) int {
	if len(message) <= batchHead || message[0] != batchPacked {
		return len(message)
	}
	return unpackedSize(message[batchHead:])
}

// BatchDecoder unpacks batches. It is not safe for concurrent use.
type BatchDecoder struct{ memory memory }

// Reset says that the batches that were unpacked are no longer needed. Their
// memory serves those to come.
func (d *BatchDecoder) Reset() { d.memory.reset() }

// Decode returns the batch of a message, packed or not. It is good until Reset.
// It fails on what PackBatch did not write, and on more than 64 MiB.
func (d *BatchDecoder) Decode(message []byte) ([]byte, error) {
	if len(message) == 0 || message[0] != batchPacked {
		return message, nil
	}
	if len(message) <= batchHead {
		return nil, errors.New("batch of events: cut short")
	}
	batch, err := d.memory.unpack(message[batchHead:])
	if err != nil {
		return nil, fmt.Errorf("batch of events: %w", err)
	}
	return batch, nil
}
