package identity

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"golang.org/x/time/rate"
)

const (
	fetchTimeout = 10 * time.Second
	maxDocument  = 1 << 20 // bytes of a discovery document or key set
	// Keys may be fetched keyBurst times at once and then every keyInterval: a
	// flood of tokens with made-up key ids is no flood for the issuer.
	keyInterval = 5 * time.Second
	keyBurst    = 3
)

// errThrottled: the keys were fetched a moment ago, so what did not verify with
// them will not verify now.
var errThrottled = errors.New("keys were fetched a moment ago")

// transport fetches from one issuer: bounded, paced, counted.
type transport struct {
	base    http.RoundTripper
	keys    *rate.Limiter
	jwks    func() string // URL of the keys, once it is known
	count   func(ok bool)
	noteErr func(error)
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.String() == t.jwks() && !t.keys.Allow() {
		return nil, errThrottled
	}
	resp, err := t.base.RoundTrip(r)
	if err == nil && resp.StatusCode != http.StatusOK {
		_ = resp.Body.Close()
		err = fmt.Errorf("%s answered %s", r.URL.Redacted(), resp.Status)
	}
	t.count(err == nil)
	t.noteErr(err)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxDocument), resp.Body}
	return resp, nil
}

func baseTransport(roots *x509.CertPool) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	t.MaxIdleConnsPerHost = 1
	t.IdleConnTimeout = 30 * time.Second
	return t
}

// secure says whether keys from this URL can be trusted: https, or http on
// loopback.
func secure(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}
