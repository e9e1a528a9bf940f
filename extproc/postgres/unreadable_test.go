package postgres

import (
	"fmt"
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
)

// A message that cannot be read is an error at its place, as with the server alone,
// and the session goes on. The server never gets it.
func TestUnreadableMessages(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{Auth: pgserver.Trust})
	w.rules = noDelete
	address := w.serve(server.Addr())
	converses := func(t *testing.T, raw []byte) {
		t.Helper()
		direct := signInModel(t, server.Addr(), "weir_orders", "", "shop")
		defer direct.Close()
		through := signInModel(t, address, "anyone", "good", "shop")
		defer through.Close()
		expected, got := converse(direct, raw, nil, 0, 0), converse(through, raw, nil, 0, 0)
		if diff := cmp.Diff(canonicals(t, expected, math.MaxUint32), canonicals(t, got, math.MaxUint32)); diff != "" {
			t.Errorf("the gateway differs (-direct +through):\n%s", diff)
		}
	}
	one := func(m pgproto3.FrontendMessage) []pgproto3.FrontendMessage { return []pgproto3.FrontendMessage{m} }
	query := func(sql string) []pgproto3.FrontendMessage { return one(&pgproto3.Query{String: sql}) }
	alive := script(bindRun("", ""), synced, query("SELECT 'alive'"), one(&pgproto3.Terminate{}))
	for _, m := range unreadables {
		t.Run(fmt.Sprintf("%q", []byte(m)), func(t *testing.T) {
			for name, before := range map[string][]pgproto3.FrontendMessage{
				"alone":                   nil,
				"behind a statement":      script(run1("SELECT 1"), synced),
				"in a pipeline":           run1("CREATE TEMP TABLE gone ()"),
				"in a chain":              {&pgproto3.Parse{Name: "s1", Query: "SELECT 1"}},
				"in a transaction":        query("BEGIN"),
				"in a failed transaction": script(query("BEGIN"), query("SELECT 1/0")),
				"behind an error":         run1("SELECT 1/0"),
			} {
				t.Run(name, func(t *testing.T) {
					converses(t, encodeAll(script(before, one(m), run1("SELECT 2"), synced, query("SELECT 3"), alive)))
				})
			}
		})
	}
	for _, m := range unreadables {
		c := dialRaw(t, address)
		c.send(script(run1("DELETE FROM notes"), one(m), synced)...)
		sees(t, c.until(1), "ERROR 42501", "ready I")
	}
}
