package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// Phase says when policy is asked.
type Phase string

// The phases.
const (
	Connect Phase = "connect"   // before a session reaches its target
	Operate Phase = "operation" // before a statement or request is forwarded
)

// Input is what policy is shown (docs/policy.md).
type Input struct {
	Phase     Phase       `json:"phase"`
	Principal *Principal  `json:"principal"`
	Target    *Target     `json:"target"`
	Session   SessionView `json:"session"`
	Operation *Operation  `json:"operation,omitempty"`
	Approvals []Vote      `json:"approvals"`
	Now       int64       `json:"now"` // nanoseconds since 1970
}

// Policy decides. An error means that nothing was decided: deny.
type Policy interface {
	Decide(ctx context.Context, in *Input) (Decision, error)
}

// Approvals keeps held operations until people have voted.
type Approvals interface {
	// Request stores a pending approval durably.
	Request(ctx context.Context, a *Approval) error
	// Wait returns the approval once it has left Pending. When ctx ends first,
	// the approval is withdrawn.
	Wait(ctx context.Context, id string) (*Approval, error)
}

// Recorder keeps evidence.
type Recorder interface {
	// Record returns once the event is on disk.
	Record(ctx context.Context, e *Event) error
	// Begin is Record without the wait: it returns once the event has its place in
	// the order.
	Begin(ctx context.Context, e *Event) (Receipt, error)
	// Handoff returns once the spool has taken the event, in order, without
	// waiting for the disk.
	Handoff(ctx context.Context, e *Event) error
	// Payload hands over protocol bytes; it blocks while the spool is slow and
	// fails when it is dead.
	Payload(ctx context.Context, p *Payload) error
}

// Receipt waits until what was recorded is on disk. After an error it must be taken
// as not recorded. A receipt is asked once.
type Receipt func(ctx context.Context) error

// Gate takes every operation through decide → hold → record → release.
type Gate struct {
	policy    Policy
	approvals Approvals
	recorder  Recorder
	log       *slog.Logger
	now       func() time.Time
	memory    *classMemory
}

// New makes a Gate. All three parts are required.
func New(p Policy, a Approvals, r Recorder, log *slog.Logger) (*Gate, error) {
	if p == nil || a == nil || r == nil {
		return nil, errors.New("gate: policy, approvals and recorder are all required")
	}
	return &Gate{policy: p, approvals: a, recorder: r, log: log, now: time.Now, memory: newClassMemory()}, nil
}

// ErrRecord wraps a failure to make evidence durable. Nothing may be forwarded.
var ErrRecord = errors.New("evidence could not be recorded")

// NewID makes an id that sorts by time (UUIDv7).
func NewID() string { return uuid.Must(uuid.NewV7()).String() }

// decide asks policy and turns every failure into a denial.
func (g *Gate) decide(ctx context.Context, phase Phase, s *Session, op *Operation, votes []Vote) (Decision, *Input) {
	if votes == nil {
		votes = []Vote{}
	}
	in := &Input{
		Phase: phase, Principal: &s.Principal, Target: &s.Target, Session: s.view(phase),
		Operation: op, Approvals: votes, Now: g.now().UnixNano(),
	}
	d, err := g.policy.Decide(ctx, in)
	if err != nil {
		g.log.ErrorContext(ctx, "policy gave no decision: denied", "session", s.ID, "err", err)
		d = Denied("policy_error", "the policy could not be evaluated", "Ask the gateway's operator to look at its log.")
	}
	if d.ID == "" {
		d.ID = NewID()
	}
	return d, in
}

// Open decides whether a session may reach its target, and records it either
// way. The session is open only when the error is nil and the effect is Allow.
func (g *Gate) Open(ctx context.Context, s *Session) (Decision, error) {
	s.memory = g.memory
	d, in := g.decide(ctx, Connect, s, nil, nil)
	if d.Effect == Hold { // a connection cannot be held
		d.Effect = Deny
		d.Deny = append(d.Deny, Denial{Code: "hold_at_connect", Message: "policy holds connections, which cannot be held", Hint: "Hold operations instead."})
	}
	s.mu.Lock()
	s.revision = d.Revision
	s.mu.Unlock()
	kind := SessionOpened
	if d.Effect != Allow {
		kind = SessionRefused
	}
	body := sessionBody{
		Principal: s.Principal, Token: s.Principal.Token, Target: s.Target, Client: s.Client,
		Database: s.Database, Decision: d, Input: in,
	}
	if err := g.recorder.Record(ctx, g.event(s, kind, "", body)); err != nil {
		return Decision{}, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	s.mu.Lock()
	s.recorded = true
	s.mu.Unlock()
	return d, nil
}

// RefuseSignIn records that somebody was turned away before there was a
// session: a stranger, an expired token, garbage.
func (g *Gate) RefuseSignIn(ctx context.Context, target string, c Client, reason string) {
	e := &Event{Kind: SessionRefused, Time: g.now(), Target: target, Body: refusalBody{Client: c, Reason: reason}}
	if err := g.recorder.Record(ctx, e); err != nil {
		g.log.ErrorContext(ctx, "a refused sign-in could not be recorded", "target", target, "err", err)
	}
}

// Close records the end of a session that was opened.
func (g *Gate) Close(ctx context.Context, s *Session, c Closing) error {
	s.mu.Lock()
	c.Operations, c.Refused = s.operations, s.refused
	recorded := s.recorded
	s.mu.Unlock()
	if !recorded {
		return nil
	}
	return g.recorder.Record(ctx, g.event(s, SessionClosed, "", c))
}

// Check takes one operation through the sequence. It returns when the operation
// may be forwarded (Allow) or must be refused (anything else); by then the
// record is durable, or handed to the spool where the target says so. While the
// operation is held, onHold (may be nil) is told of the approval once.
func (g *Gate) Check(ctx context.Context, s *Session, op *Operation, onHold func(*Approval)) (Decision, error) {
	d, recorded, err := g.Admit(ctx, s, op, "", onHold)
	if err == nil {
		err = recorded(ctx)
	}
	if err != nil {
		return Decision{}, err
	}
	return d, nil
}

// Admit is Check without the wait for the disk, so that operations which come
// together can wait together: nothing of the operation may be forwarded, nor its
// refusal told, before the receipt has returned nil.
//
// approval is of a part of what has been approved already, the next rows of one
// result: under which the last part ran, "" for none. It serves again where policy
// asks for no more than was approved, of exactly this operation.
func (g *Gate) Admit(ctx context.Context, s *Session, op *Operation, approval string, onHold func(*Approval)) (Decision, Receipt, error) {
	if op.ID == "" {
		op.ID = NewID()
	}
	d, in := g.decide(ctx, Operate, s, op, nil)
	if granted := s.granted(approval); d.Effect == Hold && granted != nil {
		again, shown, err := g.resolve(ctx, s, op, granted)
		if err != nil {
			return Decision{}, nil, err
		}
		if again.Effect == Allow {
			d, in = again, shown
		}
	}
	if d.Effect == Hold {
		var err error
		if d, in, err = g.hold(ctx, s, op, d, onHold); err != nil {
			return Decision{}, nil, err
		}
	}
	s.mu.Lock()
	s.operations++
	if d.Effect != Allow {
		s.refused++
	}
	s.mu.Unlock()
	return g.beginRequest(ctx, s, op, d, in)
}

// Prepare judges a statement that the target is to parse but not to run yet. It
// is decided and recorded like any other, marked as PrepareOnly. What policy
// holds is not waited for: it waits when it runs, and is judged again then. So
// it may go to the target unless the effect is Deny, and once the receipt has
// returned nil.
func (g *Gate) Prepare(ctx context.Context, s *Session, op *Operation) (Decision, Receipt, error) {
	if op.ID == "" {
		op.ID = NewID()
	}
	op.PrepareOnly = true
	d, in := g.decide(ctx, Operate, s, op, nil)
	s.mu.Lock()
	s.operations++
	if d.Effect == Deny {
		s.refused++
	}
	s.mu.Unlock()
	return g.beginRequest(ctx, s, op, d, in)
}

// Complete records how a forwarded operation ended. It is handed over, not
// waited for: the operation has happened already.
func (g *Gate) Complete(ctx context.Context, s *Session, opID string, o Outcome) error {
	if err := g.recorder.Handoff(ctx, g.event(s, OperationCompleted, opID, o)); err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return nil
}

// Payload hands protocol bytes of an operation to the recorder.
func (g *Gate) Payload(ctx context.Context, s *Session, opID string, stream Stream, data []byte) error {
	p := &Payload{Session: s.ID, Operation: opID, Target: s.Target.Name, Stream: stream, Data: data}
	if err := g.recorder.Payload(ctx, p); err != nil {
		return fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return nil
}

// beginRequest hands the record of a decision to the recorder.
func (g *Gate) beginRequest(ctx context.Context, s *Session, op *Operation, d Decision, in *Input) (Decision, Receipt, error) {
	body, err := newOperationBody(s, op, &d, in)
	if err != nil {
		return Decision{}, nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	e := g.event(s, OperationRequested, op.ID, body)
	if s.Target.Buffered {
		if err := g.recorder.Handoff(ctx, e); err != nil {
			return Decision{}, nil, fmt.Errorf("%w: %w", ErrRecord, err)
		}
		return d, handedOver, nil
	}
	receipt, err := g.recorder.Begin(ctx, e)
	if err != nil {
		return Decision{}, nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	return d, func(ctx context.Context) error {
		if err := receipt(ctx); err != nil {
			return fmt.Errorf("%w: %w", ErrRecord, err)
		}
		return nil
	}, nil
}

// handedOver is the receipt where nobody waits for the disk.
func handedOver(context.Context) error { return nil }

func (g *Gate) event(s *Session, kind EventKind, opID string, body any) *Event {
	return &Event{
		Kind: kind, Time: g.now(), Session: s.ID, Operation: opID,
		Target: s.Target.Name, Subject: s.Principal.Subject, Body: body,
	}
}
