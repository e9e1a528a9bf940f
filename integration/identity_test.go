package integration

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/integration/issuer"
	"github.com/weir-gateway/weir/integration/stage"
)

const (
	notAccepted = "FATAL:  sign-in failed: the token was not accepted"
	unreachable = "FATAL:  sign-in failed: nobody can sign in at the moment, because the token's issuer cannot be reached; try again in a minute"
)

// signs says whether a token opens a session.
func (w *world) signs(t *testing.T, token string) result {
	t.Helper()
	return w.psql(t, token, "select 'in';\n")
}

func TestKeysRotate(t *testing.T) {
	once(t)
	w := own(t, stage.Options{})
	conn := w.pgx(t, w.agent(t), pgx.QueryExecModeExec)
	before, unused := w.agent(t), w.agent(t)
	expect(t, w.signs(t, before).out, "in\n")

	if err := w.Issuer.Rotate(true); err != nil {
		t.Fatal(err)
	}
	expect(t, w.signs(t, w.agent(t)).out, "in\n")
	expect(t, w.signs(t, before).out, "in\n")
	expect(t, w.curl(t, w.agent(t), "/customers/1").out, "200 OK")

	between := w.agent(t)
	if err := w.Issuer.Rotate(false); err != nil {
		t.Fatal(err)
	}
	after := w.agent(t)
	soon(t, "a token of the new key is accepted", func() bool { return w.signs(t, after).code == 0 })
	expect(t, w.signs(t, unused).err, notAccepted)
	expect(t, w.signs(t, between).err, notAccepted)
	var n int
	if err := conn.QueryRow(t.Context(), "select 1").Scan(&n); err != nil {
		t.Errorf("a session of before: %v", err)
	}
}

func TestIssuerDownAtStart(t *testing.T) {
	once(t)
	w := unstarted(t, stage.Options{})
	w.Issuer.Pause()
	if err := w.raise(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, w.signs(t, w.agent(t)).err, unreachable)
	p := w.curl(t, w.agent(t), "/customers/1").refusal(t, "401 Unauthorized")
	expect(t, p.Detail, "nobody can sign in at the moment, because the token's issuer cannot be reached; try again in a minute")
	w.Issuer.Resume()
	token := w.agent(t)
	soon(t, "sign-ins work again without a restart", func() bool { return w.signs(t, token).code == 0 })
}

func TestIssuerDownLater(t *testing.T) {
	once(t)
	w := own(t, stage.Options{})
	known := w.agent(t)
	expect(t, w.signs(t, known).out, "in\n")

	w.Issuer.Pause()
	expect(t, w.signs(t, known).out, "in\n")
	expect(t, w.curl(t, known, "/customers/1").out, "200 OK")
	expect(t, w.signs(t, w.agent(t)).out, "in\n") // its key is known
	if err := w.Issuer.Rotate(true); err != nil {
		t.Fatal(err)
	}
	token := w.agent(t) // its key is not
	expect(t, w.signs(t, token).err, unreachable)
	expect(t, w.signs(t, known).out, "in\n")

	w.Issuer.Resume()
	soon(t, "sign-ins work again without a restart", func() bool { return w.signs(t, token).code == 0 })
}

// ends waits until the gateway ends a session, and returns its last words.
func ends(t *testing.T, conn *pgx.Conn) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, err := conn.WaitForNotification(ctx)
	if ctx.Err() != nil {
		t.Fatal("the session went on")
	}
	return err
}

func TestSessionEndsWithItsToken(t *testing.T) {
	t.Parallel()
	w := shared(t)
	conn := w.pgx(t, w.agent(t, issuer.ExpiresIn(4*time.Second)), pgx.QueryExecModeExec)
	var n int
	if err := conn.QueryRow(t.Context(), "select 1").Scan(&n); err != nil {
		t.Fatal(err)
	}
	e := refused(t, ends(t, conn))
	if e.Severity != "FATAL" || e.Code != "28000" || e.Message != "the session ends because its token has expired" || !strings.HasPrefix(e.Hint, "Get a new token") {
		t.Errorf("%+v", e)
	}
}

// A statement that runs when the token expires is not torn.
func TestStatementOutlivesItsToken(t *testing.T) {
	t.Parallel()
	w := shared(t)
	conn := w.pgx(t, w.agent(t, issuer.ExpiresIn(3*time.Second)), pgx.QueryExecModeExec)
	if _, err := conn.Exec(t.Context(), "select pg_sleep(4)"); err != nil {
		t.Fatal(err)
	}
	if e := refused(t, ends(t, conn)); e.Code != "28000" {
		t.Errorf("%+v", e)
	}
}

func TestTokenGrace(t *testing.T) {
	t.Parallel()
	w := shared(t)
	token := w.agent(t, issuer.ExpiresIn(3*time.Second))
	short := w.pgx(t, token, pgx.QueryExecModeExec)
	long, err := w.dialTo(t.Context(), all.listen["patient"], token, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = long.Close(context.Background()) }()
	_ = ends(t, short)
	var n int
	if err := long.QueryRow(t.Context(), "select 1").Scan(&n); err != nil {
		t.Errorf("within its grace: %v", err)
	}
}

func TestKindsAreToldApart(t *testing.T) {
	once(t)
	w := shared(t)
	h := w.hold(t, w.mint(t, "mary", person("staff")), "create table by_mary (id int);\n")
	if a := w.state(t, h.id); a.Requester.Kind != "human" || a.Requester.Subject != "mary" || a.Requester.Issuer != w.Issuer.URL {
		t.Errorf("%+v", a.Requester)
	}
	expect(t, w.vote(t, w.mint(t, stage.Approver, person("dba")), "deny", h.id, "no").out, "it is denied")
	h.result(t)
	h = w.hold(t, w.mint(t, "unknown", nil), "create table by_unknown (id int);\n")
	if a := w.state(t, h.id); a.Requester.Kind != "agent" {
		t.Errorf("who says nothing is %s", a.Requester.Kind)
	}
	expect(t, w.vote(t, w.mint(t, stage.Approver, person("dba")), "deny", h.id, "no").out, "it is denied")
	h.result(t)
}
