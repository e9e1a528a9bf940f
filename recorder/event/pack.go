package event

import (
	"fmt"
	"slices"
	"unsafe"

	"github.com/klauspost/compress/s2"
)

// What goes through the log is packed with S2 (a dialect of Snappy): it takes
// less than half of zstd's time to write and a third to read, and ClickHouse packs
// again, better.

// maxUnpacked bounds what is unpacked at once.
const maxUnpacked = 64 << 20

func appendPacked(dst, data []byte) []byte {
	n := len(dst)
	dst = slices.Grow(dst, s2.MaxEncodedLen(len(data)))
	return dst[:n+len(s2.Encode(dst[n:cap(dst)], data))]
}

// unpackedSize is how many bytes a piece of the log takes, unpacked.
func unpackedSize(packed []byte) int {
	n, err := s2.DecodedLen(packed)
	if err != nil || n > maxUnpacked {
		return len(packed) // it cannot be read: it is kept as it is
	}
	return max(n, len(packed))
}

// slabSize is how much memory is taken at once: two full blocks of payload, or a
// good deal of batches.
const slabSize = 2<<20 + 64<<10

// memory is where pieces are unpacked, one after the other, in slabs that are used
// again after reset. It is as large as what was ever unpacked between two resets.
type memory struct {
	slabs [][]byte
	full  int // slabs
	used  int // bytes of the next
}

func (m *memory) reset() { m.full, m.used = 0, 0 }

// take gives n bytes, which are nobody else's until reset.
func (m *memory) take(n int) []byte {
	if n > slabSize {
		return make([]byte, n) // rare: not kept
	}
	if m.used+n > slabSize {
		m.full, m.used = m.full+1, 0
	}
	if m.full == len(m.slabs) {
		m.slabs = append(m.slabs, make([]byte, slabSize))
	}
	m.used += n
	return m.slabs[m.full][m.used-n : m.used : m.used]
}

// unpack unpacks into such memory.
func (m *memory) unpack(packed []byte) ([]byte, error) {
	n, err := s2.DecodedLen(packed)
	if err != nil {
		return nil, err
	}
	if n > maxUnpacked {
		return nil, fmt.Errorf("%d bytes are more than there may be", n)
	}
	return s2.Decode(m.take(n), packed)
}

// aliased is data as a string that is not copied: good for as long as data is.
func aliased(data []byte) string { return unsafe.String(unsafe.SliceData(data), len(data)) }
