package policies

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestRegoTests(t *testing.T) {
	dir := bundleOf(t,
		"a.rego", `package weir.rules.a

allow if input.operation.action == "select"

deny contains {"code": "x", "message": "never"} if {
	input.operation.action == "nothing"
}
`,
		"a_test.rego", `package weir.rules.a_test

import data.weir.decision

test_reads if decision.effect == "allow" with input.operation.action as "select"

test_wrong if decision.effect == "allow" with input.operation.action as "drop"

test_said if {
	print("the rules", decision.said.allow)
	decision.effect == "deny" with input.operation.action as "drop"
}

test_broken if time.parse_rfc3339_ns("x") == 1

todo_test_later if false
`)
	report, err := Test(t.Context(), Config{Bundle: dir}, nil, TestOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := []TestResult{
		{Package: "data.weir.rules.a_test", Name: "test_reads", File: "a_test.rego", Line: 5, Outcome: "pass"},
		{Package: "data.weir.rules.a_test", Name: "test_wrong", File: "a_test.rego", Line: 7, Outcome: "fail"},
		{Package: "data.weir.rules.a_test", Name: "test_said", File: "a_test.rego", Line: 9, Outcome: "pass", Output: "the rules set()\n"},
		{Package: "data.weir.rules.a_test", Name: "test_broken", File: "a_test.rego", Line: 14, Outcome: "error"},
		{Package: "data.weir.rules.a_test", Name: "todo_test_later", File: "a_test.rego", Line: 16, Outcome: "skip"},
	}
	if diff := cmp.Diff(want, report.Tests, cmpopts.IgnoreFields(TestResult{}, "Millis", "Error")); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(report.Tests[3].Error, "time.parse_rfc3339_ns") {
		t.Errorf("error %q", report.Tests[3].Error)
	}
	if report.OK || report.Passed != 2 || report.Failed != 2 || report.Skipped != 1 {
		t.Errorf("%+v", report)
	}
	if len(report.Files) != 1 || report.Files[0].File != "a.rego" || report.Coverage <= 0 || report.Coverage >= 100 {
		t.Errorf("coverage %v %+v", report.Coverage, report.Files)
	}
	if diff := cmp.Diff([]LineRange{{From: 5, To: 6}}, report.Files[0].NotCovered); diff != "" {
		t.Error(diff)
	}
}

func TestRegoTestsFiltered(t *testing.T) {
	report, err := Test(t.Context(), Config{Bundle: starterBundle(t)}, nil, TestOptions{Filter: "ddl"})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Tests) != 1 || report.Tests[0].Name != "test_ddl_is_held" || !report.OK {
		t.Errorf("%+v", report.Tests)
	}
	if _, err := Test(t.Context(), Config{Bundle: starterBundle(t)}, nil, TestOptions{Filter: "("}); err == nil {
		t.Error("want an error")
	}
}

func TestRegoTestsNeedABundleThatCompiles(t *testing.T) {
	for name, files := range map[string][]string{
		"rules": {"a.rego", "package weir.rules.a\n\nallow if nothing\n"},
		"tests": {"a.rego", "package weir.rules.a\n\nallow if false\n", "a_test.rego", "package a_test\n\ntest_x if nothing\n"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Test(t.Context(), Config{Bundle: bundleOf(t, files...)}, nil, TestOptions{})
			var bundle *BundleError
			if !errors.As(err, &bundle) || len(bundle.Problems) == 0 || bundle.Problems[0].Line == 0 {
				t.Errorf("got %v", err)
			}
		})
	}
}

// What a test knows of the classification is what the gateway knows.
func TestRegoTestsSeeTheClassification(t *testing.T) {
	dir := bundleOf(t,
		"a.rego", "package weir.rules.a\n\nallow if data.weir.lib.is_classified\n",
		"a_test.rego", "package a_test\n\ntest_x if data.weir.rules.a.allow with input.target.name as \"orders\"\n\ntest_y if not data.weir.rules.a.allow with input.target.name as \"logs\"\n")
	report, err := Test(t.Context(), Config{Bundle: dir}, classified{"orders"}, TestOptions{})
	if err != nil || !report.OK || report.Passed != 2 {
		t.Errorf("%v %+v", err, report)
	}
}
