package cli

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/web"
)

type approvalsCmd struct {
	List    approvalsListCmd `cmd:"" help:"List held operations."`
	Show    approvalsShowCmd `cmd:"" help:"Show one, with the whole statement."`
	Approve approveCmd       `cmd:"" help:"Let a held operation go on. Needs an approver's token."`
	Deny    denyCmd          `cmd:"" help:"Refuse a held operation. Needs an approver's token."`
}

type approvalsListCmd struct {
	output
	remote
	signIn
	State string `enum:"${state}" default:"pending" help:"Which: ${state}."`
}

// Run implements the command.
func (c *approvalsListCmd) Run(e *env) error {
	cl, err := c.connect(e, &c.remote)
	if err != nil {
		return err
	}
	var list []gate.Approval
	if err := cl.get(e.ctx, "/api/v1/approvals?state="+url.QueryEscape(c.State), &list); err != nil {
		return err
	}
	if c.json() {
		return writeJSON(e.Out, list)
	}
	if len(list) == 0 {
		e.printf("nothing is %s\n", c.State)
		return nil
	}
	var rows [][]string
	for _, a := range list {
		rows = append(rows, []string{a.ID, string(a.State), a.Target.Name, a.Requester.Subject, left(&a), rules(&a), a.Operation.Text})
	}
	return table(e.Out, []string{"ID", "STATE", "TARGET", "REQUESTER", "LEFT", "RULES", "OPERATION"}, rows)
}

func left(a *gate.Approval) string {
	if a.State != gate.Pending {
		return "-"
	}
	return max(0, time.Until(a.Expires)).Round(time.Second).String()
}

func rules(a *gate.Approval) string {
	names := make([]string, len(a.Needs))
	for i, n := range a.Needs {
		names[i] = n.Rule
	}
	return strings.Join(names, ",")
}

type approvalsShowCmd struct {
	output
	remote
	signIn
	ID string `arg:"" help:"Id of the approval, or the beginning of it."`
}

// Run implements the command.
func (c *approvalsShowCmd) Run(e *env) error {
	cl, err := c.connect(e, &c.remote)
	if err != nil {
		return err
	}
	var a gate.Approval
	if err := cl.get(e.ctx, "/api/v1/approvals/"+url.PathEscape(c.ID), &a); err != nil {
		return err
	}
	if c.json() {
		return writeJSON(e.Out, a)
	}
	e.printf("approval   %s (%s)\nrequester  %s (%s)\ntarget     %s\nrequested  %s, expires %s\n", a.ID, a.State,
		a.Requester.Subject, a.Requester.Kind, a.Target.Name, when(a.Requested), when(a.Expires))
	for _, n := range a.Needs {
		e.printf("needs      %d of %s, by rule %s", max(1, n.Required), strings.Join(n.Approvers, ", "), n.Rule)
		if n.Reason != "" {
			e.printf(": %s", oneLine(n.Reason))
		}
		e.printf("\n")
	}
	for _, v := range a.Votes {
		e.printf("vote       %s %s: %s\n", v.Approver.Subject, verb(v.Approve), oneLine(v.Reason))
	}
	e.printf("content    %s\n\n%s\n", a.ContentHash, a.Operation.Text)
	return nil
}

func verb(approve bool) string {
	if approve {
		return "approved"
	}
	return "denied"
}

// ballot is what both votes take.
type ballot struct {
	output
	remote
	signIn
	ID     string `arg:"" help:"Id of the approval, all of it."`
	Reason string `required:"" help:"Why; it is recorded."`
}

type approveCmd struct{ ballot }

// Run implements the command.
func (c *approveCmd) Run(e *env) error { return c.vote(e, true) }

type denyCmd struct{ ballot }

// Run implements the command.
func (c *denyCmd) Run(e *env) error { return c.vote(e, false) }

func (b *ballot) vote(e *env, approve bool) error {
	token, err := b.require(e)
	if err != nil {
		return err
	}
	cl, err := b.dial(e, token)
	if err != nil {
		return err
	}
	var a gate.Approval
	if err := cl.post(e.ctx, "/api/v1/approvals/"+url.PathEscape(b.ID)+"/votes", web.Ballot{Approve: &approve, Reason: b.Reason}, &a); err != nil {
		return err
	}
	if b.json() {
		return writeJSON(e.Out, a)
	}
	e.printf("%s %s; it is %s%s\n", verb(approve), a.ID, a.State, missing(&a))
	return nil
}

// missing says how many votes a pending approval still needs.
func missing(a *gate.Approval) string {
	if a.State != gate.Pending {
		return ""
	}
	most := 0
	for _, n := range a.Needs {
		most = max(most, n.Required)
	}
	return fmt.Sprintf(": %d of %d votes", len(a.Votes), most)
}
