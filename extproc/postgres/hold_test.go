package postgres

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

func holdDDL(in *gate.Input) gate.Decision {
	if in.Operation != nil && in.Operation.Action == "drop" {
		return gate.Decision{Effect: gate.Hold, Hold: []gate.Requirement{{Rule: "ddl", Required: 1, Approvers: []string{"group:dba"}, Reason: "it drops"}}}
	}
	return gate.Decision{Effect: gate.Allow}
}

func heldWorld(t *testing.T) (*world, *rawClient, *fakeServer, string) {
	w := fakeWorld(t)
	w.rules = holdDDL
	server := newFakeServer()
	address := w.serve(server.serve(t))
	return w, dialRaw(t, address), server, address
}

// held waits for the notice about a hold, and returns the approval.
func held(t *testing.T, w *world, c *rawClient) *gate.Approval {
	t.Helper()
	n, ok := c.receive().(*pgproto3.NoticeResponse)
	a := <-w.people.asked
	if !ok || n.Message != "held for approval "+a.ID || !strings.Contains(n.Hint, "weir approvals approve "+a.ID) || n.Detail != "it drops" {
		t.Fatalf("the client was told %+v", n)
	}
	return a
}

func TestHold(t *testing.T) {
	w, c, _, _ := heldWorld(t)
	answer := []string{"columns text", "row DROP TABLE x", "done SELECT 1", "ready I"}

	c.send(&pgproto3.Query{String: "DROP TABLE x"})
	held(t, w, c)
	w.people.resolve <- gate.Approved
	sees(t, c.until(1), answer...)

	c.send(&pgproto3.Query{String: "DROP TABLE x"})
	held(t, w, c)
	w.people.resolve <- gate.Refused
	sees(t, c.until(1), "ERROR 42501", "ready I")

	// What was sent before is not held, and what is sent meanwhile is not lost.
	c.send(script(run1("SELECT 1"), synced, run1("DROP TABLE x"), synced)...)
	var got []string
	for len(got) < 5 {
		m := c.receive()
		if n, ok := m.(*pgproto3.NoticeResponse); ok && strings.HasPrefix(n.Message, "held") {
			continue
		}
		got = append(got, describeMessage(m))
	}
	sees(t, got, "parsed", "bound", "row SELECT 1", "done SELECT 1", "ready I")
	<-w.people.asked
	for range 100 {
		c.send(&pgproto3.Query{String: "SELECT " + strings.Repeat("2", 1000)})
	}
	w.people.resolve <- gate.Approved
	if got := c.until(101); len(got) < 400 || !slices.Contains(got, "row DROP TABLE x") {
		t.Errorf("only %d messages came", len(got))
	}
}

func TestHoldInAPreparedStatement(t *testing.T) {
	w, c, _, _ := heldWorld(t)
	c.send(&pgproto3.Parse{Name: "d", Query: "DROP TABLE x"}, &pgproto3.Describe{ObjectType: 'S', Name: "d"}, &pgproto3.Sync{})
	sees(t, c.until(1), "parsed", "parameters []", "columns text", "ready I") // it waits when it runs
	c.send(script(bindRun("d", ""), synced)...)
	held(t, w, c)
	w.people.resolve <- gate.Approved
	sees(t, c.until(1), "bound", "row DROP TABLE x", "done SELECT 1", "ready I")
}

func TestHoldIsCancelled(t *testing.T) {
	w, c, server, address := heldWorld(t)
	c.send(&pgproto3.Query{String: "DROP TABLE x"})
	held(t, w, c)
	request(t, address, &pgproto3.CancelRequest{ProcessID: c.pid, SecretKey: c.key})
	sees(t, c.until(1), "ERROR 57014", "ready I")
	if len(server.cancels) > 0 {
		t.Error("the server was asked to cancel what it had never seen")
	}
	sees(t, c.ask("SELECT 1"), "columns text", "row SELECT 1", "done SELECT 1", "ready I")
	request(t, address, &pgproto3.CancelRequest{ProcessID: c.pid, SecretKey: c.key})
	if got := <-server.cancels; got.ProcessID != 4711 {
		t.Errorf("the server was asked to cancel %+v", got)
	}
}

func TestHoldOfAClientThatVanishes(t *testing.T) {
	w, c, _, _ := heldWorld(t)
	c.send(&pgproto3.Query{String: "DROP TABLE x"})
	held(t, w, c)
	c.conn.Close()
	waitFor(t, func() bool { return w.handler.live.Count() == 0 })
	for _, text := range w.ledger.texts() {
		if text == "DROP TABLE x" {
			t.Error("the withdrawn statement was recorded as judged")
		}
	}
}

func TestHoldWhenTheGatewayStops(t *testing.T) {
	w, c, _, _ := heldWorld(t)
	c.send(&pgproto3.Query{String: "DROP TABLE x"})
	held(t, w, c)
	w.cancel()
	sees(t, []string{describeMessage(c.receive())}, "FATAL 57P01")
}

// holdCustomers holds what delivers rows of customers, for so many approvals.
func holdCustomers(required int) rules {
	return func(in *gate.Input) gate.Decision {
		if op := in.Operation; op != nil && (op.Action == "select" || op.Action == "fetch") {
			for _, table := range op.Tables {
				if table.Name == "customers" {
					return gate.Decision{Effect: gate.Hold, Hold: []gate.Requirement{{Rule: "customers", Required: required, Reason: "it drops"}}}
				}
			}
		}
		return gate.Decision{Effect: gate.Allow}
	}
}

// One result is held once, in however many pieces it is fetched.
func TestHoldOfAPortal(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	w.rules = holdCustomers(1)
	c := dialRaw(t, w.serve(server.Addr()))
	approved := func() {
		t.Helper()
		held(t, w, c)
		w.people.resolve <- gate.Approved
	}
	piece := func(portal string) {
		c.send(&pgproto3.Execute{Portal: portal, MaxRows: 1}, &pgproto3.Sync{})
	}
	c.ask("BEGIN")
	c.send(&pgproto3.Parse{Query: "SELECT id FROM customers ORDER BY id"}, &pgproto3.Bind{DestinationPortal: "p"}, &pgproto3.Sync{})
	approved() // binding counts as running
	sees(t, c.until(1), "parsed", "bound", "ready T")
	piece("p")
	sees(t, c.until(1), "row 1", "suspended", "ready T")
	piece("p")
	sees(t, c.until(1), "row 2", "suspended", "ready T")
	w.rule(holdCustomers(2)) // policy asks for more than was approved
	piece("p")
	approved()
	sees(t, c.until(1), "row 3", "suspended", "ready T")

	c.ask("DECLARE c CURSOR FOR SELECT id FROM customers ORDER BY id")
	c.send(&pgproto3.Query{String: "FETCH 1 FROM c"})
	approved()
	sees(t, c.until(1), "columns id", "row 1", "done FETCH 1", "ready T")
	sees(t, c.ask("FETCH 1 FROM c"), "columns id", "row 2", "done FETCH 1", "ready T")
	c.ask("CLOSE c")
	c.ask("DECLARE c CURSOR FOR SELECT id FROM customers ORDER BY id DESC") // another under the same name
	c.send(&pgproto3.Query{String: "FETCH 1 FROM c"})
	approved()
	sees(t, c.until(1), "columns id", "row 100", "done FETCH 1", "ready T")

	// Where nothing can run nobody is asked.
	sees(t, c.ask("SELECT nosuch"), "ERROR 42703", "ready E")
	sees(t, c.ask("SELECT id FROM customers"), "ERROR 25P02", "ready E")
	c.send(script(run1("SELECT id FROM customers"), synced)...)
	sees(t, c.until(1), "ERROR 25P02", "ready E")
	sees(t, c.ask("ROLLBACK"), "done ROLLBACK", "ready I")
}
