package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// Codes of the requests that stand in place of a protocol version (PostgreSQL,
// "Message formats": SSLRequest, GSSENCRequest, CancelRequest).
const (
	sslRequestCode    = 80877103
	gssRequestCode    = 80877104
	cancelRequestCode = 80877102
)

// alpn is the application protocol of direct TLS (PostgreSQL 17).
const alpn = "postgresql"

var errEarlyBytes = errors.New("the peer sent bytes in clear ahead of the TLS handshake")

// requestTLS asks the server for TLS and reads its answer of one byte. Bytes
// behind the answer would be read as if they had come through TLS, so they end
// the connection (CVE-2021-23214).
func requestTLS(conn net.Conn) (offered bool, err error) {
	request := binary.BigEndian.AppendUint32([]byte{0, 0, 0, 8}, sslRequestCode)
	if _, err := conn.Write(request); err != nil {
		return false, err
	}
	answer := make([]byte, 64)
	n, err := conn.Read(answer)
	switch {
	case n == 0 && err != nil:
		return false, err
	case n == 1 && answer[0] == 'S':
		return true, nil
	case n == 1 && answer[0] == 'N':
		return false, nil
	case n > 1 && (answer[0] == 'S' || answer[0] == 'N'):
		return false, errEarlyBytes
	}
	return false, fmt.Errorf("the server answered the TLS request with %q", answer[:min(n, 1)])
}

// secureServer brings the way to the server to what the mode asks for.
func secureServer(ctx context.Context, conn net.Conn, u *Upstream, offered bool) (net.Conn, error) {
	if !offered {
		if u.TLS == TLSDisable || u.TLS == TLSPrefer {
			return conn, nil
		}
		return nil, fmt.Errorf("the server offers no TLS, and the target's tls is %s", u.TLS)
	}
	secure := tls.Client(conn, u.tlsConfig())
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS with the server: %w", err)
	}
	return secure, nil
}

// Secure brings a fresh connection of the gateway's own to what the mode asks for,
// before ctx ends.
func (u *Upstream) Secure(ctx context.Context, conn net.Conn) (net.Conn, error) {
	if at, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(at); err != nil {
			return nil, err
		}
	}
	secure, err := askSecure(ctx, conn, u)
	if err != nil {
		return nil, err
	}
	return secure, conn.SetDeadline(time.Time{})
}

// tlsConfig are the settings of TLS with the server.
func (u *Upstream) tlsConfig() *tls.Config {
	c := &tls.Config{
		MinVersion: tls.VersionTLS12, ServerName: u.ServerName, RootCAs: u.CA, NextProtos: []string{alpn},
	}
	if u.Certificate != nil {
		c.GetClientCertificate = func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return u.Certificate(r.Context())
		}
	}
	switch u.TLS {
	case TLSVerifyFull:
		return c
	case TLSVerifyCA:
		c.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(s.PeerCertificates, u.CA) }
	}
	c.InsecureSkipVerify = true // as libpq: the mode asks for secrecy, not for a name
	return c
}

// verifyChain checks who signed a certificate, not whose it is.
func verifyChain(certs []*x509.Certificate, roots *x509.CertPool) error {
	if len(certs) == 0 {
		return errors.New("the server sent no certificate")
	}
	opts := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range certs[1:] {
		opts.Intermediates.AddCert(c)
	}
	_, err := certs[0].Verify(opts)
	return err
}

// clientTLS makes the gateway's end of TLS with a client. direct says that the
// client began with TLS at once, which needs ALPN.
func (c *Config) clientTLS(ctx context.Context, conn net.Conn, direct bool) (*tls.Conn, error) {
	settings := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.GetCertificate, NextProtos: []string{alpn}}
	if slices.Contains(c.SignIn, SignInCertificate) {
		// What is shown is judged at sign-in, where the client can be told why it
		// is refused. TLS itself only proves that the client has the key.
		settings.ClientAuth = tls.RequestClientCert
	}
	secure := tls.Server(conn, settings)
	if err := secure.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS with the client: %w", err)
	}
	if direct && secure.ConnectionState().NegotiatedProtocol != alpn {
		return nil, errors.New("direct TLS without the application protocol " + alpn)
	}
	return secure, nil
}

// replayed is a connection of which the first bytes have been read already.
type replayed struct {
	net.Conn
	first []byte
}

func (r *replayed) Read(p []byte) (int, error) {
	if len(r.first) == 0 {
		return r.Conn.Read(p)
	}
	n := copy(p, r.first)
	r.first = r.first[n:]
	return n, nil
}
