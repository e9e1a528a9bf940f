package postgres

import (
	"context"
	"testing"

	"github.com/weir-gateway/weir/integration/parts"
)

// Test starts a server for one test, which ends with it. If the test fails, it
// prints what the server logged.
func Test(t testing.TB, o Options) *Server {
	t.Helper()
	if o.Bin == "" {
		o.Bin = parts.Need(t, parts.Postgres).PostgresBin
	}
	s, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("PostgreSQL logged:\n%s", s.Log())
		}
		if err := s.Stop(); err != nil {
			t.Errorf("stopping PostgreSQL: %v", err)
		}
	})
	return s
}
