package approval_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weir-gateway/weir/internal/approval"
	"github.com/weir-gateway/weir/internal/gate"
)

// model is an approval as the rules describe it, written a second time and
// differently: by sets of names.
type model struct {
	state    gate.ApprovalState
	voted    map[string]bool // name → approved
	needs    []gate.Requirement
	roles    map[string][]string
	expires  time.Time
	recorded int
}

func (m *model) vote(name string, approve bool, now time.Time) bool {
	eligible := false
	for _, n := range m.needs {
		for _, r := range m.roles[name] {
			eligible = eligible || slices.Contains(n.Approvers, r)
		}
	}
	_, again := m.voted[name]
	own := name == "agent-7" || name == "alice"
	if m.state != gate.Pending || !now.Before(m.expires) || again || own || !eligible {
		return false
	}
	m.voted[name] = approve
	m.recorded++
	m.settle(approve)
	return true
}

func (m *model) settle(approve bool) {
	done := true
	for _, n := range m.needs {
		count := 0
		for name, yes := range m.voted {
			if yes && slices.ContainsFunc(m.roles[name], func(r string) bool { return slices.Contains(n.Approvers, r) }) {
				count++
			}
		}
		done = done && count >= n.Required
	}
	switch {
	case !approve:
		m.end(gate.Refused)
	case done:
		m.end(gate.Approved)
	}
}

func (m *model) end(state gate.ApprovalState) {
	m.state = state
	m.recorded++
}

func (m *model) look(now time.Time) {
	if m.state == gate.Pending && !now.Before(m.expires) {
		m.end(gate.Expired)
	}
}

func TestModel(t *testing.T) {
	js, _ := startNATS(t, t.TempDir())
	now, j := time.Now(), &journal{}
	s := newStore(t, js, approval.Config{Now: func() time.Time { return now }}, j)
	rapid.Check(t, func(rt *rapid.T) {
		now, j.events = time.Now(), nil
		allRoles := []string{"group:a", "group:b", "role:c"}
		subset := rapid.SliceOfNDistinct(rapid.SampledFrom(allRoles), 1, 3, rapid.ID[string])
		var requirements []gate.Requirement
		for i := range rapid.IntRange(1, 3).Draw(rt, "requirements") {
			requirements = append(requirements, gate.Requirement{Rule: fmt.Sprint("r", i), Approvers: subset.Draw(rt, "approvers"), Required: rapid.IntRange(1, 2).Draw(rt, "required")})
		}
		names := []string{"agent-7", "alice", "bob", "carol", "dan", "eve", "fay"}
		a := held(t, time.Hour, requirements...)
		a.Requested, a.Expires = now, now.Add(time.Hour)
		m := &model{state: gate.Pending, voted: map[string]bool{}, needs: requirements, roles: map[string][]string{}, expires: a.Expires}
		for _, n := range names {
			m.roles[n] = rapid.SliceOfNDistinct(rapid.SampledFrom(allRoles), 0, 2, rapid.ID[string]).Draw(rt, n)
		}
		if err := s.Request(t.Context(), a); err != nil {
			rt.Fatal(err)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"vote": func(rt *rapid.T) {
				name := rapid.SampledFrom(names).Draw(rt, "who")
				approve := rapid.IntRange(0, 9).Draw(rt, "approve") > 0
				before := m.state
				taken := m.vote(name, approve, now)
				_, err := s.Vote(t.Context(), a.ID, person(name, m.roles[name]...), approve, "because")
				var r *approval.Refusal
				if taken != (err == nil) || err != nil && !errors.As(err, &r) {
					rt.Fatalf("%s votes %v while %s: model %v, store %v", name, approve, before, taken, err)
				}
				if r != nil && r.Code == approval.Decided {
					m.look(now)
				}
			},
			"time": func(rt *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(1, 20).Draw(rt, "minutes")) * time.Minute)
			},
			"": func(rt *rapid.T) {
				m.look(now)
				got, err := s.Get(t.Context(), a.ID)
				if err != nil || got.State != m.state || len(got.Votes) != len(m.voted) {
					rt.Fatalf("model is %s with %d votes, store %+v, %v", m.state, len(m.voted), got, err)
				}
				if len(j.events) != m.recorded {
					rt.Fatalf("%d events, want %d: %s", len(j.events), m.recorded, j.kinds())
				}
			},
		})
	})
}
