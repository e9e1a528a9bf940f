package integration

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/integration/stage"
	"github.com/weir-gateway/weir/internal/web"
)

// audit asks ClickHouse as an auditor's own client does, in tab-separated lines.
func (w *world) audit(t *testing.T, sql string) (string, error) {
	t.Helper()
	where, err := os.ReadFile(w.Path("weir-data", "clickhouse", "auditor.url"))
	if err != nil {
		return "", err
	}
	resp, err := http.Post(strings.TrimSpace(string(where)), "text/plain", strings.NewReader(sql))
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return strings.TrimSuffix(string(text), "\n"), err
}

// audited waits until a question has the wanted answer.
func (w *world) audited(t *testing.T, sql, want string) {
	t.Helper()
	var got string
	var err error
	defer func() {
		if t.Failed() {
			t.Logf("%s\n%s, %v; want %s", sql, got, err, want)
		}
	}()
	soon(t, "the evidence has arrived", func() bool {
		got, err = w.audit(t, sql)
		return err == nil && got == want
	})
}

// sessionOf waits for the evidence of a session that has ended.
func (w *world) sessionOf(t *testing.T, subject string) web.SessionDetail {
	t.Helper()
	var detail web.SessionDetail
	soon(t, "the session of "+subject+" has arrived", func() bool {
		var list []web.Session
		got := w.weir(t, nil, "sessions", "list", "--subject", subject, "-o", "json")
		return json.Unmarshal([]byte(got.out), &list) == nil && len(list) > 0 && list[0].Ended != nil &&
			json.Unmarshal([]byte(w.weir(t, nil, "sessions", "show", list[0].ID, "-o", "json").out), &detail) == nil
	})
	return detail
}

func TestAuditorFindsWhatHappened(t *testing.T) {
	w, c := shared(t), customer()
	said := w.psql(t, w.mint(t, "watched-agent", app("support")), `select name, ssn from customers where id = 42;
delete from products;
select id/0 from customers where id = 42;
update orders set note = 'seen' where id = 77;
`)
	expect(t, said.out, masked(c.SSN), "UPDATE 1")
	s := w.sessionOf(t, "watched-agent")
	if s.Target != "shop" || s.Database != "shop" || s.Principal != "agent" || s.Issuer != w.Issuer.URL || s.EndReason != "the client ended it" || s.Refused != 1 || len(s.Operation) != 4 {
		t.Errorf("%+v", s)
	}
	expect(t, s.Client, "127.0.0.1:", "psql")
	for i, want := range []web.Operation{
		{Action: "select", Effect: "allow", Status: "ok", Rows: 1},
		{Action: "delete", Effect: "deny", Code: "no_where"},
		{Action: "select", Effect: "allow", Status: "error"},
		{Action: "update", Effect: "allow", Status: "ok"},
	} {
		o := s.Operation[i]
		if o.Action != want.Action || o.Effect != want.Effect || o.Code != want.Code || o.Status != want.Status || o.Rows != want.Rows {
			t.Errorf("operation %d: %+v", i, o)
		}
	}
	if n := s.Operation[0].Masked["pii.ssn"]; n != 1 {
		t.Errorf("masked %v", s.Operation[0].Masked)
	}
	var replay result
	soon(t, "what was delivered has arrived", func() bool { // it comes on a way of its own
		replay = w.weir(t, nil, "replay", s.ID[:20])
		return strings.Contains(replay.out, masked(c.SSN))
	})
	expect(t, replay.out, "watched-agent", "select name, ssn from customers where id = 42", c.Name, masked(c.SSN), "!"+c.SSN,
		"delete from products", "no_where", "division by zero", "UPDATE 1")
	show := w.weir(t, nil, "sessions", "show", s.ID)
	expect(t, show.out, "session    "+s.ID, "principal  watched-agent (agent) of "+w.Issuer.URL, "deny no_where")
	list := w.weir(t, nil, "sessions", "list", "--subject", "watched-agent")
	expect(t, list.out, "ID ", "STARTED", s.ID, "watched-agent")
	w.audited(t, "SELECT count() FROM weir.column_access WHERE subject = 'watched-agent' AND column = 'ssn' AND masked", "1")
	w.audited(t, "SELECT count() FROM weir.gaps", "0")
	if _, err := w.audit(t, "SELECT count() FROM weir.events"); err == nil {
		t.Error("the auditor's account reads more than the views")
	}
	if _, err := w.audit(t, "DROP VIEW weir.gaps"); err == nil {
		t.Error("the auditor's account may drop a view")
	}
}

func TestWhoReadsSessions(t *testing.T) {
	once(t)
	w := shared(t)
	for name, tc := range map[string]struct {
		token string
		code  int
		want  string
	}{
		"an auditor":  {w.mint(t, stage.Auditor, person("audit")), 200, `"id"`},
		"an approver": {w.mint(t, stage.Approver, person("dba")), 403, "your roles may not read sessions; web.readers in the configuration names those that may"},
		"an agent":    {w.agent(t), 403, "your roles may not read sessions"},
		"a stranger":  {"garbage", 401, "this is not a token (a JWT)"},
		"nobody":      {"", 401, "send `Authorization: Bearer TOKEN`; `weir token` gets one"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{"/api/v1/sessions?limit=1", "/api/v1/status", "/config"} {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+w.Settings.Web+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if tc.token != "" {
					req.Header.Set("Authorization", "Bearer "+tc.token)
				}
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				text, _ := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if resp.StatusCode != tc.code {
					t.Errorf("%s: %s %s", path, resp.Status, text)
				}
				if tc.code != 200 {
					expect(t, string(text), tc.want)
				}
			}
			got := w.weir(t, []string{"WEIR_TOKEN=" + tc.token}, "sessions", "list", "--url", "http://"+w.Settings.Web, "-o", "json")
			if tc.token == "" {
				return
			}
			expect(t, got.String(), tc.want)
		})
	}
}

// ClickHouse dies and is stopped while a hundred sessions' worth of work goes
// on; afterwards each statement is there, once.
func TestClickHouseDies(t *testing.T) {
	once(t)
	w := own(t, stage.Options{})
	w.audited(t, "SELECT count() FROM weir.gaps", "0")
	engine := func() int { return w.child(t, "engine --library") }
	conn := w.pgx(t, w.mint(t, "busy-agent", app("support")), pgx.QueryExecModeExec)
	work := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			var n int
			if err := conn.QueryRow(t.Context(), "select id from customers where id = $1", i+1).Scan(&n); err != nil {
				t.Fatal(err)
			}
		}
	}
	work(0, 50)
	stopped := engine()
	if err := syscall.Kill(stopped, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	work(50, 100)
	if err := syscall.Kill(stopped, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	work(100, 150)
	if err := syscall.Kill(engine(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	soon(t, "the status says so", func() bool {
		got := w.status(t)
		return got.code == 1 && strings.Contains(got.out, "clickhouse  NO")
	})
	work(150, 200)
	expect(t, w.signs(t, w.agent(t)).out, "in\n")
	soon(t, "it is back", func() bool { return w.status(t).code == 0 })
	work(200, 250)
	_ = conn.Close(t.Context())
	w.audited(t, "SELECT count(), uniqExact(operation), countIf(status = 'ok') FROM weir.operations WHERE subject = 'busy-agent'", "250\t250\t250")
	w.audited(t, "SELECT count() FROM weir.gaps", "0")
	w.audited(t, "SELECT count() - uniqExact(event_id) FROM weir.all_events", "0")
	s := w.sessionOf(t, "busy-agent")
	if s.Operations != 250 || len(s.Operation) != 250 {
		t.Errorf("%d operations, %d shown", s.Operations, len(s.Operation))
	}
}

// A full spool refuses work: what cannot be recorded is not forwarded.
func TestFullSpool(t *testing.T) {
	once(t)
	w := own(t, stage.Options{Edit: func(s *stage.Settings) { s.Extra = "evidence: {spool_size: 64MiB}" }})
	engine := w.child(t, "engine --library")
	if err := syscall.Kill(engine, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume := func() { _ = syscall.Kill(engine, syscall.SIGCONT) }
	defer resume()
	conn := w.pgx(t, w.agent(t), pgx.QueryExecModeSimpleProtocol)
	for _, size := range []int{512 << 10, 32 << 10, 2 << 10, 0} { // until not even a small one fits
		mark, err := "", error(nil)
		for i := 0; err == nil && i < 400; i++ {
			mark = fmt.Sprintf("full-spool-%d-%d", size, i)
			_, err = conn.Exec(t.Context(), "select length('"+noise(t, size)+"') /* "+mark+" */")
		}
		e := refused(t, err)
		if e.Code != "58000" || e.Message != "the statement was not sent: the gateway could not record it" || e.Hint != "Try again later." {
			t.Errorf("%+v", e)
		}
		if w.reached(t, mark) {
			t.Error("PostgreSQL was sent what could not be recorded")
		}
	}
	expect(t, w.status(t).out, "recorder    NO     the spool is full: maximum bytes exceeded")
	uri, got := "", result{}
	soon(t, "requests are refused", func() bool {
		uri = "/customers/1?full-spool-" + rand.Text()
		got = w.curl(t, w.agent(t), uri)
		return !strings.Contains(got.out, "200 OK")
	})
	p := got.refusal(t, "503 Service Unavailable")
	if p.Rule != "evidence_unavailable" || !strings.Contains(p.Detail, "the gateway cannot record this ") || len(w.api.to(uri)) > 0 {
		t.Errorf("%+v", p)
	}
	soon(t, "sessions are refused", func() bool { got = w.signs(t, w.agent(t)); return got.code == 2 })
	expect(t, got.err, "FATAL:  the gateway could not record this session, so it is not opened")
	resume()
	soon(t, "there is room again", func() bool { return w.signs(t, w.agent(t)).code == 0 })
	soon(t, "requests go on", func() bool { return strings.Contains(w.curl(t, w.agent(t), "/customers/1").out, "200 OK") })
}

// noise is a text that cannot be made much smaller than size bytes.
func noise(t *testing.T, size int) string {
	t.Helper()
	raw := make([]byte, size)
	if _, err := rand.Read(raw); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(raw)
}

// The record says who ended a session, whatever comes first over the wire.
func TestWhoEndedASession(t *testing.T) {
	w := shared(t)
	for range 10 { // it is a race of three connections
		expect(t, w.psql(t, w.mint(t, "polite-agent", app("support")), "select 'in';\n").out, "in\n")
	}
	w.audited(t, "SELECT arrayStringConcat(groupUniqArray(end_reason), ', '), count() FROM weir.sessions WHERE subject = 'polite-agent' AND ended IS NOT NULL", "the client ended it\t10")
	conn, err := w.dial(t.Context(), w.mint(t, "rude-agent", app("support")), nil)
	if err != nil {
		t.Fatal(err)
	}
	hijacked, err := conn.PgConn().Hijack()
	if err != nil {
		t.Fatal(err)
	}
	_ = hijacked.Conn.Close()
	w.audited(t, "SELECT end_reason FROM weir.sessions WHERE subject = 'rude-agent' AND ended IS NOT NULL", "the client went away")
}
