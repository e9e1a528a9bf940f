package identity

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/spiffe/go-spiffe/v2/spiffeid"

	"github.com/weir-gateway/weir/internal/gate"
)

// Authority says whose certificates sign clients in, and as what.
type Authority struct {
	Roots *x509.CertPool
	// TrustDomain is the SPIFFE trust domain; it is the issuer of its principals.
	TrustDomain string
	// Names are DNS names that sign in too, where a certificate has no SPIFFE ID:
	// exact ones, and "*.example.org" for any one label in place of the star.
	Names []string
	Kind  gate.Kind
	Roles []string
}

// Certificates turns client certificates into principals. It is safe for
// concurrent use and never changes: other authorities are other Certificates.
type Certificates struct {
	authorities []Authority
	metrics     *Metrics
	now         func() time.Time
}

// NewCertificates makes Certificates. Without authorities it refuses everybody.
func NewCertificates(authorities []Authority, metrics *Metrics, now func() time.Time) (*Certificates, error) {
	if metrics == nil {
		metrics, _ = NewMetrics(nil) // fails only when it registers
	}
	if now == nil {
		now = time.Now
	}
	c := &Certificates{metrics: metrics, now: now}
	for _, a := range authorities {
		if a.Roots == nil {
			return nil, errors.New("identity: certificates need a CA of their own: the system's signs anybody's")
		}
		if _, err := spiffeid.TrustDomainFromString(a.TrustDomain); err != nil {
			return nil, fmt.Errorf("identity: trust domain %q: %w", a.TrustDomain, err)
		}
		if a.Kind == "" {
			a.Kind = gate.Agent
		}
		c.authorities = append(c.authorities, a)
	}
	return c, nil
}

// Verify judges the chain that a client has shown, leaf first, and says whose it
// is. That the client has the leaf's key must have been proved before. A refusal
// is an *Error.
func (c *Certificates) Verify(chain []*x509.Certificate) (gate.Principal, error) {
	p, domain, err := c.verify(chain)
	result := "ok"
	if err != nil {
		result = string(err.Code)
	}
	c.metrics.certificates.WithLabelValues(domain, result).Inc()
	if err != nil {
		return gate.Principal{}, err
	}
	return p, nil
}

func (c *Certificates) verify(chain []*x509.Certificate) (gate.Principal, string, *Error) {
	if len(chain) == 0 {
		return gate.Principal{}, "", refuse(NoCertificate, "no certificate was shown", nil)
	}
	leaf := chain[0]
	subject, candidates, err := c.identify(leaf)
	if err != nil {
		return gate.Principal{}, "", err
	}
	domain := candidates[0].TrustDomain
	if err := c.fit(leaf); err != nil {
		return gate.Principal{}, domain, err
	}
	var why error
	for _, a := range candidates {
		var verified [][]*x509.Certificate
		if verified, why = c.chains(chain, a.Roots); why == nil {
			return principalOf(leaf, subject, a, end(verified)), domain, nil
		}
	}
	return gate.Principal{}, domain, refuse(CertificateNotAccepted, "the certificate was not accepted", why)
}

// identify is whom a certificate names, and the authorities that could say so:
// exactly one SPIFFE ID (X.509-SVID section 2), or else exactly one DNS name.
func (c *Certificates) identify(leaf *x509.Certificate) (string, []Authority, *Error) {
	subject, belongs := "", func(*Authority) bool { return false }
	switch {
	case len(leaf.URIs) == 1:
		id, err := spiffeid.FromURI(leaf.URIs[0])
		if err != nil {
			return "", nil, refuse(NobodysCertificate, nobody, err)
		}
		subject = id.String()
		belongs = func(a *Authority) bool { return a.TrustDomain == id.TrustDomain().Name() }
	case len(leaf.URIs) == 0 && len(leaf.DNSNames) == 1:
		subject = strings.ToLower(leaf.DNSNames[0])
		belongs = func(a *Authority) bool {
			return slices.ContainsFunc(a.Names, func(pattern string) bool { return nameMatches(pattern, subject) })
		}
	}
	var out []Authority
	for i := range c.authorities {
		if belongs(&c.authorities[i]) {
			out = append(out, c.authorities[i])
		}
	}
	if len(out) == 0 {
		return "", nil, refuse(NobodysCertificate, nobody, nil)
	}
	return subject, out, nil
}

const nobody = "the certificate names nobody who may sign in here"

// hostLabel is a label of a host's name (RFC 1123 section 2.1), with the underscore
// that some have. A certificate's DNS name may be any ASCII: "spiffe://a.example.org"
// and what has a star or a line break in it are nobody's.
var hostLabel = regexp.MustCompile(`^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// nameMatches says whether a DNS name is what a pattern stands for.
func nameMatches(pattern, name string) bool {
	pattern = strings.ToLower(pattern)
	if rest, ok := strings.CutPrefix(pattern, "*."); ok {
		label, domain, _ := strings.Cut(name, ".")
		return hostLabel.MatchString(label) && domain == rest
	}
	return pattern == name && !strings.Contains(name, "*")
}

// fit judges what a leaf is for and when.
func (c *Certificates) fit(leaf *x509.Certificate) *Error {
	switch now := c.now(); {
	case leaf.IsCA, leaf.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return refuse(CertificateNotAccepted, "the certificate was not accepted", errors.New("an authority's own certificate signs nobody in"))
	case !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageClientAuth):
		return refuse(CertificateNotAccepted, "the certificate is not for clients (it lacks the extended key usage clientAuth)", nil)
	case now.After(leaf.NotAfter):
		return refuse(Expired, fmt.Sprintf("the certificate expired at %s", leaf.NotAfter.UTC().Format(time.RFC3339)), nil)
	case now.Before(leaf.NotBefore):
		return refuse(NotYetValid, fmt.Sprintf("the certificate is valid from %s only", leaf.NotBefore.UTC().Format(time.RFC3339)), nil)
	}
	return nil
}

func (c *Certificates) chains(chain []*x509.Certificate, roots *x509.CertPool) ([][]*x509.Certificate, error) {
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	return chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: c.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
}

// end is when the chain that lasts longest ends: with the first of its
// certificates.
func end(chains [][]*x509.Certificate) time.Time {
	var latest time.Time
	for _, chain := range chains {
		first := chain[0].NotAfter
		for _, cert := range chain {
			if cert.NotAfter.Before(first) {
				first = cert.NotAfter
			}
		}
		if first.After(latest) {
			latest = first
		}
	}
	return latest
}

func principalOf(leaf *x509.Certificate, subject string, a Authority, ends time.Time) gate.Principal {
	sum := sha256.Sum256(leaf.Raw)
	serial := leaf.SerialNumber.Text(16)
	roles := append([]string{}, a.Roles...)
	return gate.Principal{
		Subject: subject, Issuer: a.TrustDomain, Kind: a.Kind, Roles: roles, OnBehalfOf: []gate.Actor{}, Auth: "mtls",
		Claims: map[string]any{"serial": serial, "issuer": leaf.Issuer.String()},
		Token:  gate.Token{ID: serial, Hash: hex.EncodeToString(sum[:]), Expires: ends},
	}
}
