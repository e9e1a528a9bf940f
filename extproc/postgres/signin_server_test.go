package postgres

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/integration/pki"
	pgserver "github.com/weir-gateway/weir/integration/postgres"
)

func serverTLS(t *testing.T) (*pki.CA, *pgserver.TLS) {
	t.Helper()
	ca, err := pki.New("database CA")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(pki.Request{CommonName: "db", Names: []string{"db.internal"}})
	if err != nil {
		t.Fatal(err)
	}
	return ca, &pgserver.TLS{Cert: leaf.CertPEM, Key: leaf.KeyPEM}
}

func TestServerSignIn(t *testing.T) {
	ca, secure := serverTLS(t)
	other, err := pki.New("another CA")
	if err != nil {
		t.Fatal(err)
	}
	for _, auth := range []pgserver.Auth{pgserver.SCRAM, pgserver.MD5, pgserver.Password, pgserver.Trust} {
		for _, withTLS := range []bool{false, true} {
			o := pgserver.Options{Auth: auth}
			if withTLS {
				o.TLS = secure
			}
			if auth == pgserver.MD5 {
				o.Settings = map[string]string{"password_encryption": "md5"}
			}
			w, server := realWorld(t, o)
			var tries map[string]bool // mode → lets in
			w.cfg.Upstream.CA = ca.Pool()
			if withTLS {
				tries = map[string]bool{"disable": true, "prefer": true, "require": true, "verify-ca": true, "verify-full": true, "wrong name": false, "wrong CA": false, "wrong CA, chain only": false}
			} else {
				tries = map[string]bool{"disable": auth != pgserver.Password, "prefer": auth != pgserver.Password, "require": false, "verify-full": false}
			}
			for try, letsIn := range tries {
				one := newWorld(t)
				one.deps, one.cfg = w.deps, w.cfg
				one.cfg.Upstream.TLS, one.cfg.Upstream.ServerName = TLSMode(try), "db.internal"
				switch try {
				case "wrong name":
					one.cfg.Upstream.TLS, one.cfg.Upstream.ServerName = TLSVerifyFull, "other.internal"
				case "wrong CA":
					one.cfg.Upstream.TLS, one.cfg.Upstream.CA = TLSVerifyFull, other.Pool()
				case "wrong CA, chain only":
					one.cfg.Upstream.TLS, one.cfg.Upstream.CA = TLSVerifyCA, other.Pool()
				}
				conn, err := pgx.Connect(context.Background(), dsn(one.serve(server.Addr())))
				if err == nil {
					var user string
					err = conn.QueryRow(context.Background(), "SELECT current_user").Scan(&user)
					if user != "weir_orders" {
						t.Errorf("%s, TLS %v, %s: signed in as %q (%v)", auth, withTLS, try, user, err)
					}
					conn.Close(context.Background())
				} else if !strings.Contains(err.Error(), "could not sign in to target orders") {
					t.Errorf("%s, TLS %v, %s: the client is told %v", auth, withTLS, try, err)
				}
				if (err == nil) != letsIn {
					t.Errorf("%s, TLS %v, %s: %v", auth, withTLS, try, err)
				}
			}
		}
	}
}

func TestServerRefusesSignIn(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	w.cfg.Databases = []string{"*"}
	w.deps.Password = secret("a-wrong-secret")
	address := w.serve(server.Addr())
	_, err := pgx.Connect(context.Background(), dsn(address))
	if err == nil || !strings.Contains(err.Error(), "28P01") || !strings.Contains(err.Error(), "could not sign in to target orders") || strings.Contains(err.Error(), "weir_orders") {
		t.Errorf("the client is told %v", err)
	}
	w.deps.Password = secret("upstream-secret")
	again := newWorld(t)
	again.deps, again.cfg = w.deps, w.cfg
	again.deps.Catalog = w.deps.Catalog
	// What the client itself asked for is answered in the server's own words.
	address = again.serve(server.Addr())
	for bad, want := range map[string][2]string{
		strings.Replace(dsn(address), "/shop", "/nosuch", 1): {"3D000", `database "nosuch" does not exist`},
		dsn(address) + "&no_such_setting=1":                  {"42704", `unrecognized configuration parameter "no_such_setting"`},
		dsn(address) + "&statement_timeout=soon":             {"22023", `invalid value for parameter "statement_timeout": "soon"`},
	} {
		_, err = pgx.Connect(context.Background(), bad)
		var told *pgconn.PgError
		if !errors.As(err, &told) || told.Code != want[0] || told.Message != want[1] || told.Severity != "FATAL" || told.File == "" || told.Line == 0 {
			t.Errorf("the client is told %v", err)
		}
	}
	for _, secret := range []string{"a-wrong-secret", "upstream-secret"} {
		if strings.Contains(w.logged()+again.logged(), secret) {
			t.Error("a secret is in the log")
		}
	}
}

// A server that cannot prove that it knows the password is not trusted, and gets
// no password in clear.
func TestUntrustworthyServers(t *testing.T) {
	for name, sign := range map[string]func(b *pgproto3.Backend, conn net.Conn) error{
		"asks in clear": func(b *pgproto3.Backend, _ net.Conn) error {
			b.Send(&pgproto3.AuthenticationCleartextPassword{})
			if err := b.Flush(); err != nil {
				return err
			}
			if _, err := b.Receive(); err == nil {
				t.Error("a password was sent in clear")
			}
			return nil
		},
		"skips the proof": func(b *pgproto3.Backend, _ net.Conn) error {
			b.Send(&pgproto3.AuthenticationSASL{AuthMechanisms: []string{scramPlain}})
			if err := b.Flush(); err != nil {
				return err
			}
			if err := b.SetAuthType(pgproto3.AuthTypeSASL); err != nil {
				return err
			}
			if _, err := b.Receive(); err != nil {
				return err
			}
			return nil // AuthenticationOk follows
		},
		"no known method": func(b *pgproto3.Backend, _ net.Conn) error {
			b.Send(&pgproto3.AuthenticationGSS{})
			return b.Flush()
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := fakeWorld(t)
			server := newFakeServer()
			server.sign = sign
			k := newTalk(t, w.serve(server.serve(t)))
			k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
			if got := k.signIn("good"); got[0] != "FATAL 08006 the gateway could not sign in to target orders" {
				t.Errorf("got %q", got)
			}
		})
	}
}

// refusing is a connection that takes nothing, and has said why.
type refusing struct {
	net.Conn
	why error
}

func (refusing) Write([]byte) (int, error)  { return 0, syscall.EPIPE }
func (r refusing) Read([]byte) (int, error) { return 0, r.why }

// A server that refuses the gateway's certificate in TLS 1.3 may have closed the
// connection before the gateway sends anything. It was reached all the same.
func TestServerRefusesBeforeItIsAsked(t *testing.T) {
	w := fakeWorld(t)
	w.start()
	for why, unreached := range map[error]bool{errors.New("remote error: tls: unknown certificate authority"): false, syscall.ECONNRESET: true} {
		_, err := w.handler.signInServer(t.Context(), refusing{why: why}, &greeting{params: &startupParams{}}, "shop")
		if !errors.Is(err, why) || gone(err) != unreached {
			t.Errorf("%v: %v", why, err)
		}
	}
}
