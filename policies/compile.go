package policies

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// forbidden are the builtins that no policy may call unless the operator says
// so: they reach the network or the process's environment.
var forbidden = []string{"http.send", "net.lookup_ip_addr", "opa.runtime"}

// capabilities are what policies may use: all of Rego v1 but forbidden builtins,
// except those that the operator allows.
func capabilities(allowed []string) (*ast.Capabilities, error) {
	for _, name := range allowed {
		if !slices.Contains(forbidden, name) {
			return nil, fmt.Errorf("builtin %q needs no permission; %s do", name, strings.Join(forbidden, ", "))
		}
	}
	caps := ast.CapabilitiesForThisVersion()
	caps.Builtins = slices.DeleteFunc(caps.Builtins, func(b *ast.Builtin) bool {
		return slices.Contains(forbidden, b.Name) && !slices.Contains(allowed, b.Name)
	})
	caps.AllowNet = []string{} // no schema is fetched
	return caps, nil
}

// parse parses files, and returns what is wrong with them, all of it.
func parse(files []file, caps *ast.Capabilities) (map[string]*ast.Module, []Problem) {
	modules := make(map[string]*ast.Module, len(files))
	var problems []Problem
	for _, f := range files {
		if !f.isRego() {
			continue
		}
		module, err := parseRego(f, caps)
		switch {
		case err != nil:
			problems = append(problems, regoProblems(f.path, err)...)
		case module == nil || len(module.Rules) == 0 && module.Package == nil:
			problems = append(problems, Problem{File: f.path, Code: "empty", Message: "the file holds no package"})
		default:
			modules[f.path] = module
		}
	}
	return modules, problems
}

// newCompiler makes a strict compiler that knows the shape of input.
func newCompiler(lib *library, caps *ast.Capabilities) *ast.Compiler {
	schemas := ast.NewSchemaSet()
	schemas.Put(ast.SchemaRootRef, lib.schema)
	return ast.NewCompiler().
		WithCapabilities(caps).
		WithStrict(true).
		WithDefaultRegoVersion(ast.RegoV1).
		WithSchemas(schemas).
		WithUseTypeCheckAnnotations(true).
		SetErrorLimit(0)
}

// regoProblems unpacks an error of the parser or compiler.
func regoProblems(name string, err error) []Problem {
	var all ast.Errors
	if !errors.As(err, &all) {
		return []Problem{{File: name, Code: "rego_parse_error", Message: err.Error()}}
	}
	problems := make([]Problem, 0, len(all))
	for _, e := range all {
		p := Problem{File: name, Code: e.Code, Message: e.Message}
		if e.Location != nil {
			p.File, p.Line, p.Column = e.Location.File, e.Location.Row, e.Location.Col
		}
		if details, ok := e.Details.(interface{ Lines() []string }); ok && e.Code == ast.TypeErr {
			p.Details = details.Lines()
		}
		problems = append(problems, p)
	}
	return problems
}
