package policies

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gateway/weir/internal/gate"
)

// sample is the policy that docs/policy.md shows.
const sample = `package weir.rules.orders

import rego.v1

allow if { input.principal.kind == "agent"; input.operation.action == "select" }
deny contains {"code": "no_where", "message": "UPDATE or DELETE needs a WHERE"} if { "no_where" in input.operation.risks }
hold contains {"rule": "ddl", "approvers": ["group:dba"], "required": 1, "ttl": "15m"} if { input.operation.action == "ddl" }
mask contains {"class": "pii.ssn", "with": "partial", "keep_last": 4} if { not "group:privacy" in input.principal.roles }
`

func TestDecide(t *testing.T) {
	e := engineOf(t, "orders.rego", sample)
	ssn := []gate.Mask{{Class: "pii.ssn", MaskSpec: gate.MaskSpec{With: "partial", KeepLast: 4}}}
	tests := []struct {
		name   string
		change func(*gate.Input)
		effect gate.Effect
		code   string // of the first denial
		masks  []gate.Mask
		rules  []string
	}{
		{"an agent reads", func(*gate.Input) {}, gate.Allow, "", ssn,
			[]string{"weir.rules.orders.allow", "weir.rules.orders.mask.pii.ssn"}},
		{"privacy sees", func(in *gate.Input) { in.Principal.Roles = []string{"group:privacy"} }, gate.Allow, "", nil,
			[]string{"weir.rules.orders.allow"}},
		{"a human reads", func(in *gate.Input) { in.Principal.Kind = gate.Human }, gate.Deny, "default_deny", ssn,
			[]string{"weir.rules.orders.mask.pii.ssn"}},
		{"an agent updates", func(in *gate.Input) { in.Operation.Action = "update"; in.Operation.Statements[0].Action = "update" }, gate.Deny, "default_deny", ssn,
			[]string{"weir.rules.orders.mask.pii.ssn"}},
		{"deny wins over allow", func(in *gate.Input) { in.Operation.Risks = []string{"no_where"} }, gate.Deny, "no_where", ssn,
			[]string{"weir.rules.orders.allow", "weir.rules.orders.deny.no_where", "weir.rules.orders.mask.pii.ssn"}},
		{"hold", func(in *gate.Input) { in.Operation.Action = "ddl"; in.Operation.Statements[0].Action = "ddl" }, gate.Hold, "", ssn,
			[]string{"weir.rules.orders.hold.ddl", "weir.rules.orders.mask.pii.ssn"}},
		{"deny wins over hold", func(in *gate.Input) {
			in.Operation.Action, in.Operation.Risks = "ddl", []string{"no_where"}
			in.Operation.Statements[0].Action = "ddl"
		}, gate.Deny, "no_where", ssn,
			[]string{"weir.rules.orders.deny.no_where", "weir.rules.orders.hold.ddl", "weir.rules.orders.mask.pii.ssn"}},
		{"unparsed", func(in *gate.Input) { in.Operation.Risks = []string{"unparsed"} }, gate.Deny, "unparsed", ssn,
			[]string{"weir.rules.defaults.deny.unparsed", "weir.rules.orders.allow", "weir.rules.orders.mask.pii.ssn"}},
		{"the user's reason comes first", func(in *gate.Input) { in.Operation.Risks = []string{"unparsed", "no_where"} }, gate.Deny, "no_where", ssn,
			[]string{"weir.rules.defaults.deny.unparsed", "weir.rules.orders.allow", "weir.rules.orders.deny.no_where", "weir.rules.orders.mask.pii.ssn"}},
		{"opaque where classified", func(in *gate.Input) { in.Operation.Risks = []string{"opaque"} }, gate.Deny, "opaque", ssn,
			[]string{"weir.rules.defaults.deny.opaque", "weir.rules.orders.allow", "weir.rules.orders.mask.pii.ssn"}},
		{"opaque elsewhere", func(in *gate.Input) { in.Operation.Risks = []string{"opaque"}; in.Target.Name = "logs" }, gate.Allow, "", ssn,
			[]string{"weir.rules.orders.allow", "weir.rules.orders.mask.pii.ssn"}},
		{"connect", func(in *gate.Input) { in.Phase, in.Operation = gate.Connect, nil }, gate.Allow, "", ssn,
			[]string{"weir.rules.defaults.allow", "weir.rules.orders.mask.pii.ssn"}},
		{"connect without a name", func(in *gate.Input) { in.Phase, in.Operation, in.Principal.Subject = gate.Connect, nil, "" }, gate.Deny, "default_deny", ssn,
			[]string{"weir.rules.orders.mask.pii.ssn"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := agentInput()
			tt.change(in)
			for _, how := range []string{"evaluated", "cached"} {
				d := decide(t, e, in)
				if d.Effect != tt.effect {
					t.Errorf("%s: %s, want %s", how, d.Effect, tt.effect)
				}
				if code := firstCode(&d); code != tt.code {
					t.Errorf("%s: code %q, want %q", how, code, tt.code)
				}
				if diff := cmp.Diff(tt.masks, d.Mask); diff != "" {
					t.Errorf("%s: masks %s", how, diff)
				}
				if diff := cmp.Diff(tt.rules, d.Rules); diff != "" {
					t.Errorf("%s: rules %s", how, diff)
				}
				if d.Revision == "" || d.ID != "" {
					t.Errorf("%s: revision %q, id %q", how, d.Revision, d.ID)
				}
			}
		})
	}
}

func firstCode(d *gate.Decision) string {
	if len(d.Deny) == 0 {
		return ""
	}
	return d.Deny[0].Code
}

func TestHoldSaysWhoMayApprove(t *testing.T) {
	in := agentInput()
	in.Operation.Action, in.Operation.Statements = "ddl", nil
	d := decide(t, engineOf(t, "orders.rego", sample), in)
	want := []gate.Requirement{{Rule: "ddl", Approvers: []string{"group:dba"}, Required: 1, TTL: 15 * time.Minute}}
	if diff := cmp.Diff(want, d.Hold); diff != "" {
		t.Error(diff)
	}
}

func TestDefaultDenyTellsWhatWasAsked(t *testing.T) {
	in := agentInput()
	in.Operation.Action, in.Operation.Statements = "grant", nil
	d := decide(t, engineOf(t, "orders.rego", sample), in)
	if got := d.Reason(); got != `no rule allows agent agent-1 to use "grant" on target orders (default_deny)` {
		t.Error(got)
	}
	if d.Hint() == "" {
		t.Error("no hint")
	}
}

// Several packages contribute; none knows of the others.
func TestManyPackagesFold(t *testing.T) {
	e := engineOf(t,
		"a.rego", `package weir.rules.a
allow if true
mask contains {"class": "pii.ssn", "with": "partial", "keep_first": 2, "keep_last": 4} if true
mask contains {"class": "pii.email", "with": "blur"} if true
limits contains {"max_rows": 100, "timeout": "1m"} if true
record contains "metadata" if true
`,
		"deep/b.rego", `package weir.rules.team.b
mask contains {"class": "pii.ssn", "with": "partial", "keep_last": 6} if true
mask contains {"column": "public.customers.card", "with": "hash"} if true
limits contains {"max_rows": 500, "max_bytes": 1000, "timeout": "30s"} if true
record contains "metadata" if input.target.name == "orders"
`)
	d := decide(t, e, agentInput())
	masks := []gate.Mask{
		{Class: "pii.email", MaskSpec: gate.MaskSpec{With: "redact"}}, // nobody knows blur
		{Class: "pii.ssn", MaskSpec: gate.MaskSpec{With: "partial", KeepLast: 4}},
		{Column: "public.customers.card", MaskSpec: gate.MaskSpec{With: "hash"}},
	}
	if diff := cmp.Diff(masks, d.Mask); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(gate.Limits{MaxRows: 100, MaxBytes: 1000, Timeout: 30 * time.Second}, d.Limits); diff != "" {
		t.Error(diff)
	}
	if d.Record != gate.RecordMetadata || d.Effect != gate.Allow {
		t.Errorf("%s, %s", d.Record, d.Effect)
	}
}

func TestOneWhoWantsAllRecordedIsEnough(t *testing.T) {
	d := decide(t, engineOf(t,
		"a.rego", "package weir.rules.a\n\nallow if true\n\nrecord contains \"metadata\" if true\n",
		"b.rego", "package weir.rules.b\n\nrecord contains \"full\" if true\n"), agentInput())
	if d.Record != gate.RecordFull {
		t.Errorf("got %q", d.Record)
	}
}

func TestWaive(t *testing.T) {
	e := engineOf(t, "a.rego", `package weir.rules.a
allow if true
waive contains "opaque" if "group:dba" in input.principal.roles
`)
	in := agentInput()
	in.Operation.Risks = []string{"opaque"}
	if d := decide(t, e, in); d.Effect != gate.Deny {
		t.Error("waived for nobody")
	}
	in.Principal.Roles = []string{"group:dba"}
	if d := decide(t, e, in); d.Effect != gate.Allow {
		t.Errorf("not waived: %s", d.Reason())
	}
	in.Operation.Risks = []string{"opaque", "unparsed"}
	if d := decide(t, e, in); d.Code() != "unparsed" {
		t.Errorf("another default was waived too: %s", d.Code())
	}
}

func TestDataOfTheBundle(t *testing.T) {
	e := engineOf(t,
		"a.rego", "package weir.rules.a\n\nallow if input.operation.action in data.teams.shop.actions\n",
		"teams/data.yaml", "shop:\n  actions: [select]\n", "teams/shop/data.json", `{"size": 3}`)
	if d := decide(t, e, agentInput()); d.Effect != gate.Allow {
		t.Error(d.Reason())
	}
}

// Who appends to a cached decision does not write into it.
func TestCachedDecisionsAreNotShared(t *testing.T) {
	e := engineOf(t, "orders.rego", sample)
	in := agentInput()
	in.Operation.Risks = []string{"no_where"}
	first := decide(t, e, in)
	_ = append(first.Deny, gate.Denial{Code: "mine"})
	_ = append(first.Rules, "mine")
	second := decide(t, e, in)
	if len(second.Deny) != 1 || second.Code() != "no_where" {
		t.Errorf("got %+v", second.Deny)
	}
	if cap(second.Deny) != len(second.Deny) || cap(second.Rules) != len(second.Rules) {
		t.Error("there is room to write into")
	}
}

func TestTimeout(t *testing.T) {
	e := engineWith(t, Config{Timeout: time.Millisecond, Bundle: bundleOf(t, "a.rego", `package weir.rules.a
allow if count([x | some x in numbers.range(1, 3000); some y in numbers.range(1, 3000); x == y]) > 0
`)})
	d, err := e.Decide(t.Context(), agentInput())
	if err == nil || d.Effect != gate.Deny || !strings.Contains(err.Error(), "no decision in time") {
		t.Errorf("%v, %v", d.Effect, err)
	}
}

// A builtin that fails would make a denial silent: it is an error instead.
func TestBuiltinErrorDecidesNothing(t *testing.T) {
	e := engineOf(t, "a.rego", `package weir.rules.a
allow if true
deny contains {"code": "late", "message": "late"} if time.parse_rfc3339_ns(input.operation.text) > 0
`)
	d, err := e.Decide(t.Context(), agentInput())
	if err == nil || d.Effect != gate.Deny {
		t.Errorf("%v, %v", d.Effect, err)
	}
}

// Two answers to one question are an error.
func TestConflictDecidesNothing(t *testing.T) {
	e := engineOf(t, "a.rego", `package weir.rules.a
level := 1 if input.operation.action == "select"
level := 2 if input.principal.kind == "agent"
allow if level > 0
`)
	if d, err := e.Decide(t.Context(), agentInput()); err == nil || d.Effect != gate.Deny {
		t.Errorf("%v, %v", d.Effect, err)
	}
}

func TestNothingToDecideAbout(t *testing.T) {
	e := engineOf(t)
	if d, err := e.Decide(t.Context(), nil); !errors.Is(err, errNothing) || d.Effect != gate.Deny {
		t.Errorf("%v, %v", d.Effect, err)
	}
	if d, err := (&Engine{metrics: e.metrics}).Decide(t.Context(), agentInput()); !errors.Is(err, errNothing) || d.Effect != gate.Deny {
		t.Errorf("%v, %v", d.Effect, err)
	}
	if d := decide(t, e, &gate.Input{}); d.Effect != gate.Deny || d.Code() != "default_deny" {
		t.Errorf("the zero input: %v %s", d.Effect, d.Code())
	}
}

// Without a bundle one may connect, and do nothing.
func TestNoBundle(t *testing.T) {
	e := engineWith(t, Config{})
	if d := decide(t, e, agentInput()); d.Effect != gate.Deny || d.Code() != "default_deny" {
		t.Errorf("%v %s", d.Effect, d.Code())
	}
}
