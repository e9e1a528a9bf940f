// Package relay is the second way of a PostgreSQL session's bytes: Envoy's
// listener hands each connection over a Unix socket of weir's, with a PROXY
// protocol header of version 2 in front that names the target and the client.
// weir connects to the target's server itself, once the client has signed in.
// Both ends are then served by the same extproc.TunnelHandler as a tunnel of
// ext_proc.
//
// Whoever can open the socket could claim to be any client. So its file is of
// weir's own user alone, and where the system tells who is connecting, another
// user is closed out. A connection without a whole header, of that version, with
// one target that is served, is closed without a word.
package relay
