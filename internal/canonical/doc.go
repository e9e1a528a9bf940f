// Package canonical writes JSON in canonical form (RFC 8785). Marshal defines
// the bytes for any value; an Encoder writes the same bytes in one pass, which
// is what each statement's evidence needs. It knows nothing of events.
package canonical
