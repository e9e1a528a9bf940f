package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/weir-gateway/weir/internal/gate"
)

// TLSMode says how the way to the server is secured, in libpq's words. The zero
// value is the strictest.
type TLSMode string

// The modes (PostgreSQL, "SSL support", sslmode).
const (
	TLSDisable    TLSMode = "disable" // see Upstream.TLS
	TLSPrefer     TLSMode = "prefer"
	TLSRequire    TLSMode = "require"
	TLSVerifyCA   TLSMode = "verify-ca"
	TLSVerifyFull TLSMode = "verify-full"
)

// Upstream is the server and how the gateway signs in to it.
type Upstream struct {
	User     string
	Database string // where a client asks for none
	// TLS is how the way to the server is secured. The tunnel opens only when
	// the server has answered the TLS request, so with "disable" a server that
	// offers TLS is spoken to in TLS all the same, unverified.
	TLS        TLSMode
	CA         *x509.CertPool // nil means the system's
	ServerName string         // in the server's certificate
	// Certificate finds what the gateway shows to a server that asks for a
	// certificate, anew for each connection. nil means that it has none.
	Certificate func(ctx context.Context) (*tls.Certificate, error)
	// Verified demands a mode that verifies the server: what Password gives lets
	// whoever gets it in.
	Verified bool
}

// Config describes one target of kind postgres.
type Config struct {
	Target   gate.Target
	Upstream Upstream
	// Databases that a client may ask for; "*" is any. Empty means
	// Upstream.Database, and any where that is empty too.
	Databases []string
	// GetCertificate finds the gateway's certificate. Without it clients are
	// not offered TLS, and so can sign in from loopback only.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)

	// Introduce says what the server is told of who is there.
	Introduce Introduce
	// SignIn are the ways in which clients may show who they are. The first that is
	// no certificate is what a client is asked for that chooses none. Empty is
	// SignInPassword alone.
	SignIn []SignIn

	Startup    time.Duration // for start-up and sign-in; default 10 s
	Idle       time.Duration // without a statement; 0 does not end a session
	TokenGrace time.Duration // how long a session outlives its token
	Drain      time.Duration // for the running statement when the gateway stops; default 10 s

	MaxStatement int // longest SQL text that is analysed, in bytes; default 1 MiB
	MaxMessage   int // largest message that must be held whole, in bytes; default 64 MiB
	MaxSessions  int // at one time; 0 is unlimited

	// Places of connections that have not signed in, of each client host and
	// together. Who gets none waits, about as long as start-up may take. Default 32
	// and 64.
	SigningInPerHost int
	SigningIn        int
}

const (
	defaultStartup      = 10 * time.Second
	defaultDrain        = 10 * time.Second
	defaultMaxStatement = 1 << 20
	defaultMaxMessage   = 64 << 20

	defaultSigningInPerHost = 32
	defaultSigningIn        = 64
)

// withDefaults checks the config and fills in what was left out.
func (c Config) withDefaults() (Config, error) {
	switch c.Upstream.TLS {
	case "":
		c.Upstream.TLS = TLSVerifyFull
	case TLSDisable, TLSPrefer, TLSRequire, TLSVerifyCA, TLSVerifyFull:
	default:
		return c, fmt.Errorf("postgres: unknown TLS mode %q", c.Upstream.TLS)
	}
	switch {
	case c.Target.Name == "":
		return c, errors.New("postgres: the target has no name")
	case c.Upstream.User == "":
		return c, fmt.Errorf("postgres: target %s has no user to sign in as", c.Target.Name)
	case c.Upstream.TLS == TLSVerifyFull && c.Upstream.ServerName == "":
		return c, fmt.Errorf("postgres: target %s: verify-full needs the server's name", c.Target.Name)
	}
	if c.Upstream.TLS == TLSVerifyCA && c.Upstream.CA == nil {
		return c, fmt.Errorf("postgres: target %s: verify-ca needs a CA: the system's sign anybody's certificate", c.Target.Name)
	}
	if m := c.Upstream.TLS; c.Upstream.Verified && m != TLSVerifyFull && m != TLSVerifyCA {
		return c, fmt.Errorf("postgres: target %s: its credential goes to a verified server only, and the TLS mode is %s", c.Target.Name, m)
	}
	if c.Target.Kind == "" {
		c.Target.Kind = "postgres"
	}
	if len(c.Databases) == 0 && c.Upstream.Database != "" {
		c.Databases = []string{c.Upstream.Database}
	}
	if len(c.SignIn) == 0 {
		c.SignIn = []SignIn{SignInPassword}
	}
	for _, way := range c.SignIn {
		if way != SignInPassword && way != SignInOAuth && way != SignInCertificate {
			return c, fmt.Errorf("postgres: target %s: unknown way to sign in %q", c.Target.Name, way)
		}
	}
	c.Startup = orDefault(c.Startup, defaultStartup)
	c.Drain = orDefault(c.Drain, defaultDrain)
	c.MaxStatement = orDefault(c.MaxStatement, defaultMaxStatement)
	c.SigningInPerHost = orDefault(c.SigningInPerHost, defaultSigningInPerHost)
	c.SigningIn = orDefault(c.SigningIn, defaultSigningIn)
	c.MaxMessage = orDefault(c.MaxMessage, defaultMaxMessage)
	return c, nil
}

func orDefault[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// serves says whether a client may ask for a database.
func (c *Config) serves(database string) bool {
	for _, allowed := range c.Databases {
		if allowed == "*" || allowed == database {
			return true
		}
	}
	return len(c.Databases) == 0
}
