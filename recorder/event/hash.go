package event

import (
	"crypto/sha256"
	"hash"

	"golang.org/x/mod/sumdb/tlog"
)

// Hash is the hash of an event's canonical bytes as a leaf of a Merkle tree:
// SHA-256 of a zero byte and the bytes (RFC 6962, section 2.1).
type Hash = tlog.Hash

// Leaf hashes an event's canonical bytes.
func Leaf(canonical []byte) Hash { return tlog.RecordHash(canonical) }

// Hasher hashes one event after another, as Leaf does. It is not safe for
// concurrent use.
type Hasher struct {
	sha hash.Hash
	sum Hash // scratch
}

// NewHasher makes a Hasher.
func NewHasher() *Hasher { return &Hasher{sha: sha256.New()} }

// leafPrefix stands before a leaf's bytes.
var leafPrefix = []byte{0}

// Leaf hashes an event's canonical bytes.
func (h *Hasher) Leaf(canonical []byte) Hash {
	h.sha.Reset()
	_, _ = h.sha.Write(leafPrefix) // a hash never fails
	_, _ = h.sha.Write(canonical)
	h.sha.Sum(h.sum[:0])
	return h.sum
}
