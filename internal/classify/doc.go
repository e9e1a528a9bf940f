// Package classify proposes what a classification should say: from the names, types,
// comments and foreign keys of a catalog, and from a sample of values, with the evidence
// for each guess.
//
// No value leaves it. What it tells of values is how many were looked at, how many passed
// which check, and their shape (999-99-9999).
package classify
