package policies

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is read for a rule beside what the library reads of every operation.
func TestReads(t *testing.T) {
	base, err := loaded("package weir.rules.random\n\nallow if false\n")
	if err != nil {
		t.Fatal(err)
	}
	library := map[string]bool{}
	for _, name := range base.Status().Reads {
		library[name] = true
	}
	tests := []struct {
		name, rule string
		want       []string // beyond the library's
		uncached   string
	}{
		{"a field", `allow if input.target.kind == "x"`, []string{"input.target.kind"}, ""},
		{"below a free field", `allow if input.principal.claims.team.name == "x"`, []string{"input.principal.claims.team.name"}, ""},
		{"brackets", `allow if input["principal"].claims["a b"]`, []string{"input.principal.claims.a b"}, ""},
		{"the shorter covers the longer", "allow if input.principal.claims.a.b\n\nallow if input.principal.claims.a", []string{"input.principal.claims.a"}, ""},
		{"a variable at the end", `allow if { some k; input.target.labels[k] == "x" }`, []string{"input.target.labels"}, ""},
		{"a variable within", `allow if input.approvals[_].approver.kind == "human"`, []string{"input.approvals[_].approver.kind"}, ""},
		{"a number within", `allow if input.principal.on_behalf_of[0].subject`, []string{"input.principal.on_behalf_of[_].subject"}, ""},
		{"a path in a path", `allow if data.x[input.session.database]`, []string{"input.session.database"}, ""},
		{"a local name", `allow if { s := input.session; s.id == "x" }`, []string{"input.session"}, ""},
		{"an else", "allow if false else if input.session.id == \"x\"", []string{"input.session.id"}, ""},
		{"in a head", `deny contains {"code": "x", "message": input.operation.host} if true`, []string{"input.operation.host"}, ""},
		{"in a head's name", "t[input.operation.host] := 1 if true\n\nallow if t.x", []string{"input.operation.host"}, ""},
		{"a function's own", "f(x) if x == input.session.id\n\nallow if f(\"x\")", []string{"input.session.id"}, ""},
		{"a comprehension", `allow if count([x | x := input.operation.functions[_]]) > 1`, []string{"input.operation.functions"}, ""},
		{"a with", `allow if data.weir.lib.is_agent with input.principal.kind as input.session.id`, []string{"input.session.id"}, ""},
		{"nobody asks", "spare if input.session.id == \"x\"\n\nallow if true", nil, ""},
		{"the time", `allow if input.now > 7`, []string{"input.now"}, "rules read input.now"},
		{"the time by the library", `allow if data.weir.lib.between_hours(1, 2, "UTC")`, []string{"input.now"}, "rules read input.now"},
		{"everything", `allow if count(input) == 3`, nil, "rules read input as a whole"},
		{"everything, by a name", `allow if { x := input; x.session.id == "y" }`, nil, "rules read input as a whole"},
		{"anything", `allow if input[data.x]`, nil, "rules read input as a whole"},
		{"everything, in a call", `allow if object.get(input, "a", 1) == 1`, nil, "rules read input as a whole"},
		{"the clock", `allow if time.now_ns() > 0`, nil, "rules call time.now_ns"},
		{"chance", `allow if rand.intn("x", 2) == 1`, nil, "rules call rand.intn"},
		{"chance in a head", `deny contains {"code": "x", "message": uuid.rfc4122("x")} if true`, nil, "rules call uuid.rfc4122"},
		{"a token's time", `allow if io.jwt.decode_verify("x", {})[0]`, nil, "rules call io.jwt.decode_verify"},
		{"a certificate's time", `allow if crypto.x509.parse_and_verify_certificates("x")[0]`, nil, "rules call crypto.x509.parse_and_verify_certificates"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := loaded("package weir.rules.random\n\n" + tt.rule + "\n")
			if err != nil {
				t.Fatal(err)
			}
			status := e.Status()
			if status.Uncached != tt.uncached {
				t.Errorf("uncached because %q, want %q", status.Uncached, tt.uncached)
			}
			if (e.active.Load().cache == nil) != (tt.uncached != "") {
				t.Error("the cache does not follow")
			}
			if status.Reads[0] == "input" {
				return
			}
			var more []string
			for _, name := range status.Reads {
				if !library[name] {
					more = append(more, name)
				}
			}
			if diff := cmp.Diff(tt.want, more); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The conditions of the random policies are all used.
func TestConditionsCompile(t *testing.T) {
	for _, c := range conditions {
		if _, err := loaded("package weir.rules.random\n" + helpers + "\nallow if {\n\t" + c + "\n}\n"); err != nil {
			t.Errorf("%s: %v", c, err)
		}
	}
}
