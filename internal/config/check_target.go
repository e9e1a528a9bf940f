package config

import (
	"fmt"
	"maps"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// The bounds of times.
const (
	maxSkew    = 10 * time.Minute
	minKeep    = time.Hour
	maxStartup = 5 * time.Minute
)

var targetName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

func checkTarget(name string, t *Target, r *report) {
	path := child("targets", quoted(name))
	if !targetName.MatchString(name) {
		r.add(path, "is not a name for a target", "use 1 to 63 of a-z, 0-9 and -, with a letter or digit at both ends")
	}
	if t == nil || r.skip(path) {
		return
	}
	checkListen(path, t, r)
	checkSession(path+".session", &t.Session, r)
	checkLimits(path+".limits", t, r)
	checkLabels(path+".labels", t.Labels, r)
	if t.Upstream.ConnectTimeout <= 0 {
		r.add(path+".upstream.connect_timeout", "must be longer than 0s", "write for example 5s")
	}
	switch t.Kind {
	case Postgres:
		checkPostgres(path, t, r)
	case HTTP:
		checkHTTP(path, t, r)
	}
}

func checkListen(path string, t *Target, r *report) {
	here := path + ".listen"
	if !r.given(here) || !addressOf(here, t.Listen, r) {
		return
	}
	if host, _ := t.Listen.Split(); host != "" {
		if _, err := netip.ParseAddr(host); err != nil {
			r.add(here, fmt.Sprintf("%q is not an IP address", host), "Envoy listens on addresses: 127.0.0.1 for this machine only, 0.0.0.0 for all")
			return
		}
	}
	if t.TLS == Off && !t.Listen.Loopback() {
		r.add(path+".tls", "is off beyond loopback: tokens would travel in clear", "remove tls: off, or listen on 127.0.0.1")
	}
}

func checkSession(path string, s *Session, r *report) {
	if s.Startup.D() <= 0 || s.Startup.D() > maxStartup {
		r.add(path+".startup", "is out of range", "write 1s to 5m")
	}
	if s.TokenGrace.D() > 24*time.Hour {
		r.add(path+".token_grace", "is too long", "a token that expired a day ago says nothing: write at most 24h")
	}
}

func checkLimits(path string, t *Target, r *report) {
	l := t.Limits
	if l.Sessions < 1 {
		r.add(path+".sessions", "is below 1", "write how many sessions the target may have at one time")
	}
	if t.Kind == HTTP && l.Body < 1 {
		r.add(path+".body", "is 0", "write how large a body may be, for example 10MiB")
	}
	if t.Kind != Postgres {
		return
	}
	if l.SigningIn < 1 {
		r.add(path+".signing_in", "is below 1", "write how many connections may be signing in at one time")
	}
	if l.SigningInPerHost < 1 {
		r.add(path+".signing_in_per_host", "is below 1", "write how many connections of one host may be signing in at one time")
	}
	if l.Statement < 1 || l.Statement > 64<<20 {
		r.add(path+".statement", "is out of range", "write 1B to 64MiB")
	}
	if l.Message < l.Statement || l.Message > 1<<30 {
		r.add(path+".message", "is out of range", "write at least limits.statement, at most 1GiB")
	}
}

func checkLabels(path string, labels map[string]string, r *report) {
	for name := range labels {
		if strings.TrimSpace(name) == "" {
			r.add(path, "has a blank name", "write name: value")
		}
	}
}

// checkFunctions looks at the names of functions as far as they have a certain form.
func checkFunctions(path string, functions map[string][]Fact, r *report) {
	for name, facts := range functions {
		where := child(path, quoted(name))
		if !signature.MatchString(name) {
			r.add(where, "is no function", "write schema.name(types) as SELECT 'schema.name(types)'::regprocedure answers it, or schema.name")
		}
		if len(facts) == 0 {
			r.add(where, "is empty", "write pure, or the columns that the function reads: schema.table.column")
		}
		if slices.Contains(facts, Pure) && len(facts) > 1 {
			r.add(where, "says pure and names columns", "write one of them")
		}
	}
}

func checkPostgres(path string, t *Target, r *report) {
	u, up := &t.Upstream, path+".upstream"
	if r.given(up+".address") && len(u.Address) == 0 {
		r.add(up+".address", "is empty", "write host:port, for example db.internal:5432")
	}
	for i, a := range u.Address {
		where := up + ".address"
		if len(u.Address) > 1 {
			where = fmt.Sprintf("%s[%d]", where, i)
		}
		addressOf(where, a, r)
	}
	if r.given(up+".user") && strings.TrimSpace(u.User) == "" {
		r.add(up+".user", "is blank", "write the user that the gateway signs in as")
	}
	checkFunctions(path+".functions", t.Functions, r)
	checkAuth(up, u, r)
	if r.given(path+".sign_in") && len(t.SignIn) == 0 {
		r.add(path+".sign_in", "is empty", "leave the key out for password, or write oauth or certificate")
	}
	checkUpstreamTLS(up, u, r)
	for i, db := range t.Databases {
		if strings.TrimSpace(db) == "" {
			r.add(fmt.Sprintf("%s.databases[%d]", path, i), "is blank", "write a database's name, or * for any")
		}
	}
	if u.Database != "" && !slices.Contains(t.Databases, u.Database) && !slices.Contains(t.Databases, "*") {
		r.add(path+".databases", "does not hold upstream.database", "add it, or change upstream.database")
	}
}

func checkAuth(up string, u *Upstream, r *report) {
	switch {
	case u.Auth != AuthPassword && u.Password != "":
		r.add(up+".password", fmt.Sprintf("contradicts auth: %s", u.Auth), "remove one of the two")
	case u.Auth == AuthPassword && u.Password == "" && r.given(up):
		r.add(up+".password", "is missing", `write password: secret:NAME (after "weir secret set NAME"), or auth: trust where the server asks for none`)
	}
	checkCertificate(up, u, r)
	if u.Auth.Token() && u.TLS != TLSVerifyFull && u.TLS != TLSVerifyCA {
		r.add(up+".tls", fmt.Sprintf("must verify the server with auth: %s: whoever gets the token gets in", u.Auth), "write tls: verify-full")
	}
	if u.Auth == AuthAWSRDS && len(u.Address) > 1 {
		r.add(up+".address", "is a list, and a token of aws_rds is for one address", "make a target of each, or name the cluster's endpoint")
	}
	if u.Auth != AuthAWSRDS && u.Region != "" {
		r.add(up+".region", fmt.Sprintf("is of no use with auth: %s", u.Auth), "remove it, or write auth: aws_rds")
	}
	if u.Auth != AuthEntra && u.ClientID != "" {
		r.add(up+".client_id", fmt.Sprintf("is of no use with auth: %s", u.Auth), "remove it, or write auth: entra")
	}
}

func checkCertificate(up string, u *Upstream, r *report) {
	switch {
	case u.Certificate != "" && u.Key == "":
		r.add(up+".key", "is missing: the certificate alone proves nothing", "write key: file:PATH or key: secret:NAME")
	case u.Certificate == "" && u.Key != "":
		r.add(up+".certificate", "is missing", "write certificate: file:PATH, the one that belongs to the key")
	case u.Auth == AuthCertificate && u.Certificate == "" && r.given(up):
		r.add(up+".certificate", "is missing", "write certificate: file:PATH and key: file:PATH, or another auth")
	case u.Certificate != "" && u.TLS == TLSDisable:
		r.add(up+".certificate", "is of no use with tls: disable", "write tls: verify-full")
	}
}

func checkUpstreamTLS(up string, u *Upstream, r *report) {
	if u.CA != "" && (u.TLS == TLSDisable || u.TLS == TLSPrefer || u.TLS == TLSRequire) {
		r.add(up+".ca", fmt.Sprintf("is of no use with tls: %s, which verifies nothing", u.TLS), "write tls: verify-full")
	}
	if u.CA == "" && u.TLS == TLSVerifyCA {
		r.add(up+".ca", "is missing: with tls: verify-ca and the system's CAs anybody's certificate would do", "write ca: file:PATH, or tls: verify-full")
	}
	if u.ServerName != "" && u.TLS != TLSVerifyFull && u.TLS != "" {
		r.add(up+".server_name", fmt.Sprintf("is of no use with tls: %s", u.TLS), "write tls: verify-full")
	}
	hosts := map[string]bool{}
	for _, a := range u.Address {
		host, _ := a.Split()
		hosts[host] = true
	}
	if len(hosts) > 1 && u.TLS == TLSVerifyFull && u.ServerName == "" {
		r.add(up+".server_name", "is missing: with several addresses Envoy chooses the server, so its certificate must hold one name for all",
			"write server_name: NAME, or tls: verify-ca")
	}
}

func checkHTTP(path string, t *Target, r *report) {
	up := path + ".upstream"
	if r.given(up + ".url") {
		checkUpstreamURL(up, &t.Upstream, r)
	}
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		here := child(path+".headers", quoted(name))
		lower := strings.ToLower(name)
		if other, ok := seen[lower]; ok {
			r.add(here, fmt.Sprintf("stands here twice, also as %s", other), "names of headers know no upper and lower case: keep one")
		}
		seen[lower] = name
		checkHeader(here, lower, t.Headers[name], r)
	}
}

func checkUpstreamURL(up string, u *Upstream, r *report) {
	parsed, ok := checkURL(up+".url", u.URL, "https://billing.internal", r)
	if !ok {
		return
	}
	switch {
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		r.add(up+".url", "is neither http nor https", "write for example https://billing.internal")
		return
	case parsed.User != nil:
		r.add(up+".url", "holds a user", `write headers: {Authorization: "Basic {{secret:NAME}}"} instead`)
	case strings.Trim(parsed.Path, "/") != "" || parsed.RawQuery != "" || parsed.Fragment != "":
		r.add(up+".url", "has a path, query or fragment", "clients send those: write only scheme, host and port")
	}
	if err := Address(parsed.Host).check(false); err != nil {
		what, _ := asProblem(err)
		r.add(up+".url", what, "write for example https://billing.internal")
	}
	if parsed.Scheme == "http" && u.CA != "" {
		r.add(up+".ca", "is of no use with an http URL", "write https://…")
	}
	if parsed.Scheme == "http" && u.ServerName != "" {
		r.add(up+".server_name", "is of no use with an http URL", "write https://…")
	}
}

// managed are headers that belong to the connection or to Envoy (RFC 9110
// section 7.6.1).
var managed = []string{"connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}

var telling = regexp.MustCompile(`auth|cookie|credential|key|password|secret|session|token`)

func checkHeader(path, name string, value Template, r *report) {
	switch {
	case !httpguts.ValidHeaderFieldName(name):
		r.add(path, "is not the name of a header", "use letters, digits and -")
	case slices.Contains(managed, name):
		r.add(path, "belongs to the connection", "remove it: Envoy sets it")
	case telling.MatchString(name) && len(value.Refs()) == 0:
		r.add(path, "looks like a credential in clear", `write it as a reference: "{{secret:NAME}}", or "Bearer {{secret:NAME}}"`)
	case !httpguts.ValidHeaderFieldValue(placeholder.ReplaceAllString(string(value), "")):
		r.add(path, "holds a character that a header cannot", "use printable text")
	}
}
