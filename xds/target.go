package xds

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"time"
)

// Kind is the protocol of a target.
type Kind string

// The kinds.
const (
	Postgres Kind = "postgres"
	HTTP     Kind = "http"
)

// Inspect says how much of an HTTP exchange weir is shown.
type Inspect string

// The ways to inspect.
const (
	Body    Inspect = "body"    // everything, by ext_proc
	Headers Inspect = "headers" // request headers only, by ext_authz: cheaper
)

// Transport is how PostgreSQL's bytes reach weir.
type Transport string

// The transports.
const (
	ExtProc Transport = "ext_proc" // a CONNECT tunnel through the external processor
	Relay   Transport = "relay"    // a Unix socket; weir connects to the servers itself
)

// Target is a resource behind the gateway, as far as Envoy is concerned.
type Target struct {
	// Name is letters, digits, '.', '_' and '-', at most 63 of them.
	Name string
	Kind Kind
	// Listen is the IP address and port that clients connect to. "localhost" is
	// 127.0.0.1 and an empty host every IPv4 address.
	Listen   string
	Upstream Upstream
	// Transport is ExtProc when empty. PostgreSQL only.
	Transport Transport
	// Idle ends an exchange in which no byte moved for so long; a held request is
	// idle too. 0 does not. Of PostgreSQL it bounds the transport Relay, and must be
	// longer than weir lets a session be idle.
	Idle time.Duration

	// What follows is for HTTP only. PostgreSQL negotiates TLS inside its own
	// protocol, so that listener has none.

	// TLS is nil for a listener in clear, which only loopback may have.
	TLS *ListenerTLS
	// Inspect is Body when empty.
	Inspect Inspect
	// Host replaces the request's Host; empty keeps the client's.
	Host string
	// Timeout bounds a whole exchange, holds included. 0 does not.
	Timeout time.Duration
}

// Upstream is where the resource itself is.
type Upstream struct {
	// Endpoints are host:port; several are balanced by Envoy. Names are resolved
	// by Envoy, again and again.
	Endpoints []string
	// ConnectTimeout is 5 s when 0.
	ConnectTimeout time.Duration

	// TLS is for HTTP only; nil speaks in clear.
	TLS *UpstreamTLS
	// HTTP2 speaks HTTP/2 instead of HTTP/1.1. WebSockets then need an upstream
	// that knows RFC 8441. HTTP only.
	HTTP2 bool
}

// UpstreamTLS says how an upstream proves itself. It always has to.
type UpstreamTLS struct {
	// ServerName is sent as SNI and must be in the certificate. When empty it is
	// the endpoint's own host.
	ServerName string
	// CA is PEM. When empty the system's roots are trusted (Options.SystemRoots).
	CA string
}

// ListenerTLS is what a listener shows to its clients. It travels by SDS, so
// changing it touches no listener and ends no connection.
type ListenerTLS struct {
	Certificate string // chain in PEM, leaf first
	Key         Secret // PEM
	// ClientCA in PEM asks clients for a certificate and verifies it. A client
	// without one is let in all the same unless RequireClient.
	ClientCA      string
	RequireClient bool
}

// Secret is a text that never shows in a log or an error.
type Secret string

const hidden = "(hidden)"

// String hides the secret.
func (Secret) String() string { return hidden }

// GoString hides the secret.
func (Secret) GoString() string { return hidden }

// LogValue hides the secret.
func (Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// MarshalText hides the secret.
func (Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

var targetName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)

// check reports everything wrong with a target at once.
func (t *Target) check() error {
	var errs []error
	if !targetName.MatchString(t.Name) {
		errs = append(errs, errors.New("a name is at most 63 letters, digits, '.', '_' and '-'; rename it"))
	}
	listen, err := parseListen(t.Listen)
	if err != nil {
		errs = append(errs, err)
	}
	if len(t.Upstream.Endpoints) == 0 {
		errs = append(errs, errors.New("has no upstream address"))
	}
	for _, e := range t.Upstream.Endpoints {
		if _, err := parseEndpoint(e); err != nil {
			errs = append(errs, err)
		}
	}
	switch t.Kind {
	case Postgres:
		if t.TLS != nil || t.Upstream.TLS != nil {
			errs = append(errs, errors.New("TLS of PostgreSQL is not Envoy's business"))
		}
		if t.Transport != "" && t.Transport != ExtProc && t.Transport != Relay {
			errs = append(errs, fmt.Errorf("transport %q is not known; it is %s or %s", t.Transport, ExtProc, Relay))
		}
	case HTTP:
		if t.Transport != "" {
			errs = append(errs, errors.New("a transport is for PostgreSQL only"))
		}
		errs = append(errs, t.checkHTTP(listen))
	default:
		errs = append(errs, fmt.Errorf("kind %q is not known; it is %s or %s", t.Kind, Postgres, HTTP))
	}
	return errors.Join(errs...)
}

func (t *Target) checkHTTP(listen address) error {
	var errs []error
	if t.Inspect != "" && t.Inspect != Body && t.Inspect != Headers {
		errs = append(errs, fmt.Errorf("inspect %q is not known; it is %s or %s", t.Inspect, Body, Headers))
	}
	switch {
	case t.TLS != nil:
		errs = append(errs, t.TLS.check())
	case listen.host != "" && !listen.loopback():
		errs = append(errs, fmt.Errorf("%s is not loopback, so it must speak TLS; give it a certificate, or listen on 127.0.0.1", t.Listen))
	}
	if u := t.Upstream.TLS; u != nil {
		errs = append(errs, u.check())
	}
	return errors.Join(errs...)
}
