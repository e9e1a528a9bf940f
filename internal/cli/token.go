package cli

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/weir-gateway/weir/internal/identity/token"
)

// signIn says who runs a command. `weir token` prints the token that it gets;
// other commands send it.
type signIn struct {
	Issuer            string   `group:"Sign in:" env:"WEIR_ISSUER" placeholder:"URL" help:"OIDC issuer."`
	ClientID          string   `group:"Sign in:" env:"WEIR_CLIENT_ID" placeholder:"ID" help:"Client id at the issuer."`
	ClientSecret      string   `group:"Sign in:" env:"WEIR_CLIENT_SECRET" placeholder:"TEXT" help:"Client secret; better in the environment than on the command line."`
	ClientSecretFile  string   `group:"Sign in:" env:"WEIR_CLIENT_SECRET_FILE" type:"existingfile" placeholder:"FILE" help:"File that holds the client secret."`
	Key               string   `group:"Sign in:" env:"WEIR_CLIENT_KEY" type:"existingfile" placeholder:"FILE" help:"Private key in PEM instead of a secret (private_key_jwt)."`
	KeyID             string   `group:"Sign in:" env:"WEIR_CLIENT_KEY_ID" placeholder:"KID" help:"The key's id at the issuer."`
	FederatedToken    string   `group:"Sign in:" name:"federated-token-file" env:"WEIR_FEDERATED_TOKEN_FILE,AZURE_FEDERATED_TOKEN_FILE" placeholder:"FILE" help:"Token of another issuer instead of a secret (workload identity)."`
	Scope             []string `group:"Sign in:" env:"WEIR_SCOPE" placeholder:"NAME" help:"Scopes to ask for."`
	Audience          string   `group:"Sign in:" env:"WEIR_AUDIENCE" placeholder:"NAME" help:"Audience to ask for, at issuers that take one."`
	AssertionAudience string   `group:"Sign in:" env:"WEIR_ASSERTION_AUDIENCE" placeholder:"URL" help:"Audience of the assertion that the key signs; the token endpoint by default."`
	IDToken           bool     `group:"Sign in:" env:"WEIR_ID_TOKEN" help:"Take the ID token, at issuers whose access tokens are not JWTs."`
	IssuerCA          string   `group:"Sign in:" env:"WEIR_ISSUER_CA" type:"existingfile" placeholder:"FILE" help:"CA in PEM that signed the issuer's certificate."`
	TokenText         string   `group:"Sign in:" name:"token" env:"WEIR_TOKEN" placeholder:"TOKEN" help:"A token that you have already."`
}

// get is a token, or "" where too little says how to get one: much can be read
// without.
func (s *signIn) get(e *env) (string, error) {
	if s.TokenText != "" {
		return s.TokenText, nil
	}
	if s.Issuer == "" || s.ClientID == "" {
		return "", nil
	}
	return s.fetch(e)
}

// require is a token, or an error that says how to get one.
func (s *signIn) require(e *env) (string, error) {
	switch {
	case s.TokenText != "":
		return s.TokenText, nil
	case s.Issuer == "" && s.ClientID == "":
		return "", errors.New("who are you? Set WEIR_TOKEN, or WEIR_ISSUER and WEIR_CLIENT_ID so that a token can be fetched (see `weir token --help`)")
	}
	return s.fetch(e)
}

// connect makes a client that shows a token where one can be had.
func (s *signIn) connect(e *env, r *remote) (*client, error) {
	t, err := s.get(e)
	if err != nil {
		return nil, err
	}
	return r.dial(e, t)
}

func (s *signIn) fetch(e *env) (string, error) {
	cfg := token.Config{
		Issuer: s.Issuer, ClientID: s.ClientID, Audience: s.Audience, Scopes: s.Scope, IDToken: s.IDToken,
		Secret: s.ClientSecret, KeyFile: s.Key, KeyID: s.KeyID, AssertionAudience: s.AssertionAudience, AssertionFile: s.FederatedToken,
		Prompt: e.Err,
	}
	if s.ClientSecretFile != "" {
		raw, err := os.ReadFile(s.ClientSecretFile)
		if err != nil {
			return "", err
		}
		cfg.Secret = strings.TrimRight(string(raw), "\r\n")
	}
	if s.IssuerCA != "" {
		text, err := os.ReadFile(s.IssuerCA)
		if err != nil {
			return "", err
		}
		cfg.Roots = x509.NewCertPool()
		if !cfg.Roots.AppendCertsFromPEM(text) {
			return "", fmt.Errorf("--issuer-ca: %s holds no certificate in PEM", s.IssuerCA)
		}
	}
	source, err := token.New(cfg)
	if err != nil {
		return "", err
	}
	return source.Token(e.ctx)
}

type tokenCmd struct {
	signIn
}

// Help shows how it is used.
func (*tokenCmd) Help() string {
	return `The token is kept until it expires, in your cache folder, and printed alone, so that it can stand in for a password:

  export WEIR_ISSUER=https://login.example/tenant/v2.0 WEIR_CLIENT_ID=support-agent
  export WEIR_CLIENT_SECRET_FILE=/run/secrets/agent
  PGPASSWORD=$(weir token) psql "host=gateway port=15432 dbname=shop user=agent sslmode=verify-full"
  curl -H "Authorization: Bearer $(weir token)" https://gateway:18080/customers

Without a secret, key or federated token, a person signs in: the address and code are printed on standard error.`
}

// Run implements the command.
func (c *tokenCmd) Run(e *env) error {
	t, err := c.require(e)
	if err != nil {
		return err
	}
	e.printf("%s\n", t)
	return nil
}
