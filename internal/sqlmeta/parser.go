package sqlmeta

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"

	pg "github.com/pganalyze/pg_query_go/v6"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/wasilibs/wazero-helpers/allocator"
)

const (
	// keepSandbox is the memory, in bytes, above which a sandbox is thrown away
	// after use. A fresh one has 18 MB of address space (its C stack is not
	// touched) and takes half a millisecond to make.
	keepSandbox = 32 << 20
	// maxSandbox is the memory, in bytes, that a sandbox may take.
	maxSandbox = 1 << 30
)

// parser runs PostgreSQL's grammar in sandboxes, at most one per processor at a
// time. What text does to a sandbox ends with that sandbox.
type parser struct {
	runtime wazero.Runtime
	code    wazero.CompiledModule
	slots   chan struct{}

	mu   sync.Mutex
	idle []*sandbox
}

func newParser(ctx context.Context, compiledDir string) (*parser, error) {
	if len(wasmModule) == 0 {
		return nil, fmt.Errorf("%w: the module is not linked in", ErrParser)
	}
	var kept wazero.CompilationCache
	if compiledDir != "" {
		if err := os.MkdirAll(compiledDir, 0o700); err != nil {
			return nil, fmt.Errorf("keeping the compiled SQL parser: %w", err)
		}
		var err error
		if kept, err = wazero.NewCompilationCacheWithDir(compiledDir); err != nil {
			return nil, fmt.Errorf("keeping the compiled SQL parser: %w", err)
		}
	}
	p, err := compileParser(ctx, kept)
	if err != nil && kept != nil { // what was kept may be damaged
		p, err = compileParser(ctx, nil)
	}
	debug.FreeOSMemory() // compiling took a quarter of a GB
	return p, err
}

func compileParser(ctx context.Context, kept wazero.CompilationCache) (p *parser, err error) {
	config := wazero.NewRuntimeConfig().WithCoreFeatures(api.CoreFeaturesV2 | experimental.CoreFeaturesThreads)
	if kept != nil {
		config = config.WithCompilationCache(kept)
	}
	rt := wazero.NewRuntimeWithConfig(ctx, config)
	defer func() {
		if err != nil {
			_ = rt.Close(ctx)
			err = fmt.Errorf("%w: %w", ErrParser, err)
		}
	}()
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, rt); err != nil {
		return nil, err
	}
	if err := instantiateHost(ctx, rt); err != nil {
		return nil, err
	}
	code, err := rt.CompileModule(ctx, wasmModule)
	if err != nil {
		return nil, err
	}
	p = &parser{runtime: rt, code: code, slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
	s, err := p.take()
	if err != nil {
		return nil, err
	}
	p.give(s)
	return p, nil
}

func (p *parser) close() error { return p.runtime.Close(context.Background()) }

// run lends a sandbox to f. The sandbox is thrown away when f reports a trap.
func (p *parser) run(ctx context.Context, f func(*sandbox) error) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	s, err := p.take()
	if err != nil {
		return err
	}
	if err = f(s); errors.Is(err, errTrap) || s.bytes() > keepSandbox {
		s.close()
		return err
	}
	p.give(s)
	return err
}

func (p *parser) take() (*sandbox, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		s := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return s, nil
	}
	return newSandbox(p.runtime, p.code)
}

func (p *parser) give(s *sandbox) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, s)
}

// boundedMemory reserves address space for a sandbox and lets it grow to maxSandbox.
func boundedMemory(size, limit uint64) experimental.LinearMemory {
	return &bounded{allocator.NewNonMoving().Allocate(size, min(limit, maxSandbox))}
}

type bounded struct{ experimental.LinearMemory }

// Reallocate answers nil, which makes the sandbox's malloc fail, above the bound.
func (b *bounded) Reallocate(size uint64) []byte {
	if size > maxSandbox {
		return nil
	}
	return b.LinearMemory.Reallocate(size)
}

// parse returns the tree of a text and the fingerprint of each statement in it.
// A *syntaxError is PostgreSQL's own refusal; errTrap means that the text was
// too much for the sandbox.
func (p *parser) parse(ctx context.Context, text string) (*pg.ParseResult, []string, error) {
	if a := abridge(text); a != nil {
		if tree, prints, err := p.parseText(ctx, a.text, a); err == nil {
			return tree, prints, nil
		}
	}
	return p.parseText(ctx, text, nil)
}

func (p *parser) parseText(ctx context.Context, text string, a *abridged) (*pg.ParseResult, []string, error) {
	if scansTooLong(text) {
		return nil, nil, fmt.Errorf("%w: its operators would be scanned for too long", errTrap)
	}
	var raw []byte
	err := p.run(ctx, func(s *sandbox) (err error) {
		raw, err = s.parse(text)
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	tree, prints, err := decodeTree(raw, a)
	if err != nil { // invalid UTF-8, nested too deep, or abridged where it must not be
		return nil, nil, fmt.Errorf("%w: %w", errTrap, err)
	}
	return tree, prints, nil
}

// statementText is the part of the text that one of its statements is.
func statementText(text string, stmt *pg.RawStmt) string {
	start := min(max(int(stmt.GetStmtLocation()), 0), len(text))
	rest := text[start:]
	if n := int(stmt.GetStmtLen()); n > 0 && n < len(rest) {
		rest = rest[:n]
	}
	return rest
}
