package policies

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/open-policy-agent/opa/v1/ast"
	"pgregory.net/rapid"

	"github.com/weir-gateway/weir/internal/gate"
)

// lookup is what a path of an input's JSON holds, "" where there is nothing.
func lookup(t *rapid.T, in *gate.Input, path []string) string {
	whole, err := wholeView().term(in)
	if err != nil {
		t.Fatal(err)
	}
	return below(whole, path)
}

func below(at *ast.Term, path []string) string {
	if len(path) == 0 {
		return at.String()
	}
	if path[0] != each {
		next, err := at.Value.Find(ast.Ref{ast.StringTerm(path[0])})
		if err != nil {
			return ""
		}
		return below(ast.NewTerm(next), path[1:])
	}
	var out []string
	switch v := at.Value.(type) {
	case *ast.Array:
		v.Foreach(func(t *ast.Term) { out = append(out, below(t, path[1:])) })
	case ast.Object:
		v.Foreach(func(k, t *ast.Term) { out = append(out, k.String()+": "+below(t, path[1:])) })
	}
	return strings.Join(out, "; ")
}

// conditions are bodies of rules that read the input in every way that Rego has.
var conditions = []string{
	`input.operation.action == "select"`,
	`input.phase == "connect"`,
	`input.principal.kind == "agent"`,
	`input.principal.claims.a == "a"`,
	`input.principal.claims.a.b == "b"`,
	`input.principal["claims"].a`,
	`not input.principal.claims.b`,
	`"a" in input.principal.roles`,
	`not "a" in input.principal.roles`,
	`input.principal.roles[0] == "a"`,
	`count(input.principal.roles) > 1`,
	`input.target.labels.a == "b"`,
	`input.target.labels[_] == "a"`,
	`some k, v in input.target.labels; k == v`,
	`some column in input.operation.columns; "pii.ssn" in column.classes`,
	`some i; input.operation.columns[i].use == "write"`,
	`input.operation.statements[_].action == "a"`,
	`count([a | a := input.operation.statements[_].action]) > 1`,
	`some i; input.operation.statements[i].action == "select"; i > 0`,
	`input.operation.statements[0].text == "a"`,
	`some i; input.operation.query[i][0] == "a"`,
	`some k; input.session[k].tls == "a"`,
	`some k; input.principal[k].a == "a"`,
	`some k; input.operation[k].a == "a"; k != "query"`,
	`some k; input.principal.claims[k].a == "a"; k == "b"`,
	`every table in input.operation.tables { table.access == "read" }`,
	`input.operation.body.a.a`,
	`input.operation.body.a == input.operation.body.b`,
	`walk(input.operation.body, [_, value]); value == "a"`,
	`x := input.operation; x.text == "a"`,
	`x := input.session; x.client.tls == "a"`,
	`input.session.client == {"address": "a", "tls": "b", "application": "a", "sign_in": "password"}`,
	`input.session.operations > 0`,
	`not input.operation`,
	`input.operation[input.principal.subject]`,
	`name := "risks"; "a" in input.operation[name]`,
	`object.get(input.operation, "action", "none") == "none"`,
	`object.get(input, ["operation", "action"], "none") == "none"`,
	`{r | some r in input.operation.risks} == {"a"}`,
	`[x | some x in input.operation.parameters; x != null] == ["a"]`,
	`is_null(input.principal.claims)`,
	`is_null(input.principal)`,
	`input.approvals[_].approve`,
	`some vote in input.approvals; vote.approver.claims.a == "a"`,
	`input.now > 1`,
	`helper(input.principal)`,
	`helper2("a")`,
	`chosen == "first"`,
	`table["x"]`,
	`data.teams[input.principal.subject]`,
	`data.weir.lib.reads_class("pii.ssn")`,
	`data.weir.lib.is_classified`,
	`data.weir.lib.has_read("a")`,
	`helper(input.target) with input.target as {"subject": input.session.id}`,
	`helper2("b") with input.operation.action as "b"`,
	`helper3 with input as {"principal": {"subject": input.operation.text}}`,
	`json.marshal(input.operation.query) != "null"`,
}

const helpers = `
helper(x) if x.subject == "a"

helper2(x) if {
	some risk in input.operation.risks
	risk == x
} else if {
	input.operation.action == x
}

helper3 if input.principal.subject == "a"

default chosen := "none"

chosen := "first" if input.session.id == "a"

else := "second" if input.session.database == "a"

table[k] := v if {
	some k, v in {"x": input.operation.fingerprint, "y": input.operation.id}
	v == "a"
}
`

// randomPolicy is a small package of rules.
func randomPolicy(t *rapid.T) string {
	var b strings.Builder
	b.WriteString("package weir.rules.random\n" + helpers)
	body := func() string {
		return strings.Join(rapid.SliceOfN(rapid.SampledFrom(conditions), 1, 2).Draw(t, "conditions"), "\n\t")
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "rules") {
		head := rapid.SampledFrom([]string{
			`allow`, `deny contains {"code": "c%d", "message": "m"}`, `hold contains {"rule": "r%d", "approvers": ["a"]}`,
			`mask contains {"class": "k%d", "with": "hash"}`, `deny contains {"code": "c%d", "message": input.operation.text}`,
			`limits contains {"max_rows": %d + 1}`, `waive contains "unparsed"`,
		}).Draw(t, "head")
		if strings.Contains(head, "%d") {
			head = fmt.Sprintf(head, i)
		}
		fmt.Fprintf(&b, "\n%s if {\n\t%s\n}\n", head, body())
	}
	return b.String()
}

// loaded compiles a policy without a file.
func loaded(policy string) (*Engine, error) {
	cfg := Config{}.withDefaults()
	p, err := cfg.assembleSource(&source{files: []file{
		{path: "random.rego", text: []byte(policy)},
		{path: "teams/data.json", text: []byte(`{"a": true, "b": false}`)},
	}}, classified{"a"})
	if err != nil {
		return nil, err
	}
	if len(p.errors) > 0 {
		return nil, &BundleError{Problems: p.errors}
	}
	rev, err := cfg.newRevision(p, classified{"a"})
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(nil)
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, metrics: m}
	e.active.Store(rev)
	return e, nil
}

// shownWhole decides without a cache, and shows the rules everything.
func shownWhole(t *rapid.T, rev *revision, in *gate.Input) (gate.Decision, error) {
	input, err := wholeView().term(in)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := rev.evaluate(t.Context(), input, nil)
	if err != nil {
		return gate.Decision{}, err
	}
	return decode(doc)
}

// A cached decision is the one that would be evaluated, whatever the rules read:
// the key may be too fine, but never too coarse. And what the rules are shown in
// part, they judge as if shown in whole.
func TestCachedIsEvaluated(t *testing.T) {
	compiled, cached, hits := 0, 0, 0
	rapid.Check(t, func(t *rapid.T) {
		policy := randomPolicy(t)
		e, err := loaded(policy)
		if err != nil {
			t.Skip(err) // the same local name twice in a body, and the like
		}
		compiled++
		rev := e.active.Load()
		if rev.cache != nil {
			cached++
		}
		type judged struct {
			d  gate.Decision
			in *gate.Input
		}
		byKey := map[[32]byte]judged{}
		in := randomInput(t)
		for range 12 {
			in = varied(t, in)
			want, wantErr := shownWhole(t, rev, in)
			for range 2 { // evaluated, then cached
				got, err := e.decide(t.Context(), rev, in)
				if (err == nil) != (wantErr == nil) {
					t.Fatalf("%v, shown in whole %v, policy\n%s", err, wantErr, policy)
				}
				if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); err == nil && diff != "" {
					t.Fatalf("policy\n%s\n%s", policy, diff)
				}
			}
			if rev.cache == nil || wantErr != nil {
				continue
			}
			key, _ := rev.view.key(in)
			if before, again := byKey[key]; again {
				hits++
				if diff := cmp.Diff(before.d, want, cmpopts.EquateEmpty()); diff != "" {
					t.Fatalf("one key, two decisions: %s\npolicy\n%s", diff, policy)
				}
			}
			byKey[key] = judged{want, in}
		}
	})
	t.Logf("%d policies, %d cached, %d hits", compiled, cached, hits)
	// Of few policies all may be of one kind by chance.
	if few := compiled < 50; cached == 0 || hits == 0 || cached == compiled && !few {
		t.Errorf("this proves little: %d policies, %d cached, %d hits", compiled, cached, hits)
	}
}
