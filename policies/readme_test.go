package policies

import (
	"os"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

func TestReadme(t *testing.T) {
	raw, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(raw)
	_, after, _ := strings.Cut(readme, "```rego\n")
	example, _, _ := strings.Cut(after, "```")
	r := check(t, "example.rego", example)
	for _, p := range append(r.Errors, r.Warnings...) {
		t.Error(p)
	}
	e := engineOf(t, "example.rego", example)
	for _, m := range e.active.Load().compiler.Modules {
		switch packagePath(m) {
		case defaultsPackage:
			ast.WalkTerms(m, func(term *ast.Term) bool {
				if o, ok := term.Value.(ast.Object); ok {
					if code, ok := get(o, "code").(ast.String); ok && !strings.Contains(readme, "`"+string(code)+"`") {
						t.Errorf("the denial %s is not told", code)
					}
				}
				return false
			})
		case "weir.lib":
			for _, rule := range m.Rules {
				name := rule.Head.Ref()[0].String()
				if !strings.HasPrefix(name, "classes_") && !strings.Contains(readme, "`"+name+"`") && !strings.Contains(readme, "`"+name+"(") {
					t.Errorf("the word %s is not told", name)
				}
			}
		}
	}
}
