package clickhouse

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/spool"
)

// batch is what one piece of the spool becomes: rows of both tables.
type batch struct {
	events   []row
	payloads []*event.Block
	token    string // the same for the same piece, and for no other
	bytes    int
}

type row struct {
	*event.Event
	canonical []byte
}

// kindUnreadable marks what was in the spool but is no event of this version. It
// is kept as it is.
const kindUnreadable = "unreadable"

func newBatch(messages []spool.Message, log *slog.Logger) (*batch, error) {
	b := &batch{}
	blocks, err := event.NewBlockDecoder()
	if err != nil {
		return nil, err
	}
	defer blocks.Close()
	digest := sha256.New()
	for _, m := range messages {
		_, _ = digest.Write(m.Data) // a hash never fails
		b.bytes += len(m.Data)
		if m.Lane == spool.Events {
			if err := b.addEvents(&m, log); err != nil {
				return nil, err
			}
			continue
		}
		block, err := blocks.Decode(m.Data)
		if err != nil {
			log.Error("a message of the spool cannot be read; it is kept as it is", "seq", m.Seq, "lane", m.Lane, "err", err)
			block = &event.Block{Chunks: []event.Chunk{{Time: m.Time, Stream: kindUnreadable, Size: uint64(len(m.Data)), Data: m.Data}}}
		}
		b.payloads = append(b.payloads, block)
	}
	b.token = hex.EncodeToString(digest.Sum(nil))
	return b, nil
}

func (b *batch) addEvents(m *spool.Message, log *slog.Logger) error {
	return event.Lines(m.Data, func(canonical []byte) error {
		e, err := event.Scan(canonical)
		if err != nil {
			log.Error("a message of the spool is no event; it is kept as it is", "seq", m.Seq, "err", err)
			e = &event.Event{ID: uuid.NewSHA1(uuid.Nil, canonical), Time: m.Time, Kind: kindUnreadable}
		}
		b.events = append(b.events, row{e, canonical})
		return nil
	})
}

// write inserts the rows. Writing the same batch again changes nothing.
func (b *batch) write(ctx context.Context, conn driver.Conn) error {
	if len(b.payloads) > 0 {
		if err := b.writePayloads(b.deduplicated(ctx, "payloads"), conn); err != nil {
			return fmt.Errorf("payloads: %w", err)
		}
	}
	if len(b.events) > 0 {
		if err := b.writeEvents(b.deduplicated(ctx, "events"), conn); err != nil {
			return fmt.Errorf("events: %w", err)
		}
	}
	return nil
}

// deduplicated makes an insert of one block that ClickHouse recognises when it
// comes again, and that is done when it returns.
func (b *batch) deduplicated(ctx context.Context, table string) context.Context {
	return clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"insert_deduplicate": 1, "insert_deduplication_token": table + "-" + b.token, "async_insert": 0,
	}))
}

func (b *batch) writeEvents(ctx context.Context, conn driver.Conn) error {
	in, err := conn.PrepareBatch(ctx, "INSERT INTO weir.events (event_id, writer, seq, ts, kind, session, operation, target, subject, canonical)")
	if err != nil {
		return err
	}
	defer in.Close()
	c := columns{batch: in}
	add(&c, b.events, func(r row) uuid.UUID { return r.ID })
	add(&c, b.events, func(r row) uuid.UUID { return r.Writer })
	add(&c, b.events, func(r row) uint64 { return r.Seq })
	add(&c, b.events, func(r row) time.Time { return r.Time })
	for _, text := range []func(row) string{
		func(r row) string { return r.Kind }, func(r row) string { return r.Session }, func(r row) string { return r.Operation },
		func(r row) string { return r.Target }, func(r row) string { return r.Subject }, func(r row) string { return string(r.canonical) },
	} {
		add(&c, b.events, text)
	}
	if c.err != nil {
		return c.err
	}
	return in.Send()
}

// columns fills a batch column by column, which spares a look at each value's
// type. err is the first error.
type columns struct {
	batch driver.Batch
	next  int
	err   error
}

func add[R, V any](c *columns, rows []R, value func(R) V) {
	values := make([]V, len(rows))
	for i, r := range rows {
		values[i] = value(r)
	}
	if c.err == nil {
		c.err = c.batch.Column(c.next).Append(values)
	}
	c.next++
}

func (b *batch) writePayloads(ctx context.Context, conn driver.Conn) error {
	in, err := conn.PrepareBatch(ctx, "INSERT INTO weir.payloads (ts, session, operation, target, stream, key, position, size, final, missing, sealed, writer, block, data)")
	if err != nil {
		return err
	}
	defer in.Close()
	for _, block := range b.payloads {
		for _, c := range block.Chunks {
			if err := in.Append(c.Time, c.Session, c.Operation, c.Target, c.Stream, c.Key, c.Offset, c.Size, c.Final, c.Missing, c.Sealed, block.Writer, block.Number, string(c.Data)); err != nil {
				return err
			}
		}
	}
	return in.Send()
}
