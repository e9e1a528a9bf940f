package recorder

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/seal"
	"github.com/weir-gateway/weir/recorder/spool"
)

// payloads gathers protocol bytes in a block while another one is being
// written. When both are full, callers wait: memory is bounded whatever the
// spool does.
type payloads struct {
	spool   Spool
	sealer  *seal.Sealer // nil: originals are not kept
	max     int64        // bytes kept of one stream of an operation
	age     time.Duration
	retry   time.Duration
	metrics *metrics
	log     *slog.Logger

	mu       sync.Mutex
	current  *block        // nil while both blocks are taken
	change   chan struct{} // closed and renewed when current or failed changes
	failed   error         // of the last write
	closed   bool
	sessions map[string]*session
	late     []chunk // ends of streams that found no current block

	begun   chan struct{} // current has its first bytes
	full    chan *block
	closing chan struct{}
	abort   context.CancelFunc
	ended   chan struct{}

	writing context.Context
	spare   *block
	writer  uuid.UUID
	number  uint64
	packing event.Block // scratch
	encoder event.BlockEncoder
}

func newPayloads(cfg Config, s Spool, sealer *seal.Sealer, m *metrics, log *slog.Logger) *payloads {
	size := min(blockSize, s.MaxMessage()*3/4)
	p := &payloads{
		spool: s, sealer: sealer, max: cfg.MaxPayload, age: cfg.PayloadAge, retry: cfg.retry, metrics: m, log: log,
		current: newBlock(size), spare: newBlock(size), change: make(chan struct{}), sessions: map[string]*session{},
		begun: make(chan struct{}, 1), full: make(chan *block, 2), closing: make(chan struct{}), ended: make(chan struct{}),
		writer: uuid.New(),
	}
	p.writing, p.abort = context.WithCancel(context.Background())
	return p
}

// add takes a piece of an operation's bytes.
func (p *payloads) add(ctx context.Context, in *gate.Payload) error {
	if in.Stream == gate.OriginalStream {
		if err := p.needKey(in.Session); err != nil {
			return err
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	st, err := p.stream(in)
	if err != nil {
		return err
	}
	data := in.Data
	if in.Stream == gate.OriginalStream && p.sealer == nil {
		st.missing += uint64(len(data))
		return p.failed
	}
	if room := p.max - int64(st.offset); int64(len(data)) > room {
		past := int64(len(data)) - room
		st.missing += uint64(past)
		p.metrics.capped.Add(float64(past))
		data = data[:room]
	}
	p.metrics.kept.Add(float64(len(data)))
	for len(data) > 0 {
		b, err := p.block(ctx)
		if err != nil {
			return err
		}
		n := b.append(st, in, data)
		data = data[n:]
		if b.isFull() {
			p.rotate()
		}
	}
	if p.closed {
		return ErrClosed
	}
	return p.failed
}

// block returns the current block, and waits for one while there is none. The
// lock is held, but for the wait.
func (p *payloads) block(ctx context.Context) (*block, error) {
	for {
		switch {
		case p.closed:
			return nil, ErrClosed
		case p.failed != nil:
			return nil, fmt.Errorf("payload cannot be kept: %w", p.failed)
		case p.current != nil:
			if p.current.empty() {
				signal(p.begun)
			}
			return p.current, nil
		}
		change := p.change
		p.mu.Unlock()
		select {
		case <-change:
		case <-ctx.Done():
			p.mu.Lock()
			return nil, fmt.Errorf("payload cannot be kept in time: %w", context.Cause(ctx))
		}
		p.mu.Lock()
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// rotate hands the current block over to be written. The lock is held.
func (p *payloads) rotate() {
	p.full <- p.current // there are two blocks and room for both
	p.current = nil
}

// changed wakes those who wait. The lock is held.
func (p *payloads) changed() {
	close(p.change)
	p.change = make(chan struct{})
}

// run writes blocks that are full or old enough.
func (p *payloads) run() {
	defer close(p.ended)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case b := <-p.full:
			p.put(b)
			continue
		case <-p.begun:
			timer.Reset(p.age)
			continue
		case <-timer.C:
		case <-p.closing:
			for p.putCurrent() {
			}
			return
		}
		p.putCurrent()
	}
}

// putCurrent writes all there is. It says whether there was anything.
func (p *payloads) putCurrent() bool {
	p.mu.Lock()
	if p.current != nil && !p.current.empty() {
		p.rotate()
	}
	p.mu.Unlock()
	some := false
	for ; len(p.full) > 0; some = true {
		p.put(<-p.full)
	}
	return some
}

// put writes a block and makes it the spare one. It tries until it can or the
// recorder ends.
func (p *payloads) put(b *block) {
	p.offer()
	p.number++
	p.packing.Writer, p.packing.Number = p.writer, p.number
	b.pack(&p.packing)
	packed := p.encoder.Encode(&p.packing)
	clear(p.packing.Chunks)
	p.metrics.packed.Add(float64(len(packed)))
	_, err := backoff.Retry(p.writing, func() (struct{}, error) {
		err := p.spool.Append(p.writing, spool.Payloads, packed)
		p.report(err)
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(0), backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: p.retry, Multiplier: 2, MaxInterval: retryMax, RandomizationFactor: 0.2,
	}))
	if err != nil {
		p.log.Error("payload was lost at the end", "blocks", 1, "err", err)
	}
	b.reset()
	p.spare = b
	p.offer()
}

// offer makes the spare block the current one where there is none.
func (p *payloads) offer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current != nil || p.spare == nil {
		return
	}
	p.current, p.spare = p.spare, nil
	for i := range p.late {
		p.current.add(&p.late[i].Chunk).key = p.late[i].key
		signal(p.begun)
	}
	p.late = nil
	p.changed()
}

// report notes how the last write fared.
func (p *payloads) report(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.metrics.failures.WithLabelValues("payload").Inc()
	}
	if (err == nil) != (p.failed == nil) {
		p.failed = err
		p.changed()
	}
}

// close writes what there is and ends run. When ctx ends, it gives up.
func (p *payloads) close(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	p.changed()
	p.mu.Unlock()
	close(p.closing)
	defer p.abort()
	select {
	case <-p.ended:
		return nil
	case <-ctx.Done():
		p.abort()
		<-p.ended
		return fmt.Errorf("payload could not be written before the end: %w", ctx.Err())
	}
}
