// Package pki makes certificates for tests and the demo: one authority, and
// server and client certificates signed by it. Keys are ECDSA P-256 and live
// in memory unless written out. It is not the gateway's own development
// authority, which weir makes for itself.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

// skew is how long before now a certificate starts to be valid.
const skew = time.Minute

// CA is a certificate authority that signs leaves.
type CA struct {
	Cert *x509.Certificate
	PEM  []byte // the authority's certificate

	key *ecdsa.PrivateKey
}

// Leaf is a certificate with its key, both also in PEM.
type Leaf struct {
	Cert    *x509.Certificate
	CertPEM []byte
	KeyPEM  []byte // PKCS #8
}

// Request says what a leaf is for. The zero value is a server certificate for
// localhost, 127.0.0.1 and ::1 that is valid for a day.
type Request struct {
	CommonName string
	Names      []string      // DNS names and IP addresses; default: the loopback's, for a server
	URI        string        // for instance spiffe://example/agent-1
	Client     bool          // for client authentication instead of server authentication
	Validity   time.Duration // from now; negative makes an expired certificate
}

// New makes an authority that is valid for ten years.
func New(commonName string) (*CA, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: commonName},
		NotAfter:              time.Now().AddDate(10, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	ca := &CA{}
	cert, certPEM, key, err := ca.sign(template)
	if err != nil {
		return nil, fmt.Errorf("making the authority %s: %w", commonName, err)
	}
	return &CA{Cert: cert, PEM: certPEM, key: key}, nil
}

// Issue signs a leaf.
func (ca *CA) Issue(r Request) (*Leaf, error) {
	if r.Validity == 0 {
		r.Validity = 24 * time.Hour
	}
	usage := x509.ExtKeyUsageServerAuth
	if r.Client {
		usage = x509.ExtKeyUsageClientAuth
	} else if len(r.Names) == 0 {
		r.Names = []string{"localhost", "127.0.0.1", "::1"}
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: r.CommonName},
		NotAfter:    time.Now().Add(r.Validity),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	for _, name := range r.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	if r.URI != "" {
		uri, err := url.Parse(r.URI)
		if err != nil {
			return nil, fmt.Errorf("URI of a certificate: %w", err)
		}
		template.URIs = []*url.URL{uri}
	}
	cert, certPEM, key, err := ca.sign(template)
	if err != nil {
		return nil, fmt.Errorf("issuing for %v: %w", r.Names, err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return &Leaf{Cert: cert, CertPEM: certPEM, KeyPEM: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})}, nil
}

// sign completes the template and signs it: with the authority's key, or with
// its own where the authority has none yet.
func (ca *CA) sign(template *x509.Certificate) (*x509.Certificate, []byte, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, nil, nil, err
	}
	template.SerialNumber = serial
	template.NotBefore = time.Now().Add(-skew)
	if template.NotAfter.Before(template.NotBefore) {
		template.NotBefore = template.NotAfter.Add(-skew)
	}
	parent, signer := ca.Cert, ca.key
	if signer == nil {
		parent, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, nil, nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, nil, err
	}
	return cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), key, nil
}

// Pool is a certificate pool with the authority alone.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Cert)
	return pool
}

// WriteFile writes the authority's certificate in PEM and returns its path.
func (ca *CA) WriteFile(dir string) (string, error) {
	path := filepath.Join(dir, "ca.crt")
	return path, os.WriteFile(path, ca.PEM, 0o644)
}

// TLS is the leaf as crypto/tls wants it.
func (l *Leaf) TLS() (tls.Certificate, error) { return tls.X509KeyPair(l.CertPEM, l.KeyPEM) }

// WriteFiles writes name.crt and name.key (mode 0600) into a folder.
func (l *Leaf) WriteFiles(dir, name string) (cert, key string, err error) {
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	if err := os.WriteFile(cert, l.CertPEM, 0o644); err != nil {
		return "", "", err
	}
	return cert, key, os.WriteFile(key, l.KeyPEM, 0o600)
}
