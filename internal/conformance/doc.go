// Package conformance is a kit that tells whether a gateway in front of a
// PostgreSQL keeps what it masks. It makes a scratch schema with canaries, values
// that occur nowhere else, sends a corpus of statements through the gateway in every
// form that the protocol has, and looks at every byte that comes back: rows, names of
// columns, errors with all their fields, notices, notifications, parameter status,
// COPY and results of FunctionCall.
//
// The corpus runs twice, with different canaries. A gateway that keeps what it masks
// answers the same both times, byte for byte (noninterference: Goguen and Meseguer,
// Security Policies and Security Models, 1982): so values that are only derived, sort
// orders, counts and yes-or-no answers show up too.
//
// Of the gateway it knows nothing but how to connect to it.
package conformance
