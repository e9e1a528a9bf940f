package policies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/cover"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/tester"
)

// TestOptions choose what Test runs.
type TestOptions struct {
	Filter  string        // regular expression over "data.weir.rules.orders_test.test_x"
	Timeout time.Duration // of each test; 0 is 5 s
}

// TestReport is what the tests of a bundle came to.
type TestReport struct {
	OK       bool           `json:"ok"`
	Tests    []TestResult   `json:"tests"`
	Passed   int            `json:"passed"`
	Failed   int            `json:"failed"` // with those that ended in an error
	Skipped  int            `json:"skipped"`
	Coverage float64        `json:"coverage"` // percent of lines of all rules
	Files    []FileCoverage `json:"files"`
}

// TestResult is how one test ended.
type TestResult struct {
	Package string  `json:"package"`
	Name    string  `json:"name"`
	File    string  `json:"file"`
	Line    int     `json:"line"`
	Outcome string  `json:"outcome"` // pass, fail, error, skip
	Error   string  `json:"error,omitempty"`
	Output  string  `json:"output,omitempty"` // of print()
	Millis  float64 `json:"ms"`
}

// FileCoverage is how much of one file of rules the tests reach.
type FileCoverage struct {
	File       string      `json:"file"`
	Coverage   float64     `json:"coverage"`
	NotCovered []LineRange `json:"not_covered,omitempty"`
}

// LineRange is a run of lines, both ends included.
type LineRange struct {
	From int `json:"from"`
	To   int `json:"to"`
}

// Test runs the Rego tests of a bundle together with the library. A bundle that
// does not compile is a *BundleError.
func Test(ctx context.Context, cfg Config, cl Classification, opts TestOptions) (TestReport, error) {
	cfg = cfg.withDefaults()
	p, err := cfg.assemble(cl)
	if err != nil {
		return TestReport{}, err
	}
	if len(p.errors) > 0 {
		return TestReport{}, &BundleError{Problems: p.errors}
	}
	_, compiler, modules, err := cfg.withTests(p)
	if err != nil {
		return TestReport{}, err
	}
	return runTests(ctx, compiler, modules, p.data, opts)
}

func runTests(ctx context.Context, compiler *ast.Compiler, modules map[string]*ast.Module, data map[string]any, opts TestOptions) (TestReport, error) {
	store := inmem.NewFromObject(data)
	txn, err := store.NewTransaction(ctx, storage.TransactionParams{})
	if err != nil {
		return TestReport{}, err
	}
	defer store.Abort(ctx, txn)
	coverage := cover.New()
	rules := rulesOf(modules) // before the compiler rewrites them
	runner := tester.NewRunner().
		SetCompiler(compiler.WithEnablePrintStatements(true)).
		SetStore(store).SetModules(modules).
		SetCoverageQueryTracer(coverage).SetCoverageRuns(nil).
		SetTimeout(cmp.Or(opts.Timeout, 5*time.Second)).
		RaiseBuiltinErrors(true).
		Filter(opts.Filter)
	results, err := runner.RunTests(ctx, txn)
	if err != nil {
		var problems ast.Errors
		if errors.As(err, &problems) {
			return TestReport{}, &BundleError{Problems: regoProblems("", err)}
		}
		return TestReport{}, fmt.Errorf("policy tests: %w", err)
	}
	report := TestReport{Tests: []TestResult{}}
	for r := range results {
		report.add(r)
	}
	slices.SortFunc(report.Tests, func(a, b TestResult) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Name, b.Name))
	})
	report.cover(coverage.Report(rules))
	report.OK = report.Failed == 0
	return report, nil
}

func (r *TestReport) add(result *tester.Result) {
	t := TestResult{
		Package: result.Package, Name: result.Name, Output: string(result.Output),
		Millis: float64(result.Duration) / float64(time.Millisecond), Outcome: "pass",
	}
	if result.Location != nil {
		t.File, t.Line = result.Location.File, result.Location.Row
	}
	switch {
	case result.Error != nil:
		t.Outcome, t.Error = "error", result.Error.Error()
		r.Failed++
	case result.Fail:
		t.Outcome = "fail"
		r.Failed++
	case result.Skip:
		t.Outcome = "skip"
		r.Skipped++
	default:
		r.Passed++
	}
	r.Tests = append(r.Tests, t)
}

// cover takes the coverage of the files that hold rules.
func (r *TestReport) cover(report cover.Report) {
	covered, all := 0, 0
	for name, f := range report.Files {
		if (file{path: name}).isTest() || isLibrary(name) && hasUserFiles(report) {
			continue
		}
		c := FileCoverage{File: name, Coverage: f.Coverage}
		for _, rng := range f.NotCovered {
			c.NotCovered = join(c.NotCovered, LineRange{From: rng.Start.Row, To: rng.End.Row})
		}
		r.Files = append(r.Files, c)
		covered += f.CoveredLines
		all += f.CoveredLines + f.NotCoveredLines
	}
	slices.SortFunc(r.Files, func(a, b FileCoverage) int { return strings.Compare(a.File, b.File) })
	if all > 0 {
		r.Coverage = 100 * float64(covered) / float64(all)
	}
}

// join adds a range to a list in order of lines, in one with what it touches.
func join(list []LineRange, r LineRange) []LineRange {
	if n := len(list); n > 0 && r.From <= list[n-1].To+1 {
		list[n-1].To = max(list[n-1].To, r.To)
		return list
	}
	return append(list, r)
}

// hasUserFiles says whether anything but the library was tested.
func hasUserFiles(report cover.Report) bool {
	for name := range report.Files {
		if !isLibrary(name) {
			return true
		}
	}
	return false
}

// rulesOf copies the modules that are not tests.
func rulesOf(modules map[string]*ast.Module) map[string]*ast.Module {
	return copyModules(withoutTests(modules))
}
