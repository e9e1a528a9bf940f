package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-gateway/weir/integration/stage"
	"github.com/weir-gateway/weir/internal/gate"
)

// held is a psql whose statement waits for people.
type held struct {
	cmd    *exec.Cmd
	id     string // of the approval
	stderr *bufio.Reader
	said   strings.Builder
	out    strings.Builder
}

var heldLine = regexp.MustCompile(`NOTICE:  00000: held for approval ([0-9a-f-]{36})`)

// hold runs a script in psql and waits until it says that it is held.
func (w *world) hold(t *testing.T, token, script string) *held {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	h := &held{cmd: w.command(ctx, []string{"PGPASSWORD=" + token}, w.Parts.Psql(), "-X", "-w", "-A", "-t", "-v", "VERBOSITY=verbose", "-d", w.conninfo(""))}
	h.cmd.Stdin, h.cmd.Stdout = strings.NewReader(script), &h.out
	stderr, err := h.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	h.stderr = bufio.NewReader(io.TeeReader(stderr, &h.said))
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for h.id == "" {
		line, err := h.stderr.ReadString('\n')
		if err != nil {
			t.Fatalf("psql was not held: %s%s", h.said.String(), h.out.String())
		}
		if m := heldLine.FindStringSubmatch(line); m != nil {
			h.id = m[1]
		}
	}
	return h
}

// result waits for psql to end.
func (h *held) result(t *testing.T) result {
	t.Helper()
	_, _ = io.Copy(io.Discard, h.stderr)
	_ = h.cmd.Wait()
	return result{h.out.String(), h.said.String(), h.cmd.ProcessState.ExitCode()}
}

// vote runs `weir approvals approve|deny` with a token.
func (w *world) vote(t *testing.T, token, verb, id, reason string) result {
	t.Helper()
	return w.weir(t, []string{"WEIR_TOKEN=" + token}, "approvals", verb, id, "--reason", reason)
}

// state reads an approval, as its gateway's operator does.
func (w *world) state(t *testing.T, id string) gate.Approval {
	t.Helper()
	got := w.weir(t, nil, "approvals", "show", id, "-o", "json")
	var a gate.Approval
	if err := json.Unmarshal([]byte(got.out), &a); err != nil {
		t.Fatalf("%v: %s", err, got)
	}
	return a
}

func TestApprovedByAnn(t *testing.T) {
	w := shared(t)
	ann := w.signIn(t, stage.Approver)
	h := w.hold(t, w.agent(t), "create table approved_by_ann (id int);\nselect 'went on';\n")
	expect(t, h.said.String(), "NOTICE:  00000: held for approval "+h.id)
	if w.reached(t, "approved_by_ann") {
		t.Fatal("PostgreSQL was sent what is held")
	}
	list := w.weir(t, nil, "approvals", "list")
	expect(t, list.out, "ID ", "STATE", "TARGET", "REQUESTER", h.id, "pending", "shop", stage.Agent, "schema_change", "create table approved_by_ann")

	for name, tc := range map[string]struct {
		token, reason, want string
	}{
		"the requester":                       {w.agent(t), "mine", "you are signed in as agent; who may approve is: human"},
		"the requester, called a person":      {w.mint(t, stage.Agent, person("dba")), "mine", "nobody approves what they, or somebody acting for them, asked for"},
		"an agent with the role":              {w.mint(t, "ops-agent", app("dba")), "looks fine", "you are signed in as agent; who may approve is: human"},
		"a person without the role":           {w.mint(t, "joe", person("sales")), "looks fine", "approving this takes one of the roles: group:dba"},
		"an auditor":                          {w.signIn(t, stage.Auditor), "looks fine", "approving this takes one of the roles: group:dba"},
		"somebody who acts for the requester": {w.mint(t, "kim", map[string]any{"idtyp": "user", "groups": []string{"dba"}, "act": map[string]any{"sub": stage.Agent}}), "x", "you are signed in as agent"},
		"a stranger":                          {"garbage", "x", "this is not a token (a JWT); get a token with: weir token"},
		"no reason":                           {ann, "  ", "a vote needs a reason"},
		"no token":                            {"", "x", "who are you? Set WEIR_TOKEN, or WEIR_ISSUER and WEIR_CLIENT_ID"},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.vote(t, tc.token, "approve", h.id, tc.reason)
			expect(t, got.err, tc.want)
			if got.code != 1 {
				t.Errorf("exit %d", got.code)
			}
		})
	}
	if got := w.weir(t, []string{"WEIR_TOKEN=" + ann}, "approvals", "approve", h.id); got.code != 2 {
		t.Errorf("without --reason: %s", got)
	}
	if s := w.state(t, h.id).State; s != gate.Pending {
		t.Fatalf("after refused votes it is %s", s)
	}

	got := w.vote(t, ann, "approve", h.id, "ticket 42")
	if want := "approved " + h.id + "; it is approved\n"; got.out != want {
		t.Errorf("%q, want %q\n%s", got.out, want, got.err)
	}
	end := h.result(t)
	if end.out != "CREATE TABLE\nwent on\n" || end.code != 0 {
		t.Errorf("psql: %s", end)
	}
	if there := w.direct(t, "select to_regclass('approved_by_ann')::text"); there != "approved_by_ann" {
		t.Errorf("the table: %s", there)
	}
	a := w.state(t, h.id)
	if a.State != gate.Approved || len(a.Votes) != 1 || a.Votes[0].Reason != "ticket 42" || a.Votes[0].Approver.Subject != stage.Approver {
		t.Errorf("%+v", a)
	}
	expect(t, w.vote(t, ann, "approve", h.id, "again").err, "the approval is approved already")
	expect(t, w.vote(t, ann, "deny", h.id, "changed my mind").err, "the approval is approved already")
	show := w.weir(t, nil, "approvals", "show", h.id[:len(h.id)-1])
	expect(t, show.out, "approval   "+h.id+" (approved)", "requester  "+stage.Agent+" (agent)", "needs      1 of group:dba, by rule schema_change: changes the schema", "vote       ann approved: ticket 42", "create table approved_by_ann (id int)")
}

func TestTwoApprovers(t *testing.T) {
	once(t)
	w := shared(t)
	ann, bob := w.mint(t, stage.Approver, person("dba")), w.mint(t, "bob", person("dba"))
	h := w.hold(t, w.agent(t), "update products set price = price + 1 where id = 1;\n")
	got := w.vote(t, ann, "approve", h.id, "one")
	if want := "approved " + h.id + "; it is pending: 1 of 2 votes\n"; got.out != want {
		t.Errorf("%q, want %q", got.out, want)
	}
	expect(t, w.vote(t, ann, "approve", h.id, "two").err, "you have voted already")
	expect(t, w.vote(t, bob, "approve", h.id, "two").out, "it is approved")
	if end := h.result(t); end.out != "UPDATE 1\n" {
		t.Error(end)
	}
}

func TestDeniedByAnn(t *testing.T) {
	once(t)
	w := shared(t)
	h := w.hold(t, w.agent(t), "create table denied_by_ann (id int);\nselect 'still here';\n")
	got := w.vote(t, w.mint(t, stage.Approver, person("dba")), "deny", h.id, "not on a Friday")
	if want := "denied " + h.id + "; it is denied\n"; got.out != want {
		t.Errorf("%q, want %q", got.out, want)
	}
	end := h.result(t)
	expect(t, end.err, "ERROR:  42501: refused by policy: ", "(approval_denied)", "DETAIL:  decision ")
	if end.out != "still here\n" || w.reached(t, "denied_by_ann") {
		t.Errorf("psql: %s", end)
	}
}

func TestApprovalExpires(t *testing.T) {
	once(t)
	w := shared(t)
	h := w.hold(t, w.agent(t), "delete from order_items where order_id = 1;\nselect 'still here';\n")
	end := h.result(t)
	expect(t, end.err, "(approval_expired)")
	if end.out != "still here\n" {
		t.Error(end)
	}
	if s := w.state(t, h.id).State; s != gate.Expired {
		t.Errorf("it is %s", s)
	}
	expect(t, w.vote(t, w.mint(t, stage.Approver, person("dba")), "approve", h.id, "late").err, "the approval expired at ")
}

func TestCancelWhileHeld(t *testing.T) {
	w := shared(t)
	h := w.hold(t, w.agent(t), "create table cancelled (id int);\n")
	if err := h.cmd.Process.Signal(os.Interrupt); err != nil { // what Ctrl-C does
		t.Fatal(err)
	}
	end := h.result(t)
	expect(t, end.err, "ERROR:  57014: canceling statement due to user request")
	if w.reached(t, "cancelled (id") {
		t.Error("PostgreSQL was sent what was cancelled")
	}
	if s := w.state(t, h.id).State; s != gate.Withdrawn {
		t.Errorf("it is %s", s)
	}
}

func TestSessionGoesOnAfterCancel(t *testing.T) {
	w := shared(t)
	var conn *pgx.Conn
	conn, err := w.dial(t.Context(), w.agent(t), func(c *pgx.ConnConfig) {
		c.OnNotice = func(*pgconn.PgConn, *pgconn.Notice) {
			if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	_, err = conn.Exec(t.Context(), "create table cancelled_too (id int)")
	if e := refused(t, err); e.Code != "57014" {
		t.Errorf("%+v", e)
	}
	var n int
	if err := conn.QueryRow(t.Context(), "select 1").Scan(&n); err != nil || w.reached(t, "cancelled_too") {
		t.Errorf("%v", err)
	}
}

func TestClientVanishesWhileHeld(t *testing.T) {
	w := shared(t)
	h := w.hold(t, w.agent(t), "create table vanished (id int);\n")
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = h.cmd.Wait()
	soon(t, "the approval is withdrawn", func() bool { return w.state(t, h.id).State == gate.Withdrawn })
	expect(t, w.vote(t, w.mint(t, stage.Approver, person("dba")), "approve", h.id, "too late").err, "the approval is withdrawn already")
	if w.reached(t, "vanished (id") {
		t.Error("PostgreSQL was sent what nobody waits for")
	}
}

// In the extended protocol too, and what was sent before is not lost.
func TestHeldInEachMode(t *testing.T) {
	w := shared(t)
	ann := w.mint(t, stage.Approver, person("dba"))
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			notices := make(chan *pgconn.Notice, 8)
			conn, err := w.dial(t.Context(), w.agent(t), func(c *pgx.ConnConfig) {
				c.DefaultQueryExecMode = mode
				c.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notices <- n }
			})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close(context.Background()) }()
			done := make(chan error, 1)
			go func() {
				tag, err := conn.Exec(t.Context(), "delete from orders where id = $1", -1)
				if err == nil && tag.String() != "DELETE 0" {
					t.Errorf("tag %q", tag)
				}
				done <- err
			}()
			var n *pgconn.Notice
			select {
			case n = <-notices:
			case err := <-done:
				t.Fatalf("it was not held: %v", err)
			}
			id, ok := strings.CutPrefix(n.Message, "held for approval ")
			if !ok || n.Severity != "NOTICE" || n.Detail != "removes orders for good" || n.Hint != "weir approvals approve "+id+" --reason …" {
				t.Errorf("%+v", n)
			}
			expect(t, w.vote(t, ann, "approve", id, "fine").out, "it is approved")
			if err := <-done; err != nil {
				t.Error(err)
			}
			if got := len(notices); got != 0 {
				t.Errorf("it was held %d times more", got)
			}
		})
	}
}

// asked is a curl whose request waits for people.
type asked struct {
	id   string // of the approval
	done chan result
	stop context.CancelFunc
}

// ask removes a customer and waits until an approval is asked for.
func (w *world) ask(t *testing.T, path string) *asked {
	t.Helper()
	program, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl")
	}
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	cmd := w.command(ctx, nil, program, "-sS", "-i", "--http1.1", "--noproxy", "*", "--cacert", w.ca, "-X", "DELETE", "-H", "@-", w.url(path))
	cmd.Stdin = strings.NewReader("Authorization: Bearer " + w.agent(t) + "\n")
	a := &asked{done: make(chan result, 1), stop: cancel}
	go func() {
		out, err := cmd.Output()
		a.done <- result{out: string(out), err: fmt.Sprint(err)}
	}()
	soon(t, "an approval is asked for", func() bool {
		var list []gate.Approval
		_ = json.Unmarshal([]byte(w.weir(t, nil, "approvals", "list", "-o", "json").out), &list)
		for _, one := range list {
			if one.Operation.Text == "DELETE "+path {
				a.id = one.ID
			}
		}
		return a.id != ""
	})
	return a
}

func TestRequestIsHeld(t *testing.T) {
	once(t)
	w := shared(t)
	ann := w.mint(t, stage.Approver, person("dba"))
	t.Run("approved", func(t *testing.T) {
		a := w.ask(t, "/customers/9001")
		if len(w.api.to("/customers/9001")) > 0 {
			t.Error("the API was sent what is held")
		}
		expect(t, w.vote(t, ann, "approve", a.id, "ticket 43").out, "it is approved")
		expect(t, (<-a.done).out, "HTTP/1.1 204 No Content")
		if n := len(w.api.to("/customers/9001")); n != 1 {
			t.Errorf("the API was asked %d times", n)
		}
	})
	t.Run("denied", func(t *testing.T) {
		a := w.ask(t, "/customers/9002")
		expect(t, w.vote(t, ann, "deny", a.id, "no").out, "it is denied")
		got := <-a.done
		p := got.refusal(t, "403 Forbidden")
		if p.Rule != "approval_denied" || p.Approval != a.id || len(w.api.to("/customers/9002")) > 0 {
			t.Errorf("%+v", p)
		}
	})
	t.Run("the client goes away", func(t *testing.T) {
		a := w.ask(t, "/customers/9003")
		a.stop()
		soon(t, "the approval is withdrawn", func() bool { return w.state(t, a.id).State == gate.Withdrawn })
		if len(w.api.to("/customers/9003")) > 0 {
			t.Error("the API was sent what nobody waits for")
		}
	})
}
