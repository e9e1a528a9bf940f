// Package approval keeps held operations until people have voted on them. The
// state lives in a JetStream key-value bucket, so it survives a restart and is
// shared by replicas; every change is recorded as evidence before anybody can
// see it. It knows no transport: who an approver is has been established by the
// caller.
package approval
