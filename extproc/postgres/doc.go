// Package postgres speaks one PostgreSQL session between a client and a server:
// start-up and TLS on both sides, the client's sign-in by token, the gateway's
// sign-in with the stored credential, and then message by message. Every
// statement goes through the gate before the server sees it, and every row
// through the decision's masks before the client does.
//
// A session has two goroutines. The client's side (client.go) reads what the
// client sends, has it judged and forwards it; the server's side (server.go)
// reads what comes back, masks and delivers it. Between them stands the queue of
// answers that the server still owes (queue.go), which says what each message of
// the server belongs to.
//
// It knows two net.Conns, not how they came about: no gRPC, no Envoy, no Rego
// and no store.
package postgres
