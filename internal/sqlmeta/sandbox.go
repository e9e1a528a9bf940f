package sqlmeta

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// errTrap marks a sandbox that failed: it must not be used again.
var errTrap = errors.New("the parser's sandbox failed")

// syntaxError is PostgreSQL's own word that a text does not parse.
type syntaxError struct{ message string }

func (e *syntaxError) Error() string { return e.message }

const (
	// stackBytes is the C stack of a sandbox. Text that nests deep runs into the
	// limit of the WebAssembly machine's own stack long before it is used up.
	stackBytes = 16 << 20
	// stackGuard is the lowest part of it, which must stay untouched.
	stackGuard = 16 << 10
)

// maxTree is the size of the largest parse tree that is taken out of a sandbox,
// in bytes of JSON: about ten times as much memory as it is looked at.
const maxTree = 32 << 20

var untouched [stackGuard]byte

// sandbox is one instance of PostgreSQL's parser. It serves one call at a time.
type sandbox struct {
	module   api.Module
	ctx      context.Context // of every call
	pointer  api.MutableGlobal
	stackLow uint32
	stackTop uint32
	jumps    []jump
	args     [2]uint64

	malloc, free, freeResult api.Function

	parser api.Function
	calls  int // of parser that are left
}

// parseFunction is looked up anew now and then: a function object keeps the
// machine's stack as large as the deepest text made it, and every setjmp copies
// all of it. Each new one grows its stack again, in three steps.
const (
	parseFunction = "pg_query_parse"
	parserCalls   = 64      // of one function object
	parserText    = 4 << 10 // bytes of the longest text after which it goes on to be used
)

func newSandbox(rt wazero.Runtime, code wazero.CompiledModule) (*sandbox, error) {
	ctx := experimental.WithMemoryAllocator(context.Background(), experimental.MemoryAllocatorFunc(boundedMemory))
	m, err := rt.InstantiateModule(ctx, code, wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize"))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrParser, err)
	}
	s := &sandbox{module: m}
	s.ctx = context.WithValue(experimental.WithSnapshotter(context.Background()), sandboxKey{}, s)
	if err := s.start(); err != nil {
		s.close()
		return nil, fmt.Errorf("%w: %w", ErrParser, err)
	}
	return s, nil
}

func (s *sandbox) start() error {
	var initialize api.Function
	for _, f := range []struct {
		into *api.Function
		name string
	}{
		{&initialize, "pg_query_init"},
		{&s.malloc, "malloc"},
		{&s.free, "free"},
		{&s.freeResult, "pg_query_free_parse_result"},
		{new(api.Function), parseFunction},
	} {
		if *f.into = s.module.ExportedFunction(f.name); *f.into == nil {
			return fmt.Errorf("the module does not export %s", f.name)
		}
	}
	var ok bool
	if s.pointer, ok = s.module.ExportedGlobal("__stack_pointer").(api.MutableGlobal); !ok {
		return errors.New("the module does not export __stack_pointer")
	}
	s.stackTop = s.stackPointer()
	if err := s.call(s.malloc, stackBytes); err != nil {
		return err
	}
	if s.args[0] == 0 {
		return errors.New("no memory for the C stack")
	}
	s.stackLow = uint32(s.args[0])
	s.stackTop = (s.stackLow + stackBytes) &^ 15
	s.pointer.Set(uint64(s.stackTop))
	return s.call(initialize)
}

func (s *sandbox) close() { _ = s.module.Close(context.Background()) }

func (s *sandbox) stackPointer() uint32 { return uint32(s.pointer.Get()) }

// bytes is how much memory the sandbox has taken; it never gives any back.
func (s *sandbox) bytes() uint32 { return s.module.Memory().Size() }

// call leaves the result in s.args[0].
func (s *sandbox) call(f api.Function, args ...uint64) (err error) {
	defer func() {
		if p := recover(); p != nil { // a host function gave up
			err = fmt.Errorf("%w: %v", errTrap, p)
		}
	}()
	copy(s.args[:], args)
	s.jumps = s.jumps[:0]
	if err := f.CallWithStack(s.ctx, s.args[:]); err != nil {
		return fmt.Errorf("%w: %w", errTrap, err)
	}
	return nil
}

// resultBytes is room for a PgQueryParseResult, padding included: char *parse_tree,
// char *stderr_buffer, PgQueryError *error.
const resultBytes = 16

// parse returns the parse tree as pg_query's JSON. After errTrap nothing is
// freed: the sandbox is lost.
func (s *sandbox) parse(text string) ([]byte, error) {
	if err := s.call(s.malloc, uint64(len(text))+1+resultBytes); err != nil {
		return nil, err
	}
	result := uint32(s.args[0])
	input := result + resultBytes
	memory := s.module.Memory()
	if result == 0 || !memory.WriteString(input, text) || !memory.WriteByte(input+uint32(len(text)), 0) {
		return nil, fmt.Errorf("%w: out of memory", errTrap)
	}
	if err := s.call(s.parserFor(text), uint64(result), uint64(input)); err != nil {
		return nil, err
	}
	if guard, ok := memory.Read(s.stackLow, stackGuard); !ok || !bytes.Equal(guard, untouched[:]) || s.stackPointer() != s.stackTop {
		return nil, fmt.Errorf("%w: the C stack overflowed", errTrap)
	}
	tree, err := s.read(result)
	if err != nil && !errors.As(err, new(*syntaxError)) {
		return nil, err
	}
	if err := s.call(s.freeResult, uint64(result)); err != nil {
		return nil, err
	}
	if err := s.call(s.free, uint64(result)); err != nil {
		return nil, err
	}
	return tree, err
}

// parserFor is the parser's function with a stack that no long text has grown.
func (s *sandbox) parserFor(text string) api.Function {
	if s.calls == 0 {
		s.parser, s.calls = s.module.ExportedFunction(parseFunction), parserCalls
	}
	if s.calls--; len(text) > parserText {
		s.calls = 0
	}
	return s.parser
}

// read takes a PgQueryParseResult apart.
func (s *sandbox) read(result uint32) ([]byte, error) {
	failure, ok := s.word(result + 8)
	if !ok {
		return nil, errTrap
	}
	if failure != 0 {
		message, _ := s.word(failure)
		return nil, &syntaxError{string(s.cstring(message))}
	}
	at, _ := s.word(result)
	tree := s.cstring(at)
	if len(tree) == 0 || len(tree) > maxTree {
		return nil, fmt.Errorf("%w: a parse tree of %d bytes", errTrap, len(tree))
	}
	return bytes.Clone(tree), nil
}

func (s *sandbox) word(at uint32) (uint32, bool) { return s.module.Memory().ReadUint32Le(at) }

// cstring is a C string: a view of the sandbox's memory.
func (s *sandbox) cstring(at uint32) []byte {
	size := s.bytes()
	if at == 0 || at >= size {
		return nil
	}
	raw, _ := s.module.Memory().Read(at, size-at)
	if end := bytes.IndexByte(raw, 0); end >= 0 {
		return raw[:end]
	}
	return nil
}
