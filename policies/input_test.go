package policies

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"pgregory.net/rapid"

	"github.com/weir-gateway/weir/internal/gate"
)

// What policy is shown is exactly the JSON that is recorded as its input, so
// that a recorded decision can be computed again. This also fails when a field
// is added to the gate's input and not here.
func TestInputIsItsJSON(t *testing.T) {
	v := wholeView()
	rapid.Check(t, func(t *rapid.T) {
		in := randomInput(t)
		raw, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		want, err := ast.ValueFromReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		got, err := v.term(in)
		if err != nil {
			t.Fatal(err)
		}
		if want.Compare(got.Value) != 0 {
			t.Fatalf("shown    %s\nrecorded %s", got, want)
		}
	})
}

// Every input has the shape that the schema gives, so that what the schema
// refuses in a rule can never be there.
func TestInputFitsTheSchema(t *testing.T) {
	query, err := rego.New(rego.Query("result = json.match_schema(input.document, input.schema)")).PrepareForEval(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	in := agentInput()
	in.Operation.PrepareOnly = true
	raw, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var schema, document any
	if err := json.Unmarshal(InputSchema(), &schema); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &document); err != nil {
		t.Fatal(err)
	}
	results, err := query.Eval(t.Context(), rego.EvalInput(map[string]any{"document": document, "schema": schema}))
	if err != nil {
		t.Fatal(err)
	}
	if result := results[0].Bindings["result"].([]any); result[0] != true {
		t.Error(result[1])
	}
}

// Two inputs that policy is shown differently have different keys, for views of
// any paths.
func TestKeyTellsViewsApart(t *testing.T) {
	paths := rapid.SampledFrom([][]string{
		{"phase"}, {"principal"}, {"principal", "subject"}, {"principal", "claims"}, {"principal", "claims", "a"},
		{"principal", "claims", "a", "b"}, {"principal", "on_behalf_of"}, {"target"}, {"target", "labels", "a"}, {"target", "labels", "zz"},
		{"session"}, {"session", "client", "tls"}, {"session", "database"}, {"operation"}, {"operation", "risks"}, {"operation", "columns"},
		{"operation", "parameters"}, {"operation", "body"}, {"operation", "body", "a", "a"}, {"operation", "headers", "a"},
		{"operation", "query", "a"}, {"operation", "query", each, "a"},
		{"session", each, "tls"}, {"principal", each, "a"}, {"operation", "statements", each, "action"}, {"operation", "columns", each, "use"}, {"principal", "claims", "a", each, "a"}, {"operation", "text", "nothing"}, {"approvals"}, {"now"},
	})
	rapid.Check(t, func(t *rapid.T) {
		r := &reads{paths: minimal(rapid.SliceOfN(paths, 1, 4).Draw(t, "paths"))}
		v := newView(r)
		a := randomInput(t)
		b := varied(t, a)
		keyA, okA := v.key(a)
		keyB, okB := v.key(b)
		if !okA || !okB {
			t.Fatal("no key")
		}
		if keyA != keyB {
			return
		}
		for _, p := range r.paths {
			if x, y := lookup(t, a, p), lookup(t, b, p); x != y {
				t.Fatalf("one key, but %v is %s and %s", p, x, y)
			}
		}
	})
}

// Pairs that a careless key would take for one.
func TestKeyPitfalls(t *testing.T) {
	claims := func(c map[string]any) *gate.Input { return &gate.Input{Principal: &gate.Principal{Claims: c}} }
	session := func(tls, application string) *gate.Input {
		return &gate.Input{Session: gate.SessionView{Client: gate.Client{TLS: tls, Application: application}}}
	}
	roles := func(roles ...string) *gate.Input { return &gate.Input{Principal: &gate.Principal{Roles: roles}} }
	actions := func(actions ...string) *gate.Input {
		in := &gate.Input{Operation: &gate.Operation{SQL: &gate.SQL{}}}
		for _, a := range actions {
			in.Operation.Statements = append(in.Operation.Statements, gate.Statement{Action: a})
		}
		return in
	}
	object := func(v any) map[string]any { return map[string]any{"a": v} }
	tests := []struct {
		name  string
		paths [][]string
		a, b  *gate.Input
	}{
		{"at a, or below it", [][]string{{"principal", "claims", "a", "b"}}, claims(object("v")), claims(object(map[string]any{"b": "v"}))},
		{"null, or not there", [][]string{{"principal", "claims", "a"}}, claims(object(nil)), claims(map[string]any{})},
		{"null, or an empty list", [][]string{{"principal", "claims", "a"}}, claims(object(nil)), claims(object([]any{}))},
		{"an empty list, or an empty object", [][]string{{"principal", "claims", "a"}}, claims(object([]any{})), claims(object(map[string]any{}))},
		{"a number, or its text", [][]string{{"principal", "claims", "a"}}, claims(object(json.Number("1"))), claims(object("1"))},
		{"false, or its text", [][]string{{"principal", "claims", "a"}}, claims(object(false)), claims(object("false"))},
		{"no claims, or none", [][]string{{"principal", "claims"}}, claims(nil), claims(map[string]any{})},
		{"one absent, or the other", [][]string{{"session", "client", "tls"}, {"session", "client", "application"}}, session("x", ""), session("", "x")},
		{"where one word ends", [][]string{{"principal", "roles"}}, roles("ab", "c"), roles("a", "bc")},
		{"one word, or two", [][]string{{"principal", "roles"}}, roles("a,b"), roles("a", "b")},
		{"no roles, or none", [][]string{{"principal", "roles"}}, roles(), roles([]string{}...)},
		{"no operation, or an empty one", [][]string{{"operation", "action"}}, &gate.Input{}, &gate.Input{Operation: &gate.Operation{}}},
		{"no SQL, or without columns", [][]string{{"operation", "columns"}}, &gate.Input{Operation: &gate.Operation{}}, &gate.Input{Operation: &gate.Operation{SQL: &gate.SQL{}}}},
		{"any field of an object", [][]string{{"session", each, "tls"}}, session("x", ""), session("y", "")},
		{"the actions", [][]string{{"operation", "statements", each, "action"}}, actions("a"), actions("b")},
		{"how many actions", [][]string{{"operation", "statements", each, "action"}}, actions("a"), actions("a", "a")},
		{"the name, or the value", [][]string{{"target", "labels"}}, &gate.Input{Target: &gate.Target{Labels: map[string]string{"a": "b"}}}, &gate.Input{Target: &gate.Target{Labels: map[string]string{"b": "a"}}}},
	}
	tests[10].b.Principal.Roles = []string{}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := newView(&reads{paths: minimal(tt.paths)})
			a, _ := v.key(tt.a)
			b, _ := v.key(tt.b)
			if a == b {
				t.Error("one key for both")
			}
			if again, _ := v.key(tt.a); again != a {
				t.Error("two keys for one")
			}
		})
	}
}

// What is not part of a JSON document cannot be shown, and so not decided on.
func TestInputThatIsNotJSON(t *testing.T) {
	in := agentInput()
	in.Principal.Claims["odd"] = func() {}
	if _, err := wholeView().term(in); err == nil {
		t.Error("want an error")
	}
	if _, ok := newView(&reads{paths: [][]string{{"principal", "claims"}}}).key(in); ok {
		t.Error("want no key")
	}
}

// Texts that hardly any rule reads do not split the cache.
func TestKeyOfActionsLeavesTextsOut(t *testing.T) {
	v := newView(&reads{paths: [][]string{{"operation", "statements", each, "action"}}})
	a, b := agentInput(), agentInput()
	b.Operation.Statements[0].Text = "select 2"
	keyA, _ := v.key(a)
	keyB, _ := v.key(b)
	if keyA != keyB {
		t.Error("two keys")
	}
}
