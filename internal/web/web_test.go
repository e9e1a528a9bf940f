package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/weir-gateway/weir/internal/gate"
)

// people know a principal by a token of its name; the roles stand after a slash.
type people struct{}

func (people) Authenticate(_ context.Context, token string) (gate.Principal, error) {
	name, role, ok := strings.Cut(token, "/")
	if !ok {
		return gate.Principal{}, errors.New("jwks: kid 7 unknown")
	}
	return gate.Principal{Subject: name, Roles: []string{role}}, nil
}

type drawer map[string]*gate.Approval

func (d drawer) List(_ context.Context, state gate.ApprovalState) ([]*gate.Approval, error) {
	var out []*gate.Approval
	for _, a := range d {
		if state == "" || a.State == state {
			out = append(out, a)
		}
	}
	return out, nil
}

func (d drawer) Get(_ context.Context, id string) (*gate.Approval, error) {
	if a, ok := d[id]; ok {
		return a, nil
	}
	return nil, ErrNotFound
}

func (d drawer) Vote(_ context.Context, id string, p gate.Principal, approve bool, reason string) (*gate.Approval, error) {
	if reason == "" {
		return nil, fmt.Errorf("%w: a reason is needed", ErrVote)
	}
	a := d[id]
	if a == nil {
		return nil, ErrNotFound
	}
	a.State = gate.Refused
	if approve {
		a.State = gate.Approved
	}
	a.Votes = append(a.Votes, gate.Vote{Approver: p, Approve: approve, Reason: reason})
	return a, nil
}

type archive struct {
	broken error
	filter Filter
}

func (a *archive) Sessions(_ context.Context, f Filter) ([]Session, error) {
	a.filter = f
	return []Session{{ID: "s1", Target: "orders"}}, a.broken
}

func (a *archive) Session(_ context.Context, id string) (*Session, []Operation, error) {
	if id != "s1" {
		return nil, nil, ErrNotFound
	}
	return &Session{ID: "s1"}, []Operation{{ID: "o1", Text: "select 1"}}, nil
}

func (a *archive) Replay(_ context.Context, id string) iter.Seq2[ReplayItem, error] {
	return func(yield func(ReplayItem, error) bool) {
		if id != "s1" {
			yield(ReplayItem{}, ErrNotFound)
			return
		}
		if yield(ReplayItem{Kind: "session.opened"}, nil) && a.broken != nil {
			yield(ReplayItem{}, a.broken)
		}
	}
}

type fixture struct {
	drawer  drawer
	archive *archive
	checks  []Check
	server  *Server
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{archive: &archive{}, drawer: drawer{}}
	f.drawer["0190-a"] = &gate.Approval{ID: "0190-a", State: gate.Pending, Requester: gate.Principal{Subject: "agent-1"}, Needs: []gate.Requirement{{Approvers: []string{"group:dba"}}}}
	f.drawer["0191-b"] = &gate.Approval{ID: "0191-b", State: gate.Approved, Requester: gate.Principal{Subject: "agent-2"}}
	var err error
	f.server, err = New(Deps{
		Identity: people{}, Approvals: f.drawer, Evidence: f.archive,
		Readers: func() []string { return []string{"group:audit"} },
		Ready:   func(context.Context) []Check { return f.checks },
		Status:  func(context.Context) any { return map[string]string{"version": "test"} },
		Config:  func() ([]byte, error) { return []byte("data: x\n"), nil },
		Log:     slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func call(t *testing.T, h http.Handler, method, path, token, body string) (int, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	text, _ := io.ReadAll(w.Result().Body)
	return w.Code, string(text)
}

func TestWhoMayRead(t *testing.T) {
	f := newFixture(t)
	for _, path := range []string{"/config", "/api/v1/status", "/api/v1/sessions", "/api/v1/sessions/s1", "/api/v1/sessions/s1/replay"} {
		for _, tc := range []struct {
			who   string
			h     http.Handler
			token string
			want  int
		}{
			{"nobody on the port", f.server.Public(), "", 401},
			{"a stranger", f.server.Public(), "forged", 401},
			{"an agent", f.server.Public(), "agent-1/group:bots", 403},
			{"an auditor", f.server.Public(), "eve/group:audit", 200},
			{"the gateway's own user", f.server.Local(), "", 200},
		} {
			if code, body := call(t, tc.h, "GET", path, tc.token, ""); code != tc.want || strings.Contains(body, "jwks") {
				t.Errorf("%s reads %s: %d %s, want %d", tc.who, path, code, body, tc.want)
			}
		}
	}
}

func TestProbes(t *testing.T) {
	f := newFixture(t)
	if code, _ := call(t, f.server.Public(), "GET", "/healthz", "", ""); code != 200 {
		t.Errorf("healthz: %d", code)
	}
	if code, _ := call(t, f.server.Public(), "GET", "/readyz", "", ""); code != 200 {
		t.Errorf("readyz: %d", code)
	}
	f.checks = []Check{{Name: "envoy", Note: "not started"}}
	if code, body := call(t, f.server.Public(), "GET", "/readyz", "", ""); code != 503 || !strings.Contains(body, "not started") {
		t.Errorf("readyz: %d %s", code, body)
	}
}

func TestFilter(t *testing.T) {
	f := newFixture(t)
	path := "/api/v1/sessions?target=orders&subject=agent-1&since=2026-01-01T00:00:00Z&limit=7"
	if code, body := call(t, f.server.Local(), "GET", path, "", ""); code != 200 {
		t.Fatalf("%d %s", code, body)
	}
	if got := f.archive.filter; got.Target != "orders" || got.Subject != "agent-1" || got.Limit != 7 || got.Since.Year() != 2026 || !got.Until.IsZero() {
		t.Errorf("filter %+v", got)
	}
	for _, bad := range []string{"limit=0", "limit=x", "limit=100000", "since=yesterday", "until=1"} {
		if code, _ := call(t, f.server.Local(), "GET", "/api/v1/sessions?"+bad, "", ""); code != 400 {
			t.Errorf("%s: %d", bad, code)
		}
	}
}

func TestReplaySaysWhenItBreaksOff(t *testing.T) {
	f := newFixture(t)
	if code, _ := call(t, f.server.Local(), "GET", "/api/v1/sessions/none/replay", "", ""); code != 404 {
		t.Errorf("an unknown session: %d", code)
	}
	f.archive.broken = errors.New("ClickHouse went away")
	_, body := call(t, f.server.Local(), "GET", "/api/v1/sessions/s1/replay", "", "")
	lines := strings.Split(strings.TrimSpace(body), "\n")
	if len(lines) != 2 || !strings.Contains(lines[1], `"error"`) {
		t.Errorf("got %q", body)
	}
}

func TestApprovalsShowWhatConcernsOne(t *testing.T) {
	f := newFixture(t)
	for _, tc := range []struct {
		token, state string
		code, count  int
	}{
		{"", "", 401, 0},
		{"bob/group:dba", "", 200, 1},
		{"bob/group:dba", "all", 200, 1},
		{"mallory/group:other", "all", 200, 0},
		{"agent-2/group:bots", "all", 200, 1},
		{"eve/group:audit", "all", 200, 2},
	} {
		code, body := call(t, f.server.Public(), "GET", "/api/v1/approvals?state="+tc.state, tc.token, "")
		var list []gate.Approval
		if code == 200 {
			if err := json.Unmarshal([]byte(body), &list); err != nil {
				t.Fatal(err)
			}
		}
		if code != tc.code || len(list) != tc.count {
			t.Errorf("%q sees %d approvals (%d), want %d (%d)", tc.token, len(list), code, tc.count, tc.code)
		}
	}
	if code, _ := call(t, f.server.Public(), "GET", "/api/v1/approvals/0190-a", "mallory/group:other", ""); code != 404 {
		t.Errorf("mallory reads it: %d", code)
	}
}

func TestVotes(t *testing.T) {
	yes := `{"approve":true,"reason":"ticket 7"}`
	for _, tc := range []struct {
		name, id, token, body string
		code                  int
	}{
		{"without a token", "0190-a", "", yes, 401},
		{"a stranger", "0190-a", "forged", yes, 401},
		{"of an unknown approval", "none", "bob/group:dba", yes, 404},
		{"by a prefix", "0190", "bob/group:dba", yes, 404},
		{"by its id", "0190-a", "bob/group:dba", yes, 200},
		{"without a reason", "0190-a", "bob/group:dba", `{"approve":true}`, 403},
		{"that says neither yes nor no", "0190-a", "bob/group:dba", `{"reason":"x"}`, 400},
		{"with a misspelt field", "0190-a", "bob/group:dba", `{"aprove":true,"reason":"x"}`, 400},
		{"too large", "0190-a", "bob/group:dba", `{"reason":"` + strings.Repeat("x", maxRequest) + `"}`, 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f := newFixture(t)
			// A vote needs a token even on the local socket.
			for _, h := range []http.Handler{f.server.Public(), f.server.Local()} {
				f.drawer["0190-a"].State = gate.Pending
				if code, body := call(t, h, "POST", "/api/v1/approvals/"+tc.id+"/votes", tc.token, tc.body); code != tc.code {
					t.Errorf("got %d %s, want %d", code, body, tc.code)
				}
				if approved := f.drawer["0190-a"].State == gate.Approved; approved != (tc.code == 200) {
					t.Errorf("state %s", f.drawer["0190-a"].State)
				}
			}
		})
	}
}
