package postgres

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/integration/pki"
	pgserver "github.com/weir-gateway/weir/integration/postgres"
)

// tries says whether a client gets in with a configuration like the world's.
func (w *world) tries(t *testing.T, upstream string, edit func(*Upstream)) error {
	t.Helper()
	one := newWorld(t)
	one.deps, one.cfg = w.deps, w.cfg
	edit(&one.cfg.Upstream)
	conn, err := pgx.Connect(context.Background(), dsn(one.serve(upstream)))
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	return conn.Ping(context.Background())
}

// client issues a certificate that a server may let in.
func client(t *testing.T, ca *pki.CA, name string) *tls.Certificate {
	t.Helper()
	leaf, err := ca.Issue(pki.Request{CommonName: name, Client: true})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := leaf.TLS()
	if err != nil {
		t.Fatal(err)
	}
	return &pair
}

func TestServerAsksForACertificate(t *testing.T) {
	ca, secure := serverTLS(t)
	clients, err := pki.New("clients")
	if err != nil {
		t.Fatal(err)
	}
	secure.ClientCA = clients.PEM
	w, server := realWorld(t, pgserver.Options{TLS: secure, HBA: []string{
		"hostssl all weir_orders 127.0.0.1/32 cert",
		"hostssl all weir_both 127.0.0.1/32 scram-sha-256 clientcert=verify-ca",
		"host all all 127.0.0.1/32 scram-sha-256",
	}, SQL: []string{"CREATE ROLE weir_both LOGIN PASSWORD 'upstream-secret'"}})
	w.deps.Catalog = func(string) (Catalog, error) { return fixedCatalog{nothing{}}, nil }
	right, wrongName, unknown := client(t, clients, "weir_orders"), client(t, clients, "somebody"), client(t, ca, "weir_orders")
	var now atomic.Pointer[tls.Certificate]
	show := func(user string) func(*Upstream) {
		return func(u *Upstream) {
			u.User, u.TLS, u.CA, u.ServerName = user, TLSVerifyFull, ca.Pool(), "db.internal"
			u.Certificate = func(context.Context) (*tls.Certificate, error) {
				if now.Load() == nil {
					return nil, errors.New("the file was lost")
				}
				return now.Load(), nil
			}
		}
	}
	for _, tc := range []struct {
		name, user string
		shown      *tls.Certificate
		letsIn     bool
	}{
		{"its own", "weir_orders", right, true},
		{"of another name", "weir_orders", wrongName, false},
		{"of another authority", "weir_orders", unknown, false},
		{"none any more", "weir_orders", nil, false},
		{"its own again", "weir_orders", client(t, clients, "weir_orders"), true},
		{"any, and the password", "weir_both", wrongName, true},
		{"of another authority, and the password", "weir_both", unknown, false},
	} {
		now.Store(tc.shown)
		err := w.tries(t, server.Addr(), show(tc.user))
		if (err == nil) != tc.letsIn {
			t.Errorf("%s: %v", tc.name, err)
		}
		if err != nil && !strings.Contains(err.Error(), "could not sign in to target orders") {
			t.Errorf("%s: the client is told %v", tc.name, err)
		}
	}
	if err := w.tries(t, server.Addr(), func(u *Upstream) { show("weir_both")(u); u.Certificate = nil }); err == nil {
		t.Error("the password alone lets in where a certificate is asked for")
	}
}

// middle is somebody between the gateway and the server who has TLS with both
// and passes on what each says.
func middle(t *testing.T, server string) string {
	t.Helper()
	ca, err := pki.New("middle")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(pki.Request{Names: []string{"db.internal"}})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := leaf.TLS()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go relayTLS(conn, server, pair)
		}
	}()
	return l.Addr().String()
}

func relayTLS(conn net.Conn, server string, pair tls.Certificate) {
	defer conn.Close()
	if _, err := io.ReadFull(conn, make([]byte, 8)); err != nil {
		return
	}
	if _, err := conn.Write([]byte{'S'}); err != nil {
		return
	}
	up, err := net.Dial("tcp", server)
	if err != nil {
		return
	}
	defer up.Close()
	if offered, err := requestTLS(up); err != nil || !offered {
		return
	}
	here := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{pair}})
	there := tls.Client(up, &tls.Config{InsecureSkipVerify: true})
	go func() {
		_, _ = io.Copy(there, here)
		up.Close()
	}()
	_, _ = io.Copy(here, there)
}

// The password is bound to the channel: with SCRAM one in the middle gets nowhere,
// even where the mode verifies nobody. With md5 he gets in, which shows that he
// is there.
func TestOneInTheMiddle(t *testing.T) {
	for auth, letsIn := range map[pgserver.Auth]bool{pgserver.SCRAM: false, pgserver.MD5: true} {
		_, secure := serverTLS(t)
		w, server := realWorld(t, pgserver.Options{TLS: secure, Auth: auth})
		between := middle(t, server.Addr())
		if err := w.tries(t, between, func(u *Upstream) { u.TLS = TLSRequire }); (err == nil) != letsIn {
			t.Errorf("%s: %v", auth, err)
		}
		if err := w.tries(t, server.Addr(), func(u *Upstream) { u.TLS = TLSRequire }); err != nil {
			t.Errorf("%s, without him: %v", auth, err)
		}
		if err := w.tries(t, between, func(u *Upstream) { u.TLS, u.ServerName = TLSVerifyFull, "db.internal" }); err == nil {
			t.Errorf("%s: a certificate of his own making is believed", auth)
		}
	}
}

// What lets anybody in who has it goes to a verified server only.
func TestCredentialForVerifiedServersOnly(t *testing.T) {
	for mode, fine := range map[TLSMode]bool{
		TLSDisable: false, TLSPrefer: false, TLSRequire: false, TLSVerifyCA: true, TLSVerifyFull: true, "": true,
	} {
		w := fakeWorld(t)
		w.cfg.Upstream.TLS, w.cfg.Upstream.ServerName, w.cfg.Upstream.Verified = mode, "db.internal", true
		w.cfg.Upstream.CA = x509.NewCertPool()
		if _, err := w.cfg.withDefaults(); (err == nil) != fine {
			t.Errorf("%q: %v", mode, err)
		}
	}
}

// Without a CA and without a name anybody's certificate would do.
func TestChainOfTheSystemIsNobodys(t *testing.T) {
	w := fakeWorld(t)
	w.cfg.Upstream.TLS, w.cfg.Upstream.CA = TLSVerifyCA, nil
	if _, err := w.cfg.withDefaults(); err == nil {
		t.Error("verify-ca with the system's CAs verifies nobody")
	}
}
