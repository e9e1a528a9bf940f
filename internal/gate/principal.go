package gate

import "time"

// Kind tells agents, services and humans apart. The zero value is an agent:
// who cannot be told apart gets the least trust.
type Kind string

// The kinds of principal.
const (
	Agent   Kind = "agent"
	Service Kind = "service"
	Human   Kind = "human"
)

// Actor is one link of a delegation chain (RFC 8693, claim "act").
type Actor struct {
	Subject string `json:"subject"`
	Issuer  string `json:"issuer,omitempty"`
}

// Principal is who is asking, as the issuer attested it.
type Principal struct {
	Subject    string         `json:"subject"`
	Issuer     string         `json:"issuer"`
	Kind       Kind           `json:"kind"`
	Roles      []string       `json:"roles"` // "group:…" and "role:…"
	Claims     map[string]any `json:"claims"`
	OnBehalfOf []Actor        `json:"on_behalf_of"`
	Auth       string         `json:"auth"` // "oidc" or "mtls"
	Token      Token          `json:"-"`    // never shown to policy
}

// Token identifies the credential that a principal signed in with. The token
// itself is never kept.
type Token struct {
	ID      string    `json:"jti,omitempty"`
	Hash    string    `json:"hash"` // hex SHA-256 of the raw token
	Expires time.Time `json:"expires"`
}
