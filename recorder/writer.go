package recorder

import (
	"context"
	"errors"
	"log/slog"

	"github.com/google/uuid"

	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/spool"
)

// maxBatch bounds one batch of events in bytes.
const maxBatch = 512 << 10

// writer numbers events, chains their hashes and appends them to the spool. Its
// id is new at each start, and after an append of which nobody knows whether it
// was kept: so every writer's numbers are without a gap in any case.
type writer struct {
	spool   Spool
	metrics *metrics
	log     *slog.Logger
	limit   int64
	blocks  event.BlockEncoder

	id    uuid.UUID
	seq   uint64     // of the last event
	prev  event.Hash // of the last event
	block uint64     // of the last block of cut texts
	buf   []byte
	hash  *event.Hasher
}

func newWriter(s Spool, m *metrics, log *slog.Logger) *writer {
	return &writer{
		spool: s, metrics: m, log: log, id: uuid.New(),
		limit: int64(min(maxBatch, s.MaxMessage()/2)), hash: event.NewHasher(),
	}
}

// write appends a batch, all of it or nothing, and has it on disk where durable.
func (w *writer) write(ctx context.Context, batch []*pending, durable bool) error {
	for _, p := range batch {
		if err := w.writeCuts(ctx, p); err != nil {
			return err
		}
	}
	seq, prev := w.seq, w.prev
	w.buf = w.buf[:0]
	for _, p := range batch {
		seq++
		p.event.Writer, p.event.Seq, p.event.Prev = w.id, seq, prev
		start := len(w.buf)
		w.buf = p.event.AppendCanonical(w.buf)
		prev = w.hash.Leaf(w.buf[start:])
		w.buf = append(w.buf, event.LineEnd)
	}
	keep := w.spool.Put
	if durable {
		keep = w.spool.Append
	}
	if err := w.kept(keep(ctx, spool.Events, w.buf)); err != nil {
		return err
	}
	w.seq, w.prev = seq, prev
	return nil
}

// writeCuts appends the texts that were too large for an event, before it.
func (w *writer) writeCuts(ctx context.Context, p *pending) error {
	for _, c := range p.cuts {
		for offset := 0; offset < len(c.Text); {
			piece := c.Text[offset:min(len(c.Text), offset+int(w.limit))]
			b := &event.Block{Writer: w.id, Number: w.block + 1, Chunks: []event.Chunk{{
				Session: p.event.Session, Operation: p.event.Operation, Target: p.event.Target,
				Stream: event.CutStream, Key: c.Digest, Time: p.event.Time,
				Offset: uint64(offset), Size: uint64(len(piece)), Final: offset+len(piece) == len(c.Text), Data: []byte(piece),
			}}}
			if err := w.kept(w.spool.Append(ctx, spool.Cuts, w.blocks.Encode(b))); err != nil {
				return err
			}
			w.block++
			offset += len(piece)
		}
	}
	return nil
}

// kept makes a new writer where err leaves open what the spool has.
func (w *writer) kept(err error) error {
	if err == nil || errors.Is(err, spool.ErrFull) || errors.Is(err, spool.ErrRefused) {
		return err
	}
	old := w.id
	w.id, w.seq, w.prev, w.block = uuid.New(), 0, event.Hash{}, 0
	w.log.Warn("the spool may or may not have kept the last events: a new writer goes on", "writer", old, "next", w.id)
	return err
}
