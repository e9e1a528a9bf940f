package approval

import (
	"context"
	"errors"
	"time"

	"github.com/weir-gateway/weir/internal/gate"
)

// Vote takes an approver's word about exactly the stored operation, and returns
// the approval as it stands then. A vote that is not taken is a *Refusal;
// nothing was recorded or changed.
func (s *Store) Vote(ctx context.Context, id string, approver gate.Principal, approve bool, reason string) (*gate.Approval, error) {
	reason, err := checkReason(reason)
	if err != nil {
		return nil, err
	}
	a, err := s.change(ctx, id, func(a *gate.Approval) ([]*gate.Event, error) {
		now := s.cfg.Now()
		if err := mayVote(a, &approver, s.cfg.Kinds, now); err != nil {
			return nil, err
		}
		v := gate.Vote{Approver: approver, Approve: approve, Reason: reason, At: now}
		a.Votes = append(a.Votes, v)
		a.State = outcome(a)
		events := []*gate.Event{s.voted(a, v)}
		if a.State != gate.Pending {
			events = append(events, s.resolved(a))
		}
		return events, nil
	})
	var refused *Refusal
	if errors.As(err, &refused) && refused.Code == Decided {
		_, _ = s.Get(ctx, id) // where it has just expired, others shall see that too
	}
	return a, err
}

// expire ends a pending approval whose time is over.
func (s *Store) expire(ctx context.Context, id string) (*gate.Approval, error) {
	return s.end(ctx, id, func(a *gate.Approval) gate.ApprovalState {
		if s.cfg.Now().Before(a.Expires) {
			return gate.Pending
		}
		return gate.Expired
	})
}

// withdraw ends a pending approval whose requester went away.
func (s *Store) withdraw(ctx context.Context, id string) (*gate.Approval, error) {
	return s.end(ctx, id, func(a *gate.Approval) gate.ApprovalState {
		if s.cfg.Now().Before(a.Expires) {
			return gate.Withdrawn
		}
		return gate.Expired
	})
}

func (s *Store) end(ctx context.Context, id string, state func(*gate.Approval) gate.ApprovalState) (*gate.Approval, error) {
	return s.change(ctx, id, func(a *gate.Approval) ([]*gate.Event, error) {
		if a.State != gate.Pending {
			return nil, nil
		}
		if a.State = state(a); a.State == gate.Pending {
			return nil, nil
		}
		return []*gate.Event{s.resolved(a)}, nil
	})
}

// withdrawTime bounds the withdrawal of an approval whose requester is gone.
const withdrawTime = 10 * time.Second
