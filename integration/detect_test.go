package integration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-gateway/weir/integration/stage"
)

// What the tickets hold, and what an agent is shown of it: its hash of the mailbox
// is not known here.
const (
	mailbox = "bob.in.a.ticket@example.com"
	pan     = "4111 1111 1111 1111"
	panEnds = "**** **** **** 1111"
)

// desk is a table in whose texts people write what they like, with a trigger that
// tells it in every way that there is beside rows.
const desk = `
CREATE TABLE tickets (id int PRIMARY KEY, mail text UNIQUE, body text, doc jsonb, tags text[]);
INSERT INTO tickets VALUES (1, '` + mailbox + `', 'write to ` + mailbox + `, card ` + pan + `', '{"to": ["` + mailbox + `"], "n": 1}', '{a,` + mailbox + `}');
CREATE FUNCTION tells() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  RAISE NOTICE 'of %', OLD.mail USING HINT = OLD.body;
  PERFORM pg_notify('tickets', OLD.body);
  PERFORM set_config('application_name', OLD.mail, false);
  RETURN NEW;
END $$;
CREATE TRIGGER tells BEFORE UPDATE ON tickets FOR EACH ROW EXECUTE FUNCTION tells();
GRANT ALL ON tickets TO weir_shop;`

// deskWorld is a gateway with two targets in whose texts mailboxes and cards are
// looked for.
func deskWorld(t *testing.T) (w *world, database, api string) {
	t.Helper()
	auditor, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	upstream := httptest.NewServer(http.HandlerFunc(tickets))
	t.Cleanup(upstream.Close)
	database, api = freeAddress(), freeAddress()
	w = unstarted(t, stage.Options{Edit: func(s *stage.Settings) {
		s.Targets += fmt.Sprintf("  desk: {kind: postgres, listen: %s, upstream: {address: %s, user: weir_shop, password: secret:shop, database: shop, tls: verify-full, ca: file:%s, server_name: localhost}%s}\n",
			database, s.Database, s.CA, inTransport())
		s.Targets += fmt.Sprintf("  desk-api: {kind: http, listen: %s, upstream: {url: %q}}\n", api, upstream.URL)
		s.Extra += "evidence: {auditors: [" + auditor.Recipient().String() + "]}\n"
		s.Classification = "classification.yaml"
	}})
	const classes = "desk: {detect: [email, credit_card]}\ndesk-api: {detect: [email, credit_card]}\n"
	if err := os.WriteFile(w.Path("classification.yaml"), []byte(classes), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := w.Postgres.Exec(t.Context(), "shop", desk); err != nil {
		t.Fatal(err)
	}
	if err := w.raise(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w, database, api
}

// tickets serves the same texts over HTTP.
func tickets(rw http.ResponseWriter, r *http.Request) {
	rw.Header().Set("X-Owner", mailbox)
	switch r.URL.Path {
	case "/json":
		rw.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(rw, `{"body":"write to `+mailbox+`","cards":["`+pan+`"],"`+mailbox+`":1,"n":0.4111111111111111}`)
	case "/text":
		rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
		for _, piece := range []string{strings.Repeat("a line\n", 5000), mailbox[:7], mailbox[7:] + " ", pan[:11], pan[11:] + "\nthe end\n"} {
			_, _ = io.WriteString(rw, piece)
			_ = http.NewResponseController(rw).Flush()
		}
	default:
		rw.Header().Set("Content-Type", "application/octet-stream")
		_, _ = io.WriteString(rw, mailbox)
	}
}

// heard is all that a client of PostgreSQL is told beside rows.
type heard struct {
	notices, payloads []string
	conn              *pgx.Conn
}

func (w *world) hears(t *testing.T, listen, token string) *heard {
	t.Helper()
	h := &heard{}
	conn, err := w.dialTo(t.Context(), listen, token, func(c *pgx.ConnConfig) {
		c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { h.notices = append(h.notices, n.Message+"|"+n.Hint) }
		c.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { h.payloads = append(h.payloads, n.Payload) }
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	h.conn = conn
	return h
}

// copied are the bytes of a COPY.
func (h *heard) copied(t *testing.T, sql string) string {
	t.Helper()
	var out bytes.Buffer
	if _, err := h.conn.PgConn().CopyTo(t.Context(), &out, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out.String()
}

func TestDetectors(t *testing.T) {
	w, database, api := deskWorld(t)
	token := w.mint(t, "desk-agent", app("support"))
	t.Run("cells", func(t *testing.T) {
		got := w.psqlTo(t, w.conninfoTo(database, ""), token, "select body, doc, tags, upper(body) from tickets;\n")
		expect(t, got.String(), panEnds, `"n":1`, "WRITE TO ", "!bob.in.a", "!BOB.IN.A", "!4111 1111")
		h := w.hears(t, database, token)
		for _, mode := range modes {
			var body, to string
			var tags []string
			err := h.conn.QueryRow(t.Context(), "select body, doc->'to'->>0, tags from tickets where id = $1", mode, 1).Scan(&body, &to, &tags)
			if err != nil || len(tags) != 2 || !digest.MatchString(to) || body != "write to "+to+", card "+panEnds || tags[1] != to {
				t.Errorf("%v: %q, %q, %q, %v", mode, body, to, tags, err)
			}
		}
	})
	t.Run("COPY", func(t *testing.T) {
		h := w.hears(t, database, token)
		for _, form := range []string{"", " (FORMAT csv)", " (FORMAT binary)"} {
			for _, what := range []string{"tickets", "(SELECT lower(body) FROM tickets)"} {
				expect(t, h.copied(t, "COPY "+what+" TO STDOUT"+form), panEnds, "!bob.in.a", "!4111 1111")
			}
		}
	})
	t.Run("errors", func(t *testing.T) {
		h := w.hears(t, database, token)
		for sql, code := range map[string]string{
			"SELECT body::int FROM tickets":                            "22P02",
			"INSERT INTO tickets SELECT 2, mail FROM tickets":          "23505",
			"SELECT json_object(ARRAY[body, body, body]) FROM tickets": "2202E",
			"SELECT body::json FROM tickets":                           "22P02",
		} {
			for _, mode := range []pgx.QueryExecMode{pgx.QueryExecModeSimpleProtocol, pgx.QueryExecModeExec} {
				_, err := h.conn.Exec(t.Context(), sql, mode)
				e := refused(t, err)
				if e.Code != code {
					t.Errorf("%s: %+v", sql, e)
				}
				expect(t, fmt.Sprintf("%+v", *e), "!bob.in.a", "!4111 1111")
			}
		}
	})
	t.Run("notices, notifications and settings", func(t *testing.T) {
		h := w.hears(t, database, token)
		for _, sql := range []string{"LISTEN tickets", "UPDATE tickets SET doc = doc WHERE id = 1", "SELECT 1"} {
			if _, err := h.conn.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		name := h.conn.PgConn().ParameterStatus("application_name")
		if len(h.notices) != 1 || len(h.payloads) != 1 || name == "" {
			t.Fatalf("%q, %q, %q", h.notices, h.payloads, name)
		}
		if !digest.MatchString(name) {
			t.Errorf("the name of the application is told as %q", name)
		}
		expect(t, h.notices[0]+h.payloads[0], "of ", "write to ", panEnds, "!bob.in.a", "!4111 1111")
	})
	t.Run("HTTP", func(t *testing.T) {
		once(t)
		for path, wants := range map[string][]string{
			"/json":  {"HTTP/1.1 200", `"body":"write to `, `"cards":["` + panEnds + `"]`, `"n":0.4111111111111111`},
			"/text":  {"HTTP/1.1 200", "a line\n", panEnds, "the end\n"},
			"/bytes": {"HTTP/1.1 502", "unmaskable_response"},
		} {
			expect(t, w.curlTo(t, api, token, path).out, append(wants, "!bob.in.a", "!4111 1111")...)
		}
	})
	w.sealed(t, "desk-agent")
	if err := w.raise(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Run("who has no mask of that class is told all", func(t *testing.T) {
		token := w.mint(t, stage.Analyst, app("privacy"))
		h := w.hears(t, database, token)
		var body string
		if err := h.conn.QueryRow(t.Context(), "select body from tickets").Scan(&body); err != nil || body != "write to "+mailbox+", card "+pan {
			t.Errorf("%q, %v", body, err)
		}
		expect(t, h.copied(t, "COPY tickets TO STDOUT"), mailbox, pan)
		for _, sql := range []string{"LISTEN tickets", "UPDATE tickets SET doc = doc WHERE id = 1", "SELECT 1"} {
			if _, err := h.conn.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		expect(t, strings.Join(append(h.notices, h.payloads...), "\n"), mailbox, pan)
		if name := h.conn.PgConn().ParameterStatus("application_name"); name != mailbox {
			t.Errorf("the name of the application is told as %q", name)
		}
		_, err := h.conn.Exec(t.Context(), "SELECT body::int FROM tickets", pgx.QueryExecModeExec)
		expect(t, refused(t, err).Message, mailbox)
		if transport == "" {
			expect(t, w.curlTo(t, api, token, "/json").out, mailbox, pan)
		}
	})
}

// sealed waits for the evidence of somebody, of whom every operation with a finding has
// its originals sealed, and looks for them in clear in all that is written and told.
func (w *world) sealed(t *testing.T, subject string) {
	t.Helper()
	of := "FROM weir.all_events WHERE kind = 'operation.completed' AND JSONHas(canonical, 'body', 'detected')" +
		" AND operation IN (SELECT operation FROM weir.operations WHERE subject = '" + subject + "')"
	w.audited(t, "SELECT count() >= 10 "+of, "1")
	w.audited(t, "SELECT DISTINCT JSONExtractString(canonical, 'recorder', 'originals') "+of, "sealed")
	events, err := w.audit(t, "SELECT canonical FROM weir.all_events")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string][]byte{"the events": []byte(events), "the metrics": w.page(t, w.mint(t, stage.Auditor, person("audit")), "/metrics")}
	expect(t, string(told["the metrics"]), `weir_postgres_detected_passages_total{detector="credit_card",target="desk"}`)
	if transport == "" {
		expect(t, string(told["the metrics"]), `weir_http_detected_passages_total{detector="email",target="desk-api"}`)
	}
	for id, text := range w.payloads(t) {
		told["the replay of "+id] = text
	}
	if err := w.StopGateway(); err != nil { // so that all is on disk
		t.Fatal(err)
	}
	told["the log"] = read(t, w.Path("weir.log"))
	for path, text := range files(t, w.Path("weir-data")) {
		told[path] = text
	}
	if len(told) < 30 {
		t.Errorf("only %d places were looked at", len(told))
	}
	for where, text := range told {
		if bytes.Contains(text, []byte(mailbox)) || bytes.Contains(text, []byte(pan)) {
			t.Errorf("what was hidden from %s stands in %s", subject, where)
		}
	}
}
