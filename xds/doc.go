// Package xds turns targets into Envoy resources and serves them by delta ADS.
// It translates (Translate), checks before it publishes, and knows which Envoy
// holds which version and what an Envoy refused. It knows nothing of what
// happens inside a session, and does not run Envoy: that is package envoy.
//
// What every resource must be like was measured; docs/envoy.md has the facts.
package xds
