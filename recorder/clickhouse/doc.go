// Package clickhouse keeps the evidence in ClickHouse: its schema with the views
// that auditors read, the sink that brings events and payloads over from the
// spool exactly once, and the queries of the gateway's own pages and commands.
// It knows nothing of NATS beyond the spool's queue, and decides nothing.
package clickhouse
