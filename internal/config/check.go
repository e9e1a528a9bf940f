package config

import (
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"filippo.io/age"
	"github.com/spiffe/go-spiffe/v2/spiffeid"
)

// Embedded is the ClickHouse or NATS that weir runs itself.
const Embedded = "embedded"

// check judges what the types alone cannot: values that contradict each other.
func check(c *Config, r *report) {
	checkIdentity(&c.Identity, r)
	if len(c.Targets) == 0 {
		r.add("targets", "names no target", "add one: a name, and below it kind, listen and upstream")
	}
	for _, name := range slices.Sorted(maps.Keys(c.Targets)) {
		checkTarget(name, c.Targets[name], r)
	}
	checkApprovals(&c.Approvals, r)
	checkEvidence(&c.Evidence, r)
	checkEnvoy(&c.Envoy, r)
	checkTransports(c, r)
	checkWeb(&c.Web, r)
	checkListeners(c, r)
	checkCertificateSignIn(c, r)
}

func checkIdentity(id *Identity, r *report) {
	if len(id.Issuers) == 0 {
		r.add("identity.issuers", "names no issuer", "without one nobody can sign in: add - url: https://…")
	}
	if id.Skew.D() < time.Second || id.Skew.D() > maxSkew {
		r.add("identity.skew", "is out of range", "write 1s to 10m; where clocks differ by more, mend the clocks")
	}
	seen := map[string]int{}
	for i, issuer := range id.Issuers {
		path := fmt.Sprintf("identity.issuers[%d]", i)
		if issuer == nil {
			continue
		}
		checkIssuer(path, issuer, r)
		if first, ok := seen[issuer.URL]; ok && issuer.URL != "" {
			r.add(path+".url", "stands here twice", fmt.Sprintf("identity.issuers[%d] has the same: make them one", first))
			continue
		}
		seen[issuer.URL] = i
	}
	for i, a := range id.Certificates {
		if a != nil {
			checkAuthority(fmt.Sprintf("identity.certificates[%d]", i), a, r)
		}
	}
}

func checkAuthority(path string, a *Authority, r *report) {
	if _, err := spiffeid.TrustDomainFromString(a.TrustDomain); r.given(path+".trust_domain") && (err != nil || strings.Contains(a.TrustDomain, "/")) {
		r.add(path+".trust_domain", "is not the name of a trust domain", "write for example example.org: letters, digits, dots, - and _")
	}
	for i, name := range a.Names {
		if !dnsPattern.MatchString(name) {
			r.add(fmt.Sprintf("%s.names[%d]", path, i), fmt.Sprintf("%q is not a DNS name", name), "write agent-1.internal, or *.agents.internal for any one label")
		}
	}
	for i, one := range a.Roles {
		if !role.MatchString(one) {
			r.add(fmt.Sprintf("%s.roles[%d]", path, i), fmt.Sprintf("%q is not a role", one), "write group:NAME or role:NAME")
		}
	}
}

var dnsPattern = regexp.MustCompile(`^(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?$`)

// checkCertificateSignIn finds targets that certificates could never sign in to.
func checkCertificateSignIn(c *Config, r *report) {
	for _, name := range slices.Sorted(maps.Keys(c.Targets)) {
		t := c.Targets[name]
		if t == nil || !slices.Contains(t.SignIn, SignInCertificate) {
			continue
		}
		path := child("targets", quoted(name))
		if t.TLS == Off {
			r.add(path+".sign_in", "has certificate, and tls is off: a certificate is shown in TLS", "remove tls: off, or certificate")
		}
		if len(c.Identity.Certificates) == 0 {
			r.add(path+".sign_in", "has certificate, and identity.certificates names no authority", "add identity.certificates: [{ca: file:PATH, trust_domain: example.org}]")
		}
	}
}

func checkIssuer(path string, i *Issuer, r *report) {
	if r.given(path + ".url") {
		checkIssuerURL(path+".url", i.URL, r)
	}
	if len(i.Audiences) == 0 {
		r.add(path+".audiences", "is empty", "a token for anybody is a token for nobody: write the audience that the issuer puts into tokens for this gateway")
	}
	for n, a := range i.Audiences {
		if strings.TrimSpace(a) == "" {
			r.add(fmt.Sprintf("%s.audiences[%d]", path, n), "is blank", "write an audience, or remove the entry")
		}
	}
	if len(i.Algorithms) == 0 {
		r.add(path+".algorithms", "is empty", "leave the key out for all that are safe")
	}
	for kind, claims := range i.Kind {
		here := child(path, "kind."+string(kind))
		if len(claims) == 0 {
			r.add(here, "names no claim", "write for example {idtyp: app}")
		}
		for claim, values := range claims {
			if len(values) == 0 {
				r.add(child(here, quoted(claim)), "has no value", "write the value that the claim must have")
			}
		}
	}
}

func checkIssuerURL(path, text string, r *report) {
	u, ok := checkURL(path, text, "https://login.example/tenant/v2.0", r)
	if !ok {
		return
	}
	switch {
	case u.Scheme == "http" && !Address(u.Host).Loopback():
		r.add(path, "is not https", "keys fetched in clear could be anybody's: use https (http is for loopback only)")
	case u.Scheme != "https" && u.Scheme != "http":
		r.add(path, "is not https", "write it as the issuer does, https://…")
	case strings.HasSuffix(u.Path, "/.well-known/openid-configuration"):
		r.add(path, "is the discovery document, not the issuer", "remove /.well-known/openid-configuration")
	case u.RawQuery != "" || u.Fragment != "":
		r.add(path, "has a query or fragment", "an issuer has neither (OpenID Connect Core section 2)")
	}
}

// checkURL judges what every URL needs. It never repeats one that may hold a
// password.
func checkURL(path, text, example string, r *report) (*url.URL, bool) {
	u, err := url.Parse(text)
	if err != nil || u.Scheme == "" || u.Host == "" {
		r.add(path, "is not a URL", "write for example "+example)
		return nil, false
	}
	if _, has := u.User.Password(); has {
		r.add(path, "holds a password in clear", "remove it from the URL and write it as a reference: secret:NAME, env:NAME or file:PATH")
		return nil, false
	}
	return u, true
}

func checkApprovals(a *Approvals, r *report) {
	if len(a.Kinds) == 0 {
		r.add("approvals.kinds", "is empty", "then nobody can approve: leave the key out for humans")
	}
	if a.Keep.D() < minKeep {
		r.add("approvals.keep", "is too short", "keep decided approvals for at least 1h")
	}
}

func checkEvidence(e *Evidence, r *report) {
	if e.ClickHouse != Embedded {
		checkService("evidence.clickhouse", e.ClickHouse, []string{"clickhouse"}, "clickhouse://weir@host:9440/weir?secure=true", "clickhouse_password", r)
	} else if e.ClickHousePassword != "" {
		r.add("evidence.clickhouse_password", "is of no use: ClickHouse is embedded", "remove it")
	}
	if e.Spool != Embedded {
		for _, one := range strings.Split(e.Spool, ",") {
			checkService("evidence.spool", one, []string{"nats", "tls", "ws", "wss"}, "nats://host:4222", "spool_credentials", r)
		}
	} else {
		if e.SpoolCredentials != "" {
			r.add("evidence.spool_credentials", "is of no use: the spool is embedded", "remove it")
		}
		if e.Replicas != 1 {
			r.add("evidence.replicas", "must be 1: the spool is embedded", "name a NATS cluster in evidence.spool, or remove the key")
		}
	}
	if e.Replicas != 1 && e.Replicas != 3 && e.Replicas != 5 {
		r.add("evidence.replicas", "is not 1, 3 or 5", "3 survive the loss of one server")
	}
	if e.SpoolSize < 64<<20 {
		r.add("evidence.spool_size", "is too small", "use at least 64MiB")
	}
	for i, a := range e.Auditors {
		checkAuditor(fmt.Sprintf("evidence.auditors[%d]", i), a, r)
	}
}

func checkService(path, text string, schemes []string, example, secretKey string, r *report) {
	u, err := url.Parse(strings.TrimSpace(text))
	switch {
	case err != nil || u.Host == "" || !slices.Contains(schemes, u.Scheme):
		r.add(path, "is neither embedded nor the URL of a server", "write embedded, or for example "+example)
	case hasPassword(u):
		r.add(path, "holds a password in clear", "remove it from the URL and write evidence."+secretKey+": secret:NAME")
	}
}

// hasPassword finds a password where URLs of databases carry one.
func hasPassword(u *url.URL) bool {
	_, has := u.User.Password()
	q := u.Query()
	return has || q.Has("password") || q.Has("token")
}

func checkAuditor(path, text string, r *report) {
	if strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-") {
		r.add(path, "is a secret key", "it must never be here: write the recipient that belongs to it (age-keygen -y), age1…, and make a new key")
		return
	}
	if list, err := age.ParseRecipients(strings.NewReader(text)); err != nil || len(list) != 1 {
		r.add(path, "is not an age recipient", "write what age-keygen prints as public key: age1…")
	}
}

func checkEnvoy(e *Envoy, r *report) {
	if e.Concurrency < 0 || e.Concurrency > 1024 {
		r.add("envoy.concurrency", "is out of range", "write 0 (one for each processor) to 1024")
	}
	if e.MaxConnections < 1 {
		r.add("envoy.max_connections", "is below 1", "write how many connections Envoy may hold")
	}
	x := e.External
	if x == nil {
		return
	}
	if r.given("envoy.binary") {
		r.add("envoy.binary", "contradicts envoy.external", "keep binary where weir starts Envoy, external where somebody else does")
	}
	addressOf("envoy.external.xds", x.XDS, r)
	if r.given("envoy.external.advertise") {
		addressOf("envoy.external.advertise", x.Advertise, r)
	}
	if x.XDS != "" && !x.XDS.Loopback() && x.ClientCA == "" {
		r.add("envoy.external.client_ca", "is missing: whoever reaches this address is handed credentials",
			"write the CA of your Envoys' certificates, client_ca: file:PATH, or listen on loopback")
	}
	if x.ClientCA != "" {
		checkExternalTLS(x, r)
	}
}

// checkTransports refuses the socket to an Envoy that may be on another machine or
// another user's.
func checkTransports(c *Config, r *report) {
	if c.Envoy.External == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(c.Targets)) {
		if t := c.Targets[name]; t != nil && t.Transport == Relay {
			r.add(child("targets", quoted(name))+".transport", "is relay, a Unix socket, which an Envoy that weir does not start cannot reach",
				"write ext_proc, or have weir start Envoy (weir up, without envoy.external)")
		}
	}
}

func checkExternalTLS(x *External, r *report) {
	for _, file := range []struct{ key, path string }{{"ca", x.TLS.CA}, {"certificate", x.TLS.Certificate}, {"key", x.TLS.Key}} {
		if !path.IsAbs(file.path) {
			r.add("envoy.external.tls."+file.key, "is not an absolute path", "write where the file is on Envoy's machine, for example /etc/weir/envoy.key")
		}
	}
	if ip, err := netip.ParseAddr(x.TLS.ServerName); x.TLS.ServerName == "" || err == nil && ip.IsUnspecified() {
		r.add("envoy.external.advertise", "is no address that an Envoy elsewhere could connect to", "write the name or address of this machine, as it is in the gateway's certificate")
	}
}

var role = regexp.MustCompile(`^(group|role):\S`)

func checkWeb(w *Web, r *report) {
	addressOf("web.listen", w.Listen, r)
	if w.TLS == Off && !w.Listen.Loopback() {
		r.add("web.tls", "is off beyond loopback: tokens would travel in clear", "remove tls: off, or listen on 127.0.0.1")
	}
	for i, reader := range w.Readers {
		if !role.MatchString(reader) {
			r.add(fmt.Sprintf("web.readers[%d]", i), fmt.Sprintf("%q is not a role", reader), "write group:NAME or role:NAME")
		}
	}
}

// addressOf judges an address where it could be read.
func addressOf(path string, a Address, r *report) bool {
	if err := a.check(true); err != nil {
		what, hint := asProblem(err)
		r.add(path, what, hint)
		return false
	}
	return true
}
