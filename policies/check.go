package policies

import (
	"bytes"
	"fmt"
	"path"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"
)

// Report is what Check found out about a bundle.
type Report struct {
	OK       bool      `json:"ok"`
	Errors   []Problem `json:"errors"`
	Warnings []Problem `json:"warnings"`
	Files    []string  `json:"files"`
	Packages []string  `json:"packages"`
	// Revision is what the bundle would have; Reads are the paths of the input
	// that decide; Uncached says why decisions cannot be cached.
	Revision string   `json:"revision,omitempty"`
	Reads    []string `json:"reads,omitempty"`
	Uncached string   `json:"uncached,omitempty"`
}

// Check finds all that is wrong with the bundle without using it: what does not
// parse, compile strictly or fit the input's schema, packages and rules that the
// fold would not hear; and as warnings what is unused or not formatted. The
// classification may be nil. The error is about what could not be read at all.
func Check(cfg Config, cl Classification) (Report, error) {
	cfg = cfg.withDefaults()
	p, err := cfg.assemble(cl)
	if err != nil {
		return Report{}, err
	}
	r := Report{Errors: p.errors, Warnings: p.warnings, Packages: p.packages()}
	for _, f := range p.source.files {
		r.Files = append(r.Files, f.path)
		r.Warnings = append(r.Warnings, unformatted(f)...)
	}
	for _, name := range p.source.ignored {
		r.Warnings = append(r.Warnings, Problem{File: name, Code: "file_ignored",
			Message: "only data.json, data.yaml and .rego files are read: name it " + path.Join(path.Dir(name), "data"+path.Ext(name))})
	}
	if len(r.Errors) == 0 {
		r.Errors = append(r.Errors, cfg.checkTests(p)...)
	}
	if p.reads != nil {
		r.Revision, r.Reads, r.Uncached = p.id(cl, cfg.Builtins), p.reads.names(), p.reads.uncacheable()
	}
	if len(r.Packages) == 0 && len(r.Errors) == 0 {
		r.Warnings = append(r.Warnings, Problem{Code: "no_rules", Message: "the bundle has no package weir.rules.<name>: everything is denied"})
	}
	sortProblems(r.Errors)
	sortProblems(r.Warnings)
	r.OK = len(r.Errors) == 0
	return r, nil
}

// checkTests compiles the bundle together with its tests.
func (c *Config) checkTests(p *parts) []Problem {
	if !slices.ContainsFunc(p.source.files, file.isTest) {
		return nil
	}
	lib, compiler, modules, err := c.withTests(p)
	if err != nil || lib == nil {
		return []Problem{{Code: "internal", Message: fmt.Sprint(err)}}
	}
	compiler.Compile(modules)
	if !compiler.Failed() {
		return nil
	}
	return regoProblems("", compiler.Errors)
}

// withTests parses everything again, tests of the user included, for a compiler
// of its own.
func (c *Config) withTests(p *parts) (*library, *ast.Compiler, map[string]*ast.Module, error) {
	lib, err := shipped()
	if err != nil {
		return nil, nil, nil, err
	}
	caps, err := capabilities(c.Builtins)
	if err != nil {
		return nil, nil, nil, err
	}
	modules, problems := parse(p.source.files, caps)
	if len(problems) > 0 {
		return nil, nil, nil, &BundleError{Problems: problems}
	}
	shippedModules, problems := parse(lib.files, caps)
	if len(problems) > 0 {
		return nil, nil, nil, &BundleError{Problems: problems}
	}
	for name, m := range shippedModules {
		modules[name] = m
	}
	if err := addSaid(modules, caps); err != nil {
		return nil, nil, nil, err
	}
	return lib, newCompiler(lib, caps), modules, nil
}

// unformatted says where a file differs from what opa fmt would write.
func unformatted(f file) []Problem {
	if !f.isRego() {
		return nil
	}
	want, err := format.SourceWithOpts(f.path, f.text, format.Opts{
		RegoVersion: ast.RegoV1, ParserOptions: &ast.ParserOptions{RegoVersion: ast.RegoV1},
	})
	if err != nil || bytes.Equal(want, f.text) {
		return nil // what does not parse is told elsewhere
	}
	have, formatted := bytes.Split(f.text, []byte("\n")), bytes.Split(want, []byte("\n"))
	line := 0
	for line < len(have) && line < len(formatted) && bytes.Equal(have[line], formatted[line]) {
		line++
	}
	return []Problem{{File: f.path, Line: line + 1, Column: 1, Code: "format", Message: "differs from what opa fmt writes from here on"}}
}
