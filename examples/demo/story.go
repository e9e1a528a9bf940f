package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/weir-gateway/weir/integration/issuer"
	"github.com/weir-gateway/weir/integration/stage"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/web"
)

// psql signs in with the agent's own identity; the token is the password.
const psql = `PGPASSWORD=$(weir token) psql -c `

func (p *player) play(ctx context.Context) error {
	began := time.Now()
	p.masked(ctx)
	p.blocked(ctx)
	p.api(ctx)
	for _, scene := range []func(context.Context) error{p.strangers, p.held} {
		if err := scene(ctx); err != nil {
			return err
		}
	}
	if err := p.audited(ctx, began); err != nil {
		return err
	}
	return p.result()
}

func (p *player) masked(ctx context.Context) {
	p.scene("An agent reads customers, and sees no ssn, card or email")
	out := p.as(ctx, stage.Agent, psql+`"select id, name, ssn, card, email from customers order by id limit 3"`)
	p.has(out, "***-**-", "************", "(3 rows)")
	p.lacks(out, "@example")
	p.say("\n  An alias, an expression, an error message or a guess does not help:\n")
	out = p.as(ctx, stage.Agent, psql+`"select ssn as shoe_size, 'id ' || ssn as note from customers order by id limit 2"`)
	p.has(out, "***-**-", "(2 rows)")
	p.lacks(out, "id 9", "id 8", "id 7", "id 6", "id 5", "id 4", "id 3", "id 2", "id 1")
	out = p.as(ctx, stage.Agent, psql+`"select ssn::int from customers"`)
	p.has(out, "masked_error", "HINT:")
	out = p.as(ctx, stage.Agent, psql+`"select id from customers where ssn like '1%'"`)
	p.has(out, "masked_filter", "HINT:")
	p.say("\n  Nor do texts in which somebody has typed what does not belong there:\n")
	out = p.as(ctx, stage.Agent, psql+`"select note from orders where note like '%card%' order by id limit 2"`)
	p.has(out, "Paid by phone, card ************", "(2 rows)")
	p.say("\n  An agent of the privacy team sees them:\n")
	out = p.as(ctx, stage.Analyst, psql+`"select id, ssn, card from customers order by id limit 2"`)
	p.has(out, "(2 rows)")
	p.lacks(out, "***")
}

func (p *player) blocked(ctx context.Context) {
	p.scene("A statement that policy forbids is refused, in words that a model can act on")
	out := p.as(ctx, stage.Agent, psql+`"delete from orders"`)
	p.has(out, "ERROR:", "no_where", "HINT:", "decision ")
	p.say("\n  The connection stays usable, and nothing was deleted:\n")
	out = p.as(ctx, stage.Agent, `PGPASSWORD=$(weir token) psql -At -c "delete from orders" -c "select count(*) > 10000 as all_there from orders"`)
	p.has(out, "no_where", "\nt\n")
}

func (p *player) api(ctx context.Context) {
	p.scene("The same agent, the same rules, over HTTP")
	out := p.as(ctx, stage.Agent, `curl -sS -H "Authorization: Bearer $(weir token)" "$API/customers?limit=2"`)
	p.has(out, "***-**-", `"total":10000`)
	p.lacks(out, "@example")
	out = p.as(ctx, stage.Agent, `curl -sS -H "Authorization: Bearer $(weir token)" -H "Content-Type: application/json" -d '{"customer":1,"order":1,"amount":250,"reason":"late"}' "$API/refunds"`)
	p.has(out, `"status": 403`, "refund_too_large", "hint", "decision")
	out = p.as(ctx, stage.Agent, `curl -sS -o /dev/null -w "%{http_code}\n" -H "Authorization: Bearer $(weir token)" -X DELETE "$API/customers/1"`)
	p.has(out, "403")
}

// strangers shows a well-formed token of an issuer that the gateway does not know.
func (p *player) strangers(ctx context.Context) error {
	p.scene("Who is not known is turned away")
	elsewhere, err := issuer.Start(ctx, issuer.Config{})
	if err != nil {
		return err
	}
	defer elsewhere.Close()
	token, err := elsewhere.Mint("mallory", map[string]any{"groups": []any{"dba", "privacy"}})
	if err != nil {
		return err
	}
	p.common = append(p.common, "STOLEN="+token)
	out := p.as(ctx, "mallory", `PGPASSWORD=$STOLEN psql -c "select 1"`)
	p.has(out, "FATAL:", "HINT:")
	p.lacks(out, "(1 row)")
	out = p.as(ctx, "mallory", `curl -sS -w "%{http_code}\n" -H "Authorization: Bearer $STOLEN" "$API/customers"`)
	p.has(out, "401")
	return nil
}

// held shows two statements that wait for a person: one is approved, one is not.
func (p *player) held(ctx context.Context) error {
	p.scene("What removes orders waits for a person")
	for _, who := range []string{stage.Approver, stage.Auditor} {
		if _, err := p.SignIn(ctx, who); err != nil {
			return err
		}
		p.say("  %s has signed in by device code\n", who)
	}
	p.has(p.as(ctx, stage.Agent, psql+`"insert into orders values (900001, 1, 'paid', 'a test', now()) on conflict do nothing"`), "INSERT")
	const statement = psql + `"delete from orders where id = 900001"`
	out, err := p.hold(ctx, statement, func(id string) {
		own := p.as(ctx, stage.Agent, "weir approvals approve "+id+` --reason "I want it"`)
		p.has(own, "not taken")
		p.as(ctx, stage.Approver, "weir approvals list")
		p.has(p.as(ctx, stage.Approver, "weir approvals approve "+id+` --reason "ticket 4711: the order was a test"`), "approved")
	})
	if err != nil {
		return err
	}
	p.has(out, "held for approval", "DELETE 1")
	out, err = p.hold(ctx, psql+`"drop table orders"`, func(id string) {
		p.has(p.as(ctx, stage.Approver, "weir approvals deny "+id+` --reason "certainly not"`), "denied")
	})
	if err != nil {
		return err
	}
	p.has(out, "ERROR:", "certainly not")
	return nil
}

// hold runs a command that is held, lets people decide, and gives what it
// printed in the end.
func (p *player) hold(ctx context.Context, command string, decide func(id string)) (string, error) {
	p.say("\n%s$ %s\n", stage.Agent, command)
	done := make(chan string, 1)
	go func() { done <- p.quietly(ctx, stage.Agent, command) }()
	id, err := p.waiting(ctx)
	if err != nil {
		return "", err
	}
	p.say("  … waits\n")
	decide(id)
	out := <-done
	p.say("\n%s$ (what waited)\n", stage.Agent)
	p.show(out)
	return out, nil
}

// waiting is the id of the one held statement.
func (p *player) waiting(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var list []gate.Approval
		out, err := p.Weir(ctx, nil, "approvals", "list", "-o", "json")
		if err == nil && json.Unmarshal([]byte(out), &list) == nil && len(list) > 0 {
			return list[len(list)-1].ID, nil
		}
		select {
		case <-ctx.Done():
			return "", errNoApproval
		case <-tick.C:
		}
	}
}

// audited shows what an auditor finds afterwards, in ClickHouse and by replay.
func (p *player) audited(ctx context.Context, began time.Time) error {
	p.scene("An auditor reads what happened, in ClickHouse")
	if err := p.arrived(ctx, began); err != nil {
		return err
	}
	where, err := os.ReadFile(p.Path("weir-data", "clickhouse", "auditor.url"))
	if err != nil {
		return err
	}
	p.common = append(p.common, "CLICKHOUSE="+strings.TrimSpace(string(where)), "SINCE="+strconv.FormatInt(began.Unix(), 10))
	out := p.query(ctx, `SELECT ts, subject, target, left(text, 48) AS statement, code FROM weir.denials WHERE ts >= toDateTime($SINCE) ORDER BY ts`)
	p.has(out, "no_where", "refund_too_large", "approval_denied", "sign_in")
	out = p.query(ctx, `SELECT requester, text, state, voters, reasons FROM weir.approvals WHERE requested >= toDateTime($SINCE) ORDER BY requested`)
	p.has(out, "ticket 4711", "certainly not", "ann")
	out = p.query(ctx, `SELECT subject, target, class, sum(hidden) AS hidden FROM weir.masked_reads WHERE ts >= toDateTime($SINCE) GROUP BY ALL ORDER BY ALL`)
	p.has(out, "pii.ssn", "customers-api", "shop")
	out = p.query(ctx, `SELECT subject, column, use, count() FROM weir.column_access WHERE has(classes, 'pii.ssn') AND NOT masked AND ts >= toDateTime($SINCE) GROUP BY ALL`)
	p.has(out, stage.Analyst)
	p.lacks(out, stage.Agent)
	out = p.query(ctx, `SELECT count() AS writers_with_gaps FROM weir.gaps`)
	p.has(out, "0")
	return p.replayed(ctx)
}

// query asks ClickHouse as the auditor's account, which can read the views only.
func (p *player) query(ctx context.Context, sql string) string {
	return p.as(ctx, stage.Auditor, `curl -sS "$CLICKHOUSE" --data-binary "`+sql+` FORMAT PrettyCompactMonoBlock"`)
}

// arrived waits until ClickHouse has the last session of the story.
func (p *player) arrived(ctx context.Context, began time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		out, err := p.Weir(ctx, nil, "sessions", "list", "--since", time.Since(began).String(), "-o", "json")
		var list []web.Session
		if err == nil && json.Unmarshal([]byte(out), &list) == nil && len(list) > 0 && list[0].Refused == 1 && list[0].Ended != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the evidence did not reach ClickHouse: %w\n%s", ctx.Err(), out)
		case <-tick.C:
		}
	}
}

// replayed shows one session as it happened: the one whose delete was approved.
func (p *player) replayed(ctx context.Context) error {
	p.say("\n  A replay: what was asked, decided and delivered.\n")
	out, err := p.Weir(ctx, nil, "sessions", "list", "--target", "shop", "--limit", "2", "-o", "json")
	var list []web.Session
	if err == nil {
		err = json.Unmarshal([]byte(out), &list)
	}
	if err != nil || len(list) < 2 {
		return fmt.Errorf("sessions: %w\n%s", err, out)
	}
	out = p.as(ctx, stage.Auditor, "weir replay "+list[1].ID)
	p.has(out, "delete from orders where id = 900001", "HELD", "approved by ann", "DELETE 1")
	return nil
}
