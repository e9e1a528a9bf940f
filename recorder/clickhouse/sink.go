package clickhouse

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-gateway/weir/recorder/spool"
)

// Queue is the spool's side of the sink (spool.Queue).
type Queue interface {
	Lead(ctx context.Context) (leading context.Context, resign func(), err error)
	Cursor(ctx context.Context) (spool.Cursor, error)
	SetCursor(ctx context.Context, c spool.Cursor) (spool.Cursor, error)
	Read(ctx context.Context, after uint64) (*spool.Reader, error)
	Release(ctx context.Context, upTo uint64) error
	Backlog(ctx context.Context) (spool.Backlog, error)
}

// Config says how evidence is brought over.
type Config struct {
	Options *clickhouse.Options // how the writer connects
	Schema  Schema
	// MaxMessages, MaxBytes and MaxUnpacked bound one piece: messages, their bytes,
	// which are held in memory, and their bytes once they are unpacked, which
	// ClickHouse holds until it makes a part of them. 2,000, 4 MiB and 32 MiB when 0.
	MaxMessages int
	MaxBytes    int
	MaxUnpacked int
	// Linger is how long a piece waits for more: each insert costs ClickHouse
	// more than its rows do. 500 ms when 0.
	Linger     time.Duration
	Registerer prometheus.Registerer
}

// Sink brings everything from the spool to ClickHouse, in pieces, each exactly
// once: what a piece holds is stored as a plan before it is written, and a piece
// that may have been written already is written again as exactly the same, which
// ClickHouse recognises and drops.
type Sink struct {
	cfg     Config
	queues  map[string]Queue
	log     *slog.Logger
	metrics *sinkMetrics

	mu      sync.Mutex
	failure error // of the last attempt, nil while it works
}

// NewSink makes a Sink of the two queues.
func NewSink(cfg Config, events, payloads Queue, log *slog.Logger) (*Sink, error) {
	if cfg.Options == nil || events == nil || payloads == nil {
		return nil, errors.New("clickhouse: options and both queues are required")
	}
	if cfg.MaxMessages == 0 {
		cfg.MaxMessages = 2000
	}
	if cfg.MaxBytes == 0 {
		cfg.MaxBytes = 4 << 20
	}
	if cfg.MaxUnpacked == 0 {
		cfg.MaxUnpacked = 32 << 20
	}
	if cfg.Linger == 0 {
		cfg.Linger = 500 * time.Millisecond
	}
	s := &Sink{cfg: cfg, queues: map[string]Queue{"events": events, "payloads": payloads}, log: log, failure: errors.New("it has not been reached yet")}
	var err error
	if s.metrics, err = newSinkMetrics(cfg.Registerer, s.queues); err != nil {
		return nil, fmt.Errorf("clickhouse: %w", err)
	}
	return s, nil
}

// Err says why nothing is written right now, nil while it is.
func (s *Sink) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failure
}

// Settle waits until the spool is empty, ClickHouse is away, or ctx ends.
func (s *Sink) Settle(ctx context.Context) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for s.Err() == nil && !s.empty(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Sink) empty(ctx context.Context) bool {
	for _, q := range s.queues {
		if b, err := q.Backlog(ctx); err != nil || b.Last >= b.First || b.Bytes > 0 {
			return false
		}
	}
	return true
}

// report notes how the last attempt fared, and logs when that changes.
func (s *Sink) report(ctx context.Context, err error) {
	s.mu.Lock()
	before := s.failure
	s.failure = err
	s.mu.Unlock()
	switch {
	case err != nil:
		s.metrics.errors.Inc()
		if before == nil || before.Error() != err.Error() {
			s.log.WarnContext(ctx, "evidence does not reach ClickHouse; the spool keeps it", "err", err)
		}
	case before != nil:
		s.log.InfoContext(ctx, "evidence reaches ClickHouse")
	}
}

// Run brings evidence over until ctx ends. While ClickHouse is away it waits.
func (s *Sink) Run(ctx context.Context) error {
	if err := s.prepare(ctx); err != nil {
		return nil //nolint:nilerr // ctx ended: nothing else ends the attempts
	}
	var both sync.WaitGroup
	for name, q := range s.queues {
		both.Go(func() { s.drain(ctx, name, q) })
	}
	both.Wait()
	return nil
}

// prepare makes the schema as soon as ClickHouse is there.
func (s *Sink) prepare(ctx context.Context) error {
	return s.insist(ctx, func() error { return s.cfg.Schema.Migrate(ctx, s.cfg.Options) })
}

// insist tries until it works or ctx ends.
func (s *Sink) insist(ctx context.Context, try func() error) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		err := try()
		if ctx.Err() == nil {
			s.report(ctx, err)
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(0), backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 200 * time.Millisecond, Multiplier: 2, MaxInterval: 10 * time.Second, RandomizationFactor: 0.2,
	}))
	return err
}

// drain reads one queue for as long as this gateway is the one that does.
func (s *Sink) drain(ctx context.Context, name string, q Queue) {
	for ctx.Err() == nil {
		err := s.lead(ctx, name, q)
		if ctx.Err() != nil {
			return
		}
		s.log.WarnContext(ctx, "reading the spool is begun anew", "queue", name, "err", err)
		select {
		case <-ctx.Done():
		case <-time.After(time.Second):
		}
	}
}

func (s *Sink) lead(ctx context.Context, name string, q Queue) error {
	leading, resign, err := q.Lead(ctx)
	if err != nil {
		return err
	}
	defer resign()
	conn, err := clickhouse.Open(interruptible(leading, s.cfg.Options))
	if err != nil {
		return err
	}
	defer conn.Close()
	cursor, err := q.Cursor(leading)
	if err != nil {
		return err
	}
	reader, err := q.Read(leading, cursor.Done)
	if err != nil {
		return err
	}
	defer reader.Stop()
	w, err := newWriter(s.log)
	if err != nil {
		return err
	}
	defer w.close()
	t := &transfer{sink: s, name: name, queue: q, reader: reader, conn: conn, writer: w, cursor: cursor}
	for {
		if err := t.piece(leading); err != nil {
			return err
		}
	}
}

// interruptible is o with connections that close when ctx ends: the client library
// sends a block without looking at a context.
func interruptible(ctx context.Context, o *clickhouse.Options) *clickhouse.Options {
	out := *o
	out.DialContext = func(dialing context.Context, address string) (net.Conn, error) {
		conn, err := dial(dialing, o, address)
		if err == nil {
			context.AfterFunc(ctx, func() { _ = conn.Close() })
		}
		return conn, err
	}
	return &out
}

// dial is what the client library does.
func dial(ctx context.Context, o *clickhouse.Options, address string) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: o.DialTimeout}
	switch {
	case o.DialContext != nil:
		return o.DialContext(ctx, address)
	case o.TLS != nil:
		return (&tls.Dialer{NetDialer: dialer, Config: o.TLS}).DialContext(ctx, "tcp", address)
	default:
		return dialer.DialContext(ctx, "tcp", address)
	}
}

// transfer is one reader at work.
type transfer struct {
	sink   *Sink
	name   string
	queue  Queue
	reader *spool.Reader
	conn   driver.Conn
	writer *writer
	cursor spool.Cursor
	ahead  *spool.Message // read, but for the next piece
}

// piece brings one piece over.
func (t *transfer) piece(ctx context.Context) error {
	messages, err := t.gather(ctx)
	if err != nil {
		return err
	}
	last := messages[len(messages)-1].Seq
	if t.cursor.Plan != last {
		t.cursor.Plan = last
		if t.cursor, err = t.queue.SetCursor(ctx, t.cursor); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := t.sink.insist(ctx, func() error { return t.writer.write(ctx, t.conn, messages) }); err != nil {
		return err
	}
	t.sink.metrics.wrote(t.name, messages, time.Since(began))
	t.cursor.Done = last
	if t.cursor, err = t.queue.SetCursor(ctx, t.cursor); err != nil {
		return err
	}
	return t.queue.Release(ctx, last)
}

// gather reads the messages of the next piece: those that were planned already,
// or as many as are there.
func (t *transfer) gather(ctx context.Context) ([]spool.Message, error) {
	planned := t.cursor.Plan > t.cursor.Done
	var out []spool.Message
	size, unpacked := 0, 0
	limit := ctx
	for {
		m, err := t.next(limit)
		if err != nil {
			if ctx.Err() == nil && limit.Err() != nil && len(out) > 0 {
				return out, nil // nothing more came in time
			}
			return nil, err
		}
		if planned && m.Seq > t.cursor.Plan { // the plan's last messages are gone
			t.ahead = &m
			if len(out) > 0 {
				return out, nil
			}
			planned = false
			continue
		}
		out = append(out, m)
		size += len(m.Data)
		unpacked += unpackedSize(&m)
		switch {
		case planned && m.Seq == t.cursor.Plan:
			return out, nil
		case planned:
		case len(out) >= t.sink.cfg.MaxMessages || size >= t.sink.cfg.MaxBytes || unpacked >= t.sink.cfg.MaxUnpacked:
			return out, nil
		case len(out) == 1:
			var cancel context.CancelFunc
			limit, cancel = context.WithTimeout(ctx, t.sink.cfg.Linger)
			defer cancel()
		}
	}
}

func (t *transfer) next(ctx context.Context) (spool.Message, error) {
	if t.ahead != nil {
		m := *t.ahead
		t.ahead = nil
		return m, nil
	}
	return t.reader.Next(ctx)
}
