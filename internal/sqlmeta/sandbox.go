package sqlmeta

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// errTrap marks a sandbox that failed: it must not be used again.
var errTrap = errors.New("the parser's sandbox failed")

// syntaxError is PostgreSQL's own word that a text does not parse.
type syntaxError struct{ message string }

func (e *syntaxError) Error() string { return e.message }

// sandbox is one instance of PostgreSQL's parser. It serves one call at a time.
type sandbox struct {
	module                                api.Module
	malloc, free                          api.Function
	parseProtobuf, freeParse              api.Function
	fingerprintFunction, freeFingerprints api.Function
	stack                                 [2]uint64
}

func newSandbox(ctx context.Context, rt wazero.Runtime, code wazero.CompiledModule) (*sandbox, error) {
	m, err := rt.InstantiateModule(ctx, code, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrParser, err)
	}
	s := &sandbox{module: m}
	for _, f := range []struct {
		into *api.Function
		name string
	}{
		{&s.malloc, "malloc"},
		{&s.free, "free"},
		{&s.parseProtobuf, "pg_query_parse_protobuf"},
		{&s.freeParse, "pg_query_free_protobuf_parse_result"},
		{&s.fingerprintFunction, "pg_query_fingerprint"},
		{&s.freeFingerprints, "pg_query_free_fingerprint_result"},
	} {
		if *f.into = m.ExportedFunction(f.name); *f.into == nil {
			return nil, fmt.Errorf("%w: the module does not export %s", ErrParser, f.name)
		}
	}
	init := m.ExportedFunction("pg_query_init")
	if init == nil {
		return nil, fmt.Errorf("%w: the module does not export pg_query_init", ErrParser)
	}
	if err := s.call(callContext(), init); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *sandbox) close() { _ = s.module.Close(context.Background()) }

// bytes is how much memory the sandbox has taken; it never gives any back.
func (s *sandbox) bytes() uint32 { return s.module.Memory().Size() }

// call leaves the result in s.stack[0].
func (s *sandbox) call(ctx context.Context, f api.Function, args ...uint64) (err error) {
	defer func() {
		if p := recover(); p != nil { // a host function gave up
			err = fmt.Errorf("%w: %v", errTrap, p)
		}
	}()
	copy(s.stack[:], args)
	if err := f.CallWithStack(ctx, s.stack[:]); err != nil {
		return fmt.Errorf("%w: %w", errTrap, err)
	}
	return nil
}

// parse returns the parse tree as pg_query's protobuf.
func (s *sandbox) parse(text string) ([]byte, error) {
	var tree []byte
	// PgQueryProtobufParseResult: size_t len, char *data, char *stderr, PgQueryError *error
	err := s.with(text, 16, s.parseProtobuf, s.freeParse, 12, func(result uint32) bool {
		size, ok1 := s.word(result)
		data, ok2 := s.word(result + 4)
		raw, ok3 := s.module.Memory().Read(data, size)
		tree = bytes.Clone(raw)
		return ok1 && ok2 && ok3
	})
	return tree, err
}

// fingerprint returns the hex fingerprint of a text.
func (s *sandbox) fingerprint(text string) (string, error) {
	var print string
	// PgQueryFingerprintResult: uint64_t fingerprint, char *fingerprint_str, char *stderr, PgQueryError *error
	err := s.with(text, 20, s.fingerprintFunction, s.freeFingerprints, 16, func(result uint32) bool {
		p, ok := s.word(result + 8)
		print = s.cstring(p, 64)
		return ok && print != ""
	})
	return print, err
}

// with calls f(result, text) and shows the result to read, unless it holds an
// error at errorAt. After errTrap nothing is freed: the sandbox is lost.
func (s *sandbox) with(text string, resultSize uint64, f, freeResult api.Function, errorAt uint32, read func(result uint32) bool) error {
	ctx := callContext()
	if err := s.call(ctx, s.malloc, uint64(len(text))+1+resultSize); err != nil {
		return err
	}
	result := uint32(s.stack[0])
	input := result + uint32(resultSize)
	memory := s.module.Memory()
	if result == 0 || !memory.WriteString(input, text) || !memory.WriteByte(input+uint32(len(text)), 0) {
		return fmt.Errorf("%w: out of memory", errTrap)
	}
	if err := s.call(ctx, f, uint64(result), uint64(input)); err != nil {
		return err
	}
	failure, ok := s.word(result + errorAt)
	var outcome error
	switch {
	case !ok:
		return errTrap
	case failure != 0:
		message, _ := s.word(failure)
		outcome = &syntaxError{s.cstring(message, 1024)}
	case !read(result):
		return errTrap
	}
	if err := s.call(ctx, freeResult, uint64(result)); err != nil {
		return err
	}
	if err := s.call(ctx, s.free, uint64(result)); err != nil {
		return err
	}
	return outcome
}

func (s *sandbox) word(at uint32) (uint32, bool) { return s.module.Memory().ReadUint32Le(at) }

// cstring reads a C string of at most limit bytes.
func (s *sandbox) cstring(at, limit uint32) string {
	if rest := s.module.Memory().Size() - at; limit > rest {
		limit = rest
	}
	raw, ok := s.module.Memory().Read(at, limit)
	if !ok || at == 0 {
		return ""
	}
	if end := bytes.IndexByte(raw, 0); end >= 0 {
		raw = raw[:end]
	}
	return string(raw)
}
