package identity

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weir-gateway/weir/internal/gate"
)

// Config says whose tokens are accepted.
type Config struct {
	Issuers   []Issuer
	Skew      time.Duration // how far clocks may differ; 0 is the default, 60 s
	MaxToken  int           // bytes; 0 is the default, 16 KiB
	CacheSize int           // verified tokens that are remembered; 0 is the default, 4,096

	Now func() time.Time // default time.Now
}

// Issuer is one OpenID Connect issuer.
type Issuer struct {
	URL       string   // exactly as tokens say it in "iss"
	Audiences []string // a token needs one of them
	// Kind tells kinds of principal apart: kind → claim → values, one of which
	// the claim must have. All claims of a kind must match. Who matches several
	// kinds is the one with the least trust, who matches none an agent.
	Kind map[gate.Kind]map[string][]string
	// Roles are the claims whose values become roles: "group:" for the claim
	// groups, "role:" for others. A dot descends into an object.
	Roles      []string
	Scope      string         // that clients are told to ask for; "" for none
	Algorithms []string       // of signatures; empty is all of the RS, PS, ES families and EdDSA
	Roots      *x509.CertPool // CAs for the issuer's certificate; nil is the system's
}

const (
	defaultSkew  = time.Minute
	defaultMax   = 16 << 10
	defaultCache = 4096
)

var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

func (c *Config) complete() error {
	if c.Skew == 0 {
		c.Skew = defaultSkew
	}
	if c.MaxToken == 0 {
		c.MaxToken = defaultMax
	}
	if c.CacheSize == 0 {
		c.CacheSize = defaultCache
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if len(c.Issuers) == 0 {
		return errors.New("identity: at least one issuer is needed")
	}
	c.Issuers = slices.Clone(c.Issuers)
	for i := range c.Issuers {
		is := &c.Issuers[i]
		if is.URL == "" || len(is.Audiences) == 0 {
			return errors.New("identity: an issuer needs a URL and an audience")
		}
		if len(is.Algorithms) == 0 {
			is.Algorithms = algorithms
		}
		for _, a := range is.Algorithms {
			if !slices.Contains(algorithms, a) {
				return fmt.Errorf("identity: algorithm %q is not safe", a)
			}
		}
	}
	return nil
}
