package gate

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"
)

// decisions answers with what the test says, in order; the last one repeats.
type decisions struct {
	mu     sync.Mutex
	answer []Decision
	err    error
	inputs []Input
}

func (p *decisions) Decide(_ context.Context, in *Input) (Decision, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.inputs = append(p.inputs, *in)
	if p.err != nil {
		return Decision{Effect: Allow}, p.err
	}
	d := p.answer[0]
	if len(p.answer) > 1 {
		p.answer = p.answer[1:]
	}
	return d, nil
}

// people resolve every approval as the test says.
type people struct {
	asked   []*Approval
	resolve func(*Approval)
	err     error
}

func (p *people) Request(_ context.Context, a *Approval) error {
	p.asked = append(p.asked, a)
	return p.err
}

func (p *people) Wait(ctx context.Context, _ string) (*Approval, error) {
	if p.resolve == nil {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	done := *p.asked[len(p.asked)-1]
	p.resolve(&done)
	return &done, nil
}

type ledger struct {
	err    error
	late   error // what receipts say
	events []*Event
	handed int
}

func (l *ledger) Record(_ context.Context, e *Event) error {
	if l.err != nil {
		return l.err
	}
	l.events = append(l.events, e)
	return nil
}

func (l *ledger) Begin(ctx context.Context, e *Event) (Receipt, error) {
	return func(context.Context) error { return l.late }, l.Record(ctx, e)
}

func (l *ledger) Handoff(ctx context.Context, e *Event) error {
	l.handed++
	return l.Record(ctx, e)
}

func (l *ledger) Payload(context.Context, *Payload) error { return l.err }

func (l *ledger) kinds() []EventKind {
	var out []EventKind
	for _, e := range l.events {
		out = append(out, e.Kind)
	}
	return out
}

type fixture struct {
	policy *decisions
	people *people
	ledger *ledger
	gate   *Gate
}

func newFixture(t *testing.T, answer ...Decision) *fixture {
	t.Helper()
	f := &fixture{policy: &decisions{answer: answer}, people: &people{}, ledger: &ledger{}}
	g, err := New(f.policy, f.people, f.ledger, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	f.gate = g
	return f
}

func session() *Session {
	return &Session{ID: NewID(), Started: time.Now(), Principal: Principal{Subject: "agent-1", Issuer: "https://issuer", Token: Token{Hash: "h"}}, Target: Target{Name: "orders", Kind: "postgres"}}
}

func statement(text string) *Operation {
	return &Operation{Protocol: "postgres", Action: "delete", Text: text, SQL: &SQL{}}
}

var (
	allow = Decision{Effect: Allow, Revision: "r1"}
	held  = Decision{Effect: Hold, Hold: []Requirement{{Rule: "ddl", Approvers: []string{"group:dba"}, Required: 1, TTL: time.Minute}}}
)

func TestNewNeedsEveryPart(t *testing.T) {
	if _, err := New(nil, &people{}, &ledger{}, slog.Default()); err == nil {
		t.Error("a gate without policy was made")
	}
}

func TestZeroDecisionDenies(t *testing.T) {
	f := newFixture(t, Decision{})
	d, err := f.gate.Check(t.Context(), session(), statement("select 1"), nil)
	if err != nil || d.Effect != Deny || d.Code() != "default_deny" {
		t.Errorf("got %v %q, %v", d.Effect, d.Code(), err)
	}
	if got := f.ledger.kinds(); !slices.Equal(got, []EventKind{OperationRequested}) {
		t.Errorf("recorded %v", got)
	}
}

func TestPolicyErrorDenies(t *testing.T) {
	f := newFixture(t)
	f.policy.err = errors.New("rego is broken")
	d, err := f.gate.Check(t.Context(), session(), statement("select 1"), nil)
	if err != nil || d.Effect != Deny || d.Code() != "policy_error" {
		t.Errorf("got %v %q, %v", d.Effect, d.Code(), err)
	}
}

// A decision counts only once the receipt has said so.
func TestReceipt(t *testing.T) {
	f := newFixture(t, allow)
	f.ledger.late = errors.New("no space left on device")
	if d, err := f.gate.Check(t.Context(), session(), statement("select 1"), nil); !errors.Is(err, ErrRecord) || d.Effect != Deny {
		t.Errorf("got %v, %v", d.Effect, err)
	}
	d, recorded, err := f.gate.Admit(t.Context(), session(), statement("select 1"), "", nil)
	if err != nil || d.Effect != Allow {
		t.Errorf("got %v, %v", d.Effect, err)
	}
	if err := recorded(t.Context()); !errors.Is(err, ErrRecord) {
		t.Errorf("the receipt says %v", err)
	}
	s := session()
	s.Target.Buffered = true
	if _, recorded, err = f.gate.Admit(t.Context(), s, statement("select 1"), "", nil); err != nil || recorded(t.Context()) != nil {
		t.Errorf("buffered: %v", err)
	}
}

func TestNothingIsReleasedUnrecorded(t *testing.T) {
	f := newFixture(t, allow)
	f.ledger.err = errors.New("no space left on device")
	d, err := f.gate.Check(t.Context(), session(), statement("select 1"), nil)
	if !errors.Is(err, ErrRecord) || d.Effect != Deny {
		t.Errorf("got %v, %v", d.Effect, err)
	}
	if d, err := f.gate.Open(t.Context(), session()); !errors.Is(err, ErrRecord) || d.Effect != Deny {
		t.Errorf("a session opened unrecorded: %v, %v", d.Effect, err)
	}
}

func TestBufferedTargetDoesNotWait(t *testing.T) {
	f := newFixture(t, allow)
	s := session()
	s.Target.Buffered = true
	if _, err := f.gate.Check(t.Context(), s, statement("select 1"), nil); err != nil || f.ledger.handed != 1 {
		t.Errorf("handed over %d, %v", f.ledger.handed, err)
	}
}

func TestOpenRefusesHeldConnections(t *testing.T) {
	f := newFixture(t, held)
	d, err := f.gate.Open(t.Context(), session())
	if err != nil || d.Effect != Deny || d.Code() != "hold_at_connect" {
		t.Errorf("got %v %q, %v", d.Effect, d.Code(), err)
	}
	if got := f.ledger.kinds(); !slices.Equal(got, []EventKind{SessionRefused}) {
		t.Errorf("recorded %v", got)
	}
}

func TestHold(t *testing.T) {
	approve := func(a *Approval) {
		a.State = Approved
		a.Votes = []Vote{{Approver: Principal{Subject: "dba"}, Approve: true, Reason: "fine"}}
	}
	stricter := held
	stricter.Hold = []Requirement{{Rule: "ddl", Approvers: []string{"group:dba"}, Required: 2}}
	otherRule := held
	otherRule.Hold = []Requirement{{Rule: "prod", Required: 1}}
	for _, tc := range []struct {
		name    string
		answers []Decision
		resolve func(*Approval)
		want    Effect
		code    string
	}{
		{"approved", []Decision{held}, approve, Allow, ""},
		{"approved, and the policy no longer asks", []Decision{held, allow}, approve, Allow, ""},
		{"refused", []Decision{held}, func(a *Approval) { a.State = Refused }, Deny, "approval_denied"},
		{"refused, though the policy now allows a first time", []Decision{held, allow}, func(a *Approval) { a.State = Refused }, Deny, "approval_denied"},
		{"expired", []Decision{held}, func(a *Approval) { a.State = Expired }, Deny, "approval_expired"},
		{"withdrawn", []Decision{held}, func(a *Approval) { a.State = Withdrawn }, Deny, "approval_withdrawn"},
		{"still pending", []Decision{held}, func(*Approval) {}, Deny, "approval_withdrawn"},
		{"a state nobody knows", []Decision{held}, func(a *Approval) { a.State = "" }, Deny, "approval_withdrawn"},
		{"the policy forbids it by now", []Decision{held, Denied("freeze", "no changes today", "")}, approve, Deny, "freeze"},
		{"the policy asks for more by now", []Decision{held, stricter}, approve, Deny, "approval_outdated"},
		{"another rule holds it by now", []Decision{held, otherRule}, approve, Deny, "approval_outdated"},
		{"approved for another content", []Decision{held}, func(a *Approval) { approve(a); a.ContentHash = "else" }, Deny, "approval_outdated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t, tc.answers...)
			f.people.resolve = tc.resolve
			var told *Approval
			d, err := f.gate.Check(t.Context(), session(), statement("drop table x"), func(a *Approval) { told = a })
			if err != nil || d.Effect != tc.want {
				t.Fatalf("got %v, %v; want %v", d.Effect, err, tc.want)
			}
			if tc.code != "" && d.Code() != tc.code {
				t.Errorf("code %q, want %q", d.Code(), tc.code)
			}
			if told == nil || told.ID != d.Approval {
				t.Error("the client was not told which approval it waits for")
			}
			if got := f.ledger.kinds(); !slices.Equal(got, []EventKind{ApprovalRequested, OperationRequested}) {
				t.Errorf("recorded %v", got)
			}
		})
	}
}

func TestHoldEndsWithItsClient(t *testing.T) {
	f := newFixture(t, held)
	ctx, cancel := context.WithCancel(t.Context())
	d, err := f.gate.Check(ctx, session(), statement("drop table x"), func(*Approval) { cancel() })
	if !errors.Is(err, context.Canceled) || d.Effect != Deny {
		t.Errorf("got %v, %v", d.Effect, err)
	}
}

func TestUnstorableApprovalDenies(t *testing.T) {
	f := newFixture(t, held)
	f.people.err = errors.New("JetStream is away")
	if d, err := f.gate.Check(t.Context(), session(), statement("drop table x"), nil); err == nil || d.Effect != Deny {
		t.Errorf("got %v, %v", d.Effect, err)
	}
}

func TestApprovalExpiresWithTheShortestRule(t *testing.T) {
	for _, tc := range []struct {
		needs []Requirement
		want  time.Duration
	}{
		{nil, defaultTTL},
		{[]Requirement{{TTL: time.Hour}, {TTL: time.Minute}, {}}, time.Minute},
	} {
		if got := ttl(tc.needs); got != tc.want {
			t.Errorf("%v: %v, want %v", tc.needs, got, tc.want)
		}
	}
}

func TestContentHashBindsTextAndAnalysis(t *testing.T) {
	base := statement("delete from x where id = $1")
	same := statement("delete from x where id = $1")
	same.ID = "another"
	others := []*Operation{
		statement("delete from x"),
		{Protocol: "postgres", Action: "delete", Text: base.Text, SQL: &SQL{Parameters: []any{"2"}}},
		{Protocol: "postgres", Action: "delete", Text: base.Text, SQL: &SQL{Tables: []Table{{Name: "x"}}}},
	}
	hash := func(o *Operation) string {
		h, err := o.ContentHash()
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if hash(base) != hash(same) {
		t.Error("the id changes the hash")
	}
	for _, o := range others {
		if hash(o) == hash(base) {
			t.Errorf("%+v has the same hash", o)
		}
	}
}

func TestPolicySeesWhatWasReadBefore(t *testing.T) {
	f := newFixture(t, allow)
	first, second := session(), session()
	for _, s := range []*Session{first, second} {
		if _, err := f.gate.Open(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	first.Observe([]string{"pii.ssn"})
	if _, err := f.gate.Check(t.Context(), second, statement("select 1"), nil); err != nil {
		t.Fatal(err)
	}
	in := f.policy.inputs[len(f.policy.inputs)-1]
	if !slices.Equal(in.Session.ClassesRead, []string{"pii.ssn"}) {
		t.Errorf("classes read: %v", in.Session.ClassesRead)
	}
}

func TestCloseCounts(t *testing.T) {
	f := newFixture(t, allow, allow, Decision{})
	s := session()
	if _, err := f.gate.Open(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := f.gate.Check(t.Context(), s, statement("select 1"), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.gate.Close(t.Context(), s, Closing{Reason: "client left"}); err != nil {
		t.Fatal(err)
	}
	got := f.ledger.events[len(f.ledger.events)-1].Body.(Closing)
	if got.Operations != 2 || got.Refused != 1 {
		t.Errorf("counted %+v", got)
	}
	if err := f.gate.Close(t.Context(), session(), Closing{}); err != nil || f.ledger.events[len(f.ledger.events)-1].Body != got {
		t.Error("a session that was never open was closed")
	}
}

func TestEffectNames(t *testing.T) {
	for _, e := range []Effect{Deny, Hold, Allow} {
		text, _ := e.MarshalText()
		var back Effect
		if err := back.UnmarshalText(text); err != nil || back != e {
			t.Errorf("%s came back as %v, %v", text, back, err)
		}
	}
	var e Effect
	if err := e.UnmarshalText([]byte("permit")); err == nil || e != Deny {
		t.Errorf("%v, %v", e, err)
	}
	if Effect(9).String() != "deny" {
		t.Error("an unknown effect does not deny")
	}
}
