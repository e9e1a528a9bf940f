package identity

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/time/rate"
)

// provider is what is known of one issuer: nothing at first, then its
// discovery document and keys.
type provider struct {
	cfg    Issuer
	log    *slog.Logger
	client *http.Client
	base   *http.Transport
	known  func(bool)

	mu      sync.Mutex
	keys    *oidc.RemoteKeySet // nil until discovery has succeeded
	jwks    string
	pace    *backoff.ExponentialBackOff
	next    time.Time // no discovery before
	flight  *discovery
	lastErr error // of the last request to the issuer
}

// discovery is one attempt that several sign-ins may wait for.
type discovery struct {
	done chan struct{}
	keys *oidc.RemoteKeySet
	err  error
}

func newProvider(cfg Issuer, m *Metrics, log *slog.Logger) *provider {
	pace := backoff.NewExponentialBackOff()
	pace.InitialInterval, pace.MaxInterval = 250*time.Millisecond, 30*time.Second
	p := &provider{cfg: cfg, log: log.With("issuer", cfg.URL), base: baseTransport(cfg.Roots), pace: pace}
	p.known = func(ok bool) {
		value := 0.0
		if ok {
			value = 1
		}
		m.ready.WithLabelValues(cfg.URL).Set(value)
	}
	p.known(false)
	p.client = &http.Client{
		Timeout: fetchTimeout,
		Transport: &transport{
			base: p.base, keys: rate.NewLimiter(rate.Every(keyInterval), keyBurst), jwks: p.jwksURL, noteErr: p.note,
			count: func(ok bool) {
				result := "error"
				if ok {
					result = "ok"
				}
				m.fetches.WithLabelValues(cfg.URL, result).Inc()
			},
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) > 3 || !secure(r.URL.String()) {
				return errors.New("the issuer redirects to where its keys cannot be trusted")
			}
			return nil
		},
	}
	return p
}

func (p *provider) jwksURL() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.jwks
}

// note remembers how the last request to the issuer went, and logs the change.
func (p *provider) note(err error) {
	p.mu.Lock()
	before := p.lastErr
	p.lastErr = err
	p.mu.Unlock()
	switch {
	case err != nil && before == nil:
		p.log.Warn("issuer cannot be reached", "err", err)
	case err == nil && before != nil:
		p.log.Info("issuer answers again")
	}
}

// err is how the last request to the issuer failed, or nil.
func (p *provider) err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lastErr
}

// keySet returns the issuer's keys, discovering them where that has not
// succeeded yet. Failed attempts are paced; in between, the last error stands.
func (p *provider) keySet(ctx context.Context) (*oidc.RemoteKeySet, error) {
	p.mu.Lock()
	if p.keys != nil {
		defer p.mu.Unlock()
		return p.keys, nil
	}
	d := p.flight
	if d == nil {
		if time.Now().Before(p.next) {
			defer p.mu.Unlock()
			return nil, p.lastErr
		}
		d = &discovery{done: make(chan struct{})}
		p.flight = d
		go p.discover(d)
	}
	p.mu.Unlock()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-d.done:
		return d.keys, d.err
	}
}

// discover fetches the discovery document (OpenID Connect Discovery section 4)
// for everybody who waits for it; it ends with the client's own timeout.
func (p *provider) discover(d *discovery) {
	ctx := oidc.ClientContext(context.Background(), p.client)
	keys, jwks, err := p.fetch(ctx)
	if err != nil {
		p.note(err)
	}
	p.mu.Lock()
	if err == nil {
		p.keys, p.jwks = keys, jwks
		p.pace.Reset()
	} else {
		p.next = time.Now().Add(p.pace.NextBackOff())
	}
	d.keys, d.err = keys, err
	p.flight = nil
	p.mu.Unlock()
	p.known(err == nil)
	close(d.done)
}

func (p *provider) fetch(ctx context.Context) (*oidc.RemoteKeySet, string, error) {
	found, err := oidc.NewProvider(ctx, p.cfg.URL)
	if err != nil {
		return nil, "", fmt.Errorf("discovery: %w", err)
	}
	var doc struct {
		JWKS string `json:"jwks_uri"`
	}
	if err := found.Claims(&doc); err != nil {
		return nil, "", fmt.Errorf("discovery: %w", err)
	}
	if !secure(doc.JWKS) {
		return nil, "", fmt.Errorf("discovery: keys at %q cannot be trusted, because they would come in clear", doc.JWKS)
	}
	return oidc.NewRemoteKeySet(ctx, doc.JWKS), doc.JWKS, nil
}

// warm discovers the issuer ahead of the first sign-in, for as long as it takes.
func (p *provider) warm(ctx context.Context) {
	pace := backoff.NewExponentialBackOff()
	pace.MaxInterval = 30 * time.Second
	_, _ = backoff.Retry(ctx, func() (struct{}, error) {
		_, err := p.keySet(ctx)
		return struct{}{}, err
	}, backoff.WithBackOff(pace), backoff.WithMaxElapsedTime(0))
}

// attempt is one verification with the issuer's keys; it keeps the error that
// the verifier would flatten.
type attempt struct {
	keys *oidc.RemoteKeySet
	err  error
}

// VerifySignature implements oidc.KeySet.
func (a *attempt) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := a.keys.VerifySignature(ctx, jwt)
	a.err = err
	return payload, err
}
