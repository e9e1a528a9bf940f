package spool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	leaseTime  = 15 * time.Second // after which a silent reader is given up
	leaseRenew = 4 * time.Second
)

// errResigned ends the context of a reader that is no longer the one.
var errResigned = errors.New("another gateway reads the spool now")

// Lead waits until this process is the one that reads the queue, and returns a
// context that ends when it no longer is. resign makes room for others at once.
// Of an embedded spool this process is the only reader. Two readers for a moment
// do no harm (see Cursor); one is enough.
func (q *Queue) Lead(ctx context.Context) (leading context.Context, resign func(), err error) {
	if q.spool.leases == nil {
		leading, cancel := context.WithCancel(ctx)
		return leading, cancel, nil
	}
	id := uuid.NewString()
	for {
		revision, err := q.spool.leases.Create(ctx, q.key, []byte(id))
		if err == nil {
			return q.hold(ctx, id, revision)
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return nil, nil, fmt.Errorf("spool: lease of %s: %w", q.key, err)
		}
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-time.After(leaseRenew):
		}
	}
}

// hold renews a lease until ctx ends, it is lost, or given up.
func (q *Queue) hold(ctx context.Context, id string, revision uint64) (context.Context, func(), error) {
	leading, cancel := context.WithCancelCause(ctx)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(leaseRenew)
		defer tick.Stop()
		for {
			select {
			case <-leading.Done():
				return
			case <-tick.C:
			}
			next, err := q.spool.leases.Update(leading, q.key, []byte(id), revision)
			if err != nil {
				cancel(fmt.Errorf("%w: %w", errResigned, err))
				return
			}
			revision = next
		}
	}()
	resign := func() {
		cancel(context.Canceled)
		<-stopped
		giving, done := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer done()
		_ = q.spool.leases.Delete(giving, q.key, jetstream.LastRevision(revision)) // else it expires
	}
	return leading, resign, nil
}
