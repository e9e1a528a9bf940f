package clickhouse

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"log/slog"
	"time"
	"unsafe"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/spool"
)

// kindUnreadable marks what was in the spool but is no event of this version. It
// is kept as it is.
const kindUnreadable = "unreadable"

// blockBytes is how many bytes of rows go to ClickHouse at a time. Only these are
// unpacked, and stand in memory three times: as rows, as the client library's
// columns, and as what it sends. ClickHouse makes one part of a whole insert.
const blockBytes = 1 << 20

// writer turns pieces of the spool into rows of both tables, a block at a time.
// What rows need of memory it keeps for the next. It is not safe for concurrent
// use.
type writer struct {
	log     *slog.Logger
	batches event.BatchDecoder
	blocks  *event.BlockDecoder

	events   eventRows
	payloads payloadRows

	eventTable, payloadTable table
}

func newWriter(log *slog.Logger) (*writer, error) {
	blocks, err := event.NewBlockDecoder()
	if err != nil {
		return nil, err
	}
	return &writer{
		log: log, blocks: blocks,
		eventTable:   table{name: "events", columns: "event_id, writer, seq, ts, kind, session, operation, target, subject, canonical"},
		payloadTable: table{name: "payloads", columns: "ts, session, operation, target, stream, key, position, size, final, missing, sealed, writer, block, data"},
	}, nil
}

func (w *writer) close() { w.blocks.Close() }

// eventRows and payloadRows are rows by column, in the tables' order.
type eventRows struct {
	id, writer                  []uuid.UUID
	seq                         []uint64
	ts                          []time.Time
	kind, session, operation    []string
	target, subject, canonicals []string
}

type payloadRows struct {
	ts                                      []time.Time
	session, operation, target, stream, key []string
	position, size                          []uint64
	final                                   []bool
	missing                                 []uint64
	sealed                                  []bool
	writer                                  []uuid.UUID
	block                                   []uint64
	data                                    []string
}

// forget lets go of the rows.
func (w *writer) forget() {
	w.events.reset()
	w.payloads.reset()
	w.batches.Reset()
	w.blocks.Reset()
}

// tokenOf names a piece: the same for the same piece, and for no other. A
// message is known by its place in the spool, when it came there, and its writer,
// whose id is in its first bytes.
func tokenOf(messages []spool.Message) string {
	const ends = 64 // bytes
	digest := sha256.New()
	var place []byte
	for i := range messages {
		m := &messages[i]
		place = binary.BigEndian.AppendUint64(place[:0], m.Seq)
		place = binary.BigEndian.AppendUint64(place, uint64(m.Time.UnixNano()))
		place = binary.BigEndian.AppendUint64(place, uint64(len(m.Data)))
		place = append(place, m.Data[:min(ends, len(m.Data))]...)
		place = append(place, m.Data[max(0, len(m.Data)-ends):]...)
		_, _ = digest.Write(place) // a hash never fails
	}
	return hex.EncodeToString(digest.Sum(nil))
}

func (w *writer) batch(m *spool.Message) {
	batch, err := w.batches.Decode(m.Data)
	if err != nil {
		w.event(w.unreadable(m, m.Data, err), m.Data)
		return
	}
	_ = event.Lines(batch, func(canonical []byte) error {
		e, err := event.Scan(canonical)
		if err != nil {
			e = w.unreadable(m, canonical, err)
		}
		w.event(e, canonical)
		return nil
	})
}

func (w *writer) unreadable(m *spool.Message, data []byte, err error) *event.Event {
	w.log.Error("a message of the spool is no event; it is kept as it is", "seq", m.Seq, "err", err)
	return &event.Event{ID: uuid.NewSHA1(uuid.Nil, data), Time: m.Time, Kind: kindUnreadable}
}

func (w *writer) event(e *event.Event, canonical []byte) {
	r := &w.events
	r.id, r.writer = append(r.id, e.ID), append(r.writer, e.Writer)
	r.seq, r.ts = append(r.seq, e.Seq), append(r.ts, e.Time)
	r.kind, r.session, r.operation = append(r.kind, e.Kind), append(r.session, e.Session), append(r.operation, e.Operation)
	r.target, r.subject = append(r.target, e.Target), append(r.subject, e.Subject)
	r.canonicals = append(r.canonicals, text(canonical))
}

func (w *writer) block(m *spool.Message) {
	block, err := w.blocks.Decode(m.Data)
	if err != nil {
		w.log.Error("a message of the spool cannot be read; it is kept as it is", "seq", m.Seq, "lane", m.Lane, "err", err)
		block = &event.Block{Chunks: []event.Chunk{{Time: m.Time, Stream: kindUnreadable, Size: uint64(len(m.Data)), Data: m.Data}}}
	}
	r := &w.payloads
	for i := range block.Chunks {
		c := &block.Chunks[i]
		r.ts = append(r.ts, c.Time)
		r.session, r.operation, r.target = append(r.session, c.Session), append(r.operation, c.Operation), append(r.target, c.Target)
		r.stream, r.key = append(r.stream, c.Stream), append(r.key, c.Key)
		r.position, r.size = append(r.position, c.Offset), append(r.size, c.Size)
		r.final, r.missing, r.sealed = append(r.final, c.Final), append(r.missing, c.Missing), append(r.sealed, c.Sealed)
		r.writer, r.block = append(r.writer, block.Writer), append(r.block, block.Number)
		r.data = append(r.data, text(c.Data))
	}
}

// text is data as a string, which is not copied: data stays as it is until the
// piece is written.
func text(data []byte) string { return unsafe.String(unsafe.SliceData(data), len(data)) }

// write inserts a piece. Writing the same again changes nothing.
func (w *writer) write(ctx context.Context, conn driver.Conn, messages []spool.Message) error {
	token := tokenOf(messages)
	if err := w.insert(ctx, conn, &w.payloadTable, token, messages); err != nil {
		return err
	}
	return w.insert(ctx, conn, &w.eventTable, token, messages)
}

// insert inserts what a piece has for a table. Where a block ends depends on the
// messages alone, so that the same piece is the same blocks.
func (w *writer) insert(ctx context.Context, conn driver.Conn, t *table, token string, messages []spool.Message) error {
	defer w.forget()
	insert := t.begin(ctx, conn, token)
	size := 0
	for i := range messages {
		m := &messages[i]
		if (m.Lane == spool.Events) != (t == &w.eventTable) {
			continue
		}
		w.read(m)
		if size += unpackedSize(m); size >= blockBytes {
			if err := w.flush(insert); err != nil {
				return err
			}
			size = 0
		}
	}
	if err := w.flush(insert); err != nil {
		return err
	}
	return insert.end()
}

// read makes the rows of a message.
func (w *writer) read(m *spool.Message) {
	if m.Lane == spool.Events {
		w.batch(m)
	} else {
		w.block(m)
	}
}

func unpackedSize(m *spool.Message) int {
	if m.Lane == spool.Events {
		return event.BatchSize(m.Data)
	}
	return event.BlockSize(m.Data)
}

// flush sends the rows that were read, and forgets them.
func (w *writer) flush(i *insert) error {
	defer w.forget()
	switch {
	case len(w.events.ts) > 0:
		return w.events.send(i)
	case len(w.payloads.ts) > 0:
		return w.payloads.send(i)
	}
	return nil
}

func (r *eventRows) send(i *insert) error {
	fill(i, r.id)
	fill(i, r.writer)
	fill(i, r.seq)
	fill(i, r.ts)
	fill(i, r.kind)
	fill(i, r.session)
	fill(i, r.operation)
	fill(i, r.target)
	fill(i, r.subject)
	fill(i, r.canonicals)
	return i.flush()
}

func (r *payloadRows) send(i *insert) error {
	fill(i, r.ts)
	fill(i, r.session)
	fill(i, r.operation)
	fill(i, r.target)
	fill(i, r.stream)
	fill(i, r.key)
	fill(i, r.position)
	fill(i, r.size)
	fill(i, r.final)
	fill(i, r.missing)
	fill(i, r.sealed)
	fill(i, r.writer)
	fill(i, r.block)
	fill(i, r.data)
	return i.flush()
}

// reset forgets the rows, and lets go of the bytes that they stood in.
func (r *eventRows) reset() {
	clear(r.canonicals)
	*r = eventRows{
		id: r.id[:0], writer: r.writer[:0], seq: r.seq[:0], ts: r.ts[:0], kind: r.kind[:0], session: r.session[:0],
		operation: r.operation[:0], target: r.target[:0], subject: r.subject[:0], canonicals: r.canonicals[:0],
	}
}

func (r *payloadRows) reset() {
	clear(r.data)
	*r = payloadRows{
		ts: r.ts[:0], session: r.session[:0], operation: r.operation[:0], target: r.target[:0], stream: r.stream[:0], key: r.key[:0],
		position: r.position[:0], size: r.size[:0], final: r.final[:0], missing: r.missing[:0], sealed: r.sealed[:0],
		writer: r.writer[:0], block: r.block[:0], data: r.data[:0],
	}
}
