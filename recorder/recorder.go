// Package recorder keeps the evidence: it gives each event its id, its writer
// and a number without a gap, makes its canonical bytes once, chains their
// hashes, and has them on disk before an operation goes on. Concurrent events
// share one write to the disk (group commit). Protocol bytes travel beside
// them, compressed, and sealed where a mask replaced them.
//
// It knows neither how a decision came about nor where the evidence ends up.
package recorder

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-gateway/weir/internal/canonical"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/seal"
	"github.com/weir-gateway/weir/recorder/spool"
)

// Config tunes a Recorder. The zero value is a good one, without auditors.
type Config struct {
	// Auditors are the age recipients (age1…) that can open the originals which
	// masks replaced. Without any, originals are not kept.
	Auditors []string
	// MaxEvent bounds an event's body in bytes. The large texts of a larger one
	// are kept beside it and stand in it as a digest. Default: 256 KiB.
	MaxEvent int
	// MaxPayload bounds the protocol bytes kept of one operation in each stream.
	// Past it they are only counted. Default: 64 MiB.
	MaxPayload int64
	// MaxPending bounds the bytes of events that wait to be written. Past it
	// callers wait. Default: 32 MiB.
	MaxPending int64
	// Linger is how long an event that nobody waits for may wait for company.
	// Default: 5 ms.
	Linger time.Duration
	// PayloadAge is how long protocol bytes may wait for company. Default: 100 ms.
	PayloadAge time.Duration
	// Metrics, where set, is where the recorder's metrics are registered.
	Metrics prometheus.Registerer

	// retry is the first pause before a failed write is tried again.
	retry time.Duration
}

func (c *Config) defaults() {
	set(&c.MaxEvent, 256<<10)
	set(&c.MaxPayload, 64<<20)
	set(&c.MaxPending, 32<<20)
	set(&c.Linger, 5*time.Millisecond)
	set(&c.PayloadAge, 100*time.Millisecond)
	set(&c.retry, 50*time.Millisecond)
}

func set[T int | int64 | time.Duration](field *T, value T) {
	if *field == 0 {
		*field = value
	}
}

// Spool is the durable log (recorder/spool).
type Spool interface {
	// Append returns nil once data is kept; spool.ErrFull and spool.ErrRefused
	// mean that it was not, any other error that it may have been.
	Append(ctx context.Context, lane spool.Lane, data []byte) error
	// Put is Append that need not wait for the disk.
	Put(ctx context.Context, lane spool.Lane, data []byte) error
	MaxMessage() int
}

// Recorder records events and payloads. It satisfies gate.Recorder and is safe
// for concurrent use. It works from New to Close, whether or not Run runs.
type Recorder struct {
	cfg      Config
	log      *slog.Logger
	group    *group
	payloads *payloads
	encoder  *canonical.Encoder
	spare    sync.Pool // of *pending
	once     sync.Once
	stopped  chan struct{}
	closeErr error
}

var _ gate.Recorder = (*Recorder)(nil)

// ErrClosed reports an event or payload after Close.
var ErrClosed = errors.New("the recorder is closed")

// New makes a Recorder that writes to s.
func New(cfg Config, s Spool, log *slog.Logger) (*Recorder, error) {
	cfg.defaults()
	cfg.MaxEvent = min(cfg.MaxEvent, s.MaxMessage()/4)
	recipients, err := seal.ParseRecipients(cfg.Auditors)
	if err != nil {
		return nil, fmt.Errorf("recorder: %w", err)
	}
	var sealer *seal.Sealer
	if len(recipients) > 0 {
		if sealer, err = seal.New(recipients); err != nil {
			return nil, fmt.Errorf("recorder: %w", err)
		}
	}
	m, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("recorder: %w", err)
	}
	w := newWriter(s, m, log)
	r := &Recorder{cfg: cfg, log: log, encoder: &canonical.Encoder{}, stopped: make(chan struct{})}
	r.spare.New = func() any { return &pending{} }
	r.payloads = newPayloads(cfg, s, sealer, m, log)
	r.group = newGroup(cfg, w.limit, w.write, r.reuse, m)
	go r.payloads.run()
	return r, nil
}

// Run returns when ctx ends or the recorder is closed.
func (r *Recorder) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-r.stopped:
	}
	return nil
}

// Close writes what was handed over and ends the recorder. It gives up when ctx
// ends; the error says that something was left behind.
func (r *Recorder) Close(ctx context.Context) error {
	r.once.Do(func() {
		r.closeErr = errors.Join(r.group.close(ctx), r.payloads.close(ctx))
		close(r.stopped)
	})
	return r.closeErr
}

// Err says why events cannot be recorded right now, nil while they can.
func (r *Recorder) Err() error { return r.group.failure() }

// Record returns once the event is on disk. After an error the event must be
// taken as not recorded.
func (r *Recorder) Record(ctx context.Context, e *gate.Event) error {
	recorded, err := r.Begin(ctx, e)
	if err != nil {
		return err
	}
	return recorded(ctx)
}

// Begin returns once the event has its place in the order; the receipt, once it is
// on disk.
func (r *Recorder) Begin(ctx context.Context, e *gate.Event) (gate.Receipt, error) {
	p, err := r.prepare(e)
	if err != nil {
		return nil, err
	}
	if err := r.group.begin(ctx, p); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return r.group.wait(ctx, p) }, nil
}

// Handoff returns once the event has its place in the order. It waits while
// there is no room; while the spool fails, it waits for the disk as Record does.
func (r *Recorder) Handoff(ctx context.Context, e *gate.Event) error {
	p, err := r.prepare(e)
	if err != nil {
		return err
	}
	return r.group.leave(ctx, p)
}

// Payload takes a piece of the protocol's bytes. It waits while the spool is
// slow and fails while it is dead.
func (r *Recorder) Payload(ctx context.Context, p *gate.Payload) error {
	return r.payloads.add(ctx, p)
}

// prepare does for an event what needs no order.
func (r *Recorder) prepare(e *gate.Event) (*pending, error) {
	p := r.spare.Get().(*pending)
	if err := r.fill(p, e); err != nil {
		r.reuse(p)
		return nil, err
	}
	return p, nil
}

func (r *Recorder) fill(p *pending, e *gate.Event) (err error) {
	p.event = event.Event{
		Kind: string(e.Kind), Time: e.Time, Session: e.Session, Operation: e.Operation, Target: e.Target, Subject: e.Subject,
		Body: p.event.Body,
	}
	if p.event.Body, p.cuts, err = event.AppendBody(p.event.Body[:0], r.encoder, e.Body, r.cfg.MaxEvent); err != nil {
		return err
	}
	if p.event.ID, err = uuid.NewV7(); err != nil {
		return err
	}
	if e.Time.IsZero() {
		p.event.Time = time.Now()
	}
	switch e.Kind {
	case gate.OperationCompleted:
		p.event.Notes, err = r.payloads.complete(e.Session, e.Operation)
	case gate.SessionClosed:
		r.payloads.forget(e.Session)
	}
	return err
}

// keptBody bounds the memory that an event leaves behind for the next.
const keptBody = 64 << 10

// reuse takes back an event that nobody looks at any more.
func (r *Recorder) reuse(p *pending) {
	if cap(p.event.Body) > keptBody {
		return
	}
	*p = pending{event: event.Event{Body: p.event.Body}}
	r.spare.Put(p)
}
