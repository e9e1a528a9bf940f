package postgres

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// telling is code of the owner's that tells what it should not.
const telling = `
CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN PERFORM pg_notify('c', (SELECT ssn FROM customers WHERE id = 1)); RETURN NEW; END $$;
CREATE TRIGGER tell AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION tell();
CREATE FUNCTION remark() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', NEW.ssn; RETURN NEW; END $$;
CREATE CONSTRAINT TRIGGER remark AFTER UPDATE ON customers DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION remark();`

func tellingWorld(t *testing.T) (*world, *pgserver.Server, string) {
	w, server := realWorld(t, pgserver.Options{SQL: []string{}})
	if err := server.Exec(context.Background(), "shop", telling); err != nil {
		t.Fatal(err)
	}
	w.classify(shopClasses)
	w.rules = maskPII
	return w, server, w.serve(server.Addr())
}

// payload takes the payload of the next notification.
func (c *rawClient) payload() string {
	c.t.Helper()
	for {
		if n, ok := c.receive().(*pgproto3.NotificationResponse); ok {
			return n.Payload
		}
	}
}

func TestNotificationsAreWithheld(t *testing.T) {
	w, server, address := tellingWorld(t)
	c := dialRaw(t, address)
	c.ask("LISTEN c")
	// Of a trigger, whoever has set it off, through the gateway or past it.
	if err := server.Exec(t.Context(), "shop", "INSERT INTO notes (body) VALUES ('x')"); err != nil {
		t.Fatal(err)
	}
	if got := c.payload(); got != payloadWithheld {
		t.Errorf("of somebody else: %q", got)
	}
	c.send(&pgproto3.Query{String: "INSERT INTO notes (body) VALUES ('x')"})
	if got := c.payload(); got != payloadWithheld {
		t.Errorf("of a trigger that it has set off: %q", got)
	}
	c.until(1)
	// What it says itself comes back.
	c.send(&pgproto3.Query{String: "NOTIFY c, 'hello'"})
	if got := c.payload(); got != "hello" {
		t.Errorf("of its own: %q", got)
	}
	c.until(1)
	for _, sql := range []string{"BEGIN", "INSERT INTO notes (body) VALUES ('x')", "NOTIFY c, 'hello'"} {
		c.ask(sql)
	}
	c.send(&pgproto3.Query{String: "COMMIT"})
	if got := c.payload(); got != payloadWithheld {
		t.Errorf("of a transaction that did more: %q", got)
	}
	if leaks(w.ledger.stream(gate.ResponseStream)) {
		t.Error("the record of what was delivered holds a protected value")
	}
}

// Who is to hear all has no masks on LISTEN.
func TestNotificationsWithoutMasks(t *testing.T) {
	w, server, address := tellingWorld(t)
	w.rule(func(in *gate.Input) gate.Decision {
		if in.Operation != nil && in.Operation.Action == "listen" {
			return gate.Decision{Effect: gate.Allow}
		}
		return maskPII(in)
	})
	c := dialRaw(t, address)
	c.ask("LISTEN c")
	if err := server.Exec(t.Context(), "shop", "NOTIFY c, 'job 7'"); err != nil {
		t.Fatal(err)
	}
	if err := server.Exec(t.Context(), "postgres", "NOTIFY c, 'elsewhere'"); err != nil {
		t.Fatal(err)
	}
	if got := c.payload(); got != "job 7" {
		t.Errorf("got %q", got)
	}
}

func TestSettingsAreWithheld(t *testing.T) {
	w, _, address := tellingWorld(t)
	c := dialRaw(t, address)
	var told []string
	ask := func(messages ...pgproto3.FrontendMessage) {
		c.t.Helper()
		c.send(messages...)
		for {
			switch m := c.receive().(type) {
			case *pgproto3.ParameterStatus:
				told = append(told, m.Name+"="+m.Value)
			case *pgproto3.ReadyForQuery:
				return
			}
		}
	}
	const taken = "SELECT set_config('application_name', ssn, false) FROM customers WHERE id = 1"
	ask(&pgproto3.Query{String: taken})
	ask(&pgproto3.Query{String: "BEGIN; SET application_name = 'mine'"})
	ask(&pgproto3.Query{String: "ROLLBACK"}) // and the server tells the old one again
	ask(script(run1(strings.Replace(taken, "1", "2", 1)), synced)...)
	ask(&pgproto3.Query{String: "SET application_name = 'mine too'"})
	if len(told) < 4 || told[len(told)-1] != "application_name=mine too" {
		t.Errorf("told %q", told)
	}
	for _, one := range told {
		if strings.Contains(one, "123-45") {
			t.Errorf("told %q", one)
		}
	}
	if !bytes.Contains(w.ledger.stream(gate.OriginalStream), []byte("123-45-0001")) {
		t.Error("the original is not in the evidence")
	}
}

// A deferred trigger remarks when the transaction ends.
func TestNoticesAtCommitAreWithheld(t *testing.T) {
	_, _, address := tellingWorld(t)
	c := dialRaw(t, address)
	c.ask("BEGIN")
	c.ask("UPDATE customers SET name = 'x' WHERE id = 1")
	for i, messages := range [][]pgproto3.FrontendMessage{
		{&pgproto3.Query{String: "COMMIT"}}, script(run1("UPDATE customers SET name = 'y' WHERE id = 1"), synced),
	} {
		name := []string{"COMMIT", "Sync"}[i]
		c.send(messages...)
		heard := false
		for ready := false; !ready; {
			switch m := c.receive().(type) {
			case *pgproto3.NoticeResponse:
				heard = true
				if strings.Contains(m.Message, "123-45") {
					t.Errorf("%s: %q", name, m.Message)
				}
			case *pgproto3.ReadyForQuery:
				ready = true
			}
		}
		if !heard {
			t.Errorf("%s: no notice came", name)
		}
	}
}
