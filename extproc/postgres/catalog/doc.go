// Package catalog keeps what a database holds (relations, columns, definitions
// of views, functions) at hand for the analysis of SQL. It reads with a
// connection of the gateway's own, one for each target and database, and hands
// out immutable snapshots that all sessions share.
//
// It polls, and reads at once on demand: when a statement names a relation that
// is not known, or a session has changed the schema. Temporary relations belong
// to one session and are never in it.
package catalog
