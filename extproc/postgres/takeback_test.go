package postgres

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// takeBack is a conversation in which a statement writes and returns rows.
type takeBack struct {
	steps [][]pgproto3.FrontendMessage // each is sent at once, and answered before the next
	ready []int                        // how many ReadyForQuery each has
	stays bool                         // what it writes cannot be taken back: then that is said
}

const (
	takeBackInsert = "INSERT INTO notes (body) SELECT 'w' || i FROM generate_series(1, 3) i RETURNING body"
	takeBackSQL    = `
		CREATE FUNCTION jot(i int) RETURNS text LANGUAGE sql AS $$ INSERT INTO notes (body) VALUES ('w' || i) RETURNING body $$;
		CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;
		CREATE TABLE ruled (body text);
		CREATE RULE r AS ON INSERT TO ruled DO INSTEAD INSERT INTO notes (body) VALUES (new.body);
		CREATE RULE s AS ON INSERT TO ruled DO ALSO SELECT i FROM generate_series(1, 3) i;
		CREATE TABLE deferred (id int REFERENCES customers DEFERRABLE INITIALLY DEFERRED);
		GRANT ALL ON ruled, deferred TO weir_orders`
)

func takeBacks() map[string]takeBack {
	query := func(texts ...string) (m []pgproto3.FrontendMessage) {
		for _, text := range texts {
			m = append(m, &pgproto3.Query{String: text})
		}
		return m
	}
	type steps = [][]pgproto3.FrontendMessage
	const (
		insert = takeBackInsert
		jot    = "SELECT jot(i) FROM generate_series(1, 3) i"
		orphan = "INSERT INTO deferred SELECT 1000 + i FROM generate_series(1, 3) i RETURNING id"
	)
	pieces := []pgproto3.FrontendMessage{&pgproto3.Parse{Query: insert}, &pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Execute{Portal: "p", MaxRows: 2}}
	more := []pgproto3.FrontendMessage{&pgproto3.Execute{Portal: "p", MaxRows: 2}}
	return map[string]takeBack{
		"query":                     {steps: steps{query(insert)}, ready: []int{1}},
		"with":                      {steps: steps{query("WITH x AS (" + insert + ") SELECT body FROM x")}, ready: []int{1}},
		"execute":                   {steps: steps{query("PREPARE p AS " + insert), query("EXECUTE p")}, ready: []int{1, 1}},
		"explain analyze":           {steps: steps{query("EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) INSERT INTO notes (body) SELECT i FROM (SELECT 'w' i UNION SELECT 'v') x")}, ready: []int{1}},
		"function":                  {steps: steps{query(jot)}, ready: []int{1}},
		"function, extended":        {steps: steps{script(run1(jot), synced)}, ready: []int{1}},
		"copy":                      {steps: steps{query("COPY (" + insert + ") TO STDOUT")}, ready: []int{1}},
		"copy of a function":        {steps: steps{query("COPY (" + jot + ") TO STDOUT")}, ready: []int{1}},
		"copy, extended":            {steps: steps{script(run1("COPY ("+insert+") TO STDOUT"), synced)}, ready: []int{1}},
		"copy function, extended":   {steps: steps{script(run1("COPY ("+jot+") TO STDOUT"), run1("SELECT 1"), synced)}, ready: []int{1}},
		"commit ahead of the sync":  {steps: steps{script(run1(insert), run1("COMMIT"), synced)}, ready: []int{1}},
		"commit prepared before":    {steps: steps{script(runNamed("c", "c", "SELECT 1"), synced), script([]pgproto3.FrontendMessage{&pgproto3.Parse{Name: "d", Query: "COMMIT"}}, synced), script(run1(insert), bindRun("d", ""), synced)}, ready: []int{1, 1, 1}},
		"commit bound before":       {steps: steps{script([]pgproto3.FrontendMessage{&pgproto3.Parse{Name: "d", Query: "COMMIT"}, &pgproto3.Bind{PreparedStatement: "d", DestinationPortal: "d"}}, run1(insert), []pgproto3.FrontendMessage{&pgproto3.Execute{Portal: "d"}}, synced)}, ready: []int{1}},
		"commit and chain":          {steps: steps{script(run1(insert), run1("COMMIT AND CHAIN"), synced)}, ready: []int{1}},
		"a query for the sync":      {steps: steps{script(run1(insert), query("COMMIT"))}, ready: []int{1}},
		"a select for the sync":     {steps: steps{script(run1(insert), query("SELECT 1"))}, ready: []int{1}},
		"a call for the sync":       {steps: steps{script(run1(insert), []pgproto3.FrontendMessage{&pgproto3.FunctionCall{Function: 89}})}, ready: []int{1}},
		"an insert behind a select": {steps: steps{script(run1("SELECT 1"), query(insert))}, ready: []int{1}},
		"a call that commits":       {steps: steps{script(run1(insert), run1("CALL commits()"), synced)}, ready: []int{1}},
		"a block that commits":      {steps: steps{script(run1(insert), run1("DO $$ BEGIN COMMIT; END $$"), synced)}, ready: []int{1}},
		"in a transaction":          {steps: steps{query("BEGIN"), query(insert), query("COMMIT")}, ready: []int{1, 1, 1}},
		"commit sent ahead":         {steps: steps{query("BEGIN"), query(insert, "COMMIT")}, ready: []int{1, 2}},
		"sent ahead from the begin": {steps: steps{query("BEGIN", insert, "COMMIT")}, ready: []int{3}},
		"savepoint":                 {steps: steps{query("BEGIN"), query("SAVEPOINT a"), query(insert), query("ROLLBACK TO a"), query("DELETE FROM notes"), query("COMMIT")}, ready: []int{1, 1, 1, 1, 1, 1}},
		"release ahead":             {steps: steps{query("BEGIN", "SAVEPOINT a", insert, "RELEASE a", "COMMIT")}, ready: []int{5}},
		"two phases":                {steps: steps{query("BEGIN"), query(insert), query("PREPARE TRANSACTION 'x'"), query("COMMIT PREPARED 'x'")}, ready: []int{1, 1, 1, 1}},
		"two phases ahead":          {steps: steps{query("BEGIN", insert, "PREPARE TRANSACTION 'y'", "COMMIT PREPARED 'y'")}, ready: []int{4}},
		"pieces":                    {steps: steps{query("BEGIN"), script(pieces, synced), script(more, synced), query("COMMIT")}, ready: []int{1, 1, 1, 1}},
		"pieces and commit":         {steps: steps{query("BEGIN"), script(pieces, more, run1("COMMIT"), synced)}, ready: []int{1, 1}},
		"rule":                      {steps: steps{query("INSERT INTO ruled (body) SELECT 'w' FROM generate_series(1, 3)")}, ready: []int{1}, stays: true},
		"terminate":                 {steps: steps{script(run1(insert), []pgproto3.FrontendMessage{&pgproto3.Terminate{}})}, ready: []int{1}},
		"several":                   {steps: steps{query("SELECT 1; " + insert)}, ready: []int{1}},
		"several, the first":        {steps: steps{query(insert + "; SELECT 1; SET application_name = 'a'")}, ready: []int{1}},
		"several, one fails":        {steps: steps{query(insert + "; SELECT 1/0"), query("SELECT 1")}, ready: []int{1, 1}},
		"several that call":         {steps: steps{query(insert + "; CALL commits()"), query("SELECT 1")}, ready: []int{1, 1}},
		"several, commit within":    {steps: steps{query(insert + "; COMMIT")}, ready: []int{1}, stays: true},
		"several, begin within":     {steps: steps{query("BEGIN; " + insert + "; COMMIT")}, ready: []int{1}, stays: true},
		"several in a transaction":  {steps: steps{query("BEGIN"), query("SELECT 1; " + insert), query("COMMIT")}, ready: []int{1, 1, 1}},
		"several, ahead":            {steps: steps{query("BEGIN"), query("SELECT 1; "+insert, "COMMIT", "SELECT 2")}, ready: []int{1, 3}},
		"function, ahead":           {steps: steps{query("BEGIN", jot, "COMMIT")}, ready: []int{3}},
		"copy, ahead":               {steps: steps{query("BEGIN", "COPY ("+insert+") TO STDOUT", "COMMIT")}, ready: []int{3}},
		"deferred":                  {steps: steps{query(orphan), query("SELECT 1")}, ready: []int{1, 1}},
		"deferred, several":         {steps: steps{query("SELECT 1; " + orphan), query("SELECT 1")}, ready: []int{1, 1}},
		"deferred, extended":        {steps: steps{script(run1(orphan), synced)}, ready: []int{1}},
	}
}

func takeBackWorld(t *testing.T, most int64) (*world, *pgserver.Server) {
	w, server := realWorld(t, pgserver.Options{Auth: pgserver.Trust, Settings: map[string]string{"max_prepared_transactions": "5"}})
	if err := server.Exec(t.Context(), "shop", takeBackSQL); err != nil {
		t.Fatal(err)
	}
	w.rules = func(in *gate.Input) gate.Decision {
		d := gate.Decision{Effect: gate.Allow, ID: "d-1"}
		if in.Operation != nil {
			d.Limits = gate.Limits{MaxRows: most}
		}
		return d
	}
	return w, server
}

// has plays a conversation, and says what the client saw.
func (c *rawClient) has(test takeBack) (saw []string) {
	for i, messages := range test.steps {
		for _, m := range messages {
			c.f.Send(m)
		}
		_ = c.f.Flush() // it may have ended the session
		saw = append(saw, c.hears(test.ready[i])...)
	}
	_ = c.conn.Close()
	return saw
}

// directly is a client of the server itself.
func directly(t *testing.T, server *pgserver.Server) *rawClient {
	t.Helper()
	conn, err := net.Dial("tcp", server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	c := &rawClient{t: t, conn: conn, f: pgproto3.NewFrontend(conn, conn)}
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	c.signIn(&pgproto3.StartupMessage{ProtocolVersion: pgproto3.ProtocolVersion30, Parameters: map[string]string{"user": "weir_orders", "database": "shop"}}, "")
	return c
}

// written counts what a conversation has left behind, and removes it.
func written(t *testing.T, admin *pgx.Conn) (n int) {
	t.Helper()
	const left = "WITH a AS (DELETE FROM notes RETURNING 1), b AS (DELETE FROM deferred RETURNING 1) SELECT (SELECT count(*) FROM a) + (SELECT count(*) FROM b)"
	if err := admin.QueryRow(t.Context(), left).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// Every way that was tried to have a write committed whose rows were withheld: what
// the client was told is undone must be undone, whatever comes behind.
func TestWithheldWritesAreTakenBack(t *testing.T) {
	for _, withDial := range []bool{true, false} {
		w, server := takeBackWorld(t, 2)
		w.rules = func(in *gate.Input) gate.Decision {
			d := gate.Decision{Effect: gate.Allow, ID: "d-1"}
			if o := in.Operation; o != nil && strings.Contains(o.Text, "EXPLAIN") {
				d.Limits = gate.Limits{MaxRows: 1}
			} else if o != nil {
				d.Limits = gate.Limits{MaxRows: 2}
			}
			return d
		}
		if !withDial {
			w.deps.Dial = nil
		}
		address := w.serve(server.Addr())
		admin := connect(t, server.DSN("shop"))
		for name, test := range takeBacks() {
			t.Run(name, func(t *testing.T) {
				w.ledger.forget()
				for i, step := range test.steps { // behind an error all is dropped up to a Sync
					if _, simple := step[len(step)-1].(*pgproto3.Query); simple && len(step) > 1 {
						if _, extended := step[0].(*pgproto3.Parse); extended && name != "an insert behind a select" {
							test.steps[i] = append(step, &pgproto3.Sync{})
						}
					}
					if _, call := step[len(step)-1].(*pgproto3.FunctionCall); call {
						test.steps[i] = append(step, &pgproto3.Sync{})
					}
				}
				saw := dialRaw(t, address).has(test)
				waitFor(t, func() bool { return w.handler.live.Count() == 0 })
				n := written(t, admin)
				said := false
				for _, o := range w.ledger.outcomes() {
					said = said || strings.Contains(o.Error, "stays")
				}
				if n > 0 && (!test.stays || !said) { // one that stays may have been cancelled in time
					t.Errorf("%d written, and that it stays was said: %t; the client saw %q, and evidence has %+v", n, said, saw, w.ledger.outcomes())
				}
			})
		}
	}
}

// Where the rows may be delivered, nobody notices what was done to be able to take
// them back.
func TestWhatMayBeTakenBackIsAsEver(t *testing.T) {
	w, server := takeBackWorld(t, 1000)
	address := w.serve(server.Addr())
	admin := connect(t, server.DSN("shop"))
	for name, test := range takeBacks() {
		t.Run(name, func(t *testing.T) {
			w.ledger.forget()
			c := directly(t, server)
			direct := c.has(test)
			waitFor(t, func() bool {
				var there bool
				err := admin.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1)", int32(c.pid)).Scan(&there)
				return err == nil && !there
			})
			kept := written(t, admin)
			through := dialRaw(t, address).has(test)
			waitFor(t, func() bool { return w.handler.live.Count() == 0 })
			if n := written(t, admin); n != kept {
				t.Errorf("%d written, directly %d", n, kept)
			}
			if diff := cmp.Diff(direct, through); diff != "" {
				t.Errorf("the client saw (-direct +through):\n%s", diff)
			}
			failed := strings.Contains(strings.Join(through, " "), "ERROR")
			for _, o := range w.ledger.outcomes() {
				if o.Status != "ok" {
					failed = false
				}
			}
			if failed && !strings.Contains(name, "extended") {
				t.Errorf("the client saw %q, and evidence has %+v", through, w.ledger.outcomes())
			}
		})
	}
}

// hears is until, of a session that may end.
func (c *rawClient) hears(n int) (got []string) {
	for n > 0 {
		m, err := c.f.Receive()
		if err != nil {
			return append(got, "the end")
		}
		if s := describeMessage(m); s != "" {
			got = append(got, s)
		}
		if _, ok := m.(*pgproto3.ReadyForQuery); ok {
			n--
		}
	}
	return got
}
