package sqlmeta

import (
	_ "unsafe" // for go:linkname

	_ "github.com/wasilibs/go-pgquery/parser" // links what follows in
)

// go-pgquery keeps its sandboxes in a pool of its own: it puts a sandbox back
// after a trap, in whatever state hostile text left it, compiles the module anew
// for each one (a second), and leaves it 64 KB of C stack with its data below.
// So only the module is taken from it; sandboxes are made, bounded and thrown
// away here. The name is exported by an internal package of go-pgquery; if it
// goes away, New says so.
//
//go:linkname wasmModule github.com/wasilibs/go-pgquery/internal/wasm.LibPGQuery
var wasmModule []byte
