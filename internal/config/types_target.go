package config

// Target is a resource behind the gateway.
type Target struct {
	// The protocol.
	Kind TargetKind `yaml:"kind" required:"true" aka:"type,protocol" example:"postgres"`
	// Address on which Envoy listens for this target's clients.
	Listen Address `yaml:"listen" required:"true" aka:"port,bind" example:"127.0.0.1:15432"`
	// "off" speaks in clear with clients, on loopback only.
	TLS Switch `yaml:"tls" default:"on"`
	// Where the resource is, and as whom the gateway signs in to it.
	Upstream Upstream `yaml:"upstream" required:"true" aka:"server,backend,cluster" example:"{address: db.internal:5432, user: weir_orders, password: secret:orders}"`
	// Databases that a client may ask for; "*" is any. Default: upstream.database, and any where that is not set.
	Databases []string `yaml:"databases,omitempty" aka:"database" kind:"postgres"`
	// How clients sign in: "password" (the token is the password), "oauth" (SASL OAUTHBEARER), "certificate" (of their TLS). The first that is no certificate is asked for, unless a client chooses another by the setting weir.sign_in.
	SignIn []SignIn `yaml:"sign_in,omitempty" default:"password" aka:"signin" kind:"postgres"`
	// Headers that the gateway sets on each request, with references in braces: "Bearer {{secret:billing}}".
	Headers map[string]Template `yaml:"headers,omitempty" kind:"http"`
	// "body" reads requests and responses whole; "headers" sees no body and is cheaper, so bodies are neither masked nor recorded.
	Inspect Inspect `yaml:"inspect,omitempty" default:"body" kind:"http"`
	// How bytes reach the gateway: "ext_proc" (Envoy's external processor) or "relay" (a Unix socket of the gateway's: half the latency, and the gateway connects to the servers itself).
	Transport Transport `yaml:"transport,omitempty" default:"ext_proc" kind:"postgres"`
	// "durable" has each operation on disk before it is forwarded; "buffered" does not wait for the disk.
	Evidence Durability `yaml:"evidence" default:"durable"`
	// What functions of the database's own do, which the gateway cannot know: "pure" where the result depends on the arguments alone, or the columns that it also depends on. By schema.name(types) as PostgreSQL's regprocedure writes it, or schema.name for all of that name.
	Functions map[string][]Fact `yaml:"functions,omitempty" aka:"function" kind:"postgres"`
	// Labels for policies, for example {env: prod}.
	Labels map[string]string `yaml:"labels,omitempty"`
	// How long a session may last and wait.
	Session Session `yaml:"session"`
	// What one client may send and hold.
	Limits Limits `yaml:"limits"`
}

// Upstream is the resource itself.
type Upstream struct {
	// host:port of PostgreSQL; a list for several, which Envoy balances. The default port is 5432.
	Address []Address `yaml:"address,omitempty" required:"true" aka:"addresses,host,hosts,endpoint" example:"db.internal:5432" kind:"postgres"`
	// The user that the gateway signs in as.
	User string `yaml:"user,omitempty" required:"true" aka:"username,role" example:"weir_orders" kind:"postgres"`
	// That user's password: secret:NAME, env:NAME or file:PATH; never in clear.
	Password Ref `yaml:"password,omitempty" aka:"passwd,pass,secret,credential" kind:"postgres"`
	// How the gateway signs in: "password"; "certificate"; "trust" where the server asks for neither; "entra", "aws_rds" or "gcp" with a token of that cloud.
	Auth UpstreamAuth `yaml:"auth,omitempty" default:"password" kind:"postgres"`
	// Certificate in PEM, with its chain, that the gateway shows to the server. It is read anew for each connection.
	Certificate Ref `yaml:"certificate,omitempty" aka:"sslcert,cert" kind:"postgres"`
	// The certificate's key in PEM, not encrypted.
	Key Ref `yaml:"key,omitempty" aka:"sslkey" kind:"postgres"`
	// For auth: aws_rds: the database's region, where its address does not tell it.
	Region string `yaml:"region,omitempty" example:"eu-central-1" kind:"postgres"`
	// For auth: entra: client ID of the managed identity or application, where the machine has several.
	ClientID string `yaml:"client_id,omitempty" kind:"postgres"`
	// The database where a client asks for none.
	Database string `yaml:"database,omitempty" aka:"dbname" kind:"postgres"`
	// What PostgreSQL is told of who is there: "application_name" has the subject; "settings" are weir.subject, weir.issuer, weir.kind, weir.roles and weir.session.
	Introduce []Introduction `yaml:"introduce,omitempty" kind:"postgres"`
	// TLS towards PostgreSQL, in the words of sslmode.
	TLS UpstreamTLS `yaml:"tls,omitempty" default:"verify-full" aka:"sslmode,ssl" kind:"postgres"`
	// URL of an HTTP resource: scheme, host and port. A certificate is always verified.
	URL string `yaml:"url,omitempty" required:"true" aka:"address" example:"https://billing.internal" kind:"http"`
	// CA in PEM that signed the resource's certificate, where the system does not know it.
	CA Ref `yaml:"ca,omitempty" aka:"sslrootcert"`
	// Name in the resource's certificate, where it is not the host of the address.
	ServerName string `yaml:"server_name,omitempty"`
	// How long connecting may take.
	ConnectTimeout Duration `yaml:"connect_timeout" default:"5s"`
}

// Session bounds a session in time.
type Session struct {
	// How long a client may take to start up and sign in. For postgres.
	Startup Duration `yaml:"startup" default:"10s"`
	// How long a session may be idle. 0s does not end it.
	Idle Duration `yaml:"idle" default:"1h"`
	// How long a session may go on after its token has expired. For postgres: each HTTP request is checked anew.
	TokenGrace Duration `yaml:"token_grace" default:"0s"`
}

// Limits bounds what one client may send and hold.
type Limits struct {
	// Longest SQL text that is analysed; longer is refused.
	Statement Size `yaml:"statement,omitempty" default:"4MiB" aka:"sql" kind:"postgres"`
	// Largest protocol message; larger ends the session.
	Message Size `yaml:"message,omitempty" default:"64MiB" kind:"postgres"`
	// Largest body that is read whole, of a request or a response; larger is refused.
	Body Size `yaml:"body,omitempty" default:"10MiB" kind:"http"`
	// Connections of one client host that have not signed in, at one time. One more waits.
	SigningInPerHost int `yaml:"signing_in_per_host,omitempty" default:"32" kind:"postgres"`
	// The same for all hosts together. Over ext_proc each of them costs the server a connection.
	SigningIn int `yaml:"signing_in,omitempty" default:"64" kind:"postgres"`
	// Sessions at one time of one target. For http: tokens, each from one host, that made requests within 15 minutes.
	Sessions int `yaml:"sessions" default:"5000"`
}
