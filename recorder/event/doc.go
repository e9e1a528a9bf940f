// Package event is the form of the evidence: the canonical bytes of an event
// (RFC 8785), its hash, and the blocks that protocol bytes travel in. It writes
// and reads bytes only; it knows no log and no store, so that whoever has just
// an export can use it too.
package event
