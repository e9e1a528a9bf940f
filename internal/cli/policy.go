package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/weir-gateway/weir/internal/app"
	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/policies"
)

type policyCmd struct {
	Check policyCheckCmd `cmd:"" help:"Find all that is wrong with the rules: syntax, types, misspelt fields of the input."`
	Test  policyTestCmd  `cmd:"" help:"Run the Rego tests, with coverage."`
	Eval  policyEvalCmd  `cmd:"" help:"Show the decision about one statement or request, and which rules fired."`
}

// bundle names the rules: those of the configuration, or of a folder.
type bundle struct {
	Bundle         string `placeholder:"DIR" type:"existingdir" help:"Folder of rules; the one of the configuration by default."`
	Classification string `placeholder:"FILE" type:"existingfile" help:"Classification; the one of the configuration by default."`
}

func (b *bundle) load(e *env) (policies.Config, app.Classes, error) {
	dir, file := b.Bundle, b.Classification
	if dir == "" {
		cfg, err := config.Load(e.config)
		if err != nil {
			return policies.Config{}, nil, fmt.Errorf("which rules? Name a folder with --bundle, or a configuration with -c:\n%w", err)
		}
		if dir = string(cfg.Policy.Bundle); dir == "" {
			return policies.Config{}, nil, fmt.Errorf("%s names no rules: set policy.bundle", e.config)
		}
		if file == "" {
			file = string(cfg.Policy.Classification)
		}
	}
	classes, err := app.LoadClasses(file)
	return policies.Config{Bundle: dir}, classes, err
}

type policyCheckCmd struct {
	output
	bundle
}

// Run implements the command.
func (c *policyCheckCmd) Run(e *env) error {
	cfg, classes, err := c.load(e)
	if err != nil {
		return err
	}
	r, err := policies.Check(cfg, classes)
	if err != nil {
		return err
	}
	if c.json() {
		if err := writeJSON(e.Out, r); err != nil {
			return err
		}
	} else {
		for _, p := range r.Errors {
			e.printf("error: %s\n", p)
		}
		for _, p := range r.Warnings {
			e.printf("warning: %s\n", p)
		}
		if r.OK {
			e.printf("%d files, %d packages, revision %s: good\n", len(r.Files), len(r.Packages), short(r.Revision))
		}
	}
	if !r.OK {
		return reported{errors.New("the rules have errors")}
	}
	return nil
}

type policyTestCmd struct {
	output
	bundle
	Filter   string  `name:"run" placeholder:"REGEX" help:"Only tests whose name matches."`
	Coverage float64 `placeholder:"PERCENT" help:"Fail below this coverage."`
}

// Run implements the command.
func (c *policyTestCmd) Run(e *env) error {
	cfg, classes, err := c.load(e)
	if err != nil {
		return err
	}
	r, err := policies.Test(e.ctx, cfg, classes, policies.TestOptions{Filter: c.Filter})
	if err != nil {
		return err
	}
	if c.json() {
		err = writeJSON(e.Out, r)
	} else {
		printTests(e, &r)
	}
	switch {
	case err != nil:
		return err
	case !r.OK:
		return reported{errors.New("tests failed")}
	case r.Coverage < c.Coverage:
		return fmt.Errorf("coverage %.1f %% is below %.1f %%", r.Coverage, c.Coverage)
	}
	return nil
}

func printTests(e *env, r *policies.TestReport) {
	for _, t := range r.Tests {
		if t.Outcome != "fail" && t.Outcome != "error" {
			continue
		}
		e.printf("%s %s.%s (%s:%d) %s\n%s", strings.ToUpper(t.Outcome), t.Package, t.Name, t.File, t.Line, t.Error, t.Output)
	}
	for _, f := range r.Files {
		if len(f.NotCovered) == 0 {
			continue
		}
		e.printf("%s: %.1f %% covered, not lines", f.File, f.Coverage)
		for _, l := range f.NotCovered {
			e.printf(" %d-%d", l.From, l.To)
		}
		e.printf("\n")
	}
	e.printf("%d passed, %d failed, %d skipped; %.1f %% of the rules covered\n", r.Passed, r.Failed, r.Skipped, r.Coverage)
}

type policyEvalCmd struct {
	output
	bundle
	Target string   `required:"" placeholder:"NAME" help:"Target, as the configuration names it."`
	Text   string   `required:"" placeholder:"TEXT" help:"Statement for a target of kind postgres, METHOD /path for one of kind http."`
	Body   string   `placeholder:"JSON" help:"Body of the request."`
	As     string   `required:"" placeholder:"SUBJECT" help:"Who asks."`
	Kind   string   `enum:"agent,service,human" default:"agent" help:"Kind of principal: ${enum}."`
	Role   []string `placeholder:"ROLE" help:"Roles: group:NAME or role:NAME."`
}

// Help shows how it is used.
func (*policyEvalCmd) Help() string {
	return `Nothing is run: the text is analysed and judged. For a statement, the target's database is asked what its tables are.

  weir policy eval --target shop --as agent-1 --text "drop table customers"
  weir policy eval --target customers-api --as agent-1 --text "POST /refunds" --body '{"amount": 250}'`
}

// Run implements the command.
func (c *policyEvalCmd) Run(e *env) error {
	rules, classes, err := c.load(e)
	if err != nil {
		return err
	}
	cfg, err := config.Load(e.config)
	if err != nil {
		return err
	}
	op, err := app.Analyse(e.ctx, cfg, c.Target, c.Text, c.Body, classes)
	if err != nil {
		return err
	}
	engine, err := policies.New(e.ctx, rules, policies.Deps{
		Log: slog.New(slog.DiscardHandler), Classification: func() policies.Classification { return classes },
	})
	if err != nil {
		return err
	}
	in := c.input(op)
	target := app.GateTarget(c.Target, cfg.Targets[c.Target])
	in.Target = &target
	x, err := engine.Eval(e.ctx, in)
	if err != nil {
		return err
	}
	if c.json() {
		return writeJSON(e.Out, map[string]any{"operation": op, "explanation": x})
	}
	printExplanation(e, op, &x)
	return nil
}

func (c *policyEvalCmd) input(op *gate.Operation) *gate.Input {
	roles := c.Role
	if roles == nil {
		roles = []string{}
	}
	now := time.Now()
	return &gate.Input{
		Phase: gate.Operate, Operation: op, Approvals: []gate.Vote{}, Now: now.UnixNano(),
		Principal: &gate.Principal{Subject: c.As, Kind: gate.Kind(c.Kind), Roles: roles, Claims: map[string]any{}, OnBehalfOf: []gate.Actor{}, Auth: "oidc"},
		Session:   gate.SessionView{ID: gate.NewID(), Started: now.UTC().Format(time.RFC3339Nano), ClassesRead: []string{}},
	}
}

func printExplanation(e *env, op *gate.Operation, x *policies.Explanation) {
	e.printf("%s: %s\n", op.Action, x.Decision.Effect)
	for _, m := range x.Messages {
		e.printf("  %s\n", m)
	}
	for _, m := range x.Decision.Mask {
		e.printf("  mask %s%s%s with %s\n", m.Class, m.Column, m.Path, m.With)
	}
	if len(op.Risks) > 0 {
		e.printf("risks: %v\n", op.Risks)
	}
	if op.SQL != nil {
		for _, t := range op.Tables {
			e.printf("%ss %s.%s\n", t.Access, t.Schema, t.Name)
		}
	}
	e.printf("rules that fired:\n")
	for _, f := range x.Fired {
		if !strings.HasPrefix(f.Rule, "weir.said.") { // the fold, which always does
			e.printf("  %s  %s:%d\n", f.Rule, f.File, f.Line)
		}
	}
	e.printf("revision %s, %.2f ms\n", short(x.Decision.Revision), x.Decision.Millis)
}
