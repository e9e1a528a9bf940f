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
type Hasher struct{ sha hash.Hash }

// NewHasher makes a Hasher.
func NewHasher() Hasher { return Hasher{sha256.New()} }

// Leaf hashes an event's canonical bytes.
func (h Hasher) Leaf(canonical []byte) (out Hash) {
	h.sha.Reset()
	_, _ = h.sha.Write([]byte{0}) // a hash never fails
	_, _ = h.sha.Write(canonical)
	h.sha.Sum(out[:0])
	return out
}
