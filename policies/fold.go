package policies

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// saidFile is the one generated file of the library: package weir.said, which
// gathers what each package says by its full name. Rego could iterate over
// data.weir.rules instead, at several times the cost of the rules themselves.
const saidFile = libraryPrefix + "said.rego"

// kinds are what is gathered: allow as the set of the packages that allow, waive
// as the set of all codes, and the others as an object, package → set.
var kinds = []string{"allow", "deny", "hold", "mask", "limits", "record", "waive"}

// saidModule writes the package that gathers what modules contribute.
func saidModule(modules map[string]*ast.Module) file {
	rules := map[string]map[string]string{} // kind → package → rule
	for name, m := range modules {
		pkg := packagePath(m)
		if (file{path: name}).isTest() || !strings.HasPrefix(pkg, rulesPackage+".") {
			continue
		}
		for _, rule := range m.Rules {
			if kind := rule.Head.Ref()[0].String(); isContribution(kind) {
				if rules[kind] == nil {
					rules[kind] = map[string]string{}
				}
				rules[kind][pkg] = m.Package.Path.Append(ast.StringTerm(kind)).String()
			}
		}
	}
	var b strings.Builder
	b.WriteString("package weir.said\n")
	for _, kind := range kinds {
		b.WriteByte('\n')
		writeSaid(&b, kind, rules[kind])
	}
	return file{path: saidFile, text: []byte(b.String())}
}

func writeSaid(b *strings.Builder, kind string, rules map[string]string) {
	packages := slices.Sorted(maps.Keys(rules))
	switch {
	case kind == "allow" && len(rules) > 0:
		for _, pkg := range packages {
			fmt.Fprintf(b, "allow contains %q if %s == true\n", pkg, rules[pkg])
		}
	case kind == "waive" && len(rules) > 0:
		for _, pkg := range packages {
			fmt.Fprintf(b, "waive contains code if some code in %s\n", rules[pkg])
		}
	case kind == "allow", kind == "waive":
		fmt.Fprintf(b, "%s := set()\n", kind)
	default:
		fmt.Fprintf(b, "%s := {\n", kind)
		for _, pkg := range packages {
			fmt.Fprintf(b, "\t%q: %s,\n", pkg, rules[pkg])
		}
		b.WriteString("}\n")
	}
}

// addSaid adds the generated package to the modules that it gathers from.
func addSaid(modules map[string]*ast.Module, caps *ast.Capabilities) error {
	said, err := parseRego(saidModule(modules), caps)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	modules[saidFile] = said
	return nil
}
