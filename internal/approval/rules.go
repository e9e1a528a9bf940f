package approval

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/weir-gateway/weir/internal/gate"
)

// maxReason bounds a vote's reason, in characters.
const maxReason = 2000

// ErrNotFound means that there is no such approval, or no longer.
var ErrNotFound = errors.New("there is no such approval")

// Code says why a vote was not taken; it is stable.
type Code string

// The codes.
const (
	BadReason    Code = "bad_reason"
	WrongKind    Code = "wrong_kind"
	OwnRequest   Code = "own_request"
	NoRole       Code = "no_role"
	VotedAlready Code = "voted_already"
	Decided      Code = "decided"
)

// Refusal is a vote that was not taken. Its text is for the voter.
type Refusal struct {
	Code    Code
	Message string
}

func (r *Refusal) Error() string { return r.Message }

func refuse(code Code, format string, args ...any) *Refusal {
	return &Refusal{code, fmt.Sprintf(format, args...)}
}

// checkReason returns the reason as it is kept.
func checkReason(reason string) (string, error) {
	reason = strings.TrimSpace(reason)
	switch {
	case reason == "":
		return "", refuse(BadReason, "a vote needs a reason")
	case utf8.RuneCountInString(reason) > maxReason:
		return "", refuse(BadReason, "a reason has at most %d characters", maxReason)
	case !utf8.ValidString(reason) || strings.ContainsFunc(reason, unprintable):
		return "", refuse(BadReason, "a reason is plain text, without control characters")
	}
	return reason, nil
}

// unprintable finds what could play tricks on the terminal that shows a reason.
func unprintable(r rune) bool {
	return r != '\n' && r != '\t' && !unicode.IsGraphic(r)
}

// mayVote judges an approver, whatever they vote.
func mayVote(a *gate.Approval, approver *gate.Principal, kinds []gate.Kind, now time.Time) error {
	switch {
	case a.State == gate.Expired || a.State == gate.Pending && !now.Before(a.Expires):
		return refuse(Decided, "the approval expired at %s", a.Expires.UTC().Format(time.RFC3339))
	case a.State != gate.Pending:
		return refuse(Decided, "the approval is %s already", a.State)
	case approver.Subject == "" || !slices.Contains(kinds, kindOf(approver)):
		return refuse(WrongKind, "you are signed in as %s; who may approve is: %s", kindOf(approver), join(kinds))
	case related(&a.Requester, approver):
		return refuse(OwnRequest, "nobody approves what they, or somebody acting for them, asked for")
	case !slices.ContainsFunc(a.Needs, func(n gate.Requirement) bool { return entitled(approver, n) }):
		return refuse(NoRole, "approving this takes one of the roles: %s", strings.Join(roles(a.Needs), ", "))
	case slices.ContainsFunc(a.Votes, func(v gate.Vote) bool { return same(identity(&v.Approver), identity(approver)) }):
		return refuse(VotedAlready, "you have voted already")
	}
	return nil
}

// kindOf is the principal's kind; the zero value is an agent.
func kindOf(p *gate.Principal) gate.Kind {
	if p.Kind == "" {
		return gate.Agent
	}
	return p.Kind
}

func identity(p *gate.Principal) gate.Actor { return gate.Actor{Subject: p.Subject, Issuer: p.Issuer} }

// same compares identities. An issuer that is not known may be any: a doubt is
// never to the approver's favour.
func same(a, b gate.Actor) bool {
	return a.Subject == b.Subject && (a.Issuer == b.Issuer || a.Issuer == "" || b.Issuer == "")
}

// related says whether two principals, or those who act for them, have anybody
// in common.
func related(a, b *gate.Principal) bool {
	other := append([]gate.Actor{identity(b)}, b.OnBehalfOf...)
	for _, x := range append([]gate.Actor{identity(a)}, a.OnBehalfOf...) {
		if slices.ContainsFunc(other, func(y gate.Actor) bool { return same(x, y) }) {
			return true
		}
	}
	return false
}

func entitled(p *gate.Principal, n gate.Requirement) bool {
	return slices.ContainsFunc(p.Roles, func(role string) bool { return slices.Contains(n.Approvers, role) })
}

// outcome is the state that the votes make: one that denies is enough, and
// approval takes the votes that each requirement needs.
func outcome(a *gate.Approval) gate.ApprovalState {
	if slices.ContainsFunc(a.Votes, func(v gate.Vote) bool { return !v.Approve }) {
		return gate.Refused
	}
	for _, n := range a.Needs {
		given := 0
		for i := range a.Votes {
			if entitled(&a.Votes[i].Approver, n) {
				given++
			}
		}
		if given < max(n.Required, 1) {
			return gate.Pending
		}
	}
	return gate.Approved
}

// checkRequest refuses a request that nobody could ever approve, or whose votes
// would be bound to something else than what they are shown.
func checkRequest(a *gate.Approval) error {
	if a.State != gate.Pending || len(a.Votes) > 0 {
		return errors.New("a request is pending and has no votes")
	}
	if a.Requester.Subject == "" || a.Expires.IsZero() || len(a.Needs) == 0 {
		return errors.New("a request needs a requester, an end and a requirement")
	}
	for _, n := range a.Needs {
		if len(n.Approvers) == 0 {
			return fmt.Errorf("rule %s names no approvers", n.Rule)
		}
	}
	hash, err := a.Operation.ContentHash()
	if err != nil {
		return err
	}
	if hash != a.ContentHash {
		return errors.New("the content hash is not that of the operation")
	}
	return nil
}

func roles(needs []gate.Requirement) []string {
	var out []string
	for _, n := range needs {
		out = append(out, n.Approvers...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func join(kinds []gate.Kind) string {
	out := make([]string, len(kinds))
	for i, k := range kinds {
		out[i] = string(k)
	}
	return strings.Join(out, ", ")
}
