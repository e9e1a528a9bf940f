package config

// Identity says whose tokens and certificates are accepted.
type Identity struct {
	// The OIDC issuers that are trusted.
	Issuers []*Issuer `yaml:"issuers" required:"true" aka:"issuer" example:"[{url: https://login.example}]"`
	// Authorities whose client certificates sign in, at targets whose sign_in says so.
	Certificates []*Authority `yaml:"certificates,omitempty" aka:"certificate,mtls,spiffe"`
	// How far clocks may differ when a token's times are checked.
	Skew Duration `yaml:"skew" default:"60s"`
}

// Issuer is one OIDC issuer.
type Issuer struct {
	// The issuer exactly as its tokens say it in "iss". https, or http on loopback.
	URL string `yaml:"url" required:"true" aka:"issuer" example:"https://login.example/tenant/v2.0"`
	// Audiences ("aud") that mean this gateway; a token needs one of them.
	Audiences []string `yaml:"audiences" aka:"aud" default:"weir"`
	// Claims that tell kinds of principal apart, for example {agent: {idtyp: app}, human: {idtyp: user}}. All claims of a kind must match. A principal that matches none is an agent.
	Kind map[PrincipalKind]map[string]Texts `yaml:"kind,omitempty" aka:"kinds"`
	// Claims whose values become roles. The values of groups are prefixed "group:", those of others "role:". A dot descends into an object (realm_access.roles); scope and scp are split at spaces.
	Roles []string `yaml:"roles" default:"groups,roles"`
	// Scope that clients are told to ask this issuer for, where they sign in by oauth and it is the first.
	Scope string `yaml:"scope,omitempty" aka:"scopes"`
	// Signature algorithms that are accepted.
	Algorithms []Algorithm `yaml:"algorithms" default:"RS256,RS384,RS512,PS256,PS384,PS512,ES256,ES384,ES512,EdDSA"`
	// CA in PEM that signed the issuer's certificate, where the system does not know it.
	CA Ref `yaml:"ca,omitempty"`
}

// Authority is who signs client certificates.
type Authority struct {
	// CA in PEM that signs the certificates. It is read again while the gateway runs.
	CA Ref `yaml:"ca" required:"true" example:"file:/etc/weir/agents-ca.pem"`
	// SPIFFE trust domain of the identities, and the issuer of these principals.
	TrustDomain string `yaml:"trust_domain" required:"true" aka:"domain" example:"example.org"`
	// DNS names that sign in too, where a certificate has no SPIFFE ID; "*.agents.internal" is any one label.
	Names []string `yaml:"names,omitempty" aka:"dns,dns_names"`
	// Kind of these principals.
	Kind PrincipalKind `yaml:"kind" default:"agent"`
	// Roles of these principals (group:… or role:…).
	Roles []string `yaml:"roles,omitempty"`
}
