// Package policies is the embedded OPA: it decides, by Rego, about every
// operation (gate.Policy), and checks, tests and explains a user's rules.
//
// The shipped library (rego/weir) owns the entrypoint data.weir.decision and
// folds what the user's packages under data.weir.rules say; a user writes rules,
// never the folding. One revision (library, user's bundle, classification) is
// compiled whole and swapped in with one pointer; the last good one stays where
// a new one fails.
//
// It knows no wire protocol, and it does not record what it decided.
package policies
