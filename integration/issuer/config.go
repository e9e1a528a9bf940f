package issuer

import (
	"crypto"
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// Config describes an issuer. Its zero value is one on a free port of loopback
// that knows nobody; Mint makes tokens all the same.
type Config struct {
	Listen string      // default "127.0.0.1:0"
	Host   string      // host in the issuer's URL; default that of Listen
	TLS    *tls.Config // serves https with its certificate

	Audience  []string                // of every token; default "weir"
	Lifetime  time.Duration           // of every token; default 15 minutes
	Algorithm jose.SignatureAlgorithm // default ES256
	Clients   []Client
	Users     []User
}

// Client is a program that gets tokens for itself, or (Device) for people.
// Exactly one of Secret, Key, Federated and Device says how it signs in.
type Client struct {
	ID        string           `yaml:"id"`
	Secret    string           `yaml:"secret"`
	Key       crypto.PublicKey `yaml:"-"` // of private_key_jwt assertions (RFC 7523)
	KeyFile   string           `yaml:"key"`
	Federated *Federated       `yaml:"federated"`
	Device    bool             `yaml:"device"` // a public client of the device flow (RFC 8628)

	Subject string         `yaml:"subject"` // default the id
	Claims  map[string]any `yaml:"claims"`
}

// Federated accepts tokens of another issuer in place of a secret.
type Federated struct {
	Issuer  string `yaml:"issuer"`
	Subject string `yaml:"subject"`
	JWKS    string `yaml:"jwks"` // URL of that issuer's keys
}

// User is a person who signs in at the device page.
type User struct {
	Name     string         `yaml:"name"`
	Password string         `yaml:"password"`
	Subject  string         `yaml:"subject"` // default the name
	Claims   map[string]any `yaml:"claims"`
}

func (c *Config) complete() error {
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if len(c.Audience) == 0 {
		c.Audience = []string{"weir"}
	}
	if c.Lifetime == 0 {
		c.Lifetime = 15 * time.Minute
	}
	if c.Algorithm == "" {
		c.Algorithm = jose.ES256
	}
	for i := range c.Clients {
		cl := &c.Clients[i]
		if cl.ID == "" {
			return errors.New("issuer: a client has no id")
		}
		if cl.Secret == "" && cl.Key == nil && cl.Federated == nil && !cl.Device {
			return fmt.Errorf("issuer: client %s cannot sign in", cl.ID)
		}
		if cl.Subject == "" {
			cl.Subject = cl.ID
		}
	}
	for i := range c.Users {
		if c.Users[i].Subject == "" {
			c.Users[i].Subject = c.Users[i].Name
		}
	}
	return nil
}
