package policies

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// reads is what a compiled policy looks at to decide, as far as it can change
// between two decisions of one revision.
type reads struct {
	paths  [][]string // below input, none a prefix of another, sorted; each stands for any element
	whole  bool       // input itself is read
	impure []string   // builtins whose result does not follow from their arguments
	rules  map[*ast.Rule]bool
}

// findReads walks the rules that a rule depends on. A path covers all that a
// reference could read: one too short costs speed, one too long would be a wrong
// answer.
func findReads(c *ast.Compiler, entry ast.Ref) *reads {
	r := &reads{rules: map[*ast.Rule]bool{}}
	w := &readWalker{reads: r, impure: impureBuiltins()}
	queue := slices.Clone(c.GetRulesDynamicWithOpts(entry, ast.RulesOptions{IncludeHiddenModules: true}))
	for len(queue) > 0 {
		rule := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if r.rules[rule] {
			continue
		}
		r.rules[rule] = true
		w.rule(rule)
		for dep := range c.Graph.Dependencies(rule) {
			queue = append(queue, dep.(*ast.Rule))
		}
		if rule.Else != nil {
			queue = append(queue, rule.Else)
		}
	}
	r.paths = minimal(r.paths)
	slices.Sort(r.impure)
	r.impure = slices.Compact(r.impure)
	return r
}

// uncacheable says why decisions cannot be cached, or nothing.
func (r *reads) uncacheable() string {
	switch {
	case len(r.impure) > 0:
		return "rules call " + strings.Join(r.impure, ", ")
	case r.whole:
		return "rules read input as a whole"
	case slices.ContainsFunc(r.paths, func(p []string) bool { return p[0] == "now" }):
		return "rules read input.now"
	}
	return ""
}

// names are the paths in words, for people.
func (r *reads) names() []string {
	if r.whole {
		return []string{"input"}
	}
	out := make([]string, len(r.paths))
	for i, p := range r.paths {
		out[i] = strings.ReplaceAll("input."+strings.Join(p, "."), "."+each, each)
	}
	return out
}

// readWalker collects what one rule after another reads.
type readWalker struct {
	reads  *reads
	impure map[string]bool
}

func (w *readWalker) rule(rule *ast.Rule) {
	// The generic walk leaves the reference of a head out.
	for _, term := range rule.Head.Reference {
		if _, isName := term.Value.(ast.Var); !isName {
			w.walk(term)
		}
	}
	w.walk(rule)
}

func (w *readWalker) walk(x any) {
	ast.NewGenericVisitor(w.visit).Walk(x)
}

// visit returns true where it has walked the children itself.
func (w *readWalker) visit(x any) bool {
	switch x := x.(type) {
	case ast.Ref:
		w.ref(x)
		return true
	case ast.Var:
		w.reads.whole = w.reads.whole || x == ast.InputRootDocument.Value
	}
	return false
}

func (w *readWalker) ref(ref ast.Ref) {
	if len(ref) == 0 {
		return
	}
	if w.impure[ref.String()] {
		w.reads.impure = append(w.reads.impure, ref.String())
	}
	switch head := ref[0].Value.(type) {
	case ast.Var:
		if head == ast.InputRootDocument.Value {
			w.input(ref[1:])
		}
	default: // a call, or a collection
		w.walk(ref[0])
	}
	for _, term := range ref[1:] {
		w.walk(term)
	}
}

// each stands in a path for what is not constant: any element of a list, any
// value of an object. No field has this name.
const each = "[_]"

// input notes a reference below input. What is not constant at the end is all
// that is there, and need not be said.
func (w *readWalker) input(rest []*ast.Term) {
	path := make([]string, 0, len(rest))
	constant := 0
	for _, term := range rest {
		name, ok := term.Value.(ast.String)
		if !ok {
			path = append(path, each)
			continue
		}
		path = append(path, string(name))
		constant = len(path)
	}
	path = path[:constant]
	if len(path) == 0 || path[0] == each {
		w.reads.whole = true
		return
	}
	w.reads.paths = append(w.reads.paths, path)
}

// impureBuiltins are those whose result may differ between two calls with the
// same arguments.
func impureBuiltins() map[string]bool {
	impure := map[string]bool{
		// Not marked so, but both look at the clock.
		"crypto.x509.parse_and_verify_certificates":              true,
		"crypto.x509.parse_and_verify_certificates_with_options": true,
	}
	for _, b := range ast.Builtins {
		if b.IsNondeterministic() {
			impure[b.Ref().String()] = true
		}
	}
	return impure
}

// minimal sorts paths and drops those that a shorter one covers.
func minimal(paths [][]string) [][]string {
	slices.SortFunc(paths, slices.Compare[[]string])
	var out [][]string
	for _, p := range paths {
		if len(out) > 0 {
			last := out[len(out)-1]
			if len(last) <= len(p) && slices.Equal(last, p[:len(last)]) {
				continue
			}
		}
		out = append(out, p)
	}
	return out
}
