package http

import (
	"testing"
	"time"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/gate"
)

// A session is a token on a host: what is one already goes on, one more is
// refused, until one has been idle for long enough.
func TestATargetHasSoManySessions(t *testing.T) {
	f := newFixture(t, allow)
	f.sessions.max = 2
	now := time.Now()
	f.sessions.now = func() time.Time { return now }
	from := func(host string) *wire {
		t.Helper()
		return f.serve(t, &wire{
			req: request("GET", "/", ""), resp: response(204, "", ""), peer: extproc.Peer{Address: host + ":5000", TLS: "TLSv1.3"},
		})
	}
	for _, host := range []string{"192.0.2.1", "192.0.2.2", "192.0.2.1"} {
		if w := from(host); w.sent == nil {
			t.Fatalf("%s was refused: %s", host, w.refused.Body)
		}
	}
	w := from("192.0.2.3")
	if p := w.problem(t); p.Status != 503 || p.Rule != "too_many_sessions" || p.Hint == "" || w.sent != nil {
		t.Errorf("got %+v", p)
	}
	if last := f.ledger.events[len(f.ledger.events)-1]; last.Kind != gate.SessionRefused {
		t.Errorf("recorded is %s", last.Kind)
	}
	_, refused := f.CheckHeaders(t.Context(), "billing", extproc.Peer{Address: "192.0.2.3:1", TLS: "TLSv1.3"}, request("GET", "/", ""))
	if refused == nil || refused.Status != 503 {
		t.Errorf("by headers: %+v", refused)
	}
	now = now.Add(sessionIdle + time.Second)
	if w := from("192.0.2.3"); w.sent == nil {
		t.Errorf("refused though the others are idle: %s", w.refused.Body)
	}
}
