package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// This is the shipper's side of the journal; who calls what is not append, note,
// settled or mend holds its writing.

// append puts data into the journal, and on disk where durable. What ctx and the
// spool's time do not suffice for is refused, or nobody knows whether it is kept:
// nothing ends a write to a disk that hangs.
func (sh *shipper) append(ctx context.Context, data []byte, durable bool) error {
	waiting, done := context.WithTimeout(ctx, sh.spool.cfg.Timeout)
	defer done()
	if err := sh.writing.Acquire(waiting, 1); err != nil {
		return fmt.Errorf("%w: its journal does not answer: %w", ErrRefused, err)
	}
	data = bytes.Clone(data)
	kept := make(chan error, 1)
	go func() {
		defer sh.writing.Release(1)
		kept <- sh.keep(waiting, data, durable)
	}()
	select {
	case err := <-kept:
		return err
	case <-waiting.Done():
		return fmt.Errorf("the spool's journal gave no answer: %w", context.Cause(waiting))
	}
}

// keep is append of data that is its own, once it may write.
func (sh *shipper) keep(ctx context.Context, data []byte, durable bool) error {
	if sh.broken != nil {
		return fmt.Errorf("%w: its journal is being mended: %w", ErrRefused, sh.broken)
	}
	for {
		shipped, err := sh.takes()
		if err != nil {
			return err
		}
		err = sh.write(data, shipped)
		if !errors.Is(err, errSegmentsFull) {
			if err == nil && durable {
				err = sh.sync()
			}
			if err != nil {
				return fmt.Errorf("the spool's journal: %w", err)
			}
			break
		}
		if err := sh.drain(ctx); err != nil {
			return err
		}
	}
	sh.queue(entry{sh.journal.number, time.Now(), data})
	return nil
}

// write adds a record to the journal.
func (sh *shipper) write(data []byte, shipped uint64) error {
	err := sh.journal.write(data, shipped)
	switch {
	case err == nil:
		sh.noted, sh.dirty = max(sh.noted, shipped), true
	case !errors.Is(err, errSegmentsFull):
		sh.breaks(err)
	}
	return err
}

// sync has on disk what was written.
func (sh *shipper) sync() error {
	if err := sh.journal.sync(); err != nil {
		sh.breaks(err)
		return err
	}
	sh.dirty = false
	return nil
}

// breaks says that nothing more goes into the journal before it is made anew: after a
// failed sync the next one succeeds, whatever is on disk.
func (sh *shipper) breaks(err error) {
	sh.broken = err
	signal(sh.due)
}

// note writes into the journal what was shipped, so that it is not shipped again
// after a crash. Whoever writes to the journal just now does so as well.
func (sh *shipper) note() {
	if sh.writing.TryAcquire(1) {
		defer sh.writing.Release(1)
		_ = sh.noteShipped() // a broken journal is mended, a full one has room later
	}
}

func (sh *shipper) noteShipped() error {
	shipped, _ := sh.takes()
	if sh.broken == nil && shipped > sh.noted {
		return sh.write(nil, shipped)
	}
	return nil
}

// settled has on disk what was shipped up to now, before the stream forgets it. A full
// journal cannot say it: it must not keep the stream from getting room.
func (sh *shipper) settled(ctx context.Context) error {
	if err := sh.writing.Acquire(ctx, 1); err != nil {
		return err
	}
	defer sh.writing.Release(1)
	if err := sh.noteShipped(); err != nil && !errors.Is(err, errSegmentsFull) {
		return err
	}
	if sh.dirty && sh.broken == nil {
		return sh.sync()
	}
	return nil
}

// mend makes a broken journal anew, once all that it acknowledged is in the stream.
func (sh *shipper) mend(ctx context.Context) error {
	if err := sh.writing.Acquire(ctx, 1); err != nil {
		return err
	}
	defer sh.writing.Release(1)
	if left, _ := sh.waiting(); sh.broken == nil || left > 0 {
		return nil // what came since then is shipped first: breaks has signalled
	}
	if err := sh.journal.renew(); err != nil {
		return err
	}
	sh.mu.Lock()
	sh.shipped = sh.journal.number // what failed never comes
	sh.mu.Unlock()
	sh.broken, sh.dirty = nil, false
	sh.spool.log.Info("the spool's journal is well again")
	return nil
}
