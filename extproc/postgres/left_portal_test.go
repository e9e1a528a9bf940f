package postgres

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// A Query that fails in a transaction leaves its portal behind, without its plan, and
// PostgreSQL 18.4 may crash where it is to execute that. The client is told what the
// server would have said, and the server never hears of it.
func TestPortalOfAFailedQuery(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{Auth: pgserver.Trust})
	query := func(texts ...string) (m []pgproto3.FrontendMessage) {
		for _, text := range texts {
			m = append(m, &pgproto3.Query{String: text})
		}
		return m
	}
	execute := []pgproto3.FrontendMessage{&pgproto3.Execute{}, &pgproto3.Sync{}}
	bound := script(query("BEGIN"), []pgproto3.FrontendMessage{&pgproto3.Parse{Query: "SELECT 1 AS a"}, &pgproto3.Bind{}}, synced)
	const insert = "INSERT INTO notes (id) VALUES (1/(random()*0)::int)"
	limited := gate.Limits{MaxRows: 1 << 40}
	const anError, noPortal = "ERROR 25P02", "ERROR 34000"
	for name, test := range map[string]struct {
		before []pgproto3.FrontendMessage
		limits gate.Limits
		want   string // the answer to the Execute behind it
		heard  int    // how often the server is to execute a portal without a name
	}{
		"one with rows":                {before: query("BEGIN", "SELECT 1/(random()*0)::int"), want: anError},
		"one without":                  {before: query("BEGIN", insert), want: anError},
		"of several":                   {before: query("BEGIN; SELECT 1; " + insert), want: anError},
		"a command":                    {before: query("BEGIN", "RELEASE nosuch"), want: anError},
		"one that did not come to it":  {before: query("BEGIN", "SELECT nosuch"), want: noPortal},
		"one in a savepoint":           {before: query("BEGIN", "SAVEPOINT s", insert), want: anError},
		"in place of the client's own": {before: script(bound, query("SELECT 1/(random()*0)::int")), want: anError},
		"the same, and limits":         {before: script(bound, query(insert+" RETURNING id")), limits: limited, want: anError, heard: 1},
		"behind other errors":          {before: script(query("BEGIN", insert), run1("SELECT 1"), synced), want: anError, heard: 1},
		"the Query has ended":          {before: script(bound, query("SELECT 2")), want: noPortal},
		"so it has, and limits": {
			before: script(bound, query("INSERT INTO notes (body) VALUES ('x') RETURNING id")), limits: limited, want: noPortal, heard: 1,
		},
		"the Query held nothing": {before: script(bound, query(" ; ")), want: "row 1", heard: 1},
		"bound after it has failed": {
			before: script(query("BEGIN", insert), []pgproto3.FrontendMessage{&pgproto3.Parse{Query: "ROLLBACK"}, &pgproto3.Bind{}}, synced),
			want:   "done ROLLBACK", heard: 1,
		},
	} {
		after := script(execute, query("ROLLBACK", "SELECT 'alive'"))
		for kind, parts := range map[string][][]pgproto3.FrontendMessage{
			"in steps": {test.before, after}, "in a pipeline": {script(test.before, after)},
		} {
			t.Run(name+", "+kind, func(t *testing.T) {
				w.rule(modelRules(test.limits))
				upstream, toServer := tap(t, server.Addr())
				c := dialRaw(t, w.serve(upstream))
				var saw []string
				for _, part := range parts {
					c.send(part...)
					saw = append(saw, c.until(readies(part))...)
				}
				if !slices.Contains(saw, test.want) || !slices.Contains(saw, "row alive") {
					t.Errorf("the client saw %q", saw)
				}
				_ = c.conn.Close()
				waitFor(t, func() bool { return w.handler.live.Count() == 0 })
				heard := 0
				for _, l := range toServer().lines {
					if l.to == '>' && l.kind == "E" && l.body[0] == 0 {
						heard++
					}
				}
				if heard != test.heard {
					t.Errorf("the server was told %d times to execute it, not %d", heard, test.heard)
				}
			})
		}
	}
}

// readies is how many ReadyForQuery messages have to come.
func readies(messages []pgproto3.FrontendMessage) (n int) {
	for _, m := range messages {
		switch m.(type) {
		case *pgproto3.Query, *pgproto3.Sync:
			n++
		}
	}
	return n
}
