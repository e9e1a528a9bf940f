package identity

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

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

// Discovery tells a client without a token where to get one: the OpenID
// configuration of the first issuer (OpenID Connect Discovery section 4), and the
// scope to ask for.
func (a *Authenticator) Discovery() (configuration, scope string) {
	first := a.issuers[a.trusted[0]]
	return strings.TrimSuffix(first.cfg.URL, "/") + "/.well-known/openid-configuration", first.cfg.Scope
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
