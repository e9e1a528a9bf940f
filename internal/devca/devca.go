// Package devca makes a certificate authority for one machine, and a server
// certificate from it, so that everything speaks TLS from the first start. It is
// not for production: its key lies beside the data, and no one revokes.
package devca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The files of a folder made by this package.
const (
	CertFile      = "ca.crt"
	keyFile       = "ca.key"
	leafFile      = "server.crt"
	leafKeyFile   = "server.key"
	caLifetime    = 10 * 365 * 24 * time.Hour
	leafLifetime  = 90 * 24 * time.Hour
	renewBefore   = 30 * 24 * time.Hour
	clockSkew     = time.Hour // certificates start this long ago
	privateFolder = 0o700
	privateFile   = 0o600
	publicFile    = 0o644
)

// Authority is a development CA in a folder.
type Authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	now  func() time.Time
}

// Open loads the authority of a folder, or makes one on first use.
func Open(dir string) (*Authority, error) {
	a := &Authority{dir: dir, now: time.Now}
	if err := os.MkdirAll(dir, privateFolder); err != nil {
		return nil, fmt.Errorf("development CA: %w", err)
	}
	cert, key, err := load(filepath.Join(dir, CertFile), filepath.Join(dir, keyFile))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return a, a.create()
	case err != nil:
		return nil, fmt.Errorf("development CA: %w; remove %s to make a new one", err, dir)
	}
	a.cert, a.key = cert, key
	return a, nil
}

// PEM is the authority's certificate, for clients to trust.
func (a *Authority) PEM() []byte { return encode("CERTIFICATE", a.cert.Raw) }

// Server gives a certificate for the names (host names or IP addresses), made
// anew when the kept one lacks a name or nears its end.
func (a *Authority) Server(names []string) (certPEM, keyPEM []byte, err error) {
	certPath, keyPath := filepath.Join(a.dir, leafFile), filepath.Join(a.dir, leafKeyFile)
	if leaf, _, err := load(certPath, keyPath); err == nil && a.fits(leaf, names) {
		return readBoth(certPath, keyPath)
	}
	if err := a.issue(names, certPath, keyPath); err != nil {
		return nil, nil, fmt.Errorf("development certificate: %w", err)
	}
	return readBoth(certPath, keyPath)
}

func (a *Authority) fits(leaf *x509.Certificate, names []string) bool {
	if leaf.CheckSignatureFrom(a.cert) != nil || a.now().After(leaf.NotAfter.Add(-renewBefore)) {
		return false
	}
	return !slices.ContainsFunc(names, func(n string) bool { return leaf.VerifyHostname(n) != nil })
}

func (a *Authority) create() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	host, _ := os.Hostname() // only a name in the subject
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "weir development CA on " + host},
		NotAfter:              a.now().Add(caLifetime),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	a.key = key
	return a.write(template, template, key, filepath.Join(a.dir, CertFile), filepath.Join(a.dir, keyFile))
}

func (a *Authority) issue(names []string, certPath, keyPath string) error {
	if len(names) == 0 {
		return errors.New("no name to certify")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: names[0]},
		NotAfter:    a.now().Add(leafLifetime),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, n)
		}
	}
	return a.write(template, a.cert, key, certPath, keyPath)
}

// write signs a certificate with the authority's key and keeps both files. The
// key comes first: a certificate without its key is of no use.
func (a *Authority) write(template, parent *x509.Certificate, key *ecdsa.PrivateKey, certPath, keyPath string) error {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return err
	}
	template.SerialNumber = serial
	template.NotBefore = a.now().Add(-clockSkew)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, a.key)
	if err != nil {
		return err
	}
	if a.cert == nil {
		if a.cert, err = x509.ParseCertificate(der); err != nil {
			return err
		}
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := replace(keyPath, encode("PRIVATE KEY", keyDER), privateFile); err != nil {
		return err
	}
	return replace(certPath, encode("CERTIFICATE", der), publicFile)
}

// replace writes a file whole or not at all.
func replace(path string, data []byte, mode os.FileMode) error {
	temp := path + ".new"
	if err := os.WriteFile(temp, data, mode); err != nil {
		return err
	}
	return os.Rename(temp, path)
}

func load(certPath, keyPath string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	certPEM, keyPEM, err := readBoth(certPath, keyPath)
	if err != nil {
		return nil, nil, err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, fmt.Errorf("%s holds no ECDSA key", keyPath)
	}
	return pair.Leaf, key, nil
}

func readBoth(certPath, keyPath string) (cert, key []byte, err error) {
	if cert, err = os.ReadFile(certPath); err != nil {
		return nil, nil, err
	}
	key, err = os.ReadFile(keyPath)
	return cert, key, err
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
