// Package envoy runs Envoy: it writes the bootstrap, finds the program and
// checks its version, has it validate a configuration, and keeps it running as
// a child that never outlives this process. What Envoy is configured to do
// comes by xDS and is not this package's business.
package envoy
