package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/devca"
)

// certificateCheck is how often a certificate is read again.
const certificateCheck = time.Minute

// certificate is what the listeners show. It is read again while the gateway
// runs, so that a renewed one needs no restart.
type certificate struct {
	now atomic.Pointer[pair]
}

type pair struct {
	cert, key []byte // PEM
	parsed    tls.Certificate
}

// GetCertificate is for tls.Config.
func (c *certificate) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p := c.now.Load()
	if p == nil {
		return nil, errors.New("no certificate was loaded")
	}
	return &p.parsed, nil
}

// refresh reads the certificate; changed says whether it is another one. A bad
// one is an error and leaves the last good one.
func (c *certificate) refresh(ctx context.Context, cfg *config.Config, v secrets) (changed bool, err error) {
	cert, key, err := readCertificate(ctx, cfg, v)
	if err != nil {
		return false, err
	}
	old := c.now.Load()
	if old != nil && slices.Equal(old.cert, cert) && slices.Equal(old.key, key) {
		return false, nil
	}
	parsed, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, fmt.Errorf("tls: certificate and key: %w", err)
	}
	c.now.Store(&pair{cert: cert, key: key, parsed: parsed})
	return true, nil
}

func readCertificate(ctx context.Context, cfg *config.Config, v secrets) (cert, key []byte, err error) {
	if cfg.TLS == nil {
		ca, err := devca.Open(CAFolder(cfg))
		if err != nil {
			return nil, nil, err
		}
		return ca.Server(certifiedNames(cfg))
	}
	certText, err := v.Resolve(ctx, string(cfg.TLS.Certificate))
	if err != nil {
		return nil, nil, fmt.Errorf("tls.certificate: %w", err)
	}
	keyText, err := v.Resolve(ctx, string(cfg.TLS.Key))
	if err != nil {
		return nil, nil, fmt.Errorf("tls.key: %w", err)
	}
	return []byte(certText), []byte(keyText), nil
}

// certifiedNames are the names by which this machine's clients reach it.
func certifiedNames(cfg *config.Config) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	for _, t := range cfg.Targets {
		names = append(names, hostOf(string(t.Listen)))
	}
	names = append(names, hostOf(string(cfg.Web.Listen)))
	if x := cfg.Envoy.External; x != nil {
		names = append(names, hostOf(string(x.Advertise)), x.TLS.ServerName)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	return slices.DeleteFunc(names, func(n string) bool {
		ip := net.ParseIP(n)
		return n == "" || ip != nil && ip.IsUnspecified()
	})
}

func hostOf(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return ""
	}
	return host
}
