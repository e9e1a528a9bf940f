// Package mask hides values: mask functions by type, detectors over free text,
// and their application to a PostgreSQL cell, a JSON document or a text. It does
// not know where a value came from or who decided that it is hidden.
package mask

// Spec says how a value is hidden. It mirrors the mask object of the policy's
// decision (docs/policy.md).
type Spec struct {
	With      string // redact, null, partial, hash, date_trunc, range, fake
	KeepFirst int    // partial: characters kept in front
	KeepLast  int    // partial: characters kept at the end
	Unit      string // date_trunc: year, month, day, hour
	Size      int    // range: width of a bucket
}

// Cell hides one value of a PostgreSQL column. It appends the replacement to
// dst; null reports that the type could not keep a replacement and the cell
// becomes NULL. A NULL value is never passed in: it stays NULL.
type Cell func(dst, value []byte) (out []byte, null bool)
