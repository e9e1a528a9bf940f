package policies

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-gateway/weir/internal/gate"
)

func TestEval(t *testing.T) {
	e := engineOf(t, "orders.rego", sample)
	in := agentInput()
	in.Operation.Risks = []string{"no_where", "opaque"}
	x, err := e.Eval(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	want := []FiredRule{
		{Rule: "weir.rules.orders.allow", File: "orders.rego", Line: 5},
		{Rule: "weir.rules.orders.deny", File: "orders.rego", Line: 6},
		{Rule: "weir.rules.orders.mask", File: "orders.rego", Line: 8},
	}
	if diff := cmp.Diff(want, x.Fired[:3]); diff != "" {
		t.Error(diff)
	}
	if last := x.Fired[3]; last.Rule != "weir.rules.defaults.deny" || !isLibrary(last.File) || len(x.Fired) != 4 {
		t.Errorf("got %+v", x.Fired[3:])
	}
	if len(x.Messages) != 2 || x.Messages[0] != "UPDATE or DELETE needs a WHERE (no_where)" || !strings.Contains(x.Messages[1], "(opaque): ") {
		t.Errorf("got %q", x.Messages)
	}
	if diff := cmp.Diff(decide(t, e, in), x.Decision, cmpopts.IgnoreFields(gate.Decision{}, "Millis"), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	raw, err := json.Marshal(x)
	if err != nil || !strings.Contains(string(raw), `"document":{`) {
		t.Errorf("%v %s", err, raw)
	}
}

func TestEvalOfAHold(t *testing.T) {
	e := engineOf(t, "a.rego", "package weir.rules.a\n\nhold contains {\"rule\": \"ddl\", \"approvers\": [\"group:dba\"], \"reason\": \"it lasts\"} if true\n")
	x, err := e.Eval(t.Context(), agentInput())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"rule ddl needs an approval: it lasts"}, x.Messages); diff != "" || x.Decision.Effect != gate.Hold {
		t.Errorf("%s %s", x.Decision.Effect, diff)
	}
}

func TestEvalOfNothing(t *testing.T) {
	if _, err := engineOf(t).Eval(t.Context(), nil); err == nil {
		t.Error("want an error")
	}
}

// A decision can be computed again from the input that was recorded.
func TestEvalOfARecordedInput(t *testing.T) {
	e := engineOf(t, "orders.rego", sample)
	raw, err := json.Marshal(agentInput())
	if err != nil {
		t.Fatal(err)
	}
	var recorded gate.Input
	if err := json.Unmarshal(raw, &recorded); err != nil {
		t.Fatal(err)
	}
	x, err := e.Eval(t.Context(), &recorded)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(decide(t, e, agentInput()), x.Decision, cmpopts.IgnoreFields(gate.Decision{}, "Millis"), cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}
