package policies

import (
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
	"github.com/open-policy-agent/opa/v1/ast"
)

// rulesPackage is what a user's packages are below: weir.rules.<name>.
const rulesPackage = "weir.rules"

// defaultsPackage holds the library's own denials.
const defaultsPackage = rulesPackage + ".defaults"

// contributions are the names that the fold reads in every package. All but
// allow are sets.
var contributions = []string{"allow", "deny", "hold", "mask", "limits", "record", "waive"}

// isContribution says whether the fold reads a rule of this name.
func isContribution(name string) bool { return slices.Contains(contributions, name) }

// checkModule says what keeps a user's module out of the fold, or could let it
// say something that the fold would not hear.
func checkModule(f file, m *ast.Module) []Problem {
	if p, ok := checkPackage(f, m); !ok {
		return []Problem{p}
	}
	if f.isTest() {
		return nil
	}
	var problems []Problem
	for _, rule := range m.Rules {
		if message := checkHead(rule.Head); message != "" {
			problems = append(problems, at(rule.Location, "rule_shape", message))
		}
	}
	return problems
}

// checkPackage accepts what is below weir.rules, and for tests any package that
// is not the library's.
func checkPackage(f file, m *ast.Module) (Problem, bool) {
	path := packagePath(m)
	switch {
	case path == "weir", path == "weir.lib", path == "weir.said", path == defaultsPackage, strings.HasPrefix(path, defaultsPackage+"."):
		return at(m.Package.Location, "package_taken", fmt.Sprintf(
			"package %s is the library's and cannot be extended: write package weir.rules.<name>, and waive contains \"<code>\" to take a default back", path)), false
	case strings.HasPrefix(path, rulesPackage+"."):
		return Problem{}, true
	case f.isTest() && !strings.HasPrefix(path, "weir."):
		return Problem{}, true
	}
	return at(m.Package.Location, "package_place",
		fmt.Sprintf("package %s is not folded into the decision: write package weir.rules.<name>", path)), false
}

// checkHead says what is wrong with how a rule contributes, if it does.
func checkHead(head *ast.Head) string {
	ref := head.Ref()
	name := ref[0].String()
	if !isContribution(name) {
		return ""
	}
	plain := len(ref) == 1 && len(head.Args) == 0
	switch {
	case name == "allow" && (!plain || head.RuleKind() != ast.SingleValue):
		return "allow is true or nothing: write allow if …"
	case name != "allow" && (len(ref) != 1 || len(head.Args) != 0 || head.RuleKind() != ast.MultiValue):
		return fmt.Sprintf("%s is a set: write %s contains … if …", name, name)
	}
	return ""
}

// unheard reports rules of the user that nothing reads. Where the name is a
// slip of the pen away from one that is read, a denial or a mask would silently
// be lost: that is an error. Elsewhere it is a warning.
func unheard(modules map[string]*ast.Module, reached map[*ast.Rule]bool) (errs, warnings []Problem) {
	for name, m := range modules {
		if f := (file{path: name}); f.isTest() || isLibrary(name) {
			continue
		}
		for _, rule := range m.Rules {
			if reached[rule] || rule.Default {
				continue
			}
			head := rule.Head.Ref()[0].String()
			switch meant := nearest(head); {
			case strings.HasPrefix(head, "test_"), strings.HasPrefix(head, "todo_test_"):
			case meant != "":
				errs = append(errs, at(rule.Location, "rule_unheard", fmt.Sprintf("nothing reads %s: did you mean %s?", head, meant)))
			default:
				warnings = append(warnings, at(rule.Location, "rule_unused", fmt.Sprintf("nothing reads %s", head)))
			}
		}
	}
	sortProblems(errs)
	sortProblems(warnings)
	return errs, warnings
}

// nearest is the contribution that a name nearly is, or nothing.
func nearest(name string) string {
	for _, c := range contributions {
		singular := strings.TrimSuffix(c, "s")
		if levenshtein.ComputeDistance(name, c) == 1 || strings.EqualFold(name, c) || slices.Contains([]string{
			singular, singular + "s", singular + "ed", singular + "d", singular + "es",
		}, name) {
			return c
		}
	}
	switch name {
	case "denies", "denied", "denial", "denials":
		return "deny"
	case "held":
		return "hold"
	}
	return ""
}

func isLibrary(name string) bool { return strings.HasPrefix(name, libraryPrefix) }

// packagePath is a package's name without "data.".
func packagePath(m *ast.Module) string {
	return strings.TrimPrefix(m.Package.Path.String(), "data.")
}

// at makes a problem of a place.
func at(loc *ast.Location, code, message string) Problem {
	p := Problem{Code: code, Message: message}
	if loc != nil {
		p.File, p.Line, p.Column = loc.File, loc.Row, loc.Col
	}
	return p
}
