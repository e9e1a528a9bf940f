package config

// enum is a text of which only some values are valid.
type enum interface{ values() []string }

// TargetKind is a protocol that the gateway speaks.
type TargetKind string

// The kinds of target.
const (
	Postgres TargetKind = "postgres"
	HTTP     TargetKind = "http"
)

func (TargetKind) values() []string { return []string{"postgres", "http"} }

// Switch is on unless it says off.
type Switch string

// The positions of a switch.
const (
	On  Switch = "on"
	Off Switch = "off"
)

func (Switch) values() []string { return []string{"on", "off"} }

// Inspect is how much of an HTTP exchange is seen.
type Inspect string

// What is seen of an HTTP exchange.
const (
	InspectBody    Inspect = "body"
	InspectHeaders Inspect = "headers"
)

func (Inspect) values() []string { return []string{"body", "headers"} }

// Transport is how a session's bytes reach the gateway.
type Transport string

// The transports.
const (
	ExtProc Transport = "ext_proc"
	Relay   Transport = "relay"
)

func (Transport) values() []string { return []string{"ext_proc", "relay"} }

// Durability is when an operation may be forwarded.
type Durability string

// The durabilities.
const (
	Durable  Durability = "durable"
	Buffered Durability = "buffered"
)

func (Durability) values() []string { return []string{"durable", "buffered"} }

// UpstreamTLS is libpq's sslmode without "allow", which is "prefer" the wrong way
// round.
type UpstreamTLS string

// The TLS modes towards PostgreSQL.
const (
	TLSDisable    UpstreamTLS = "disable"
	TLSPrefer     UpstreamTLS = "prefer"  // encrypted where the server offers it
	TLSRequire    UpstreamTLS = "require" // encrypted, the certificate is not verified
	TLSVerifyCA   UpstreamTLS = "verify-ca"
	TLSVerifyFull UpstreamTLS = "verify-full"
)

func (UpstreamTLS) values() []string {
	return []string{"disable", "prefer", "require", "verify-ca", "verify-full"}
}

// UpstreamAuth is how the gateway signs in to PostgreSQL.
type UpstreamAuth string

// The ways to sign in. With a password, the server chooses SCRAM-SHA-256, md5
// or cleartext.
const (
	AuthPassword    UpstreamAuth = "password"
	AuthTrust       UpstreamAuth = "trust"
	AuthCertificate UpstreamAuth = "certificate"
	// With these the password is a token of the cloud that the gateway runs in.
	AuthEntra  UpstreamAuth = "entra"
	AuthAWSRDS UpstreamAuth = "aws_rds"
	AuthGCP    UpstreamAuth = "gcp"
)

func (UpstreamAuth) values() []string {
	return []string{"password", "trust", "certificate", "entra", "aws_rds", "gcp"}
}

// Token says whether the password is a token of a cloud.
func (a UpstreamAuth) Token() bool { return a == AuthEntra || a == AuthAWSRDS || a == AuthGCP }

// SignIn is how a client of PostgreSQL shows who it is.
type SignIn string

// The ways to sign in.
const (
	SignInPassword    SignIn = "password"
	SignInOAuth       SignIn = "oauth"
	SignInCertificate SignIn = "certificate"
)

func (SignIn) values() []string { return []string{"password", "oauth", "certificate"} }

// Introduction is a way in which the server is told who is there.
type Introduction string

// The ways to tell it.
const (
	IntroduceName     Introduction = "application_name"
	IntroduceSettings Introduction = "settings"
)

func (Introduction) values() []string { return []string{"application_name", "settings"} }

// PrincipalKind tells agents, services and humans apart.
type PrincipalKind string

// The kinds of principal.
const (
	Agent   PrincipalKind = "agent"
	Service PrincipalKind = "service"
	Human   PrincipalKind = "human"
)

func (PrincipalKind) values() []string { return []string{"agent", "service", "human"} }

// Algorithm is a JWS signature algorithm (RFC 7518 section 3.1, RFC 8037).
// "none" and the shared-secret HS family are not among them.
type Algorithm string

func (Algorithm) values() []string {
	return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
}

// LogLevel is a severity.
type LogLevel string

func (LogLevel) values() []string { return []string{"debug", "info", "warn", "error"} }

// LogFormat is how a log line is written.
type LogFormat string

func (LogFormat) values() []string { return []string{"text", "json"} }

// EnvoyLogLevel is a severity in Envoy's words.
type EnvoyLogLevel string

func (EnvoyLogLevel) values() []string {
	return []string{"trace", "debug", "info", "warning", "error", "critical", "off"}
}
