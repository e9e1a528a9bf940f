package sqlmeta

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
)

// hostModule is what PostgreSQL's parser, built for WASIX, wants of its host:
// setjmp and longjmp, which its error handling is made of. The rest is about
// threads and signals, of which a sandbox has none.
const hostModule = "wasix_32v1"

func instantiateHost(ctx context.Context, rt wazero.Runtime) error {
	const i32, i64 = api.ValueTypeI32, api.ValueTypeI64
	b := rt.NewHostModuleBuilder(hostModule)
	export := func(name string, f api.GoModuleFunc, params, results []api.ValueType) {
		b.NewFunctionBuilder().WithGoModuleFunction(f, params, results).Export(name)
	}
	export("stack_checkpoint", checkpoint, []api.ValueType{i32, i32}, []api.ValueType{i32})
	export("stack_restore", restore, []api.ValueType{i32, i64}, nil)
	export("proc_id", processID, []api.ValueType{i32}, []api.ValueType{i32})
	never := func(context.Context, api.Module, []uint64) { panic("a sandbox has no threads") }
	export("callback_signal", never, []api.ValueType{i32, i32}, nil)
	export("thread_exit", never, []api.ValueType{i32}, nil)
	export("thread_signal", never, []api.ValueType{i32, i32}, []api.ValueType{i32})
	export("futex_wait", never, []api.ValueType{i32, i32, i32, i32}, []api.ValueType{i32})
	export("futex_wake", never, []api.ValueType{i32, i32}, []api.ValueType{i32})
	export("futex_wake_all", never, []api.ValueType{i32, i32}, []api.ValueType{i32})
	_, err := b.Instantiate(ctx)
	return err
}

func processID(_ context.Context, m api.Module, stack []uint64) {
	m.Memory().WriteUint32Le(uint32(stack[0]), 1)
	stack[0] = 0
}

// jump is where setjmp was called: longjmp brings back the machine's state and
// the C stack of that moment.
type jump struct {
	snapshot experimental.Snapshot
	result   uint32 // address of what setjmp returns
	pointer  uint32 // of the C stack
	stack    []byte
}

type sandboxKey struct{}

// checkpoint is setjmp: (address of a handle, address of the result).
func checkpoint(ctx context.Context, m api.Module, stack []uint64) {
	s := ctx.Value(sandboxKey{}).(*sandbox) //nolint:forcetypeassert // newSandbox puts it there
	handle, result := uint32(stack[0]), uint32(stack[1])
	pointer := s.stackPointer()
	saved, ok := m.Memory().Read(pointer, s.stackTop-pointer)
	if !ok {
		panic("the C stack is out of its place")
	}
	j := jump{result: result, pointer: pointer, stack: append([]byte(nil), saved...)}
	j.snapshot = experimental.GetSnapshotter(ctx).Snapshot()
	s.jumps = append(s.jumps, j)
	if !m.Memory().WriteUint64Le(handle, uint64(len(s.jumps)-1)) || !m.Memory().WriteUint64Le(result, 0) {
		panic("setjmp outside of memory")
	}
	stack[0] = 0
}

// restore is longjmp: (address of the handle, what setjmp returns).
func restore(ctx context.Context, m api.Module, stack []uint64) {
	s := ctx.Value(sandboxKey{}).(*sandbox) //nolint:forcetypeassert // newSandbox puts it there
	n, ok := m.Memory().ReadUint64Le(uint32(stack[0]))
	if !ok || n >= uint64(len(s.jumps)) {
		panic("longjmp to nowhere")
	}
	j := s.jumps[n]
	s.pointer.Set(uint64(j.pointer))
	if !m.Memory().Write(j.pointer, j.stack) || !m.Memory().WriteUint64Le(j.result, stack[1]) {
		panic("longjmp outside of memory")
	}
	stack[0] = 0
	j.snapshot.Restore(stack[:1])
}
