package identity_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/weir-gateway/weir/integration/issuer"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/identity"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func startIssuer(t *testing.T, cfg issuer.Config) *issuer.Issuer {
	t.Helper()
	is, err := issuer.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = is.Close() })
	return is
}

// clock is the time as the authenticator sees it.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

func kinds() map[gate.Kind]map[string][]string {
	return map[gate.Kind]map[string][]string{gate.Agent: {"idtyp": {"app"}}, gate.Human: {"idtyp": {"user", "guest"}}, gate.Service: {"idtyp": {"service"}}}
}

func authenticator(t *testing.T, cfg identity.Config, urls ...string) *identity.Authenticator {
	t.Helper()
	for _, url := range urls {
		cfg.Issuers = append(cfg.Issuers, identity.Issuer{
			URL: url, Audiences: []string{"weir", "weir-alias"}, Kind: kinds(), Roles: []string{"groups", "roles", "realm_access.roles"},
		})
	}
	a, err := identity.New(cfg, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func mint(t *testing.T, is *issuer.Issuer, subject string, claims map[string]any, opts ...issuer.MintOption) string {
	t.Helper()
	raw, err := is.Mint(subject, claims, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// refusal authenticates a token that must be refused.
func refusal(t *testing.T, a *identity.Authenticator, raw string) *identity.Error {
	t.Helper()
	p, err := a.Authenticate(t.Context(), raw)
	var refused *identity.Error
	if !errors.As(err, &refused) {
		t.Fatalf("got %+v, %v; want a refusal", p, err)
	}
	if diff := cmp.Diff(gate.Principal{}, p); diff != "" {
		t.Errorf("a refused token gave a principal:\n%s", diff)
	}
	for _, text := range []string{refused.Error(), refused.Public()} {
		if raw = strings.TrimSpace(raw); len(raw) > 8 && strings.Contains(text, raw) {
			t.Error("an error repeats the token")
		}
	}
	return refused
}

func accept(t *testing.T, a *identity.Authenticator, raw string) gate.Principal {
	t.Helper()
	p, err := a.Authenticate(t.Context(), raw)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// acceptSoon is accept for a key that is new: a fetch that was about to end may
// still answer with the keys of before.
func acceptSoon(t *testing.T, a *identity.Authenticator, raw string) {
	t.Helper()
	eventually(t, func() bool { _, err := a.Authenticate(t.Context(), raw); return err == nil })
}

func TestPrincipal(t *testing.T) {
	is := startIssuer(t, issuer.Config{})
	a := authenticator(t, identity.Config{}, is.URL)
	raw := mint(t, is, "agent-7", map[string]any{
		"idtyp": "app", "jti": "id-1", "groups": []string{"dba", "dba", "eng"}, "roles": "reader",
		"realm_access": map[string]any{"roles": []any{"deep", 7, nil}}, "big": 9007199254740993,
	})
	got := accept(t, a, raw)
	sum := sha256.Sum256([]byte(raw))
	if got.Token.Hash != hex.EncodeToString(sum[:]) || got.Token.ID != "id-1" || time.Until(got.Token.Expires) < 10*time.Minute {
		t.Errorf("token is %+v", got.Token)
	}
	if n := got.Claims["big"]; cmp.Diff("9007199254740993", cmpString(n)) != "" {
		t.Errorf("a large number became %v", n)
	}
	got.Claims, got.Token = nil, gate.Token{}
	want := gate.Principal{
		Subject: "agent-7", Issuer: is.URL, Kind: gate.Agent, Auth: "oidc", OnBehalfOf: []gate.Actor{},
		Roles: []string{"group:dba", "group:eng", "role:reader", "role:deep"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if p := accept(t, a, "  "+raw+"\n"); p.Token.Hash != hex.EncodeToString(sum[:]) {
		t.Error("white space around a token makes it another")
	}
}

func cmpString(v any) string {
	if s, ok := v.(interface{ String() string }); ok {
		return s.String()
	}
	return ""
}

func TestKinds(t *testing.T) {
	is := startIssuer(t, issuer.Config{})
	a := authenticator(t, identity.Config{}, is.URL)
	for _, tc := range []struct {
		name   string
		claims map[string]any
		want   gate.Kind
	}{
		{"app", map[string]any{"idtyp": "app"}, gate.Agent},
		{"user", map[string]any{"idtyp": "user"}, gate.Human},
		{"guest", map[string]any{"idtyp": "guest"}, gate.Human},
		{"service", map[string]any{"idtyp": "service"}, gate.Service},
		{"unknown", map[string]any{"idtyp": "alien"}, gate.Agent},
		{"none", nil, gate.Agent},
		{"both: least trust", map[string]any{"idtyp": []string{"user", "app"}}, gate.Agent},
		{"human who is acted for", map[string]any{"idtyp": "user", "act": map[string]any{"sub": "agent-7"}}, gate.Agent},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := accept(t, a, mint(t, is, "x", tc.claims)).Kind; got != tc.want {
				t.Errorf("kind is %s, want %s", got, tc.want)
			}
		})
	}
}

func TestDelegation(t *testing.T) {
	is := startIssuer(t, issuer.Config{})
	a := authenticator(t, identity.Config{}, is.URL)
	chain := func(depth int) map[string]any {
		act := map[string]any{"sub": "last"}
		for range depth - 1 {
			act = map[string]any{"sub": "between", "act": act}
		}
		return map[string]any{"act": act}
	}
	p := accept(t, a, mint(t, is, "alice", map[string]any{"act": map[string]any{
		"sub": "agent-7", "act": map[string]any{"sub": "planner", "iss": "https://elsewhere.example"},
	}}))
	want := []gate.Actor{{Subject: "agent-7", Issuer: is.URL}, {Subject: "planner", Issuer: "https://elsewhere.example"}}
	if diff := cmp.Diff(want, p.OnBehalfOf); diff != "" {
		t.Error(diff)
	}
	if p := accept(t, a, mint(t, is, "alice", chain(8))); len(p.OnBehalfOf) != 8 {
		t.Errorf("chain of 8 has %d", len(p.OnBehalfOf))
	}
	for name, claims := range map[string]map[string]any{
		"too deep": chain(9), "text": {"act": "agent"}, "null": {"act": nil}, "no sub": {"act": map[string]any{}},
		"number": {"act": map[string]any{"sub": 7}}, "issuer": {"act": map[string]any{"sub": "a", "iss": 7}},
		"inner": {"act": map[string]any{"sub": "a", "act": []string{"b"}}},
	} {
		if e := refusal(t, a, mint(t, is, "alice", claims)); e.Code != identity.BadDelegation {
			t.Errorf("%s: %v", name, e)
		}
	}
}

func TestRefusals(t *testing.T) {
	is := startIssuer(t, issuer.Config{})
	other := startIssuer(t, issuer.Config{})
	a := authenticator(t, identity.Config{}, is.URL)
	hs := make([]byte, 64)
	swapped := func() string { // the claims of one token with the signature of another
		one, two := strings.Split(mint(t, is, "a", nil), "."), strings.Split(mint(t, is, "b", nil), ".")
		return one[0] + "." + two[1] + "." + one[2]
	}
	const notAccepted = "the token was not accepted"
	for _, tc := range []struct {
		name, raw string
		code      identity.Code
		public    string
	}{
		{"nothing", "", identity.Missing, "no token was given; get a token with: weir token"},
		{"blank", " \n", identity.Missing, "no token was given"},
		{"a password", "hunter2", identity.Malformed, "this is not a token"},
		{"three parts of nothing", "a.b.c", identity.Malformed, "this is not a token"},
		{"five parts", "a.b.c.d.e", identity.Malformed, "this is not a token"},
		{"100 KB", strings.Repeat("x", 100<<10), identity.TooLarge, "the token is larger than 16 KiB"},
		{"stranger", mint(t, other, "a", nil), identity.UnknownIssuer, "the token's issuer is not trusted here; trusted: " + is.URL},
		{"no issuer", mint(t, is, "a", nil, issuer.Claim("iss", nil)), identity.UnknownIssuer, ""},
		{"issuer with slash", mint(t, is, "a", nil, issuer.Claim("iss", is.URL+"/")), identity.UnknownIssuer, ""},
		{"stranger's key", mint(t, other, "a", nil, issuer.Claim("iss", is.URL)), identity.NotAccepted, notAccepted},
		{"stranger's key, our key id", mint(t, is, "a", nil, issuer.SignedWith(jose.ES256, key(t, jose.ES256))), identity.NotAccepted, notAccepted},
		{"swapped payload", swapped(), identity.NotAccepted, notAccepted},
		{"alg none", mint(t, is, "a", nil, issuer.SignedWith(issuer.None, nil)), identity.NotAccepted, notAccepted},
		{"alg HS256", mint(t, is, "a", nil, issuer.SignedWith(jose.HS256, hs)), identity.NotAccepted, notAccepted},
		{"logout token by typ", mint(t, is, "a", nil, issuer.Type("logout+jwt")), identity.NotAccepted, notAccepted},
		{"logout token by claim", mint(t, is, "a", map[string]any{"events": map[string]any{}}), identity.NotAccepted, notAccepted},
		{"expired", mint(t, is, "a", nil, issuer.ExpiresIn(-2*time.Minute)), identity.Expired, "the token expired at "},
		{"expired and forged", mint(t, is, "a", nil, issuer.ExpiresIn(-2*time.Minute), issuer.SignedWith(jose.ES256, key(t, jose.ES256))), identity.NotAccepted, notAccepted},
		{"no expiry", mint(t, is, "a", nil, issuer.Claim("exp", nil)), identity.NotAccepted, notAccepted},
		{"expiry as text", mint(t, is, "a", nil, issuer.Claim("exp", "tomorrow")), identity.NotAccepted, notAccepted},
		{"expiry beyond dates", mint(t, is, "a", nil, issuer.Claim("exp", 1e30)), identity.NotAccepted, notAccepted},
		{"not yet valid", mint(t, is, "a", nil, issuer.ValidIn(2*time.Minute)), identity.NotYetValid, "the token is valid from "},
		{"wrong audience", mint(t, is, "a", nil, issuer.Audience("else")), identity.WrongAudience, "the token is for another audience; get one for weir or weir-alias"},
		{"no audience", mint(t, is, "a", nil, issuer.Claim("aud", nil)), identity.WrongAudience, ""},
		{"no subject", mint(t, is, "", nil), identity.NoSubject, "the token names nobody"},
		{"blank subject", mint(t, is, " ", nil), identity.NoSubject, ""},
		{"subject as number", mint(t, is, "a", nil, issuer.Claim("sub", 7)), identity.NotAccepted, notAccepted},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := refusal(t, a, tc.raw)
			if e.Code != tc.code || !strings.Contains(e.Public(), tc.public) {
				t.Errorf("got %s %q, want %s %q", e.Code, e.Public(), tc.code, tc.public)
			}
			if e.Code == identity.NotAccepted && e.Public() != notAccepted {
				t.Errorf("it tells too much: %q", e.Public())
			}
		})
	}
	if n := other.KeyFetches(); n != 0 {
		t.Errorf("a stranger's issuer was asked %d times", n)
	}
}

func TestSkewAndAudiences(t *testing.T) {
	is := startIssuer(t, issuer.Config{})
	a := authenticator(t, identity.Config{}, is.URL)
	accept(t, a, mint(t, is, "a", nil, issuer.ExpiresIn(-30*time.Second)))
	accept(t, a, mint(t, is, "a", nil, issuer.ValidIn(30*time.Second)))
	accept(t, a, mint(t, is, "a", nil, issuer.Audience("else", "weir-alias")))
	accept(t, a, mint(t, is, "a", nil, issuer.Claim("aud", "weir")))
	accept(t, a, mint(t, is, "a", nil, issuer.Type("at+jwt")))
	accept(t, a, mint(t, is, "a", nil, issuer.KeyID("")))
}

func TestCacheEndsWithTheToken(t *testing.T) {
	is := startIssuer(t, issuer.Config{})
	var c clock
	reg := prometheus.NewPedanticRegistry()
	metrics, err := identity.NewMetrics(reg)
	if err != nil {
		t.Fatal(err)
	}
	a, err := identity.New(identity.Config{
		Issuers: []identity.Issuer{{URL: is.URL, Audiences: []string{"weir"}}}, Now: c.now,
	}, metrics, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	raw := mint(t, is, "a", nil, issuer.ExpiresIn(10*time.Minute))
	accept(t, a, raw)
	is.Pause() // from here on only the cache can answer
	first, second := accept(t, a, raw), accept(t, a, raw)
	if diff := cmp.Diff(first, second); diff != "" {
		t.Error(diff)
	}
	c.advance(10*time.Minute + 30*time.Second) // within the skew
	accept(t, a, raw)
	c.advance(time.Minute)
	if e := refusal(t, a, raw); e.Code != identity.Expired {
		t.Errorf("got %v", e)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetName() == "result" {
					got[f.GetName()+" "+l.GetValue()] = m.GetCounter().GetValue()
				}
			}
		}
	}
	want := map[string]float64{
		"weir_identity_cache_total hit": 4, "weir_identity_cache_total miss": 1, "weir_identity_fetches_total ok": 2,
		"weir_identity_tokens_total expired": 1, "weir_identity_tokens_total ok": 4,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRotation(t *testing.T) {
	is := startIssuer(t, issuer.Config{})
	a := authenticator(t, identity.Config{}, is.URL)
	old := mint(t, is, "a", nil)
	accept(t, a, mint(t, is, "b", nil))
	if err := is.Rotate(true); err != nil {
		t.Fatal(err)
	}
	acceptSoon(t, a, mint(t, is, "c", nil)) // unknown kid: fetched again
	accept(t, a, old)                       // the old key is still published
	if err := is.Rotate(false); err != nil {
		t.Fatal(err)
	}
	acceptSoon(t, a, mint(t, is, "d", nil))
	if n := is.KeyFetches(); n != 3 {
		t.Errorf("keys were fetched %d times", n)
	}
}

// TestFloodOfKeyIDs: tokens with made-up key ids make nobody a flood of fetches,
// and honest tokens are accepted all the while.
func TestFloodOfKeyIDs(t *testing.T) {
	is := startIssuer(t, issuer.Config{})
	a := authenticator(t, identity.Config{}, is.URL)
	accept(t, a, mint(t, is, "a", nil))
	stranger := key(t, jose.ES256)
	for range 50 {
		e := refusal(t, a, mint(t, is, "a", nil, issuer.KeyID("made-up"), issuer.SignedWith(jose.ES256, stranger)))
		if e.Code != identity.NotAccepted {
			t.Fatal(e)
		}
	}
	accept(t, a, mint(t, is, "b", nil))
	if n := is.KeyFetches(); n > 6 {
		t.Errorf("keys were fetched %d times", n)
	}
}

func TestUnreachable(t *testing.T) {
	is := startIssuer(t, issuer.Config{})
	ready := startIssuer(t, issuer.Config{})
	a := authenticator(t, identity.Config{}, is.URL, ready.URL)
	raw := mint(t, is, "a", nil)

	is.Pause() // at start
	e := refusal(t, a, raw)
	if e.Code != identity.Unreachable || !strings.Contains(e.Public(), "nobody can sign in at the moment") {
		t.Errorf("got %v, %q", e, e.Public())
	}
	accept(t, a, mint(t, ready, "b", nil)) // the other issuer is not concerned
	if s := a.Status(); s[0].Ready || s[0].Error == "" || !s[1].Ready || s[1].Error != "" {
		t.Errorf("status is %+v", s)
	}
	is.Resume()
	eventually(t, func() bool { _, err := a.Authenticate(t.Context(), raw); return err == nil })

	is.Pause() // and later: known keys go on, a new one cannot be had
	accept(t, a, mint(t, is, "c", nil))
	if err := is.Rotate(true); err != nil {
		t.Fatal(err)
	}
	fresh := mint(t, is, "d", nil)
	if e := refusal(t, a, fresh); e.Code != identity.Unreachable {
		t.Errorf("got %v", e)
	}
	is.Resume()
	eventually(t, func() bool { _, err := a.Authenticate(t.Context(), fresh); return err == nil })
	if s := a.Status(); !s[0].Ready || s[0].Error != "" {
		t.Errorf("status is %+v", s)
	}
}

func TestRunFindsIssuersAhead(t *testing.T) {
	is := startIssuer(t, issuer.Config{})
	is.Pause()
	a := authenticator(t, identity.Config{}, is.URL)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	eventually(t, func() bool { return a.Status()[0].Error != "" })
	is.Resume()
	eventually(t, func() bool { return a.Status()[0].Ready })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAlgorithms(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.PS384, jose.ES384, jose.ES512, jose.EdDSA} {
		t.Run(string(alg), func(t *testing.T) {
			is := startIssuer(t, issuer.Config{Algorithm: alg})
			accept(t, authenticator(t, identity.Config{}, is.URL), mint(t, is, "a", nil))
			narrow := authenticator(t, identity.Config{Issuers: []identity.Issuer{{URL: is.URL, Audiences: []string{"weir"}, Algorithms: []string{"ES256"}}}})
			if e := refusal(t, narrow, mint(t, is, "a", nil)); e.Code != identity.NotAccepted {
				t.Errorf("got %v", e)
			}
		})
	}
	_, err := identity.New(identity.Config{Issuers: []identity.Issuer{{URL: "https://x", Audiences: []string{"a"}, Algorithms: []string{"none"}}}}, nil, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Error("alg none was taken")
	}
}

func TestConcurrentSignIns(t *testing.T) {
	is := startIssuer(t, issuer.Config{})
	a := authenticator(t, identity.Config{}, is.URL)
	var group sync.WaitGroup
	for i := range 16 {
		raw := mint(t, is, string(rune('a'+i)), nil)
		group.Go(func() {
			for range 20 {
				if _, err := a.Authenticate(context.Background(), raw); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if n := is.KeyFetches(); n > 3 {
		t.Errorf("keys were fetched %d times", n)
	}
}

func eventually(t *testing.T, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatal("it never came")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
