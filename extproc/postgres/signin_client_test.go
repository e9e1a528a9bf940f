package postgres

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/weir-gateway/weir/integration/pki"
	"github.com/weir-gateway/weir/internal/gate"
)

// certificates know whom the common name of a leaf names.
type certificates map[string]error

func (c certificates) Verify(chain []*x509.Certificate) (gate.Principal, error) {
	name := chain[0].Subject.CommonName
	err, known := c[name]
	if !known {
		err = publicError("nobody here is called " + name)
	}
	return gate.Principal{Subject: name, Auth: "mtls"}, err
}

// What is shown in TLS is judged, whatever else the client asks for or could say.
func TestClientCertificates(t *testing.T) {
	w := fakeWorld(t)
	w.offerTLS()
	w.cfg.SignIn = []SignIn{SignInCertificate, SignInPassword}
	w.deps.Certificates = certificates{"agent-7": nil, "broken": errors.New("secret detail")}
	address := w.serve(newFakeServer().serve(t))
	ca, err := pki.New("any CA")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, certificate string
		params            []string
		want              []string
	}{
		{"a good one", "agent-7", nil, []string{"ready"}},
		{"a good one, and a password is asked for", "agent-7", []string{signInSetting, "password"}, []string{"ready"}},
		{"a bad one", "mallory", nil, []string{"FATAL 28000 sign-in failed: nobody here is called mallory"}},
		{"a bad one, and a password is asked for", "mallory", []string{signInSetting, "password"}, []string{"FATAL 28000 sign-in failed: nobody here is called mallory"}},
		{"one that cannot be checked", "broken", nil, []string{"FATAL 28000 sign-in failed: the certificate could not be checked"}},
		{"none", "", nil, []string{"password", "ready"}},
		{"none, and it is asked for", "", []string{signInSetting, "certificate"}, []string{"FATAL 28000 connection requires a valid client certificate"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			settings := &tls.Config{RootCAs: w.ca.Pool(), ServerName: "localhost", NextProtos: []string{alpn}}
			if test.certificate != "" {
				leaf, err := ca.Issue(pki.Request{CommonName: test.certificate, Client: true})
				if err != nil {
					t.Fatal(err)
				}
				pair, err := leaf.TLS()
				if err != nil {
					t.Fatal(err)
				}
				settings.Certificates = []tls.Certificate{pair}
			}
			conn := tls.Client(dial(t, address), settings)
			k := &talk{t, conn, pgproto3.NewFrontend(conn, conn)}
			k.write(startPacket(pgproto3.ProtocolVersion30, append(append([]string{}, userShop...), test.params...)...))
			var got []string
			for len(got) == 0 || got[len(got)-1] == "password" {
				m, err := k.b.Receive()
				if err != nil {
					t.Fatal(err)
				}
				switch m := m.(type) {
				case *pgproto3.AuthenticationCleartextPassword:
					got = append(got, "password")
					k.b.Send(&pgproto3.PasswordMessage{Password: "good"})
					if err := k.b.Flush(); err != nil {
						t.Fatal(err)
					}
				case *pgproto3.ErrorResponse:
					got = append(got, m.Severity+" "+m.Code+" "+m.Message)
				case *pgproto3.ReadyForQuery:
					got = append(got, "ready")
				}
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Where certificates are no way to sign in, none is asked for.
func TestNoCertificateIsAskedFor(t *testing.T) {
	w := fakeWorld(t)
	w.offerTLS()
	address := w.serve(newFakeServer().serve(t))
	asked := false
	conn := tls.Client(dial(t, address), &tls.Config{
		RootCAs: w.ca.Pool(), ServerName: "localhost", NextProtos: []string{alpn},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			asked = true
			return new(tls.Certificate), nil
		},
	})
	k := &talk{t, conn, pgproto3.NewFrontend(conn, conn)}
	k.write(startPacket(pgproto3.ProtocolVersion30, userShop...))
	if got := k.signIn("good"); !cmp.Equal(got, []string{"ready"}) || asked {
		t.Errorf("%v, asked %v", got, asked)
	}
}
