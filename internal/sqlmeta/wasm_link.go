package sqlmeta

import (
	"context"
	_ "unsafe" // for go:linkname

	"github.com/tetratelabs/wazero"
	_ "github.com/wasilibs/go-pgquery/parser" // links what follows in
)

// go-pgquery keeps its sandboxes in a pool of its own: it puts a sandbox back
// after a trap, in whatever state hostile text left it, and compiles the module
// anew for each one (a second). So only the module and its host functions are
// taken from it, and sandboxes are made, bounded and thrown away here. The
// three names below are exported by internal packages of go-pgquery; if one
// goes away, the linker or New says so. (wasm_link.s is empty: without a .s file
// the compiler refuses functions without a body.)

//go:linkname wasmModule github.com/wasilibs/go-pgquery/internal/wasm.LibPGQuery
var wasmModule []byte

//go:linkname instantiateHost github.com/wasilibs/go-pgquery/internal/wasix32v1.MustInstantiate
func instantiateHost(ctx context.Context, r wazero.Runtime)

// callContext makes the context of one call into a sandbox: it holds the stack
// snapshots of PostgreSQL's error handling.
//
//go:linkname callContext github.com/wasilibs/go-pgquery/internal/wasix32v1.BackgroundContext
func callContext() context.Context
