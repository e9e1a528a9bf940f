package app

import (
	"context"
	"crypto/x509"
	"fmt"
	"maps"
	"net"
	"net/url"
	"reflect"
	"slices"
	"time"

	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/identity"
	"github.com/weir-gateway/weir/xds"
)

// xdsTargets says what Envoy must know of the targets, in order of name.
func (s *shared) xdsTargets(ctx context.Context, cfg *config.Config) ([]xds.Target, error) {
	var out []xds.Target
	for _, name := range slices.Sorted(maps.Keys(cfg.Targets)) {
		t := cfg.Targets[name]
		one := xds.Target{Name: name, Kind: xds.Kind(t.Kind), Listen: string(t.Listen)}
		one.Upstream.ConnectTimeout = t.Upstream.ConnectTimeout.D()
		one.Transport = xds.Transport(t.Transport)
		var err error
		if t.Kind == config.HTTP {
			err = s.xdsHTTP(ctx, t, &one)
		} else {
			one.Upstream.Endpoints = texts(t.Upstream.Address)
			one.Idle = relayIdle(t)
		}
		if err != nil {
			return nil, fmt.Errorf("targets.%s: %w", name, err)
		}
		out = append(out, one)
	}
	return out, nil
}

// How long Envoy keeps a connection of the relay on which no byte moves. It is
// longer than a session may be idle, and does not follow each change of that,
// which would drain the listener.
const (
	relayIdleLeast = 24 * time.Hour
	relayIdleMore  = time.Hour
)

func relayIdle(t *config.Target) time.Duration {
	idle := t.Session.Idle.D()
	if t.Transport != config.Relay || idle == 0 { // as long as it takes
		return 0
	}
	return max(relayIdleLeast, idle+relayIdleMore)
}

func (s *shared) xdsHTTP(ctx context.Context, t *config.Target, one *xds.Target) error {
	u, err := url.Parse(t.Upstream.URL)
	if err != nil {
		return fmt.Errorf("upstream.url: %w", err)
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[u.Scheme]
	}
	one.Upstream.Endpoints = []string{net.JoinHostPort(u.Hostname(), port)}
	one.Host = u.Host
	one.Inspect = xds.Inspect(t.Inspect)
	one.Idle = t.Session.Idle.D()
	if u.Scheme == "https" {
		one.Upstream.TLS = &xds.UpstreamTLS{ServerName: t.Upstream.ServerName}
		if t.Upstream.CA != "" {
			if one.Upstream.TLS.CA, err = s.vault.Resolve(ctx, string(t.Upstream.CA)); err != nil {
				return fmt.Errorf("upstream.ca: %w", err)
			}
		}
	}
	if t.TLS != config.Off {
		p := s.cert.now.Load()
		one.TLS = &xds.ListenerTLS{Certificate: string(p.cert), Key: xds.Secret(p.key)}
	}
	return nil
}

// identityConfig says whose tokens are accepted.
func (s *shared) identityConfig(ctx context.Context, cfg *config.Config) (identity.Config, error) {
	out := identity.Config{Skew: cfg.Identity.Skew.D()}
	for n, i := range cfg.Identity.Issuers {
		one := identity.Issuer{URL: i.URL, Audiences: i.Audiences, Roles: i.Roles, Scope: i.Scope, Kind: map[gate.Kind]map[string][]string{}}
		for _, a := range i.Algorithms {
			one.Algorithms = append(one.Algorithms, string(a))
		}
		for kind, claims := range i.Kind {
			one.Kind[gate.Kind(kind)] = map[string][]string{}
			for claim, values := range claims {
				one.Kind[gate.Kind(kind)][claim] = values
			}
		}
		var err error
		if one.Roots, err = s.roots(ctx, i.CA); err != nil {
			return out, fmt.Errorf("identity.issuers[%d].ca: %w", n, err)
		}
		out.Issuers = append(out.Issuers, one)
	}
	return out, nil
}

// readAuthorities reads the authorities of client certificates. It returns nil
// where they are those of before.
func (g *Gateway) readAuthorities(ctx context.Context, cfg *config.Config) (*authorities, error) {
	next := &authorities{}
	var list []identity.Authority
	for n, a := range cfg.Identity.Certificates {
		text, err := g.vault.Resolve(ctx, string(a.CA))
		if err != nil {
			return nil, fmt.Errorf("identity.certificates[%d].ca: %w", n, err)
		}
		one := identity.Authority{Roots: x509.NewCertPool(), TrustDomain: a.TrustDomain, Names: a.Names, Kind: gate.Kind(a.Kind), Roles: a.Roles}
		if !one.Roots.AppendCertsFromPEM([]byte(text)) {
			return nil, fmt.Errorf("identity.certificates[%d].ca: holds no certificate in PEM", n)
		}
		list = append(list, one)
		next.from = append(next.from, authorityText{*a, text})
	}
	if old := g.identity.certificates.Load(); old != nil && reflect.DeepEqual(old.from, next.from) {
		return nil, nil
	}
	var err error
	next.Certificates, err = identity.NewCertificates(list, g.identityMetrics, nil)
	return next, err
}
