// Package gate holds the domain's words (Principal, Session, Operation,
// Decision, Event) and the one sequence that every operation goes through:
//
//	decide → hold → record → release
//
// It imports nothing else of this module: it declares the small interfaces it
// needs (Policy, Approvals, Recorder) and other packages satisfy them. It knows
// no wire protocol and no store.
package gate
