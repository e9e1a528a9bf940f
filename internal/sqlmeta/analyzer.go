package sqlmeta

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// The errors of Analyze. Text that does not parse is none of them: it is an
// Analysis with the risk "unparsed".
var (
	ErrTooLarge = errors.New("the statement is too large to be analysed")
	ErrParser   = errors.New("the SQL parser failed")
)

// Config bounds an Analyzer. Zero values mean the defaults.
type Config struct {
	MaxBytes     int // longest text that is parsed; default 1 MiB
	CacheEntries int // analyses kept; default 4096
	CacheBytes   int // memory that the texts kept may take; default 8 MiB; a text that takes a 64th of it is not kept
	// CompiledDir keeps the compiled parser from one start to the next: compiling
	// takes a second, and 250 MB while it lasts. It holds machine code, so nobody
	// else may write there. "" compiles at every start.
	CompiledDir string
}

// Analyzer analyses SQL. It is safe for concurrent use.
type Analyzer struct {
	maxBytes int
	parser   *parser
	cache    *cache
	trees    *trees
}

// New makes an Analyzer and its parser, which takes about a second, or a tenth
// of one where the parser was compiled before.
func New(cfg Config) (*Analyzer, error) {
	if cfg.MaxBytes < 0 || cfg.CacheEntries < 0 || cfg.CacheBytes < 0 {
		return nil, errors.New("sqlmeta: a limit is negative")
	}
	orDefault(&cfg.MaxBytes, 1<<20)
	orDefault(&cfg.CacheEntries, 4096)
	orDefault(&cfg.CacheBytes, 8<<20)
	p, err := newParser(context.Background(), cfg.CompiledDir)
	if err != nil {
		return nil, err
	}
	a := &Analyzer{maxBytes: cfg.MaxBytes, parser: p}
	if a.cache, err = newCache(cfg.CacheEntries, cfg.CacheBytes); err != nil {
		return nil, err
	}
	if a.trees, err = newTrees(p); err != nil {
		return nil, err
	}
	return a, nil
}

func orDefault(n *int, value int) {
	if *n == 0 {
		*n = value
	}
}

// Close frees the parser. Nothing may be analysed afterwards.
func (a *Analyzer) Close() error { return a.parser.close() }

// Analyze says what a text reads, writes and calls. The result is shared: never
// change it. It holds parts of text, which so must not be a view of a buffer. searchPath is the session's, without quotes. It fails with
// ErrTooLarge, ErrParser, or the context's error; then nothing is known.
func (a *Analyzer) Analyze(ctx context.Context, text string, c Catalog, searchPath []string) (*Analysis, error) {
	if len(text) > a.maxBytes {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(text), a.maxBytes)
	}
	revision := ""
	if r, ok := c.(Revisioned); ok {
		if revision = r.Revision(); revision != "" {
			if known := a.cache.get(text, revision, searchPath); known != nil {
				return known, nil
			}
		}
	}
	done, err := a.analyze(ctx, text, c, searchPath)
	if err != nil {
		return nil, err
	}
	if revision != "" {
		a.cache.add(text, revision, searchPath, done)
	}
	return done, nil
}

func (a *Analyzer) analyze(ctx context.Context, text string, c Catalog, searchPath []string) (*Analysis, error) {
	if strings.IndexByte(text, 0) >= 0 { // to the server it ends there
		return unparsed(text), nil
	}
	tree, prints, err := a.parser.parse(ctx, text)
	var syntax *syntaxError
	switch {
	case errors.As(err, &syntax):
		return unparsed(text), nil
	case errors.Is(err, errTrap):
		return unparsed(text, RiskTooComplex), nil
	case err != nil:
		return nil, err
	}
	out := &Analysis{Statements: make([]Statement, len(tree.GetStmts()))}
	changed, work := false, 0
	for i, raw := range tree.GetStmts() {
		s := &out.Statements[i]
		r := newRun(a, c, searchPath)
		r.text, r.fingerprint, r.work = strings.TrimSpace(statementText(text, raw)), prints[i], work
		r.whole(raw.GetStmt(), s)
		work = r.work
		if len(tree.GetStmts()) > 1 {
			s.Risks = addRisk(s.Risks, RiskMultiStatement)
		}
		if changed && (len(s.Tables) > 0 || len(s.Functions) > 0) {
			s.Risks = addRisk(s.Risks, RiskAfterChange)
			if len(s.Outputs) > 0 {
				s.Risks, s.Opaque = addRisk(s.Risks, RiskOpaque), true
			}
		}
		changed = changed || changesNames(s)
	}
	return out, nil
}

// unparsed is the analysis of a text that is not understood.
func unparsed(text string, more ...string) *Analysis {
	risks := []string{RiskOpaque, RiskUnparsed}
	for _, m := range more {
		risks = addRisk(risks, m)
	}
	return &Analysis{Statements: []Statement{{Text: text, Action: ActionUnknown, Risks: risks, Opaque: true}}}
}

func addRisk(risks []string, risk string) []string {
	if i, found := slices.BinarySearch(risks, risk); !found {
		return slices.Insert(risks, i, risk)
	}
	return risks
}

// changesNames says that what comes after a statement, in the same text, may not
// mean what it meant when it was analysed.
func changesNames(s *Statement) bool {
	switch s.Action {
	case ActionDDL, ActionDo, ActionCall, ActionDiscard, ActionExecute, ActionUnknown, ActionTransaction:
		return s.Action != ActionTransaction
	}
	for _, risk := range []string{RiskSearchPath, RiskSetRole, RiskOpaqueFunction, RiskUnknownFunction, RiskDynamicSQL} {
		if slices.Contains(s.Risks, risk) {
			return true
		}
	}
	return false
}
