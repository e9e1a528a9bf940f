package pki_test

import (
	"crypto/tls"
	"io"
	"os"
	"testing"
	"time"

	"github.com/weir-gateway/weir/integration/pki"
)

// handshake connects over TLS, exchanges a byte and returns the client's error.
func handshake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", server)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		_, _ = io.CopyN(conn, conn, 1)
		_ = conn.Close()
	}()
	defer func() { _ = listener.Close(); <-done }()
	conn, err := tls.Dial("tcp", listener.Addr().String(), client)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	if _, err := conn.Write([]byte("x")); err != nil {
		return err
	}
	_, err = io.ReadFull(conn, make([]byte, 1))
	return err
}

func issue(t *testing.T, ca *pki.CA, r pki.Request) *pki.Leaf {
	t.Helper()
	leaf, err := ca.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	return leaf
}

func authority(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.New("test")
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func TestServerCertificate(t *testing.T) {
	ca, other := authority(t), authority(t)
	for _, test := range []struct {
		name    string
		request pki.Request
		trusted *pki.CA
		asked   string
		ok      bool
	}{
		{"localhost by default", pki.Request{}, ca, "localhost", true},
		{"the loopback address by default", pki.Request{}, ca, "127.0.0.1", true},
		{"a name of its own", pki.Request{Names: []string{"db.internal"}}, ca, "db.internal", true},
		{"another name", pki.Request{Names: []string{"db.internal"}}, ca, "localhost", false},
		{"an authority that is not trusted", pki.Request{}, other, "localhost", false},
		{"expired", pki.Request{Validity: -time.Hour}, ca, "localhost", false},
		{"a client's certificate", pki.Request{Client: true, Names: []string{"localhost"}}, ca, "localhost", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			cert, err := issue(t, ca, test.request).TLS()
			if err != nil {
				t.Fatal(err)
			}
			err = handshake(t, &tls.Config{Certificates: []tls.Certificate{cert}},
				&tls.Config{RootCAs: test.trusted.Pool(), ServerName: test.asked})
			if (err == nil) != test.ok {
				t.Errorf("handshake: %v, want success %t", err, test.ok)
			}
		})
	}
}

func TestClientCertificateCarriesURI(t *testing.T) {
	ca := authority(t)
	leaf := issue(t, ca, pki.Request{Client: true, URI: "spiffe://example/agent-1"})
	if got := leaf.Cert.URIs[0].String(); got != "spiffe://example/agent-1" {
		t.Errorf("URI %s", got)
	}
}

func TestKeyFileIsPrivate(t *testing.T) {
	leaf := issue(t, authority(t), pki.Request{})
	cert, key, err := leaf.WriteFiles(t.TempDir(), "server")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(key)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode of the key is %o", info.Mode().Perm())
	}
	if _, err := tls.LoadX509KeyPair(cert, key); err != nil {
		t.Error(err)
	}
}
