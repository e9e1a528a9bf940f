package identity_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/identity"
)

// authority signs certificates of any form.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, parent *authority, edit func(*x509.Certificate)) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: t.Name()}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(10 * time.Hour),
	}
	if edit != nil {
		edit(template)
	}
	a := &authority{t: t, key: key}
	signer, by := template, key
	if parent != nil {
		signer, by = parent.cert, parent.key
	}
	a.cert = sign(t, template, signer, key, by)
	return a
}

func sign(t *testing.T, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// leaf is a certificate of a client, of agent-1 in example.org unless edit says
// otherwise.
func (a *authority) leaf(edit func(*x509.Certificate)) *x509.Certificate {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0xabc), URIs: uris("spiffe://example.org/agent-1"), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}
	if edit != nil {
		edit(template)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	return sign(a.t, template, a.cert, key, a.key)
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func uris(texts ...string) []*url.URL {
	var out []*url.URL
	for _, text := range texts {
		u, err := url.Parse(text)
		if err != nil {
			panic(err)
		}
		out = append(out, u)
	}
	return out
}

func named(names ...string) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.URIs, c.DNSNames = nil, names }
}

func certificates(t *testing.T, authorities ...identity.Authority) *identity.Certificates {
	t.Helper()
	c, err := identity.NewCertificates(authorities, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCertificatePrincipal(t *testing.T) {
	ca, other := newAuthority(t, nil, nil), newAuthority(t, nil, nil)
	c := certificates(t,
		identity.Authority{Roots: other.pool(), TrustDomain: "other.example", Names: []string{"*.agents.internal"}},
		identity.Authority{Roots: ca.pool(), TrustDomain: "example.org", Names: []string{"job.internal", "*.agents.internal"}, Kind: gate.Service, Roles: []string{"group:jobs"}},
	)
	leaf := ca.leaf(nil)
	got, err := c.Verify([]*x509.Certificate{leaf})
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(leaf.Raw)
	want := gate.Principal{
		Subject: "spiffe://example.org/agent-1", Issuer: "example.org", Kind: gate.Service, Roles: []string{"group:jobs"},
		Claims: map[string]any{"serial": "abc", "issuer": "CN=TestCertificatePrincipal"}, OnBehalfOf: []gate.Actor{}, Auth: "mtls",
		Token: gate.Token{ID: "abc", Hash: hex.EncodeToString(sum[:]), Expires: leaf.NotAfter},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, name := range []string{"job.internal", "JOB.internal", "a7.agents.internal"} {
		p, err := c.Verify([]*x509.Certificate{ca.leaf(named(name))})
		if err != nil || p.Subject != strings.ToLower(name) || p.Issuer != "example.org" {
			t.Errorf("%s: %+v, %v", name, p, err)
		}
	}
	between := newAuthority(t, ca, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(30 * time.Minute) })
	p, err := c.Verify([]*x509.Certificate{between.leaf(nil), between.cert})
	if err != nil || !p.Token.Expires.Equal(between.cert.NotAfter) {
		t.Errorf("through an intermediate that ends sooner: %v, %v", p.Token.Expires, err)
	}
}

func TestCertificateRefused(t *testing.T) {
	ca, stranger, neighbour := newAuthority(t, nil, nil), newAuthority(t, nil, nil), newAuthority(t, nil, nil)
	noClients := newAuthority(t, ca, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	c := certificates(t,
		identity.Authority{Roots: ca.pool(), TrustDomain: "example.org", Names: []string{"job.internal", "*.agents.internal"}},
		identity.Authority{Roots: neighbour.pool(), TrustDomain: "neighbour.example"},
	)
	uri := func(texts ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) { c.URIs = uris(texts...) }
	}
	for name, test := range map[string]struct {
		chain []*x509.Certificate
		code  identity.Code
	}{
		"none":                          {nil, identity.NoCertificate},
		"a stranger's":                  {[]*x509.Certificate{stranger.leaf(nil)}, identity.CertificateNotAccepted},
		"a stranger's with its CA":      {[]*x509.Certificate{stranger.leaf(nil), stranger.cert}, identity.CertificateNotAccepted},
		"a neighbour who says us":       {[]*x509.Certificate{neighbour.leaf(nil)}, identity.CertificateNotAccepted},
		"us who say the neighbour":      {[]*x509.Certificate{ca.leaf(uri("spiffe://neighbour.example/x"))}, identity.CertificateNotAccepted},
		"another trust domain":          {[]*x509.Certificate{ca.leaf(uri("spiffe://elsewhere.example/x"))}, identity.NobodysCertificate},
		"a domain below":                {[]*x509.Certificate{ca.leaf(uri("spiffe://a.example.org/x"))}, identity.NobodysCertificate},
		"two SPIFFE IDs":                {[]*x509.Certificate{ca.leaf(uri("spiffe://example.org/a", "spiffe://example.org/b"))}, identity.NobodysCertificate},
		"a SPIFFE ID and a URL":         {[]*x509.Certificate{ca.leaf(uri("spiffe://example.org/a", "https://example.org/b"))}, identity.NobodysCertificate},
		"no SPIFFE ID":                  {[]*x509.Certificate{ca.leaf(uri("https://example.org/a"))}, identity.NobodysCertificate},
		"a path that is none":           {[]*x509.Certificate{ca.leaf(uri("spiffe://example.org/a/../b"))}, identity.NobodysCertificate},
		"a URL beside a known name":     {[]*x509.Certificate{ca.leaf(func(c *x509.Certificate) { c.URIs, c.DNSNames = uris("https://x.example/"), []string{"job.internal"} })}, identity.NobodysCertificate},
		"two names":                     {[]*x509.Certificate{ca.leaf(named("job.internal", "a.agents.internal"))}, identity.NobodysCertificate},
		"no name but a common one":      {[]*x509.Certificate{ca.leaf(func(c *x509.Certificate) { c.URIs, c.Subject.CommonName = nil, "job.internal" })}, identity.NobodysCertificate},
		"a name with a star":            {[]*x509.Certificate{ca.leaf(named("*.agents.internal"))}, identity.NobodysCertificate},
		"two labels for a star":         {[]*x509.Certificate{ca.leaf(named("a.b.agents.internal"))}, identity.NobodysCertificate},
		"no label for a star":           {[]*x509.Certificate{ca.leaf(named("agents.internal"))}, identity.NobodysCertificate},
		"a name that ends alike":        {[]*x509.Certificate{ca.leaf(named("a.evil-agents.internal"))}, identity.NobodysCertificate},
		"a SPIFFE ID as a name":         {[]*x509.Certificate{ca.leaf(named("spiffe://root.agents.internal"))}, identity.NobodysCertificate},
		"a name with a line break":      {[]*x509.Certificate{ca.leaf(named("a\nb.agents.internal"))}, identity.NobodysCertificate},
		"a name with a blank":           {[]*x509.Certificate{ca.leaf(named("a b.agents.internal"))}, identity.NobodysCertificate},
		"a name that ends in a dot":     {[]*x509.Certificate{ca.leaf(named("job.internal."))}, identity.NobodysCertificate},
		"for servers":                   {[]*x509.Certificate{ca.leaf(func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })}, identity.CertificateNotAccepted},
		"for nothing in particular":     {[]*x509.Certificate{ca.leaf(func(c *x509.Certificate) { c.ExtKeyUsage = nil })}, identity.CertificateNotAccepted},
		"an authority's":                {[]*x509.Certificate{ca.leaf(func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })}, identity.CertificateNotAccepted},
		"that may sign":                 {[]*x509.Certificate{ca.leaf(func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageCertSign })}, identity.CertificateNotAccepted},
		"expired":                       {[]*x509.Certificate{ca.leaf(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) })}, identity.Expired},
		"of tomorrow":                   {[]*x509.Certificate{ca.leaf(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Minute) })}, identity.NotYetValid},
		"by who may sign servers only":  {[]*x509.Certificate{noClients.leaf(nil), noClients.cert}, identity.CertificateNotAccepted},
		"without the one between":       {[]*x509.Certificate{newAuthority(t, ca, nil).leaf(nil)}, identity.CertificateNotAccepted},
		"signed by a client's own leaf": {[]*x509.Certificate{leafBy(t, ca), ca.leaf(nil)}, identity.CertificateNotAccepted},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := c.Verify(test.chain)
			var refused *identity.Error
			if !errors.As(err, &refused) || refused.Code != test.code {
				t.Errorf("got %+v, %v, want %s", p, err, test.code)
			}
		})
	}
}

// leafBy is a certificate that a client's own, good certificate has signed.
func leafBy(t *testing.T, ca *authority) *x509.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), URIs: uris("spiffe://example.org/mallory"), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(time.Hour),
	}
	good := &authority{t: t, cert: sign(t, template, ca.cert, key, ca.key), key: key}
	return good.leaf(func(c *x509.Certificate) { c.URIs = uris("spiffe://example.org/root") })
}

func TestAuthoritiesAreTheirOwn(t *testing.T) {
	if _, err := identity.NewCertificates([]identity.Authority{{TrustDomain: "example.org"}}, nil, nil); err == nil {
		t.Error("the system's authorities sign clients in")
	}
	if _, err := identity.NewCertificates([]identity.Authority{{Roots: x509.NewCertPool(), TrustDomain: "no domain"}}, nil, nil); err == nil {
		t.Error("a trust domain is not judged")
	}
}
