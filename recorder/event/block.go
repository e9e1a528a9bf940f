package event

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
)

// The streams of the recorder's own, beside those of package gate.
const (
	CutStream = "cut" // a text that was too large for its event; Key is its digest
	KeyStream = "key" // a session's data key, sealed; Key is its id
)

// Chunk is a piece of the protocol bytes of one operation.
type Chunk struct {
	Session   string
	Operation string
	Target    string
	Stream    string
	Key       string // sealed: which data key
	Time      time.Time
	Offset    uint64 // of the first byte within its stream
	Size      uint64 // bytes of the stream that it holds
	Final     bool   // nothing of this stream follows
	Missing   uint64 // bytes that were not kept after this chunk: past the cap
	Sealed    bool   // Data is encrypted
	Data      []byte
}

// Block is what payload travels in: chunks of many operations, packed
// together. A writer numbers its blocks 1, 2, 3, ….
type Block struct {
	Writer uuid.UUID
	Number uint64
	Chunks []Chunk
}

const (
	blockZstd   = 1 // the first byte, in spools of earlier versions (RFC 8878)
	blockS2     = 2
	chunkFinal  = 1
	chunkSealed = 2
)

// BlockEncoder packs blocks. It is not safe for concurrent use.
type BlockEncoder struct{ raw, packed []byte }

// Encode packs a block of at least one chunk. The result is good until the next
// call.
func (e *BlockEncoder) Encode(b *Block) []byte {
	e.raw = e.raw[:0]
	for i := range b.Chunks {
		e.raw = appendChunk(e.raw, &b.Chunks[i])
	}
	e.packed = append(append(e.packed[:0], blockS2), b.Writer[:]...)
	e.packed = binary.AppendUvarint(e.packed, b.Number)
	e.packed = appendPacked(e.packed, e.raw)
	return e.packed
}

func appendChunk(dst []byte, c *Chunk) []byte {
	var flags byte
	if c.Final {
		flags |= chunkFinal
	}
	if c.Sealed {
		flags |= chunkSealed
	}
	dst = append(dst, flags)
	for _, text := range [...]string{c.Session, c.Operation, c.Target, c.Stream, c.Key} {
		dst = append(binary.AppendUvarint(dst, uint64(len(text))), text...)
	}
	for _, n := range [...]uint64{uint64(c.Time.UnixMicro()), c.Offset, c.Size, c.Missing, uint64(len(c.Data))} {
		dst = binary.AppendUvarint(dst, n)
	}
	return append(dst, c.Data...)
}

// BlockDecoder unpacks blocks. It is not safe for concurrent use.
type BlockDecoder struct {
	zstd   *zstd.Decoder
	memory memory
	chunks []Chunk
}

// NewBlockDecoder makes a BlockDecoder.
func NewBlockDecoder() (*BlockDecoder, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked))
	if err != nil {
		return nil, err
	}
	return &BlockDecoder{zstd: dec}, nil
}

// Reset says that the blocks that were unpacked are no longer needed. Their
// memory serves those to come.
func (d *BlockDecoder) Reset() {
	d.memory.reset()
	clear(d.chunks)
	d.chunks = d.chunks[:0]
}

// BlockSize is how many bytes a packed block takes once it is unpacked.
func BlockSize(packed []byte) int {
	r := reader{rest: packed[min(len(packed), 1+len(uuid.UUID{})):]}
	_ = r.number()
	if len(packed) == 0 || packed[0] != blockS2 {
		return len(packed)
	}
	return unpackedSize(r.rest)
}

// Decode unpacks a block, which is good until Reset, its texts with it. It fails on what Encode did
// not write, and on more than 64 MiB.
func (d *BlockDecoder) Decode(packed []byte) (*Block, error) {
	if len(packed) < 1+len(uuid.UUID{}) {
		return nil, errors.New("payload block: cut short")
	}
	if packed[0] != blockZstd && packed[0] != blockS2 {
		return nil, fmt.Errorf("payload block: version %d is not known", packed[0])
	}
	b := &Block{}
	r := reader{rest: packed[1+copy(b.Writer[:], packed[1:]):]}
	b.Number = r.number()
	if r.failed {
		return nil, errors.New("payload block: bad number")
	}
	raw, err := d.unpack(packed[0], r.rest)
	if err != nil {
		return nil, fmt.Errorf("payload block: %w", err)
	}
	if len(raw) == 0 {
		return nil, errors.New("payload block: empty")
	}
	r.rest = raw
	first := len(d.chunks)
	for len(r.rest) > 0 {
		d.chunks = append(d.chunks, r.chunk())
		if r.failed {
			return nil, errors.New("payload block: cut short")
		}
	}
	b.Chunks = d.chunks[first:len(d.chunks):len(d.chunks)]
	return b, nil
}

func (d *BlockDecoder) unpack(version byte, packed []byte) ([]byte, error) {
	if version == blockZstd {
		return d.zstd.DecodeAll(packed, nil)
	}
	return d.memory.unpack(packed)
}

// reader reads the fields of chunks; failed is set at the first bad one.
type reader struct {
	rest   []byte
	failed bool
}

func (r *reader) chunk() Chunk {
	var c Chunk
	flags := r.bytes(1)
	if r.failed || flags[0]&^(chunkFinal|chunkSealed) != 0 {
		r.failed = true
		return c
	}
	c.Final, c.Sealed = flags[0]&chunkFinal != 0, flags[0]&chunkSealed != 0
	for _, text := range [...]*string{&c.Session, &c.Operation, &c.Target, &c.Stream, &c.Key} {
		*text = aliased(r.bytes(r.number()))
	}
	c.Time = time.UnixMicro(int64(r.number())).UTC()
	c.Offset, c.Size, c.Missing = r.number(), r.number(), r.number()
	c.Data = r.bytes(r.number())
	return c
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return nil
	}
	out := r.rest[:n:n]
	r.rest = r.rest[n:]
	return out
}

// Close frees what the decoder holds.
func (d *BlockDecoder) Close() { d.zstd.Close() }
