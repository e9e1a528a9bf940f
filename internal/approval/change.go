package approval

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/weir-gateway/weir/internal/gate"
)

// errBusy: somebody else is changing the approval at this moment.
var errBusy = errors.New("the approval is being changed by somebody else")

// change takes an approval from one state to the next:
//
//  1. A lease, by compare-and-swap: nobody else may change it meanwhile.
//  2. The events, on disk.
//  3. The new state, by compare-and-swap, and with it the lease ends.
//
// So nothing is seen that is not recorded, and nothing is recorded by one who
// lost a race. A lease whose owner died ends by its time.
//
// edit changes the approval and returns the events of that; no events means
// that nothing is to be changed.
func (s *Store) change(ctx context.Context, id string, edit func(a *gate.Approval) ([]*gate.Event, error)) (*gate.Approval, error) {
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval, pace.MaxInterval = 5*time.Millisecond, 250*time.Millisecond
	return backoff.Retry(ctx, func() (*gate.Approval, error) {
		a, err := s.tryChange(ctx, id, edit)
		if err != nil && !errors.Is(err, errBusy) {
			err = backoff.Permanent(err)
		}
		return a, err
	}, backoff.WithBackOff(pace), backoff.WithMaxElapsedTime(2*s.cfg.Lease))
}

func (s *Store) tryChange(ctx context.Context, id string, edit func(a *gate.Approval) ([]*gate.Event, error)) (*gate.Approval, error) {
	now, err := s.load(ctx, id)
	if err != nil {
		return nil, err
	}
	if now.Lease != nil && s.cfg.Now().Before(now.Lease.Until) {
		return nil, errBusy
	}
	next := now.Approval
	next.Votes = append([]gate.Vote{}, next.Votes...)
	events, err := edit(&next)
	if err != nil {
		return nil, err
	}
	if len(events) == 0 {
		return &now.Approval, nil
	}
	now.Lease = &lease{Owner: uuid.NewString(), Until: s.cfg.Now().Add(s.cfg.Lease)}
	if err := s.swap(ctx, now); err != nil {
		return nil, err
	}
	// From here on whoever asked may go away: the lease must end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Lease*2/3)
	defer cancel()
	for _, e := range events {
		if err := s.recorder.Record(ctx, e); err != nil {
			s.release(ctx, now)
			return nil, fmt.Errorf("approval %s: %w: %w", id, gate.ErrRecord, err)
		}
	}
	done := &stored{Approval: next, revision: now.revision}
	if err := s.swap(ctx, done); errors.Is(err, errBusy) {
		return nil, fmt.Errorf("approval %s: recording the change took longer than its lease", id)
	} else if err != nil {
		return nil, err
	}
	return &next, nil
}

// release gives a lease back, with nothing changed.
func (s *Store) release(ctx context.Context, st *stored) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Lease/3)
	defer cancel()
	st.Lease = nil
	if err := s.swap(ctx, st); err != nil {
		s.log.Warn("approval stays locked until its lease ends", "approval", st.Approval.ID, "err", err)
	}
}

// swap stores st where nobody has changed it since it was loaded.
func (s *Store) swap(ctx context.Context, st *stored) error {
	value, err := json.Marshal(st)
	if err != nil {
		return err
	}
	revision, err := s.kv.Update(ctx, st.Approval.ID, value, st.revision)
	if errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return errBusy
	}
	if err != nil {
		return fmt.Errorf("approval %s: %w", st.Approval.ID, err)
	}
	st.revision = revision
	return nil
}

// votedBody is the body of approval.voted.
type votedBody struct {
	Approval    string    `json:"approval"`
	ContentHash string    `json:"content_hash"`
	Vote        gate.Vote `json:"vote"`
}

// resolvedBody is the body of approval.resolved.
type resolvedBody struct {
	Approval    string             `json:"approval"`
	ContentHash string             `json:"content_hash"`
	State       gate.ApprovalState `json:"state"`
	Votes       []gate.Vote        `json:"votes"`
	Requested   time.Time          `json:"requested"`
}

func (s *Store) voted(a *gate.Approval, v gate.Vote) *gate.Event {
	return s.event(a, gate.ApprovalVoted, v.Approver.Subject, votedBody{Approval: a.ID, ContentHash: a.ContentHash, Vote: v})
}

func (s *Store) resolved(a *gate.Approval) *gate.Event {
	return s.event(a, gate.ApprovalResolved, a.Requester.Subject, resolvedBody{
		Approval: a.ID, ContentHash: a.ContentHash, State: a.State, Votes: a.Votes, Requested: a.Requested,
	})
}

func (s *Store) event(a *gate.Approval, kind gate.EventKind, subject string, body any) *gate.Event {
	return &gate.Event{
		Kind: kind, Time: s.cfg.Now(), Session: a.Session, Operation: a.Operation.ID,
		Target: a.Target.Name, Subject: subject, Body: body,
	}
}
