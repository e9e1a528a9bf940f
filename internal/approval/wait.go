package approval

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/weir-gateway/weir/internal/gate"
)

// Wait returns the approval once it has left Pending. When ctx ends first, the
// approval is withdrawn, and the error is that of ctx.
func (s *Store) Wait(ctx context.Context, id string) (*gate.Approval, error) {
	a, err := s.await(ctx, id)
	if err != nil && ctx.Err() != nil {
		return s.leave(ctx, id)
	}
	return a, err
}

func (s *Store) await(ctx context.Context, id string) (*gate.Approval, error) {
	a, err := s.Get(ctx, id)
	if err != nil || a.State != gate.Pending {
		return a, err
	}
	w, err := s.kv.Watch(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("approval %s: %w", id, err)
	}
	defer func() { _ = w.Stop() }()
	timer := time.NewTimer(a.Expires.Sub(s.cfg.Now()))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-timer.C:
			if a, err = s.expire(ctx, id); err != nil || a.State != gate.Pending {
				return a, err
			}
			timer.Reset(max(a.Expires.Sub(s.cfg.Now()), time.Millisecond))
		case entry, ok := <-w.Updates():
			if !ok {
				return nil, fmt.Errorf("approval %s: the watch ended", id)
			}
			if a, err = s.seen(entry); err != nil || a != nil {
				return a, err
			}
		}
	}
}

// seen returns the approval of an update once it is final.
func (s *Store) seen(entry jetstream.KeyValueEntry) (*gate.Approval, error) {
	if entry == nil { // the end of what there was when the watch began
		return nil, nil
	}
	if entry.Operation() != jetstream.KeyValuePut {
		return nil, ErrNotFound
	}
	st, err := decode(entry)
	if err != nil || st.Approval.State == gate.Pending {
		return nil, err
	}
	return &st.Approval, nil
}

// leave withdraws the approval of a requester who does not wait any longer.
// Whatever people decided before that stands.
func (s *Store) leave(ctx context.Context, id string) (*gate.Approval, error) {
	cause := ctx.Err()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), withdrawTime)
	defer cancel()
	a, err := s.withdraw(ctx, id)
	switch {
	case err != nil:
		return nil, errors.Join(cause, err)
	case a.State == gate.Withdrawn:
		return nil, cause
	default:
		return a, nil
	}
}

// Run expires approvals that nobody waits for, such as those of a process that
// died. Several processes may run it at once.
func (s *Store) Run(ctx context.Context) error {
	pace := backoff.NewExponentialBackOff()
	pace.MaxInterval = 30 * time.Second
	_, _ = backoff.Retry(ctx, func() (struct{}, error) { // ends with ctx only
		err := s.sweep(ctx)
		if ctx.Err() == nil {
			s.log.Warn("approvals are not expired at the moment", "err", err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pace), backoff.WithMaxElapsedTime(0))
	return nil
}

// sweep watches all approvals and expires each at its time. It returns only
// with an error.
func (s *Store) sweep(ctx context.Context) error {
	w, err := s.kv.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = w.Stop() }()
	pending := map[string]time.Time{}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			for id, at := range pending {
				if s.cfg.Now().Before(at) {
					continue
				}
				if _, err := s.expire(ctx, id); err != nil && !errors.Is(err, ErrNotFound) {
					return err
				}
				delete(pending, id)
			}
		case entry, ok := <-w.Updates():
			if !ok {
				return errors.New("the watch ended")
			}
			s.note(pending, entry)
		}
		timer.Reset(s.untilNext(pending))
	}
}

// note keeps pending up to date with one update.
func (s *Store) note(pending map[string]time.Time, entry jetstream.KeyValueEntry) {
	if entry == nil {
		return
	}
	delete(pending, entry.Key())
	if entry.Operation() != jetstream.KeyValuePut {
		return
	}
	st, err := decode(entry)
	if err != nil {
		s.log.Error("an approval cannot be read", "err", err)
		return
	}
	if st.Approval.State == gate.Pending {
		pending[entry.Key()] = st.Approval.Expires
	}
}

func (s *Store) untilNext(pending map[string]time.Time) time.Duration {
	next := time.Hour
	for _, at := range pending {
		next = min(next, at.Sub(s.cfg.Now()))
	}
	return max(next, 0)
}
