package identity

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	jose "github.com/go-jose/go-jose/v4"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/weir-gateway/weir/internal/gate"
)

// Authenticator turns tokens into principals. It is safe for concurrent use and
// never changes: a new configuration is a new Authenticator.
type Authenticator struct {
	cfg      Config
	log      *slog.Logger
	metrics  *Metrics
	issuers  map[string]*issuer
	trusted  []string
	verified *lru.Cache[[sha256.Size]byte, gate.Principal]
}

type issuer struct {
	*provider
	algorithms []jose.SignatureAlgorithm
}

// New makes an Authenticator. It asks no issuer yet.
func New(cfg Config, metrics *Metrics, log *slog.Logger) (*Authenticator, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	if metrics == nil {
		metrics, _ = NewMetrics(nil) // fails only when it registers
	}
	verified, err := lru.New[[sha256.Size]byte, gate.Principal](cfg.CacheSize)
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	a := &Authenticator{cfg: cfg, log: log, metrics: metrics, issuers: map[string]*issuer{}, verified: verified}
	for _, c := range cfg.Issuers {
		if _, ok := a.issuers[c.URL]; ok {
			return nil, fmt.Errorf("identity: issuer %s stands there twice", c.URL)
		}
		is := &issuer{provider: newProvider(c, metrics, log)}
		for _, alg := range c.Algorithms {
			is.algorithms = append(is.algorithms, jose.SignatureAlgorithm(alg))
		}
		a.issuers[c.URL] = is
		a.trusted = append(a.trusted, c.URL)
	}
	return a, nil
}

// Run asks all issuers ahead of the first sign-in, again and again until they
// have answered, and returns when ctx ends. Sign-ins do not depend on it.
func (a *Authenticator) Run(ctx context.Context) error {
	var group sync.WaitGroup
	for _, is := range a.issuers {
		group.Go(func() { is.warm(ctx) })
	}
	<-ctx.Done()
	group.Wait()
	for _, is := range a.issuers {
		is.base.CloseIdleConnections()
	}
	return nil
}

// Status is how an issuer is doing.
type Status struct {
	URL   string `json:"url"`
	Ready bool   `json:"ready"`           // its keys can be asked for
	Error string `json:"error,omitempty"` // of the last request to it
}

// Status lists the issuers in the order of the configuration.
func (a *Authenticator) Status() []Status {
	out := make([]Status, 0, len(a.trusted))
	for _, url := range a.trusted {
		is := a.issuers[url]
		s := Status{URL: url, Ready: is.jwksURL() != ""}
		if err := is.err(); err != nil {
			s.Error = err.Error()
		}
		out = append(out, s)
	}
	return out
}

// Authenticate verifies a token and says whose it is. A refusal is an *Error.
// The principal's maps and slices are shared and must not be changed.
func (a *Authenticator) Authenticate(ctx context.Context, raw string) (gate.Principal, error) {
	p, url, err := a.authenticate(ctx, raw)
	result := "ok"
	if err != nil {
		result = string(err.Code)
	}
	a.metrics.tokens.WithLabelValues(url, result).Inc()
	if err != nil {
		return gate.Principal{}, err
	}
	return p, nil
}

func (a *Authenticator) authenticate(ctx context.Context, raw string) (gate.Principal, string, *Error) {
	if len(raw) > a.cfg.MaxToken { // before anything reads it
		return gate.Principal{}, "", tooLarge(a.cfg.MaxToken)
	}
	raw = strings.TrimSpace(raw)
	if raw == "" {
		return gate.Principal{}, "", missing()
	}
	hash := sha256.Sum256([]byte(raw))
	if p, ok := a.verified.Get(hash); ok {
		a.metrics.cache.WithLabelValues("hit").Inc()
		if err := a.checkExpiry(p.Token.Expires); err != nil {
			a.verified.Remove(hash)
			return gate.Principal{}, p.Issuer, err
		}
		return p, p.Issuer, nil
	}
	a.metrics.cache.WithLabelValues("miss").Inc()
	is, err := a.issuerOf(raw)
	if err != nil {
		return gate.Principal{}, "", err
	}
	claims, err := is.verify(ctx, raw)
	if err != nil {
		return gate.Principal{}, is.cfg.URL, err
	}
	p, err := a.principal(is, claims, hash)
	if err != nil {
		return gate.Principal{}, is.cfg.URL, err
	}
	a.verified.Add(hash, p)
	return p, p.Issuer, nil
}

// issuerOf finds whose token it claims to be, without any network: a stranger's
// token makes nobody fetch anything.
func (a *Authenticator) issuerOf(raw string) (*issuer, *Error) {
	all := make([]jose.SignatureAlgorithm, len(algorithms))
	for i, alg := range algorithms {
		all[i] = jose.SignatureAlgorithm(alg)
	}
	jws, err := jose.ParseSignedCompact(raw, all)
	var alg *jose.ErrUnexpectedSignatureAlgorithm
	switch {
	case errors.As(err, &alg):
		return nil, notAccepted(errors.New("its algorithm is not allowed"))
	case err != nil:
		return nil, malformed(err)
	}
	claims, err := decode(jws.UnsafePayloadWithoutVerification())
	if err != nil {
		return nil, malformed(err)
	}
	iss, _ := claims["iss"].(string)
	is, ok := a.issuers[iss]
	if !ok {
		return nil, unknownIssuer(a.trusted)
	}
	header := jws.Signatures[0].Header
	if !slices.Contains(is.algorithms, jose.SignatureAlgorithm(header.Algorithm)) {
		return nil, notAccepted(fmt.Errorf("algorithm %s is not allowed for this issuer", header.Algorithm))
	}
	if !accessType(header.ExtraHeaders[jose.HeaderType]) {
		return nil, notAccepted(errors.New("its typ is of another kind of token"))
	}
	return is, nil
}

// accessType says whether a token's typ is one that signs somebody in: nothing,
// JWT, or at+jwt (RFC 9068 section 2.1). Logout tokens, DPoP proofs and the
// like name themselves (RFC 8725 section 3.11).
func accessType(typ any) bool {
	if typ == nil {
		return true
	}
	s, ok := typ.(string)
	s = strings.TrimPrefix(strings.ToLower(s), "application/")
	return ok && (s == "" || s == "jwt" || s == "at+jwt")
}

// decode reads the claims; numbers stay exact.
func decode(payload []byte) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber()
	var claims map[string]any
	if err := dec.Decode(&claims); err != nil || claims == nil {
		return nil, errors.New("the payload is no JSON object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the payload")
	}
	return claims, nil
}

// verify checks the signature with the issuer's keys.
func (is *issuer) verify(ctx context.Context, raw string) (map[string]any, *Error) {
	keys, err := is.keySet(ctx)
	if err != nil {
		return nil, unreachable(err)
	}
	try := &attempt{keys: keys}
	verifier := oidc.NewVerifier(is.cfg.URL, try, &oidc.Config{
		SupportedSigningAlgs: is.cfg.Algorithms,
		SkipClientIDCheck:    true, // several audiences: checked by principal
		SkipExpiryCheck:      true, // with our own skew: checked by principal
	})
	token, err := verifier.Verify(ctx, raw)
	if err != nil {
		return nil, is.refusal(ctx, try.err, err)
	}
	var payload json.RawMessage
	if err := token.Claims(&payload); err != nil {
		return nil, notAccepted(err)
	}
	claims, err := decode(payload)
	if err != nil {
		return nil, notAccepted(err)
	}
	return claims, nil
}

// refusal tells a bad token from keys that could not be had. Where the keys
// were fetched a moment ago, the token is what is wrong, unless that failed too.
func (is *issuer) refusal(ctx context.Context, keyErr, err error) *Error {
	switch {
	case ctx.Err() != nil:
		return unreachable(ctx.Err())
	case errors.Is(keyErr, errThrottled) && is.err() == nil:
		return notAccepted(keyErr)
	case keyErr != nil && strings.HasPrefix(keyErr.Error(), "fetching keys"): // go-oidc's word for it
		return unreachable(keyErr)
	default:
		return notAccepted(err)
	}
}

func (a *Authenticator) checkExpiry(at time.Time) *Error {
	if !a.cfg.Now().Before(at.Add(a.cfg.Skew)) {
		return expired(at)
	}
	return nil
}

// principal judges the claims of a token whose signature is good.
func (a *Authenticator) principal(is *issuer, claims map[string]any, hash [sha256.Size]byte) (gate.Principal, *Error) {
	bounds, err := timesOf(claims)
	if err != nil {
		return gate.Principal{}, notAccepted(err)
	}
	if err := a.checkExpiry(bounds.expires); err != nil {
		return gate.Principal{}, err
	}
	if a.cfg.Now().Add(a.cfg.Skew).Before(bounds.notBefore) {
		return gate.Principal{}, notYetValid(bounds.notBefore)
	}
	audiences := texts(claims["aud"])
	if !slices.ContainsFunc(audiences, func(s string) bool { return slices.Contains(is.cfg.Audiences, s) }) {
		return gate.Principal{}, wrongAudience(is.cfg.Audiences)
	}
	sub, _ := claims["sub"].(string)
	if strings.TrimSpace(sub) == "" {
		return gate.Principal{}, refuse(NoSubject, "the token names nobody (it has no sub)", nil)
	}
	if _, ok := claims["events"]; ok { // OpenID Connect Back-Channel Logout section 2.4
		return gate.Principal{}, notAccepted(errors.New("a logout token signs nobody in"))
	}
	actors, err := actorsOf(claims, is.cfg.URL)
	if err != nil {
		return gate.Principal{}, refuse(BadDelegation, fmt.Sprintf("the token's delegation (act) is malformed or more than %d deep", maxActors), err)
	}
	kind := kindOf(claims, is.cfg.Kind)
	if len(actors) > 0 { // whoever the subject is, somebody else is acting
		kind = gate.Agent
	}
	jti, _ := claims["jti"].(string)
	return gate.Principal{
		Subject: sub, Issuer: is.cfg.URL, Kind: kind, Roles: rolesOf(claims, is.cfg.Roles), Claims: claims,
		OnBehalfOf: actors, Auth: "oidc",
		Token: gate.Token{ID: jti, Hash: hex.EncodeToString(hash[:]), Expires: bounds.expires},
	}, nil
}
