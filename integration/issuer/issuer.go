package issuer

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/zitadel/oidc/v3/pkg/op"
)

// Issuer is a running issuer. Close it, or end the context of Start.
type Issuer struct {
	URL string // the issuer, as its tokens say it

	storage *storage
	http    *http.Server
	served  chan struct{} // closed when the server has ended
	paused  atomic.Bool
	fetches atomic.Int64
}

// Start runs an issuer until ctx ends or it is closed.
func Start(ctx context.Context, cfg Config) (*Issuer, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	s, err := newStorage(cfg)
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	i := &Issuer{URL: issuerURL(cfg, l.Addr()), storage: s, served: make(chan struct{})}
	handler, err := i.handler()
	if err != nil {
		_ = l.Close()
		return nil, err
	}
	i.http = &http.Server{Handler: handler, TLSConfig: cfg.TLS, ReadHeaderTimeout: 10 * time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	stop := context.AfterFunc(ctx, func() { _ = i.http.Close() })
	go func() {
		defer close(i.served)
		defer stop()
		if cfg.TLS != nil {
			_ = i.http.ServeTLS(l, "", "")
		} else {
			_ = i.http.Serve(l)
		}
	}()
	return i, nil
}

func issuerURL(cfg Config, addr net.Addr) string {
	host, port, _ := net.SplitHostPort(addr.String())
	if cfg.Host != "" {
		host = cfg.Host
	}
	scheme := "http"
	if cfg.TLS != nil {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}

func (i *Issuer) handler() (http.Handler, error) {
	var key [32]byte
	if _, err := rand.Read(key[:]); err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	config := &op.Config{
		CryptoKey: key, AuthMethodPost: true, AuthMethodPrivateKeyJWT: true,
		DeviceAuthorization: op.DeviceAuthorizationConfig{
			Lifetime: 5 * time.Minute, PollInterval: time.Second, UserFormPath: "/device", UserCode: op.UserCodeBase20,
		},
	}
	provider, err := op.NewProvider(config, i.storage, op.StaticIssuer(i.URL), op.WithAllowInsecure(), op.WithLogger(slog.New(slog.DiscardHandler)))
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	own := &server{LegacyServer: op.NewLegacyServer(provider, *op.DefaultEndpoints), storage: i.storage, issuer: i.URL}
	mux := http.NewServeMux()
	mux.Handle("/", op.RegisterLegacyServer(own, op.AuthorizeCallbackHandler(provider)))
	mux.HandleFunc("/device", i.storage.devicePage)
	return i.pausable(mux), nil
}

// pausable drops connections while the issuer is paused, and counts the rest.
func (i *Issuer) pausable(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if i.paused.Load() {
			panic(http.ErrAbortHandler) // the client sees the connection end
		}
		if strings.HasSuffix(r.URL.Path, "/keys") {
			i.fetches.Add(1)
		}
		next.ServeHTTP(w, r)
	})
}

// JWKS is the URL of the issuer's keys.
func (i *Issuer) JWKS() string { return i.URL + "/keys" }

// TokenURL is the URL of the token endpoint.
func (i *Issuer) TokenURL() string { return i.URL + "/oauth/token" }

// Pause makes the issuer unreachable: every connection ends without an answer.
func (i *Issuer) Pause() { i.paused.Store(true) }

// Resume ends a pause.
func (i *Issuer) Resume() { i.paused.Store(false) }

// Rotate signs with a new key from now on. Tokens of the old key stay valid if
// keep says so.
func (i *Issuer) Rotate(keep bool) error { return i.storage.rotate(keep) }

// KeyFetches counts how often somebody asked for the keys.
func (i *Issuer) KeyFetches() int { return int(i.fetches.Load()) }

// Close ends the issuer.
func (i *Issuer) Close() error {
	err := i.http.Close()
	<-i.served
	return err
}

// Done is closed when the issuer has ended.
func (i *Issuer) Done() <-chan struct{} { return i.served }
