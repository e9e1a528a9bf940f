package xds

import (
	"slices"
	"strings"
	"time"
)

// Status is what Envoys have been told and what they made of it.
type Status struct {
	// Published says whether there is a configuration at all.
	Published bool
	// Versions are those of what is served, by type: clusters, listeners, routes,
	// secrets.
	Versions map[string]string
	Envoys   []EnvoyStatus // ordered by when they connected
}

// EnvoyStatus is one Envoy that is connected.
type EnvoyStatus struct {
	Node    string // id, from its bootstrap
	Version string // of Envoy, such as 1.40.0
	Address string // it connected from; empty for a Unix socket
	Since   time.Time
	// Acked are the versions that it took last, by type.
	Acked map[string]string
	// Current says that it holds all that is served.
	Current bool
	// Serving says that it holds all that is served, or did before something newer
	// was published.
	Serving bool
	// LastRejection is the last thing that it refused of what is served now, nil if
	// nothing.
	LastRejection *Rejection
}

// Rejection is a refusal (NACK) of resources by an Envoy.
type Rejection struct {
	Time      time.Time
	Type      string   // listeners, clusters, routes or secrets
	Resources []string // those that are to blame
	Reason    string   // in the words of whoever wrote the targets
	Detail    string   // in Envoy's own
}

// RejectedError says that Envoy refused what is served now.
type RejectedError struct{ Rejections []Rejection }

// Error tells the reasons.
func (e *RejectedError) Error() string {
	var reasons []string
	for _, r := range e.Rejections {
		if !slices.Contains(reasons, r.Reason) {
			reasons = append(reasons, r.Reason)
		}
	}
	return strings.Join(reasons, "; ")
}
