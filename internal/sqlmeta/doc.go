// Package sqlmeta turns SQL text into what it reads, writes and calls, with the
// lineage of every output column down to base columns. It parses with
// PostgreSQL's own grammar (in WebAssembly, so that hostile text costs a
// sandbox and not the process) and resolves names as the server does, against a
// Catalog that the caller gives.
//
// It knows no wire protocol, no policy and no database: whoever calls it judges
// the result. What it does not understand it says (Risks, Opaque); it never
// guesses that something is harmless.
package sqlmeta
