// Package spool is the durable log that evidence goes through: NATS JetStream,
// embedded in the process or an external cluster by URL, with the same code.
// Events are on disk before Append returns, of an embedded spool in a journal that
// is shipped to the stream behind the caller's back; what was appended is kept until its
// reader releases it, and never dropped to make room: a full spool refuses.
//
// It moves bytes and knows neither what they mean nor where they go.
package spool
