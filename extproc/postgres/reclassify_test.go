package postgres

import (
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
)

// What is classified while a portal, a cursor or a prepared statement is open is
// masked in all that it delivers from then on, and what is masked otherwise too: a
// piece of a portal, a FETCH of a cursor (WITH HOLD, of another transaction), a
// statement that was described before.
func TestReloadBetweenMessages(t *testing.T) {
	bind := func(name string) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{
			&pgproto3.Parse{Name: name, Query: "SELECT ssn FROM customers ORDER BY id"},
			&pgproto3.Bind{PreparedStatement: name, DestinationPortal: name},
		}
	}
	first := []pgproto3.FrontendMessage{&pgproto3.Execute{Portal: "p", MaxRows: 1}}
	tests := map[string]struct{ before, after []pgproto3.FrontendMessage }{
		"parse | bind":       {script([]pgproto3.FrontendMessage{&pgproto3.Parse{Name: "p", Query: "SELECT ssn FROM customers ORDER BY id"}}, synced), script([]pgproto3.FrontendMessage{&pgproto3.Bind{PreparedStatement: "p", DestinationPortal: "p"}}, first, synced)},
		"bind | execute":     {script(query1("BEGIN"), bind("p"), synced), script(first, synced)},
		"describe | execute": {script(query1("BEGIN"), bind("p"), []pgproto3.FrontendMessage{&pgproto3.Describe{ObjectType: 'P', Name: "p"}}, synced), script(first, synced)},
		"execute | execute":  {script(query1("BEGIN"), bind("p"), first, synced), script(first, synced)},
		"in one pipeline":    {script(query1("BEGIN"), bind("p"), first, []pgproto3.FrontendMessage{&pgproto3.Flush{}}), script(first, synced)},
		"prepare | execute":  {query1("PREPARE p AS SELECT ssn FROM customers ORDER BY id"), query1("EXECUTE p")},
		"cursor":             {query1("BEGIN", "DECLARE c CURSOR FOR SELECT ssn FROM customers ORDER BY id"), query1("FETCH c")},
		"cursor with hold":   {query1("BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT ssn FROM customers ORDER BY id", "COMMIT"), query1("FETCH c")},
		"cursor, extended":   {query1("BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT ssn FROM customers ORDER BY id", "COMMIT"), script(run1("FETCH c"), synced)},
		"cursor by portal":   {query1("BEGIN", "DECLARE p CURSOR FOR SELECT ssn FROM customers ORDER BY id"), script(first, synced)},
	}
	w, server := realWorld(t, pgserver.Options{})
	w.rules = maskPII
	none := &classified{by: classes{"public.orders.id": {"other"}}}
	var now atomic.Pointer[classified]
	w.deps.Classification = func() Classification { return now.Load() }
	now.Store(none)
	address := w.serve(server.Addr())
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			now.Store(none)
			c := dialRaw(t, address)
			c.send(test.before...)
			readies := 0
			for _, m := range test.before {
				switch m.(type) {
				case *pgproto3.Query, *pgproto3.Sync:
					readies++
				}
			}
			saw := c.until(readies)
			if _, flushed := test.before[len(test.before)-1].(*pgproto3.Flush); flushed {
				for len(saw) == 0 || saw[len(saw)-1] != "suspended" {
					saw = append(saw, describeMessage(c.receive()))
				}
			}
			now.Store(&classified{by: shopClasses})
			c.send(test.after...)
			for _, line := range c.until(1) {
				if leaks([]byte(line)) {
					t.Errorf("%q was delivered; before, the client saw %q", line, saw)
				}
			}
		})
	}
}

func query1(texts ...string) (m []pgproto3.FrontendMessage) {
	for _, text := range texts {
		m = append(m, &pgproto3.Query{String: text})
	}
	return m
}
