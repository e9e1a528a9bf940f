package config

// Config is the whole file, with every default resolved and every path absolute.
type Config struct {
	// Folder for all state: spool, embedded ClickHouse, sealed secrets, development CA, sockets. Relative to this file.
	Data Path `yaml:"data" default:"weir-data" reload:"restart"`
	// Who may sign in, and how their tokens are read.
	Identity Identity `yaml:"identity" required:"true" example:"{issuers: [{url: https://login.example}]}"`
	// The resources behind the gateway, by name. Policies, events and error messages use these names.
	Targets map[string]*Target `yaml:"targets" required:"true" example:"{orders: {kind: postgres, listen: 127.0.0.1:15432, upstream: {…}}}"`
	// The certificate that the listeners show. Without it, one of a development CA that is made in the data folder.
	TLS *TLS `yaml:"tls,omitempty"`
	// The rules, and what is sensitive. Without rules everything is denied.
	Policy Policy `yaml:"policy"`
	// Who may approve held operations.
	Approvals Approvals `yaml:"approvals"`
	// Where evidence is kept, for how long, and who can open sealed originals.
	Evidence Evidence `yaml:"evidence"`
	// How Envoy is run or reached.
	Envoy Envoy `yaml:"envoy"`
	// The pages and the API for people, health checks and metrics.
	Web Web `yaml:"web"`
	// How much is logged, and how.
	Log Log `yaml:"log"`
	// How long things that end are waited for.
	Drain Drain `yaml:"drain"`

	// Revision is the SHA-256 of the file's bytes in hex, as sha256sum prints it.
	Revision string `yaml:"-"`
}

// TLS is a certificate with its key.
type TLS struct {
	// Certificate chain in PEM, leaf first: a reference such as file:/etc/weir/tls.crt
	Certificate Ref `yaml:"certificate" required:"true" example:"file:/etc/weir/tls.crt"`
	// Private key in PEM: a reference such as file:/etc/weir/tls.key
	Key Ref `yaml:"key" required:"true" example:"file:/etc/weir/tls.key"`
}

// Policy says where rules and classes come from.
type Policy struct {
	// Folder with your Rego rules. Without one, everything is denied.
	Bundle Path `yaml:"bundle,omitempty"`
	// File that names what is sensitive, for every protocol.
	Classification Path `yaml:"classification,omitempty"`
	// Key of the masks "hash" and "fake", at least 32 bytes. Without it, one is made in the data folder.
	HashKey Ref `yaml:"hash_key,omitempty" reload:"restart"`
}

// Approvals says who may vote on held operations.
type Approvals struct {
	// Kinds of principal whose votes count.
	Kinds []PrincipalKind `yaml:"kinds" default:"human" reload:"restart"`
	// How long decided approvals stay readable; evidence keeps them anyway.
	Keep Duration `yaml:"keep" default:"720h" reload:"restart"`
}

// Evidence says where events and payloads go.
type Evidence struct {
	// "embedded", or the URL of a server: clickhouse://user@host:9440/weir?secure=true
	ClickHouse string `yaml:"clickhouse" default:"embedded" reload:"restart"`
	// Password of the ClickHouse user: secret:NAME, env:NAME or file:PATH.
	ClickHousePassword Ref `yaml:"clickhouse_password,omitempty" reload:"restart"`
	// The durable log: "embedded", or the URL of NATS with JetStream: nats://host:4222 (several with commas).
	Spool string `yaml:"spool" default:"embedded" reload:"restart"`
	// NATS credentials (the text of a .creds file): secret:NAME, env:NAME or file:PATH.
	SpoolCredentials Ref `yaml:"spool_credentials,omitempty" reload:"restart"`
	// Copies that JetStream keeps of events and approvals: 1, 3 or 5. Default: 1 embedded, 3 otherwise.
	Replicas int `yaml:"replicas" reload:"restart"`
	// Disk that an embedded spool may fill while ClickHouse is away; when it is full, operations are refused.
	SpoolSize Size `yaml:"spool_size" default:"10GiB" reload:"restart"`
	// Age recipients (age1…) that can open the originals that masks replaced. Without any, originals are not kept.
	Auditors []string `yaml:"auditors,omitempty" reload:"restart"`
	// How long events are kept. 0s keeps them for ever.
	Retention Duration `yaml:"retention" default:"0s" reload:"restart"`
	// How long payloads (the protocol's bytes) are kept.
	PayloadRetention Duration `yaml:"payload_retention" default:"2160h" reload:"restart"`
}

// Envoy says how Envoy is run, or reached.
type Envoy struct {
	// The program that "weir up" starts: a path, or a name to find on PATH.
	Binary string `yaml:"binary,omitempty" reload:"restart"`
	// Worker threads of Envoy; 0 is one for each processor.
	Concurrency int `yaml:"concurrency" default:"0" reload:"restart"`
	// Level of Envoy's own log.
	LogLevel EnvoyLogLevel `yaml:"log_level" default:"warning" aka:"level" reload:"restart"`
	// Connections to all targets together that Envoy takes before it refuses more.
	MaxConnections int `yaml:"max_connections" default:"50000" reload:"restart"`
	// An Envoy that somebody else runs ("weir serve"), instead of binary.
	External *External `yaml:"external,omitempty" reload:"restart"`
}

// External is where an Envoy that weir does not start reaches weir. Whoever
// reaches this address is handed credentials: beyond loopback, only a client
// certificate lets in.
type External struct {
	// Address on which xDS and the external processor are served.
	XDS Address `yaml:"xds" required:"true" example:"127.0.0.1:18000"`
	// Address that is written into that Envoy's bootstrap. Default: xds.
	Advertise Address `yaml:"advertise,omitempty"`
	// CA in PEM that signs the certificates of Envoys; needed unless xds is on loopback.
	ClientCA Ref `yaml:"client_ca,omitempty"`
	// What that Envoy shows and trusts, where client_ca is set. All paths are on Envoy's machine.
	TLS ExternalTLS `yaml:"tls"`
}

// ExternalTLS is Envoy's side of TLS to weir. Its files are never read by weir.
type ExternalTLS struct {
	// File with the CA that signed the gateway's certificate, in PEM.
	CA string `yaml:"ca" default:"/etc/weir/ca.crt"`
	// File with that Envoy's certificate chain, in PEM.
	Certificate string `yaml:"certificate" default:"/etc/weir/envoy.crt"`
	// File with that certificate's private key, in PEM.
	Key string `yaml:"key" default:"/etc/weir/envoy.key"`
	// Name or IP address in the gateway's certificate. Default: the host of advertise.
	ServerName string `yaml:"server_name,omitempty"`
}

// Web is the port for people and probes.
type Web struct {
	// Address of pages, API, /healthz, /readyz and /metrics.
	Listen Address `yaml:"listen" default:"127.0.0.1:8080" reload:"restart"`
	// "off" serves it in clear, on loopback only.
	TLS Switch `yaml:"tls" reload:"restart"`
	// Roles (group:… or role:…) that may read sessions, operations and replays. Without any, nobody may.
	Readers []string `yaml:"readers,omitempty"`
}

// Log is how weir logs.
type Log struct {
	// Least severity that is written.
	Level LogLevel `yaml:"level" default:"info"`
	// text for people, json for machines.
	Format LogFormat `yaml:"format" default:"text" reload:"restart"`
}

// Drain bounds waiting for what ends.
type Drain struct {
	// How long sessions of a changed or removed target may go on.
	Targets Duration `yaml:"targets" default:"10m" reload:"restart"`
	// How long sessions may go on once weir was told to stop.
	Shutdown Duration `yaml:"shutdown" default:"3s" reload:"restart"`
}
