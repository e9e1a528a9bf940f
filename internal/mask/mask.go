// Package mask hides values: mask functions by type, and their application to a
// PostgreSQL cell or a JSON document. It does not know where a value came from
// or who decided that it is hidden.
//
// Every mask keeps the type of what it hides, in PostgreSQL's text and binary
// formats. What a type cannot keep becomes NULL; a mask that is not known hides
// everything.
package mask

import (
	"crypto/hmac"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"sync"
)

// The mask functions. Any other name means Redact.
const (
	Redact    = "redact"     // a fixed word, NULL where the type has no words
	Null      = "null"       // NULL
	Partial   = "partial"    // keeps the first and last characters, and the punctuation
	Hash      = "hash"       // keyed: equal values stay equal
	DateTrunc = "date_trunc" // the start of the year, month, day or hour
	Range     = "range"      // the lower end of the bucket that a number is in
	Fake      = "fake"       // other letters and digits in the same places, keyed
)

// Redacted stands for a hidden text.
const Redacted = "[redacted]"

// minKey is the shortest HMAC key, in bytes.
const minKey = 32

// Spec says how a value is hidden. It mirrors the mask object of the policy's
// decision (docs/policy.md).
type Spec struct {
	With      string // redact, null, partial, hash, date_trunc, range, fake
	KeepFirst int    // partial: letters and digits kept in front
	KeepLast  int    // partial: letters and digits kept at the end
	Unit      string // date_trunc: year, month, day, hour
	Size      int    // range: width of a bucket
	// Paths say what is hidden within the JSON documents of a column, and nothing else
	// is. The first that takes a value hides it.
	Paths    []Rule
	constant bool // see Derived
}

// Cell hides one value of a PostgreSQL column. It appends the replacement to
// dst; null reports that the type could not keep a replacement and the cell
// becomes NULL. A NULL value is not passed in, but for HidesNull: it stays NULL. A
// Cell is not safe for concurrent use.
type Cell func(dst, value []byte) (out []byte, null bool)

// Keys holds what keyed masks need.
type Keys struct {
	HMAC []byte // at least 32 bytes; changing it changes every hash and fake
}

// Masker makes masks. It is safe for concurrent use.
type Masker struct {
	pool sync.Pool // of *keyed
}

// New makes a Masker.
func New(keys Keys) (*Masker, error) {
	if len(keys.HMAC) < minKey {
		return nil, fmt.Errorf("mask: the HMAC key has %d bytes, at least %d are needed", len(keys.HMAC), minKey)
	}
	key := append([]byte(nil), keys.HMAC...)
	m := &Masker{}
	m.pool.New = func() any { return &keyed{Hash: hmac.New(sha256.New, key)} }
	return m, nil
}

// keyed is an HMAC with room for its sum, so that neither costs memory again.
type keyed struct {
	hash.Hash
	in  []byte
	sum [sha256.Size]byte
}

// ErrSpec reports a mask that cannot work as it is written.
var ErrSpec = errors.New("mask")

// Check says whether a spec can work at all.
func (s Spec) Check() error {
	switch {
	case s.KeepFirst < 0 || s.KeepLast < 0:
		return fmt.Errorf("%w %q: keep_first and keep_last cannot be negative", ErrSpec, s.With)
	case s.With == Range && s.Size < 1:
		return fmt.Errorf("%w \"range\": size must be at least 1", ErrSpec)
	case s.With == DateTrunc && !validUnit(s.Unit):
		return fmt.Errorf("%w \"date_trunc\": unit must be year, month, day or hour, not %q", ErrSpec, s.Unit)
	}
	for _, r := range s.Paths {
		if err := r.Spec.Check(); err != nil {
			return fmt.Errorf("%s: %w", r.Path, err)
		}
	}
	return nil
}

// known is the spec itself, or Redact where it names no mask.
func (s Spec) known() Spec {
	switch s.With {
	case Null, Partial, Hash, DateTrunc, Range, Fake:
		return s
	}
	return Spec{With: Redact, Paths: s.Paths}
}

// sum is the keyed digest of a value.
func (m *Masker) sum(value []byte) [sha256.Size]byte {
	h := m.pool.Get().(*keyed)
	defer m.pool.Put(h)
	h.Reset()
	_, _ = h.Write(value)
	h.Sum(h.sum[:0])
	return h.sum
}

// sumOf is sum of a value on the stack: what a hash is given moves to the heap.
func (m *Masker) sumOf(value []byte) [sha256.Size]byte {
	h := m.pool.Get().(*keyed)
	defer m.pool.Put(h)
	h.in = append(h.in[:0], value...)
	h.Reset()
	_, _ = h.Write(h.in)
	h.Sum(h.sum[:0])
	return h.sum
}
