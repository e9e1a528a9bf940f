package app

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/extproc/postgres"
	"github.com/weir-gateway/weir/internal/config"
)

// upstream is the server of a target of kind postgres.
func (s *shared) upstream(ctx context.Context, name string, t *config.Target) (postgres.Upstream, error) {
	roots, err := s.roots(ctx, t.Upstream.CA)
	if err != nil {
		return postgres.Upstream{}, fmt.Errorf("targets.%s.upstream.ca: %w", name, err)
	}
	return postgres.Upstream{
		User: t.Upstream.User, Password: string(t.Upstream.Password), Database: t.Upstream.Database,
		TLS: postgres.TLSMode(t.Upstream.TLS), CA: roots, ServerName: serverName(t),
	}, nil
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

// dialCatalog opens the gateway's own connection, which reads the catalog.
func (s *shared) dialCatalog(ctx context.Context, t *config.Target, up *postgres.Upstream, database string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig("")
	if err != nil {
		return nil, err
	}
	host, port := t.Upstream.Address[0].Split()
	cfg.Host, cfg.Port, cfg.User, cfg.Database = host, uint16(port), t.Upstream.User, database
	cfg.Fallbacks = nil
	cfg.ConnectTimeout = t.Upstream.ConnectTimeout.D()
	cfg.RuntimeParams = map[string]string{"application_name": "weir catalog"}
	if t.Upstream.Password != "" {
		if cfg.Password, err = s.vault.Resolve(ctx, string(t.Upstream.Password)); err != nil {
			return nil, err
		}
	}
	cfg.TLSConfig = nil
	if up.TLS != postgres.TLSDisable {
		cfg.TLSConfig = up.TLSConfig()
		cfg.TLSConfig.NextProtos = nil // TLS is asked for in the protocol
	}
	return pgx.ConnectConfig(ctx, cfg)
}
