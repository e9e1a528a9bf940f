package policies

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/weir-gateway/weir/internal/gate"
)

// Explanation is a decision with the reasons for it.
type Explanation struct {
	Decision gate.Decision `json:"decision"`
	Messages []string      `json:"messages"` // why it was refused or held, in words
	Fired    []FiredRule   `json:"fired"`    // rules that held, the user's first
	Document any           `json:"document"` // data.weir.decision itself
}

// FiredRule is a rule whose body held.
type FiredRule struct {
	Rule string `json:"rule"` // "weir.rules.orders.deny"
	File string `json:"file"`
	Line int    `json:"line"`
}

// Eval decides as Decide does, uncached, shows the whole input to the rules and
// notes which of them fired.
func (e *Engine) Eval(ctx context.Context, in *gate.Input) (Explanation, error) {
	rev := e.active.Load()
	if rev == nil || in == nil {
		return Explanation{}, errNothing
	}
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, max(e.cfg.Timeout, time.Second)) // tracing takes time
	defer cancel()
	input, err := wholeView().term(in)
	if err != nil {
		return Explanation{}, err
	}
	trace := &ruleTrace{fired: map[FiredRule]bool{}}
	doc, err := rev.evaluate(ctx, input, trace)
	if err != nil {
		return Explanation{}, err
	}
	d, err := decode(doc)
	if err != nil {
		return Explanation{}, err
	}
	d.Revision = rev.id
	d.Millis = float64(time.Since(start)) / float64(time.Millisecond)
	document, err := ast.JSON(doc)
	if err != nil {
		return Explanation{}, err
	}
	return Explanation{Decision: d, Messages: messages(&d), Fired: trace.sorted(), Document: document}, nil
}

// messages says in words what a decision came to.
func messages(d *gate.Decision) []string {
	out := []string{}
	for _, denial := range d.Deny {
		s := denial.Message + " (" + denial.Code + ")"
		if denial.Hint != "" {
			s += ": " + denial.Hint
		}
		out = append(out, s)
	}
	for _, h := range d.Hold {
		s := "rule " + h.Rule + " needs an approval"
		if h.Reason != "" {
			s += ": " + h.Reason
		}
		out = append(out, s)
	}
	return out
}

// ruleTrace notes the rules under data.weir.rules that fired.
type ruleTrace struct {
	fired map[FiredRule]bool
}

// Enabled says that events are wanted.
func (*ruleTrace) Enabled() bool { return true }

// Config asks for nothing that costs more than it must.
func (*ruleTrace) Config() topdown.TraceConfig { return topdown.TraceConfig{} }

// TraceEvent takes one step of an evaluation.
func (t *ruleTrace) TraceEvent(e topdown.Event) {
	rule, ok := e.Node.(*ast.Rule)
	if !ok || e.Op != topdown.ExitOp || rule.Module == nil || rule.Location == nil {
		return
	}
	pkg, name := packagePath(rule.Module), rule.Head.Ref()[0].String()
	if isLibrary(rule.Location.File) && (pkg != defaultsPackage || !isContribution(name)) {
		return
	}
	t.fired[FiredRule{Rule: pkg + "." + name, File: rule.Location.File, Line: rule.Location.Row}] = true
}

func (t *ruleTrace) sorted() []FiredRule {
	out := make([]FiredRule, 0, len(t.fired))
	for f := range t.fired {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b FiredRule) int {
		library := func(f FiredRule) int {
			if isLibrary(f.File) {
				return 1
			}
			return 0
		}
		return cmp.Or(library(a)-library(b), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Rule, b.Rule))
	})
	return out
}
