package spool

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/semaphore"
)

const (
	// shipLinger is how long what is in the journal may wait for company on its way to
	// the stream. A message costs the server as much as a hundred events.
	shipLinger = 50 * time.Millisecond
	// shipSize is how many bytes of the journal make a message, before they are packed.
	shipSize = 512 << 10
	// shipRetry is the longest pause before the stream is tried again.
	shipRetry = 2 * time.Second
	// entryHeader holds the number of a message's last entry of the journal.
	entryHeader = "Weir-Entry"
)

// shipper has the events lane on disk in the journal, and brings it to the stream
// behind its caller's back: in order, each entry once.
type shipper struct {
	spool *Spool

	writing *semaphore.Weighted // held while the journal is written; it may hang with the disk
	journal *journal
	broken  error  // the journal is to be made anew
	noted   uint64 // up to where the journal says that all is shipped
	dirty   bool   // not on disk yet

	mu      sync.Mutex
	entries []entry // that are not in the stream yet
	bytes   int     // of them
	shipped uint64  // number of the last entry that is in the stream
	failed  error   // why the stream takes nothing
	armed   bool
	timer   *time.Timer
	change  chan struct{} // closed and renewed when entries are shipped or not taken

	due chan struct{}
}

// entry is an entry of the journal that is still to be shipped.
type entry struct {
	number uint64
	at     time.Time
	data   []byte
}

// openShipper opens the journal. What an earlier process left in it is shipped
// first.
func openShipper(ctx context.Context, s *Spool) (*shipper, error) {
	sh := &shipper{spool: s, writing: semaphore.NewWeighted(1), change: make(chan struct{}), due: make(chan struct{}, 1)}
	sh.timer = time.AfterFunc(time.Hour, func() { signal(sh.due) })
	j, found, err := openJournal(s.cfg.Dir, segmentSize)
	if err != nil {
		return nil, err
	}
	if sh.shipped, err = s.lastShipped(ctx); err != nil {
		j.close()
		return nil, err
	}
	for _, r := range found {
		sh.shipped = max(sh.shipped, r.shipped)
	}
	next := sh.shipped + 1
	for _, r := range found {
		if r.number < next {
			continue
		}
		if r.number != next {
			s.log.Error("the spool's journal lacks entries: its disk is damaged, or the machine stopped before they were on it", "first", next, "last", r.number-1)
		}
		next = r.number + 1
		if len(r.data) > 0 {
			sh.entries = append(sh.entries, entry{r.number, time.Now(), r.data})
			sh.bytes += len(r.data)
		}
	}
	j.skip(sh.shipped)
	sh.journal = j
	if len(sh.entries) > 0 {
		signal(sh.due)
	}
	return sh, nil
}

// lastShipped is the number of the last entry in the stream, 0 where it does not
// say.
func (s *Spool) lastShipped(ctx context.Context) (uint64, error) {
	m, err := s.handles[eventStream].GetLastMsgForSubject(ctx, string(Events))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("the last events: %w", err)
	}
	n, _ := strconv.ParseUint(m.Header.Get(entryHeader), 10, 64) // none in what an earlier version wrote
	return n, nil
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// takes says why the stream takes nothing, or up to where it has all.
func (sh *shipper) takes() (shipped uint64, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	return sh.shipped, sh.failed
}

func (sh *shipper) queue(e entry) {
	sh.mu.Lock()
	sh.entries = append(sh.entries, e)
	sh.bytes += len(e.data)
	if !sh.armed {
		sh.armed = true
		sh.timer.Reset(shipLinger)
	}
	full := sh.bytes >= shipSize
	sh.mu.Unlock()
	if full {
		signal(sh.due)
	}
}

// drain waits until the stream has all there is.
func (sh *shipper) drain(ctx context.Context) error {
	waiting, done := context.WithTimeout(ctx, sh.spool.cfg.Timeout)
	defer done()
	for {
		sh.mu.Lock()
		left, failed, change := len(sh.entries), sh.failed, sh.change
		sh.mu.Unlock()
		switch {
		case failed != nil:
			return failed
		case left == 0:
			return nil
		}
		signal(sh.due)
		select {
		case <-change:
		case <-waiting.Done():
			return fmt.Errorf("%w: its stream is behind: %w", ErrRefused, context.Cause(waiting))
		}
	}
}

// run ships until ctx ends.
func (sh *shipper) run(ctx context.Context) {
	pause := &backoff.ExponentialBackOff{InitialInterval: 20 * time.Millisecond, Multiplier: 2, MaxInterval: shipRetry, RandomizationFactor: 0.2}
	pause.Reset()
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-again:
		case <-sh.due:
			if again != nil {
				continue // what failed is not tried before its time
			}
		}
		again = nil
		if err := sh.shipAll(ctx); err != nil {
			again = time.After(pause.NextBackOff())
		} else {
			pause.Reset()
		}
	}
}

// shipAll ships what there is, and mends the journal.
func (sh *shipper) shipAll(ctx context.Context) error {
	sh.mu.Lock()
	sh.armed = false
	sh.mu.Unlock()
	for ctx.Err() == nil {
		batch := sh.next()
		if len(batch) == 0 {
			sh.note()
			return sh.mend(ctx)
		}
		err := sh.ship(ctx, batch)
		sh.settle(batch, err)
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// next are the entries of the next message.
func (sh *shipper) next() []entry {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	n, size := 0, 0
	for n < len(sh.entries) && (n == 0 || sh.spool.cfg.Join != nil && size+len(sh.entries[n].data) <= shipSize) {
		size += len(sh.entries[n].data)
		n++
	}
	return sh.entries[:n:n]
}

// ship has a batch in the stream. After an error that does not say whether it is
// there, the stream is asked.
func (sh *shipper) ship(ctx context.Context, batch []entry) error {
	last := batch[len(batch)-1].number
	if _, err := sh.takes(); err != nil {
		asking, done := context.WithTimeout(ctx, sh.spool.cfg.Timeout)
		defer done()
		n, err := sh.spool.lastShipped(asking)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrRefused, err)
		}
		if n >= last {
			return nil
		}
	}
	parts := make([][]byte, len(batch))
	for i, e := range batch {
		parts[i] = e.data
	}
	// The spool's time bounds it: what ctx cut off might be in the stream, or not.
	return sh.spool.publish(context.WithoutCancel(ctx), message(last, sh.spool.join(parts...)))
}

// message is one of the events lane that has all entries up to number.
func message(number uint64, data []byte) *nats.Msg {
	m := nats.NewMsg(string(Events))
	m.Data = data
	m.Header.Set(entryHeader, strconv.FormatUint(number, 10))
	return m
}

// directly appends what is not for the journal, after all that is in it.
func (sh *shipper) directly(ctx context.Context, lane Lane, data []byte) error {
	if err := sh.drain(ctx); err != nil {
		return err
	}
	if lane != Events {
		return sh.spool.publish(ctx, &nats.Msg{Subject: string(lane), Data: data})
	}
	shipped, _ := sh.takes()
	return sh.spool.publish(ctx, message(shipped, sh.spool.join(data)))
}

// settle notes how a batch fared.
func (sh *shipper) settle(batch []entry, err error) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if err == nil {
		for _, e := range batch {
			sh.bytes -= len(e.data)
		}
		sh.shipped = batch[len(batch)-1].number
		clear(batch)
		sh.entries = sh.entries[len(batch):]
	} else {
		if !errors.Is(err, ErrFull) && !errors.Is(err, ErrRefused) {
			err = fmt.Errorf("%w: %w", ErrRefused, err) // nothing more is taken
		}
		if sh.failed == nil {
			sh.spool.log.Warn("events wait in the spool's journal: nothing more is taken until its stream takes them", "err", err)
		}
	}
	sh.failed = err
	close(sh.change)
	sh.change = make(chan struct{})
}

// waiting is what is on its way to the stream.
func (sh *shipper) waiting() (bytes int, oldest time.Time) {
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if len(sh.entries) > 0 {
		oldest = sh.entries[0].at
	}
	return sh.bytes, oldest
}

// close ends the journal after run has ended, unless it hangs.
func (sh *shipper) close(ctx context.Context) {
	sh.timer.Stop()
	if sh.writing.Acquire(ctx, 1) != nil {
		return
	}
	defer sh.writing.Release(1)
	sh.broken = errors.New("it is closed")
	sh.journal.close()
}
