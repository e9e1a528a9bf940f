package policies

import (
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/weir-gateway/weir/internal/gate"
)

// contributions in forms that are not documented: none may allow.
func TestMalformed(t *testing.T) {
	tests := []struct {
		name, rule string
		says       string // in the denial
	}{
		{"a denial that is a string", `deny contains "no" if true`, "a denial is not an object"},
		{"a denial without a code", `deny contains {"message": "x"} if true`, "code is missing"},
		{"a denial without a message", `deny contains {"code": "x"} if true`, "message is missing"},
		{"a code that is a number", `deny contains {"code": 7, "message": "x"} if true`, "code is not a string"},
		{"a denial with more", `deny contains {"code": "x", "message": "y", "hnit": "z"} if true`, `no field "hnit"`},
		{"a hold that is a string", `hold contains "wait" if true`, "a hold is not an object"},
		{"a hold without a rule", `hold contains {"approvers": ["group:dba"]} if true`, "rule is missing"},
		{"a hold without approvers", `hold contains {"rule": "x"} if true`, "approvers names nobody"},
		{"nobody approves", `hold contains {"rule": "x", "approvers": []} if true`, "approvers names nobody"},
		{"an approver that is a number", `hold contains {"rule": "x", "approvers": [7]} if true`, "approvers holds what is not a string"},
		{"approvers in a string", `hold contains {"rule": "x", "approvers": "group:dba"} if true`, "approvers names nobody"},
		{"no vote needed", `hold contains {"rule": "x", "approvers": ["a"], "required": 0} if true`, "required is not a whole number"},
		{"half a vote", `hold contains {"rule": "x", "approvers": ["a"], "required": 1.5} if true`, "required is not a whole number"},
		{"a ttl in words", `hold contains {"rule": "x", "approvers": ["a"], "ttl": "soon"} if true`, "ttl is not a positive duration"},
		{"a ttl without a unit", `hold contains {"rule": "x", "approvers": ["a"], "ttl": "15"} if true`, "ttl is not a positive duration"},
		{"a ttl that is a number", `hold contains {"rule": "x", "approvers": ["a"], "ttl": 15} if true`, "ttl is not a string"},
		{"a negative ttl", `hold contains {"rule": "x", "approvers": ["a"], "ttl": "-15m"} if true`, "ttl is not a positive duration"},
		{"an empty ttl", `hold contains {"rule": "x", "approvers": ["a"], "ttl": ""} if true`, "ttl is empty"},
		{"a mask of nothing", `mask contains {"with": "redact"} if true`, "one of class, column and path"},
		{"a mask of two things", `mask contains {"class": "x", "path": "$.a", "with": "redact"} if true`, "one of class, column and path"},
		{"a mask with a slip", `mask contains {"klass": "x"} if true`, `no field "klass"`},
		{"a column without its table", `mask contains {"column": "ssn", "with": "redact"} if true`, "column is not schema.table.column"},
		{"a path without a root", `mask contains {"path": "a.b", "with": "redact"} if true`, "path does not begin with $"},
		{"keeping less than nothing", `mask contains {"class": "x", "with": "partial", "keep_last": -4} if true`, "keep_last is not a whole number"},
		{"keeping a word", `mask contains {"class": "x", "with": "partial", "keep_last": "4"} if true`, "keep_last is not a number"},
		{"no rows", `limits contains {"max_rows": 0} if true`, "max_rows is not a whole number"},
		{"a limit with a slip", `limits contains {"maxrows": 5} if true`, `no field "maxrows"`},
		{"a timeout in words", `limits contains {"timeout": "soon"} if true`, "timeout is not a positive duration"},
		{"a level that nobody knows", `record contains "some" if true`, "neither full nor metadata"},
		{"a level that is an object", `record contains {} if true`, "neither full nor metadata"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e, err := loaded("package weir.rules.x\n\nallow if true\n\n" + tt.rule + "\n")
			if err != nil {
				t.Fatal(err)
			}
			d := decide(t, e, agentInput())
			if d.Effect != gate.Deny {
				t.Errorf("%s", d.Effect)
			}
			last := d.Deny[len(d.Deny)-1]
			if last.Code != "policy_malformed" || !strings.Contains(last.Message, tt.says) || !strings.Contains(last.Message, "weir.rules.x.") || last.Hint == "" {
				t.Errorf("got %+v", last)
			}
		})
	}
}

func TestMalformedBesideADenial(t *testing.T) {
	e, err := loaded("package weir.rules.x\n\ndeny contains {\"code\": \"c\", \"message\": \"m\"} if true\n\nmask contains 7 if true\n")
	if err != nil {
		t.Fatal(err)
	}
	d := decide(t, e, agentInput())
	if d.Code() != "c" || len(d.Deny) != 2 || d.Deny[1].Code != "policy_malformed" {
		t.Errorf("got %+v", d.Deny)
	}
}

// empty is a document in which nobody said anything.
const empty = `{"effect": "deny", "allow": false, "deny": {{"code": "default_deny", "message": "m"}}, "hold": set(), "mask": set(),
	"limits": set(), "record": set(), "said": {"allow": set(), "deny": {}, "hold": {}, "mask": {}, "limits": {}, "record": {}}}`

// Whatever the document is, it allows only in the one documented form.
func TestDocumentContract(t *testing.T) {
	allowing := strings.Replace(strings.Replace(empty, `"effect": "deny"`, `"effect": "allow"`, 1), `"said": {"allow": set()`, `"said": {"allow": {"weir.rules.x"}`, 1)
	tests := map[string]string{
		"null": "null", "true": "true", "a word": `"allow"`, "a list": "[]", "nothing": "{}", "only allow": `{"allow": true}`,
		"only effect":            `{"effect": "allow"}`,
		"nobody allows":          strings.Replace(empty, `"effect": "deny"`, `"effect": "allow"`, 1),
		"allowed, but denied":    strings.Replace(allowing, `"deny": {}`, `"deny": {"weir.rules.y": {{"code": "c", "message": "m"}}}`, 1),
		"allowed, but held":      strings.Replace(allowing, `"hold": {}`, `"hold": {"weir.rules.y": {{"rule": "r", "approvers": ["a"]}}}`, 1),
		"denials that are true":  strings.Replace(allowing, `"deny": {}`, `"deny": {"weir.rules.y": true}`, 1),
		"denials in a list":      strings.Replace(allowing, `"deny": {}`, `"deny": []`, 1),
		"allow that is true":     strings.Replace(allowing, `{"weir.rules.x"}`, `true`, 1),
		"allow that is a number": strings.Replace(allowing, `{"weir.rules.x"}`, `{7}`, 1),
		"another effect":         strings.Replace(allowing, `"effect": "allow"`, `"effect": "permit"`, 1),
		"one field more":         strings.Replace(allowing, `"effect"`, `"really": true, "effect"`, 1),
		"one field less":         strings.Replace(allowing, `"mask": {}, "limits"`, `"limits"`, 1),
	}
	if d, err := decode(ast.MustParseTerm(allowing).Value); err != nil || d.Effect != gate.Allow {
		t.Fatalf("the good one: %v, %+v", err, d)
	}
	for name, doc := range tests {
		t.Run(name, func(t *testing.T) {
			d, err := decode(ast.MustParseTerm(doc).Value)
			if d.Effect == gate.Allow {
				t.Fatal("allowed")
			}
			if err == nil && d.Effect == gate.Deny && len(d.Deny) == 0 {
				t.Error("refused without a reason")
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(empty)
	f.Add(strings.Replace(empty, `"deny": {}`, `"deny": {"weir.rules.y": {{"code": "c", "message": "m"}}}`, 1))
	f.Add(strings.Replace(empty, `"hold": {}`, `"hold": {"weir.rules.y": {{"rule": "r", "approvers": ["a"], "ttl": "1m"}}}`, 1))
	f.Add(strings.Replace(empty, `"mask": {}`, `"mask": {"weir.rules.y": {{"class": "c", "with": "range", "size": 10}}}`, 1))
	f.Add(strings.Replace(empty, `"said": {"allow": set()`, `"said": {"allow": {"x"}`, 1))
	f.Fuzz(func(t *testing.T, text string) {
		term, err := ast.ParseTerm(text)
		if err != nil {
			return
		}
		d, err := decode(term.Value)
		if err != nil && d.Effect != gate.Deny {
			t.Fatal("an error that does not deny")
		}
		if d.Effect != gate.Allow {
			return
		}
		root := term.Value.(ast.Object)
		said := get(root, "said").(ast.Object)
		if get(root, "effect").Compare(ast.String("allow")) != 0 || get(said, "allow").(ast.Set).Len() == 0 {
			t.Fatalf("allowed by %s", text)
		}
	})
}
