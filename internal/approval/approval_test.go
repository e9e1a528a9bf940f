package approval_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/weir-gateway/weir/internal/approval"
	"github.com/weir-gateway/weir/internal/gate"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// startNATS runs a real NATS server in this process, on a folder.
func startNATS(t testing.TB, dir string) (js jetstream.JetStream, stop func()) {
	t.Helper()
	s, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: dir, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(30 * time.Second) {
		t.Fatal("NATS did not start")
	}
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		t.Fatal(err)
	}
	if js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	stop = func() {
		once.Do(func() {
			nc.Close()
			s.Shutdown()
			s.WaitForShutdown()
		})
	}
	t.Cleanup(stop)
	return js, stop
}

// journal is the evidence, in memory. Before an event is kept, look is called:
// by then nobody may see what the event is about.
type journal struct {
	mu     sync.Mutex
	events []*gate.Event
	look   func(e *gate.Event) error
}

func (j *journal) Record(_ context.Context, e *gate.Event) error {
	j.mu.Lock()
	look := j.look
	j.mu.Unlock()
	if look != nil {
		if err := look(e); err != nil {
			return err
		}
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.events = append(j.events, e)
	return nil
}

func (j *journal) kinds() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]string, len(j.events))
	for i, e := range j.events {
		out[i] = strings.TrimPrefix(string(e.Kind), "approval.")
	}
	return strings.Join(out, " ")
}

func newStore(t testing.TB, js jetstream.JetStream, cfg approval.Config, j *journal) *approval.Store {
	t.Helper()
	s, err := approval.New(context.Background(), js, cfg, j, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func setUp(t testing.TB) (*approval.Store, *journal) {
	t.Helper()
	js, _ := startNATS(t, t.TempDir())
	j := &journal{}
	return newStore(t, js, approval.Config{}, j), j
}

const iss = "https://login.example"

func person(name string, roles ...string) gate.Principal {
	return gate.Principal{Subject: name, Issuer: iss, Kind: gate.Human, Roles: roles, Auth: "oidc"}
}

func needs(required int, approvers ...string) gate.Requirement {
	return gate.Requirement{Rule: "ddl", Approvers: approvers, Required: required}
}

func held(t testing.TB, ttl time.Duration, requirements ...gate.Requirement) *gate.Approval {
	t.Helper()
	op := gate.Operation{
		ID: gate.NewID(), Protocol: "postgres", Action: "ddl", Text: "drop table x", Risks: []string{"ddl"},
		SQL: &gate.SQL{Statements: []gate.Statement{{Action: "ddl", Text: "drop table x"}}, Parameters: []any{"a", nil}},
	}
	hash, err := op.ContentHash()
	if err != nil {
		t.Fatal(err)
	}
	if len(requirements) == 0 {
		requirements = []gate.Requirement{needs(1, "group:dba")}
	}
	now := time.Now()
	return &gate.Approval{
		ID: gate.NewID(), State: gate.Pending, Session: gate.NewID(), Target: gate.Target{Name: "orders", Kind: "postgres"},
		Requester: gate.Principal{Subject: "agent-7", Issuer: iss, Kind: gate.Agent, OnBehalfOf: []gate.Actor{{Subject: "alice", Issuer: iss}}},
		Operation: op, ContentHash: hash, Needs: requirements, Requested: now, Expires: now.Add(ttl), Votes: []gate.Vote{},
	}
}

func request(t testing.TB, s *approval.Store, a *gate.Approval) *gate.Approval {
	t.Helper()
	if err := s.Request(context.Background(), a); err != nil {
		t.Fatal(err)
	}
	return a
}

func refused(t *testing.T, err error, code approval.Code) {
	t.Helper()
	var r *approval.Refusal
	if !errors.As(err, &r) || r.Code != code {
		t.Errorf("got %v, want a refusal %s", err, code)
	}
}

type result struct {
	a   *gate.Approval
	err error
}

// wait begins to wait, and returns where the result comes.
func wait(ctx context.Context, s *approval.Store, id string) <-chan result {
	done := make(chan result, 1)
	go func() {
		a, err := s.Wait(ctx, id)
		done <- result{a, err}
	}()
	return done
}

func TestApproved(t *testing.T) {
	s, j := setUp(t)
	a := request(t, s, held(t, time.Hour))
	done := wait(t.Context(), s, a.ID)
	voted, err := s.Vote(t.Context(), a.ID, person("bob", "group:dba"), true, "  ticket 7 \n")
	if err != nil || voted.State != gate.Approved {
		t.Fatalf("%+v, %v", voted, err)
	}
	got := <-done
	if got.err != nil || got.a.State != gate.Approved || len(got.a.Votes) != 1 || got.a.Votes[0].Reason != "ticket 7" {
		t.Errorf("%+v, %v", got.a, got.err)
	}
	if hash, err := got.a.Operation.ContentHash(); err != nil || hash != a.ContentHash {
		t.Errorf("the operation came back as another: %v", err)
	}
	if got := j.kinds(); got != "voted resolved" {
		t.Errorf("recorded: %s", got)
	}
	e := j.events[1]
	if e.Session != a.Session || e.Operation != a.Operation.ID || e.Target != "orders" || e.Subject != "agent-7" {
		t.Errorf("event is %+v", e)
	}
}

func TestDenied(t *testing.T) {
	s, j := setUp(t)
	a := request(t, s, held(t, time.Hour, needs(3, "group:dba")))
	done := wait(t.Context(), s, a.ID)
	if _, err := s.Vote(t.Context(), a.ID, person("bob", "group:dba"), true, "fine"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Vote(t.Context(), a.ID, person("carol", "group:dba"), false, "not in production"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.err != nil || got.a.State != gate.Refused || len(got.a.Votes) != 2 {
		t.Errorf("%+v, %v", got.a, got.err)
	}
	if got := j.kinds(); got != "voted voted resolved" {
		t.Errorf("recorded: %s", got)
	}
	_, err := s.Vote(t.Context(), a.ID, person("dan", "group:dba"), true, "too late")
	refused(t, err, approval.Decided)
}

func TestWhoMayVote(t *testing.T) {
	s, j := setUp(t)
	a := request(t, s, held(t, time.Hour))
	with := func(p gate.Principal, change func(*gate.Principal)) gate.Principal { change(&p); return p }
	dba := person("bob", "group:dba")
	for name, tc := range map[string]struct {
		who    gate.Principal
		reason string
		code   approval.Code
	}{
		"no reason":                 {dba, "", approval.BadReason},
		"blank reason":              {dba, " \n\t", approval.BadReason},
		"long reason":               {dba, strings.Repeat("ä", 2001), approval.BadReason},
		"terminal escape":           {dba, "ok\x1b[2J", approval.BadReason},
		"invisible direction":       {dba, "ok\u202e", approval.BadReason},
		"no text":                   {dba, "ok\xff", approval.BadReason},
		"agent":                     {with(dba, func(p *gate.Principal) { p.Kind = gate.Agent }), "ok", approval.WrongKind},
		"service":                   {with(dba, func(p *gate.Principal) { p.Kind = gate.Service }), "ok", approval.WrongKind},
		"kind unknown":              {with(dba, func(p *gate.Principal) { p.Kind = "" }), "ok", approval.WrongKind},
		"nobody":                    {with(dba, func(p *gate.Principal) { p.Subject = "" }), "ok", approval.WrongKind},
		"no role":                   {person("bob", "group:eng", "role:dba", "dba"), "ok", approval.NoRole},
		"the requester":             {person("agent-7", "group:dba"), "ok", approval.OwnRequest},
		"requester, issuer unknown": {with(person("agent-7", "group:dba"), func(p *gate.Principal) { p.Issuer = "" }), "ok", approval.OwnRequest},
		"in the requester's chain":  {person("alice", "group:dba"), "ok", approval.OwnRequest},
		"requester in their chain":  {with(dba, func(p *gate.Principal) { p.OnBehalfOf = []gate.Actor{{Subject: "agent-7", Issuer: iss}} }), "ok", approval.OwnRequest},
		"chains meet":               {with(dba, func(p *gate.Principal) { p.OnBehalfOf = []gate.Actor{{Subject: "alice"}} }), "ok", approval.OwnRequest},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Vote(t.Context(), a.ID, tc.who, true, tc.reason)
			refused(t, err, tc.code)
			_, err = s.Vote(t.Context(), a.ID, tc.who, false, tc.reason)
			refused(t, err, tc.code)
		})
	}
	if got, err := s.Get(t.Context(), a.ID); err != nil || got.State != gate.Pending || len(got.Votes) != 0 || j.kinds() != "" {
		t.Errorf("%+v, %v, recorded: %s", got, err, j.kinds())
	}
	other := with(person("agent-7", "group:dba"), func(p *gate.Principal) { p.Issuer = "https://other.example" })
	if _, err := s.Vote(t.Context(), a.ID, other, true, "another issuer's agent-7 is somebody else"); err != nil {
		t.Error(err)
	}
}

func TestQuorum(t *testing.T) {
	s, _ := setUp(t)
	a := request(t, s, held(t, time.Hour, needs(2, "group:dba"), gate.Requirement{Rule: "pii", Approvers: []string{"group:privacy"}}))
	for _, step := range []struct {
		who  gate.Principal
		want gate.ApprovalState
	}{
		{person("bob", "group:dba"), gate.Pending},
		{person("carol", "group:privacy"), gate.Pending},
		{person("dan", "group:privacy"), gate.Pending}, // does not make up for a DBA
		{person("eve", "group:dba"), gate.Approved},
	} {
		got, err := s.Vote(t.Context(), a.ID, step.who, true, "ok")
		if err != nil || got.State != step.want {
			t.Fatalf("after %s: %+v, %v", step.who.Subject, got, err)
		}
	}
	twice := request(t, s, held(t, time.Hour, needs(2, "group:dba")))
	if _, err := s.Vote(t.Context(), twice.ID, person("bob", "group:dba"), true, "ok"); err != nil {
		t.Fatal(err)
	}
	for _, again := range []gate.Principal{person("bob", "group:dba"), {Subject: "bob", Kind: gate.Human, Roles: []string{"group:dba"}}} {
		_, err := s.Vote(t.Context(), twice.ID, again, true, "ok")
		refused(t, err, approval.VotedAlready)
		_, err = s.Vote(t.Context(), twice.ID, again, false, "on second thought")
		refused(t, err, approval.VotedAlready)
	}
	both := request(t, s, held(t, time.Hour, needs(1, "group:dba"), needs(1, "group:privacy")))
	if got, err := s.Vote(t.Context(), both.ID, person("fay", "group:dba", "group:privacy"), true, "ok"); err != nil || got.State != gate.Approved {
		t.Errorf("one who has both roles satisfies both rules: %+v, %v", got, err)
	}
}

func TestRequestIsChecked(t *testing.T) {
	s, _ := setUp(t)
	a := request(t, s, held(t, time.Hour))
	if err := s.Request(t.Context(), a); err == nil {
		t.Error("an id was used twice")
	}
	for name, spoil := range map[string]func(*gate.Approval){
		"no id":         func(a *gate.Approval) { a.ID = "" },
		"id is a key":   func(a *gate.Approval) { a.ID = "a.>" },
		"decided":       func(a *gate.Approval) { a.State = gate.Approved },
		"voted":         func(a *gate.Approval) { a.Votes = []gate.Vote{{Approve: true}} },
		"no needs":      func(a *gate.Approval) { a.Needs = nil },
		"no approvers":  func(a *gate.Approval) { a.Needs[0].Approvers = nil },
		"no requester":  func(a *gate.Approval) { a.Requester = gate.Principal{} },
		"no end":        func(a *gate.Approval) { a.Expires = time.Time{} },
		"other content": func(a *gate.Approval) { a.Operation.Text = "drop database x" },
		"too large": func(a *gate.Approval) {
			a.Operation.Text = strings.Repeat("x", 1<<20)
			a.ContentHash, _ = a.Operation.ContentHash()
		},
	} {
		b := held(t, time.Hour)
		spoil(b)
		if err := s.Request(t.Context(), b); err == nil {
			t.Errorf("%s: it was stored", name)
		}
	}
	for _, id := range []string{"", "*", ">", "a/b", gate.NewID(), strings.ToUpper(a.ID)} {
		if _, err := s.Get(t.Context(), id); !errors.Is(err, approval.ErrNotFound) {
			t.Errorf("Get %q: %v", id, err)
		}
		if _, err := s.Vote(t.Context(), id, person("bob", "group:dba"), true, "ok"); !errors.Is(err, approval.ErrNotFound) {
			t.Errorf("Vote %q: %v", id, err)
		}
		if _, err := s.Wait(t.Context(), id); !errors.Is(err, approval.ErrNotFound) {
			t.Errorf("Wait %q: %v", id, err)
		}
	}
}

func TestExpires(t *testing.T) {
	s, j := setUp(t)
	a := request(t, s, held(t, 50*time.Millisecond))
	if got := <-wait(t.Context(), s, a.ID); got.err != nil || got.a.State != gate.Expired {
		t.Errorf("%+v, %v", got.a, got.err)
	}
	_, err := s.Vote(t.Context(), a.ID, person("bob", "group:dba"), true, "ok")
	refused(t, err, approval.Decided)
	if got := j.kinds(); got != "resolved" {
		t.Errorf("recorded: %s", got)
	}
}

// TestExpiresUnwatched: nobody waits, and still it expires: for the one who
// votes, lists or looks, and by itself.
func TestExpiresUnwatched(t *testing.T) {
	js, _ := startNATS(t, t.TempDir())
	for name, look := range map[string]func(s *approval.Store, id string) (gate.ApprovalState, error){
		"get": func(s *approval.Store, id string) (gate.ApprovalState, error) {
			a, err := s.Get(t.Context(), id)
			return a.State, err
		},
		"list": func(s *approval.Store, _ string) (gate.ApprovalState, error) {
			pending, err := s.List(t.Context(), gate.Pending)
			if err != nil || len(pending) > 0 {
				return gate.Pending, err
			}
			list, err := s.List(t.Context(), gate.Expired)
			return list[0].State, err
		},
		"wait": func(s *approval.Store, id string) (gate.ApprovalState, error) {
			a, err := s.Wait(t.Context(), id)
			return a.State, err
		},
		"vote": func(s *approval.Store, id string) (gate.ApprovalState, error) {
			_, err := s.Vote(t.Context(), id, person("bob", "group:dba"), true, "ok")
			refused(t, err, approval.Decided)
			return gate.Expired, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			j := &journal{}
			s := newStore(t, js, approval.Config{Bucket: "unwatched_" + name}, j)
			a := request(t, s, held(t, -time.Second))
			if state, err := look(s, a.ID); err != nil || state != gate.Expired {
				t.Errorf("%s, %v", state, err)
			}
			if got := j.kinds(); got != "resolved" {
				t.Errorf("recorded: %s", got)
			}
		})
	}
	t.Run("by itself", func(t *testing.T) {
		j := &journal{}
		s := newStore(t, js, approval.Config{Bucket: "unwatched_run"}, j)
		request(t, s, held(t, 30*time.Millisecond))
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Run(ctx) }()
		request(t, s, held(t, 60*time.Millisecond))
		request(t, s, held(t, time.Hour))
		eventually(t, func() bool { return j.kinds() == "resolved resolved" })
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if pending, err := s.List(t.Context(), gate.Pending); err != nil || len(pending) != 1 {
			t.Errorf("%v, %v", pending, err)
		}
	})
}

func TestWithdrawn(t *testing.T) {
	s, j := setUp(t)
	a := request(t, s, held(t, time.Hour))
	ctx, cancel := context.WithCancel(t.Context())
	done := wait(ctx, s, a.ID)
	cancel()
	if got := <-done; !errors.Is(got.err, context.Canceled) || got.a != nil {
		t.Errorf("%+v, %v", got.a, got.err)
	}
	if got, err := s.Get(t.Context(), a.ID); err != nil || got.State != gate.Withdrawn || j.kinds() != "resolved" {
		t.Errorf("%+v, %v, recorded: %s", got, err, j.kinds())
	}
	_, err := s.Vote(t.Context(), a.ID, person("bob", "group:dba"), true, "ok")
	refused(t, err, approval.Decided)
}

// TestRace: many vote at the same moment, in two processes' stores. Exactly the
// needed votes count, each recorded once, and nobody's vote is lost.
func TestRace(t *testing.T) {
	js, _ := startNATS(t, t.TempDir())
	j := &journal{}
	stores := []*approval.Store{newStore(t, js, approval.Config{}, j), newStore(t, js, approval.Config{}, j)}
	a := request(t, stores[0], held(t, time.Hour, needs(3, "group:dba")))
	done := wait(t.Context(), stores[0], a.ID)
	var group sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for i := range 8 {
		group.Go(func() {
			_, err := stores[i%2].Vote(context.Background(), a.ID, person(fmt.Sprintf("p%d", i), "group:dba"), true, "ok")
			var r *approval.Refusal
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				taken++
			case !errors.As(err, &r) || r.Code != approval.Decided:
				t.Errorf("p%d: %v", i, err)
			}
		})
	}
	group.Wait()
	got := <-done
	if got.err != nil || got.a.State != gate.Approved || len(got.a.Votes) != 3 || taken != 3 {
		t.Errorf("%d taken, %+v, %v", taken, got.a, got.err)
	}
	if got := j.kinds(); got != "voted voted voted resolved" {
		t.Errorf("recorded: %s", got)
	}
}

// TestApproveAgainstDeny: whoever comes first decides, and all agree who it was.
func TestApproveAgainstDeny(t *testing.T) {
	s, j := setUp(t)
	for range 20 {
		a := request(t, s, held(t, time.Hour))
		done := wait(t.Context(), s, a.ID)
		var group sync.WaitGroup
		errs := make([]error, 2)
		for i, approve := range []bool{true, false} {
			group.Go(func() {
				_, errs[i] = s.Vote(context.Background(), a.ID, person(fmt.Sprint("p", i), "group:dba"), approve, "ok")
			})
		}
		group.Wait()
		got := <-done
		want := gate.Approved
		if errs[0] != nil {
			want = gate.Refused
		}
		if got.err != nil || got.a.State != want || len(got.a.Votes) != 1 || (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("%+v, %v; votes: %v", got.a, got.err, errs)
		}
	}
	if n := len(strings.Fields(j.kinds())); n != 40 {
		t.Errorf("%d events", n)
	}
}

// TestRecordedBeforeVisible: while an event is being written, nobody sees its
// change; where it cannot be written, there is none.
func TestRecordedBeforeVisible(t *testing.T) {
	s, j := setUp(t)
	a := request(t, s, held(t, time.Hour))
	seen := []gate.ApprovalState{}
	j.look = func(*gate.Event) error {
		now, err := s.Get(context.Background(), a.ID)
		if err != nil {
			return err
		}
		seen = append(seen, now.State)
		if len(now.Votes) != 0 {
			return errors.New("the vote is seen already")
		}
		return nil
	}
	if _, err := s.Vote(t.Context(), a.ID, person("bob", "group:dba"), true, "ok"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]gate.ApprovalState{gate.Pending, gate.Pending}, seen); diff != "" {
		t.Error(diff)
	}

	b := request(t, s, held(t, time.Hour))
	full := errors.New("disk full")
	j.look = func(*gate.Event) error { return full }
	_, err := s.Vote(t.Context(), b.ID, person("bob", "group:dba"), true, "ok")
	if !errors.Is(err, full) || !errors.Is(err, gate.ErrRecord) {
		t.Errorf("got %v", err)
	}
	if now, err := s.Get(t.Context(), b.ID); err != nil || now.State != gate.Pending || len(now.Votes) != 0 {
		t.Errorf("%+v, %v", now, err)
	}
	j.look = nil // once the disk has room again, the same person may vote
	if now, err := s.Vote(t.Context(), b.ID, person("bob", "group:dba"), true, "ok"); err != nil || now.State != gate.Approved {
		t.Errorf("%+v, %v", now, err)
	}
}

// TestDeadOwner: a process that died in the middle of a change holds nobody up
// for longer than its lease.
func TestDeadOwner(t *testing.T) {
	js, _ := startNATS(t, t.TempDir())
	s := newStore(t, js, approval.Config{Lease: 300 * time.Millisecond}, &journal{})
	a := request(t, s, held(t, time.Hour))
	dying, died := make(chan struct{}), make(chan struct{})
	var once sync.Once
	dead := newStore(t, js, approval.Config{Lease: 300 * time.Millisecond}, &journal{look: func(*gate.Event) error {
		once.Do(func() { close(dying) })
		<-died
		return nil
	}})
	late := make(chan error, 1)
	go func() {
		_, err := dead.Vote(context.Background(), a.ID, person("bob", "group:dba"), true, "ok")
		late <- err
	}()
	<-dying
	got, err := s.Vote(t.Context(), a.ID, person("carol", "group:dba"), false, "no")
	if err != nil || got.State != gate.Refused {
		t.Errorf("%+v, %v", got, err)
	}
	close(died) // it comes back: too late
	if err := <-late; err == nil {
		t.Error("a change was completed after its lease")
	}
	if got, err := s.Get(t.Context(), a.ID); err != nil || got.State != gate.Refused || len(got.Votes) != 1 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestRestart(t *testing.T) {
	dir := t.TempDir()
	js, stop := startNATS(t, dir)
	s := newStore(t, js, approval.Config{}, &journal{})
	a := request(t, s, held(t, time.Hour, needs(2, "group:dba")))
	b := request(t, s, held(t, time.Hour))
	if _, err := s.Vote(t.Context(), a.ID, person("bob", "group:dba"), true, "ok"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Vote(t.Context(), b.ID, person("bob", "group:dba"), false, "no"); err != nil {
		t.Fatal(err)
	}
	stop()

	js, _ = startNATS(t, dir)
	s = newStore(t, js, approval.Config{}, &journal{})
	all, err := s.List(t.Context(), "")
	if err != nil || len(all) != 2 || all[0].ID != a.ID || all[1].State != gate.Refused {
		t.Fatalf("%+v, %v", all, err)
	}
	_, err = s.Vote(t.Context(), a.ID, person("bob", "group:dba"), true, "again")
	refused(t, err, approval.VotedAlready)
	done := wait(t.Context(), s, a.ID)
	if _, err := s.Vote(t.Context(), a.ID, person("carol", "group:dba"), true, "ok"); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got.err != nil || got.a.State != gate.Approved || len(got.a.Votes) != 2 {
		t.Errorf("%+v, %v", got.a, got.err)
	}
	if got := <-wait(t.Context(), s, b.ID); got.err != nil || got.a.State != gate.Refused {
		t.Errorf("%+v, %v", got.a, got.err)
	}
}

func TestKinds(t *testing.T) {
	js, _ := startNATS(t, t.TempDir())
	s := newStore(t, js, approval.Config{Kinds: []gate.Kind{gate.Human, gate.Service}}, &journal{})
	a := request(t, s, held(t, time.Hour))
	bot := person("ticket-bot", "group:dba")
	bot.Kind = gate.Service
	if got, err := s.Vote(t.Context(), a.ID, bot, true, "change 12 is approved"); err != nil || got.State != gate.Approved {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestListStates(t *testing.T) {
	s, _ := setUp(t)
	var ids []string
	for range 4 {
		ids = append(ids, request(t, s, held(t, time.Hour)).ID)
	}
	if _, err := s.Vote(t.Context(), ids[1], person("bob", "group:dba"), true, "ok"); err != nil {
		t.Fatal(err)
	}
	for state, want := range map[gate.ApprovalState][]string{
		gate.Pending: {ids[0], ids[2], ids[3]}, gate.Approved: {ids[1]}, gate.Expired: nil, "": ids,
	} {
		list, err := s.List(t.Context(), state)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range list {
			got = append(got, a.ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", state, got, want)
		}
	}
}

func eventually(t testing.TB, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal("it never came")
		}
		time.Sleep(10 * time.Millisecond)
	}
}
