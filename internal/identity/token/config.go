package token

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Config says whom to ask for a token, and as whom. At most one of Secret,
// KeyFile and AssertionFile is set; with none of them it is the device flow.
type Config struct {
	Issuer   string
	ClientID string
	Audience string   // sent as "audience", for issuers that want it
	Scopes   []string // with the device flow, "openid" where there are none
	// IDToken returns the ID token instead of the access token, for issuers
	// whose access tokens are not JWTs. Device flow only.
	IDToken bool

	Secret string
	// KeyFile is a private key in PEM that signs an assertion (RFC 7523
	// section 2.2); KeyID is its "kid" where the issuer wants one.
	KeyFile string
	KeyID   string
	// AssertionAudience is the assertion's "aud"; default the token endpoint.
	AssertionAudience string
	// AssertionFile holds a token of another issuer that stands for the secret
	// (workload identity federation). It is read each time.
	AssertionFile string

	Roots    *x509.CertPool // CAs for the issuer's certificate; nil is the system's
	CacheDir string         // default: weir/tokens in the user's cache folder
	Prompt   io.Writer      // where a person is told what to do; default stderr
}

func (c *Config) complete() error {
	if c.Issuer == "" {
		return errors.New("no issuer: name one with --issuer or WEIR_ISSUER")
	}
	if c.ClientID == "" {
		return errors.New("no client: name one with --client-id or WEIR_CLIENT_ID")
	}
	ways := 0
	for _, way := range []string{c.Secret, c.KeyFile, c.AssertionFile} {
		if way != "" {
			ways++
		}
	}
	if ways > 1 {
		return errors.New("a secret, a private key and a federated token file exclude each other: give one")
	}
	if c.IDToken && ways > 0 {
		return errors.New("an ID token is for people: it comes by device code only")
	}
	if c.device() && len(c.Scopes) == 0 {
		c.Scopes = []string{"openid"}
	}
	if c.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			return fmt.Errorf("no folder to keep tokens in: %w", err)
		}
		c.CacheDir = filepath.Join(dir, "weir", "tokens")
	}
	if c.Prompt == nil {
		c.Prompt = os.Stderr
	}
	return nil
}

func (c *Config) device() bool { return c.Secret == "" && c.KeyFile == "" && c.AssertionFile == "" }
