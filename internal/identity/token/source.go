package token

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// requestTimeout bounds each request to the issuer.
const requestTimeout = 30 * time.Second

// Source gets tokens and keeps them.
type Source struct {
	cfg   Config
	cache *cache
	http  *http.Client
}

// New makes a Source.
func New(cfg Config) (*Source, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: cfg.Roots, MinVersion: tls.VersionTLS12}
	return &Source{cfg: cfg, cache: newCache(&cfg), http: &http.Client{Timeout: requestTimeout, Transport: t}}, nil
}

// Token returns the token that is kept, or gets a new one when that has less
// than a minute left. Of several processes that want the same token one asks
// and the others wait for it.
func (s *Source) Token(ctx context.Context) (string, error) {
	unlock, err := s.cache.lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	kept := s.cache.load()
	if kept.fresh(time.Now()) {
		return kept.Token, nil
	}
	defer s.http.CloseIdleConnections()
	ctx = oidc.ClientContext(ctx, s.http)
	provider, err := oidc.NewProvider(ctx, s.cfg.Issuer)
	if err != nil {
		return "", fmt.Errorf("issuer %s: %w", s.cfg.Issuer, explain(err))
	}
	t, err := s.get(ctx, provider.Endpoint(), kept.Refresh)
	if err != nil {
		return "", fmt.Errorf("issuer %s: %w", s.cfg.Issuer, explain(err))
	}
	text, err := s.pick(t)
	if err != nil {
		return "", err
	}
	if kept = keep(text, t); !kept.Expires.IsZero() {
		if err := s.cache.store(kept); err != nil {
			return "", err
		}
	}
	return text, nil
}

func (s *Source) get(ctx context.Context, e oauth2.Endpoint, refresh string) (*oauth2.Token, error) {
	if !s.cfg.device() {
		return s.clientCredentials(ctx, e)
	}
	conf := &oauth2.Config{ClientID: s.cfg.ClientID, Endpoint: e, Scopes: s.cfg.Scopes}
	conf.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	if refresh != "" {
		if t, err := conf.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token(); err == nil {
			return t, nil
		} // refused or too old: the person signs in again
	}
	return s.deviceCode(ctx, conf)
}

// clientCredentials is RFC 6749 section 4.4.
func (s *Source) clientCredentials(ctx context.Context, e oauth2.Endpoint) (*oauth2.Token, error) {
	conf := &clientcredentials.Config{
		ClientID: s.cfg.ClientID, ClientSecret: s.cfg.Secret, TokenURL: e.TokenURL, Scopes: s.cfg.Scopes,
		EndpointParams: url.Values{},
	}
	if s.cfg.Audience != "" {
		conf.EndpointParams.Set("audience", s.cfg.Audience)
	}
	if s.cfg.Secret == "" {
		assertion, err := s.assertion(e.TokenURL)
		if err != nil {
			return nil, err
		}
		conf.AuthStyle = oauth2.AuthStyleInParams
		conf.EndpointParams.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		conf.EndpointParams.Set("client_assertion", assertion)
	}
	return conf.Token(ctx)
}

// deviceCode is RFC 8628: the person confirms in a browser, anywhere.
func (s *Source) deviceCode(ctx context.Context, conf *oauth2.Config) (*oauth2.Token, error) {
	if conf.Endpoint.DeviceAuthURL == "" {
		return nil, errors.New("it offers no device sign-in; use --client-secret, --key or --federated-token-file")
	}
	var opts []oauth2.AuthCodeOption
	if s.cfg.Audience != "" {
		opts = append(opts, oauth2.SetAuthURLParam("audience", s.cfg.Audience))
	}
	auth, err := conf.DeviceAuth(ctx, opts...)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(s.cfg.Prompt, "To sign in, open %s and enter the code %s\n", auth.VerificationURI, auth.UserCode)
	if auth.VerificationURIComplete != "" {
		fmt.Fprintf(s.cfg.Prompt, "or open %s\n", auth.VerificationURIComplete)
	}
	return conf.DeviceAccessToken(ctx, auth, opts...)
}

// pick takes the token that the gateway is to see.
func (s *Source) pick(t *oauth2.Token) (string, error) {
	if !s.cfg.IDToken {
		return t.AccessToken, nil
	}
	id, ok := t.Extra("id_token").(string)
	if !ok || id == "" {
		return "", fmt.Errorf("issuer %s: it gave no ID token; add the scope openid", s.cfg.Issuer)
	}
	return id, nil
}

// explain puts an issuer's refusal into words. It leaves out the response's
// body, which may hold more than a terminal should show.
func explain(err error) error {
	var refused *oauth2.RetrieveError
	if !errors.As(err, &refused) {
		return err
	}
	switch {
	case refused.ErrorCode == "invalid_client":
		return errors.New("it does not accept this client: check the client's id and secret, key or federated token")
	case refused.ErrorCode == "access_denied":
		return errors.New("the sign-in was denied")
	case refused.ErrorCode == "expired_token":
		return errors.New("nobody confirmed the code in time")
	case refused.ErrorCode != "" && refused.ErrorDescription != "":
		return fmt.Errorf("it refused: %s (%s)", refused.ErrorDescription, refused.ErrorCode)
	case refused.ErrorCode != "":
		return fmt.Errorf("it refused: %s", refused.ErrorCode)
	case refused.Response != nil:
		return fmt.Errorf("it answered %s", refused.Response.Status)
	}
	return errors.New("it refused")
}
