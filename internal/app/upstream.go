package app

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-gateway/weir/extproc/postgres"
	"github.com/weir-gateway/weir/internal/cloud"
	"github.com/weir-gateway/weir/internal/config"
)

// upstream is the server of a target of kind postgres.
func (s *shared) upstream(ctx context.Context, name string, t *config.Target) (postgres.Upstream, error) {
	roots, err := s.roots(ctx, t.Upstream.CA)
	if err != nil {
		return postgres.Upstream{}, fmt.Errorf("targets.%s.upstream.ca: %w", name, err)
	}
	up := postgres.Upstream{
		User: t.Upstream.User, Database: t.Upstream.Database,
		TLS: postgres.TLSMode(t.Upstream.TLS), CA: roots, ServerName: serverName(t), Verified: t.Upstream.Auth.Token(),
	}
	if t.Upstream.Certificate != "" {
		shown := &shownCertificate{secrets: s.vault, certificate: t.Upstream.Certificate, key: t.Upstream.Key, log: s.log.With("target", name)}
		if _, err := shown.get(ctx); err != nil {
			return postgres.Upstream{}, fmt.Errorf("targets.%s.upstream.certificate: %w", name, err)
		}
		up.Certificate = shown.get
	}
	return up, nil
}

// shownCertificate is the certificate that the gateway shows to a server. Its
// files may be replaced at any time.
type shownCertificate struct {
	secrets          secrets
	certificate, key config.Ref
	log              *slog.Logger

	mu   sync.Mutex
	text [2]string // that pair was made of
	pair *tls.Certificate
}

func (c *shownCertificate) get(ctx context.Context) (*tls.Certificate, error) {
	var now [2]string
	for i, ref := range []config.Ref{c.certificate, c.key} {
		var err error
		if now[i], err = c.secrets.Resolve(ctx, string(ref)); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pair != nil && c.text == now {
		return c.pair, nil
	}
	pair, err := tls.X509KeyPair([]byte(now[0]), []byte(now[1]))
	if err != nil && c.pair != nil { // one of the files has been replaced, the other not yet
		c.log.WarnContext(ctx, "a certificate and its key do not fit: the last that did serve for now", "certificate", c.certificate, "key", c.key, "err", err)
		return c.pair, nil
	}
	if err != nil { // its words never hold the key
		return nil, fmt.Errorf("%s and %s do not make a certificate and its key in PEM: %w", c.certificate, c.key, err)
	}
	c.text, c.pair = now, &pair
	return c.pair, nil
}

// password is what the gateway signs in to a target's server with; nil where the
// server asks for none.
func (s *shared) password(ctx context.Context, name string, t *config.Target) (func(context.Context) (string, error), error) {
	u := &t.Upstream
	switch {
	case u.Auth == config.AuthPassword:
		return func(ctx context.Context) (string, error) { return s.vault.Resolve(ctx, string(u.Password)) }, nil
	case !u.Auth.Token():
		return nil, nil
	}
	source, err := cloud.New(ctx, cloud.Config{
		Kind: cloud.Kind(u.Auth), Address: string(u.Address[0]), User: u.User, Region: u.Region, ClientID: u.ClientID,
	}, s.log.With("target", name))
	if err != nil {
		return nil, fmt.Errorf("targets.%s.upstream.auth: %w", name, err)
	}
	return source.Token, nil
}

// introduction is what the server is told of who is there.
func introduction(t *config.Target) postgres.Introduce {
	return postgres.Introduce{
		Name:     slices.Contains(t.Upstream.Introduce, config.IntroduceName),
		Settings: slices.Contains(t.Upstream.Introduce, config.IntroduceSettings),
	}
}

// serverName is what the upstream's certificate must name.
func serverName(t *config.Target) string {
	if t.Upstream.ServerName != "" {
		return t.Upstream.ServerName
	}
	return hostOf(string(t.Upstream.Address[0]))
}

// roots are the CAs of a reference; nil are the system's.
func (s *shared) roots(ctx context.Context, ref config.Ref) (*x509.CertPool, error) {
	if ref == "" {
		return nil, nil
	}
	text, err := s.vault.Resolve(ctx, string(ref))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM([]byte(text)) {
		return nil, errors.New("holds no certificate in PEM")
	}
	return pool, nil
}

// catalogDialer makes the gateway's own connections to a target, which read the
// catalogs of its databases.
type catalogDialer struct {
	target      *config.Target
	up          *postgres.Upstream
	password    func(context.Context) (string, error)
	application string // application_name; "" is that of who reads catalogs
}

func (d *catalogDialer) dial(ctx context.Context, database string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig("")
	if err != nil {
		return nil, err
	}
	u := &d.target.Upstream
	host, port := u.Address[0].Split()
	cfg.Host, cfg.Port, cfg.User, cfg.Database = host, uint16(port), u.User, database
	cfg.Fallbacks = nil
	cfg.ConnectTimeout = u.ConnectTimeout.D()
	cfg.RuntimeParams = map[string]string{"application_name": cmp.Or(d.application, "weir catalog")}
	cfg.RequireAuth, cfg.ChannelBinding = "", "prefer"
	if d.password != nil {
		if cfg.Password, err = d.password(ctx); err != nil {
			return nil, err
		}
	}
	cfg.TLSConfig = nil
	cfg.AfterNetConnect = func(ctx context.Context, cfg *pgconn.Config, conn net.Conn) (net.Conn, error) {
		secure, err := d.up.Secure(ctx, conn)
		if err != nil {
			return conn, err
		}
		if _, ok := secure.(*tls.Conn); !ok {
			cfg.RequireAuth = "!password" // which would go in clear
		}
		return secure, nil
	}
	return pgx.ConnectConfig(ctx, cfg)
}
