package policies

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/version"

	"github.com/weir-gateway/weir/internal/gate"
)

// revision is one compiled policy: the library, a bundle and the names of what
// is classified. It never changes.
type revision struct {
	id             string
	classification string
	digests        map[string]string // of the bundle's files
	packages       []string          // the user's
	activated      time.Time

	compiler *ast.Compiler
	query    ast.Body
	planner  ast.QueryCompiler
	store    storage.Store
	reads    *reads
	view     *view
	cache    *lru.Cache[[sha256.Size]byte, gate.Decision] // nil: not cached
}

// resultVar holds the decision in the compiled query.
const resultVar = "decision"

// parts is what a revision is built from, and what was found out on the way.
type parts struct {
	source   *source
	modules  map[string]*ast.Module // as parsed, without tests
	compiler *ast.Compiler
	data     map[string]any
	reads    *reads
	errors   []Problem
	warnings []Problem
}

// assemble reads, parses, checks and compiles a bundle, and goes on as long as
// there is more to find. The error is about what could not be read at all.
func (c *Config) assemble(cl Classification) (*parts, error) {
	src, err := readBundle(c.Bundle)
	if err != nil {
		return nil, err
	}
	return c.assembleSource(src, cl)
}

func (c *Config) assembleSource(src *source, cl Classification) (*parts, error) {
	lib, err := shipped()
	if err != nil {
		return nil, err
	}
	caps, err := capabilities(c.Builtins)
	if err != nil {
		return nil, err
	}
	p := &parts{source: src}
	// A test file is checked too, but it is not part of what decides.
	modules, problems := parse(append(slices.Clone(src.files), lib.files...), caps)
	p.errors = problems
	for _, f := range src.files {
		if m := modules[f.path]; m != nil {
			p.errors = append(p.errors, checkModule(f, m)...)
		}
	}
	var dataProblems []Problem
	p.data, dataProblems = readData(src.files)
	p.errors = append(p.errors, dataProblems...)
	p.data["weir"] = libraryData(cl)
	p.modules = withoutTests(modules)
	if err := addSaid(p.modules, caps); err != nil {
		return nil, err
	}
	p.compile(lib, caps)
	sortProblems(p.errors)
	return p, nil
}

// compile compiles what could be parsed, so that one report tells of both.
func (p *parts) compile(lib *library, caps *ast.Capabilities) {
	compiler := newCompiler(lib, caps)
	compiler.Compile(copyModules(p.modules))
	if compiler.Failed() {
		p.errors = append(p.errors, regoProblems("", compiler.Errors)...)
		return
	}
	p.compiler = compiler
	if len(p.errors) > 0 {
		return // what does not parse may be what reads a rule
	}
	p.reads = findReads(compiler, ast.MustParseRef(entrypoint))
	errs, warnings := unheard(compiler.Modules, p.reads.rules)
	p.errors = append(p.errors, errs...)
	p.warnings = append(p.warnings, warnings...)
}

// newRevision prepares what was assembled for evaluation.
func (c *Config) newRevision(p *parts, cl Classification) (*revision, error) {
	r := &revision{
		id: p.id(cl, c.Builtins), classification: classificationRevision(cl), digests: p.source.digests(),
		packages: p.packages(), compiler: p.compiler, reads: p.reads, view: newView(p.reads), activated: time.Now(),
		store: inmem.NewFromObjectWithOpts(p.data, inmem.OptReturnASTValuesOnRead(true), inmem.OptRoundTripOnWrite(true)),
	}
	r.planner = p.compiler.QueryCompiler()
	query, err := r.planner.Compile(ast.MustParseBody(resultVar + " = " + entrypoint))
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	r.query = query
	if r.reads.uncacheable() == "" && c.CacheEntries > 0 {
		if r.cache, err = lru.New[[sha256.Size]byte, gate.Decision](c.CacheEntries); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// id is the hash of all that decides: every file of the bundle, the library, the
// evaluator's version, the builtins allowed and the classification.
func (p *parts) id(cl Classification, builtins []string) string {
	h := sha256.New()
	put := func(values ...string) {
		for _, v := range values {
			h.Write(strconv.AppendInt(nil, int64(len(v)), 10)) // a hash never fails
			h.Write([]byte(":" + v))
		}
	}
	put("weir policy revision 1", version.Version, classificationRevision(cl))
	put(builtins...)
	lib, _ := shipped() // it was read to get here
	for _, f := range append(slices.Clone(lib.files), p.source.files...) {
		put(f.path, string(f.text))
	}
	return hex.EncodeToString(h.Sum(nil))
}

func (p *parts) packages() []string {
	names := map[string]bool{}
	for name, m := range p.modules {
		if !isLibrary(name) {
			names[packagePath(m)] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// evaluate asks the compiled policy. Any error means that nothing was decided.
func (r *revision) evaluate(ctx context.Context, input *ast.Term, tracer topdown.QueryTracer) (value ast.Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("policy: evaluation panicked: %v", p)
		}
	}()
	txn, err := r.store.NewTransaction(ctx)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	defer r.store.Abort(ctx, txn)
	cancel := topdown.NewCancel()
	defer context.AfterFunc(ctx, cancel.Cancel)()

	q := topdown.NewQuery(r.query).
		WithQueryCompiler(r.planner).WithCompiler(r.compiler).
		WithStore(r.store).WithTransaction(txn).
		WithInput(input).WithCancel(cancel).
		WithMetrics(metrics.NoOp()).
		// A builtin that fails makes its rule undefined, and a denial silent.
		WithStrictBuiltinErrors(true)
	if tracer != nil {
		q = q.WithQueryTracer(tracer)
	}
	err = q.Iter(ctx, func(result topdown.QueryResult) error {
		if t := result[resultVar]; t != nil {
			value = t.Value
		}
		return nil
	})
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, fmt.Errorf("policy: no decision in time: %w", context.Cause(ctx))
	case err != nil:
		return nil, fmt.Errorf("policy: %w", err)
	case value == nil:
		return nil, fmt.Errorf("policy: %s is undefined", entrypoint)
	}
	return value, nil
}

// libraryData is what the library knows beside the input.
func libraryData(cl Classification) map[string]any {
	targets := map[string]any{}
	if cl != nil {
		for _, t := range cl.Targets() {
			targets[t] = true
		}
	}
	return map[string]any{"classification": map[string]any{"targets": targets}}
}

func classificationRevision(cl Classification) string {
	if cl == nil {
		return ""
	}
	return cl.Revision()
}

func withoutTests(modules map[string]*ast.Module) map[string]*ast.Module {
	out := make(map[string]*ast.Module, len(modules))
	for name, m := range modules {
		if !(file{path: name}).isTest() {
			out[name] = m
		}
	}
	return out
}

// copyModules keeps the parsed modules from the compiler, which rewrites them.
func copyModules(modules map[string]*ast.Module) map[string]*ast.Module {
	out := make(map[string]*ast.Module, len(modules))
	for name, m := range modules {
		out[name] = m.Copy()
	}
	return out
}
