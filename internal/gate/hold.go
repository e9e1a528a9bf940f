package gate

import (
	"context"
	"fmt"
	"time"
)

// defaultTTL bounds a hold whose rules name no time.
const defaultTTL = 15 * time.Minute

// hold keeps an operation until people have voted on exactly it, then asks
// policy again: what it forbids by now stays forbidden, approved or not.
func (g *Gate) hold(ctx context.Context, s *Session, op *Operation, d Decision, onHold func(*Approval)) (Decision, *Input, error) {
	a, err := g.newApproval(s, op, d)
	if err != nil {
		return Decision{}, nil, err
	}
	if err := g.approvals.Request(ctx, a); err != nil {
		return Decision{}, nil, fmt.Errorf("approval could not be requested: %w", err)
	}
	if err := g.recorder.Record(ctx, g.event(s, ApprovalRequested, op.ID, a)); err != nil {
		return Decision{}, nil, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if onHold != nil {
		onHold(a)
	}
	done, err := g.approvals.Wait(ctx, a.ID)
	if err != nil {
		return Decision{}, nil, fmt.Errorf("approval %s: %w", a.ID, err)
	}
	d, in, err := g.resolve(ctx, s, op, done)
	if d.Effect == Allow {
		s.grant(done)
	}
	return d, in, err
}

func (g *Gate) newApproval(s *Session, op *Operation, d Decision) (*Approval, error) {
	hash, err := op.ContentHash()
	if err != nil {
		return nil, err
	}
	now := g.now()
	return &Approval{
		ID: NewID(), State: Pending, Session: s.ID, Target: s.Target, Requester: s.Principal,
		Operation: *op, ContentHash: hash, Needs: d.Hold, Requested: now, Expires: now.Add(ttl(d.Hold)),
		Votes: []Vote{},
	}, nil
}

// resolve turns a final approval into a decision.
func (g *Gate) resolve(ctx context.Context, s *Session, op *Operation, a *Approval) (Decision, *Input, error) {
	d, in := g.decide(ctx, Operate, s, op, a.Votes)
	d.Approval = a.ID
	hash, err := op.ContentHash()
	switch {
	case err != nil:
		return Decision{}, nil, err
	case d.Effect == Deny:
	case a.State == Approved && a.ContentHash == hash && covers(a.Needs, d.Hold):
		d.Effect = Allow
	default:
		d.Effect = Deny
		d.Deny = append(d.Deny, notApproved(a))
	}
	return d, in, nil
}

// covers says whether an approval that satisfied needs also satisfies what
// policy asks for now, rule by rule.
func covers(needs, now []Requirement) bool {
	granted := make(map[string]int, len(needs))
	for _, n := range needs {
		granted[n.Rule] = n.Required
	}
	for _, n := range now {
		required, ok := granted[n.Rule]
		if !ok || n.Required > required {
			return false
		}
	}
	return true
}

// notApproved is the denial of an operation whose approval was not given.
func notApproved(a *Approval) Denial {
	switch a.State {
	case Refused:
		reason := "without a reason"
		for _, v := range a.Votes {
			if !v.Approve {
				reason = fmt.Sprintf("by %s: %s", v.Approver.Subject, v.Reason)
			}
		}
		return Denial{Code: "approval_denied", Message: "the approval was refused " + reason,
			Hint: "Do not repeat the statement unchanged; ask the approver what would be acceptable."}
	case Expired:
		return Denial{Code: "approval_expired", Message: "nobody approved this in time",
			Hint: "Ask an approver to be ready, then run it again."}
	case Approved:
		return Denial{Code: "approval_outdated", Message: "the policy asks for more approvals than were given",
			Hint: "Run it again to ask for a new approval."}
	default:
		return Denial{Code: "approval_withdrawn", Message: "the approval was withdrawn", Hint: "Run it again."}
	}
}

// ttl is the shortest time that any rule gives its approvers.
func ttl(needs []Requirement) time.Duration {
	shortest := time.Duration(0)
	for _, n := range needs {
		if n.TTL > 0 && (shortest == 0 || n.TTL < shortest) {
			shortest = n.TTL
		}
	}
	if shortest == 0 {
		return defaultTTL
	}
	return shortest
}
