package event

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"
)

func newCodec(t testing.TB) (*BlockEncoder, *BlockDecoder) {
	t.Helper()
	dec, err := NewBlockDecoder()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dec.Close)
	return &BlockEncoder{}, dec
}

func drawBlock(t *rapid.T) *Block {
	text := rapid.StringN(0, 12, -1)
	b := &Block{Writer: uuid.New(), Number: rapid.Uint64().Draw(t, "number")}
	for range rapid.IntRange(1, 6).Draw(t, "chunks") {
		b.Chunks = append(b.Chunks, Chunk{
			Session: text.Draw(t, "session"), Operation: text.Draw(t, "operation"), Target: text.Draw(t, "target"),
			Stream: text.Draw(t, "stream"), Key: text.Draw(t, "key"),
			Time:   time.UnixMicro(rapid.Int64().Draw(t, "time")).UTC(),
			Offset: rapid.Uint64().Draw(t, "offset"), Size: rapid.Uint64().Draw(t, "size"), Missing: rapid.Uint64().Draw(t, "missing"),
			Final: rapid.Bool().Draw(t, "final"), Sealed: rapid.Bool().Draw(t, "sealed"),
			Data: rapid.SliceOf(rapid.Byte()).Draw(t, "data"),
		})
	}
	return b
}

func TestBlockRoundTrip(t *testing.T) {
	enc, dec := newCodec(t)
	rapid.Check(t, func(t *rapid.T) {
		b := drawBlock(t)
		back, err := dec.Decode(enc.Encode(b))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b, back, cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}

// A block in a spool of an earlier version is read as well.
func TestBlockOfAnEarlierVersion(t *testing.T) {
	enc, dec := newCodec(t)
	b := &Block{Writer: uuid.New(), Number: 1, Chunks: []Chunk{{Session: "s", Stream: "response", Time: time.UnixMicro(1).UTC(), Data: []byte("row"), Size: 3}}}
	enc.Encode(b)
	pack, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	earlier := pack.EncodeAll(enc.raw, append(append([]byte{blockZstd}, b.Writer[:]...), 1))
	back, err := dec.Decode(earlier)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(b, back, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestBlockCutShortIsAnError(t *testing.T) {
	enc, dec := newCodec(t)
	packed := enc.Encode(&Block{Writer: uuid.New(), Number: 300, Chunks: []Chunk{
		{Session: "s", Stream: "response", Data: bytes.Repeat([]byte("row "), 100), Size: 400},
		{Session: "s", Stream: "response", Data: []byte("end"), Size: 3, Offset: 400, Final: true},
	}})
	for n := range len(packed) {
		if _, err := dec.Decode(packed[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were accepted", n, len(packed))
		}
	}
}

func FuzzDecodeBlock(f *testing.F) {
	enc, dec := newCodec(f)
	f.Add(enc.Encode(&Block{Writer: uuid.New(), Number: 1, Chunks: []Chunk{{Session: "s", Stream: "request", Data: []byte("Q"), Size: 1}}}))
	f.Add(enc.Encode(&Block{Chunks: make([]Chunk, 2)}))
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, raw []byte) {
		defer dec.Reset()
		b, err := dec.Decode(raw)
		if err != nil {
			return
		}
		again, err := dec.Decode(enc.Encode(b))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b, again, cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
	})
}
