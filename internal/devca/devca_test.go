package devca

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func open(t *testing.T, dir string) *Authority {
	t.Helper()
	a, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestServerCertificateIsTrusted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "ca")
	a := open(t, dir)
	certPEM, keyPEM, err := a.Server([]string{"localhost", "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(a.PEM())
	for _, name := range []string{"localhost", "127.0.0.1"} {
		if _, err := pair.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: name}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if info, _ := os.Stat(filepath.Join(dir, keyFile)); info.Mode().Perm() != 0o600 {
		t.Errorf("the CA's key has mode %v", info.Mode())
	}
}

func TestSecondStartKeepsWhatClientsTrust(t *testing.T) {
	dir := t.TempDir()
	first := open(t, dir)
	cert, _, err := first.Server([]string{"localhost"})
	if err != nil {
		t.Fatal(err)
	}
	second := open(t, dir)
	if !bytes.Equal(first.PEM(), second.PEM()) {
		t.Error("the authority changed")
	}
	again, _, err := second.Server([]string{"localhost"})
	if err != nil || !bytes.Equal(cert, again) {
		t.Errorf("the certificate changed: %v", err)
	}
}

func TestCertificateIsMadeAnew(t *testing.T) {
	a := open(t, t.TempDir())
	first, _, _ := a.Server([]string{"localhost"})
	more, _, err := a.Server([]string{"localhost", "db.test"})
	if err != nil || bytes.Equal(first, more) {
		t.Errorf("a new name did not make a new certificate: %v", err)
	}
	a.now = func() time.Time { return time.Now().Add(leafLifetime - renewBefore + time.Minute) }
	later, _, err := a.Server([]string{"localhost", "db.test"})
	if err != nil || bytes.Equal(more, later) {
		t.Errorf("it was not renewed before its end: %v", err)
	}
}

func TestBrokenAuthoritySaysTheWayOut(t *testing.T) {
	dir := t.TempDir()
	open(t, dir)
	if err := os.WriteFile(filepath.Join(dir, CertFile), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "remove "+dir) {
		t.Errorf("got %v", err)
	}
}
