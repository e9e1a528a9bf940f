package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weir-gateway/weir/examples/shop"
	"github.com/weir-gateway/weir/integration/issuer"
	"github.com/weir-gateway/weir/integration/stage"
)

// problem is what the gateway answers a refused request with (RFC 9457).
type problem struct {
	Type, Title, Detail, Rule, Hint, Decision, Approval string
	Status                                              int
}

// refusal is the problem in curl's output.
func (r result) refusal(t *testing.T, status string) problem {
	t.Helper()
	head, body, _ := strings.Cut(r.out, "\r\n\r\n")
	expect(t, strings.ToLower(head), strings.ToLower("HTTP/1.1 "+status), "content-type: application/problem+json", "cache-control: no-store")
	var p problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v in %s", err, r)
	}
	return p
}

func TestRefunds(t *testing.T) {
	once(t)
	w := shared(t)
	order := shop.New(shop.Seed).Orders[0]
	body := func(amount string) string {
		return fmt.Sprintf(`{"customer": %d, "order": %d, "reason": "broken", %s}`, order.Customer, order.ID, amount)
	}
	refund := func(amount string) result {
		return w.curl(t, w.agent(t), "/refunds", "-H", "Content-Type: application/json", "-d", body(amount))
	}
	expect(t, refund(`"amount": 100`).out, "HTTP/1.1 201 Created")
	before := len(w.api.to("/refunds"))
	p := refund(`"amount": 250`).refusal(t, "403 Forbidden")
	want := problem{
		Type: "about:blank", Title: "Forbidden", Status: 403, Rule: "refund_too_large",
		Detail: "a refund of 250 is more than an agent may give (refund_too_large)", Hint: "Agents may refund up to 100; ask a person for more.",
		Decision: p.Decision,
	}
	if p != want || len(p.Decision) != 36 {
		t.Errorf("got  %+v\nwant %+v", p, want)
	}
	if after := len(w.api.to("/refunds")); after != before {
		t.Error("the API was sent the refused request")
	}
	// Whatever hides the amount from policy hides it from the API, too.
	for _, amount := range []string{
		`"amount": 1, "amount": 250`, `"amount": "250"`, `"amount": 2.5e2`, `"amount": 250, `, `"amo\u0075nt": 250`, `"Amount": 250`, `"amount": 1, "Amount": 250`,
	} {
		expect(t, refund(amount).out, "!HTTP/1.1 2")
	}
	got := w.curl(t, w.agent(t), "/refunds", "-H", "Content-Type: text/plain", "-d", body(`"amount": 250`))
	expect(t, got.out, "!HTTP/1.1 2")
}

func TestMethodIsDenied(t *testing.T) {
	once(t)
	w := shared(t)
	p := w.curl(t, w.agent(t), "/customers/5?denied", "-X", "DELETE").refusal(t, "403 Forbidden")
	if p.Rule != "default_deny" || p.Detail != `no rule allows agent support-agent to use "delete" on target customers-api (default_deny)` || p.Hint == "" {
		t.Errorf("%+v", p)
	}
	p = w.curl(t, w.agent(t), "/customers/5?overridden", "-X", "DELETE", "-H", "X-HTTP-Method-Override: GET").refusal(t, "403 Forbidden")
	if p.Rule != "default_deny" {
		t.Errorf("%+v", p)
	}
	for _, uri := range []string{"/customers/5?denied", "/customers/5?overridden"} {
		if len(w.api.to(uri)) > 0 {
			t.Errorf("the API was asked for %s", uri)
		}
	}
}

func TestWhoIsTurnedAway(t *testing.T) {
	once(t)
	w := shared(t)
	stranger, err := issuer.Start(t.Context(), issuer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	strange, err := stranger.Mint(stage.Agent, app("support"))
	if err != nil {
		t.Fatal(err)
	}
	good := w.agent(t)
	for name, tc := range map[string]struct{ token, want string }{
		"expired":        {w.agent(t, issuer.ExpiresIn(-10*time.Minute)), "the token expired at 20"},
		"not yet valid":  {w.agent(t, issuer.ValidIn(10*time.Minute)), "the token is valid from 20"},
		"stranger":       {strange, "the token's issuer is not trusted here; trusted: " + w.Issuer.URL},
		"wrong audience": {w.agent(t, issuer.Audience("billing")), "the token is for another audience; get one for weir"},
		"garbage":        {"garbage", "this is not a token (a JWT); get a token with: weir token"},
		"unsigned":       {w.agent(t, issuer.SignedWith(issuer.None, nil)), "the token was not accepted"},
		"forged":         {good[:len(good)-8] + "AAAAAAAA", "the token was not accepted"},
		"another's iss":  {w.mint(t, "x", nil, issuer.Claim("iss", stranger.URL)), "the token's issuer is not trusted here"},
		"nobody":         {w.agent(t, issuer.Claim("sub", nil)), "the token names nobody"},
		"no expiry":      {w.agent(t, issuer.Claim("exp", nil)), "the token was not accepted"},
		"an ID token":    {w.agent(t, issuer.Type("dpop+jwt")), "the token was not accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			uri := "/customers/1?" + strings.ReplaceAll(name, " ", "-")
			got := w.curl(t, tc.token, uri)
			p := got.refusal(t, "401 Unauthorized")
			expect(t, p.Detail, tc.want, "!signature", "!key")
			expect(t, strings.ToLower(got.out), `www-authenticate: bearer realm="weir", error="invalid_token"`)
			if p.Rule != "sign_in" || p.Hint != "Send `Authorization: Bearer TOKEN`; `weir token` gets one." {
				t.Errorf("%+v", p)
			}
			if len(w.api.to(uri)) > 0 {
				t.Error("the API was sent the request")
			}
			psql := w.psql(t, tc.token, "select 'turned-away';\n")
			expect(t, psql.err, "FATAL:  sign-in failed: "+tc.want, "HINT:  Get a new token and use it as the password: PGPASSWORD=$(weir token).")
			if psql.code != 2 {
				t.Errorf("psql: exit %d", psql.code)
			}
		})
	}
	if w.reached(t, "turned-away") {
		t.Error("PostgreSQL was sent a stranger's statement")
	}
}

func TestNoToken(t *testing.T) {
	once(t)
	w := shared(t)
	for name, args := range map[string][]string{
		"nothing":      nil,
		"basic":        {"-u", "agent:secret"},
		"empty":        {"-H", "Authorization: Bearer "},
		"in the query": {"-G", "-d", "access_token=" + w.agent(t)},
		"in a cookie":  {"-b", "token=" + w.agent(t)},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.curl(t, "", "/customers/1", args...)
			p := got.refusal(t, "401 Unauthorized")
			if p.Detail != "this target needs a bearer token" || p.Rule != "sign_in" {
				t.Errorf("%+v", p)
			}
			expect(t, strings.ToLower(got.out), "www-authenticate: bearer realm=\"weir\"\r\n")
		})
	}
	two := "Authorization: Bearer " + w.agent(t)
	if p := w.curl(t, "", "/customers/1", "-H", two, "-H", two).refusal(t, "401 Unauthorized"); p.Rule != "sign_in" {
		t.Errorf("two tokens: %+v", p)
	}
	psql := w.psql(t, "", "select 1;\n")
	expect(t, psql.err, "no password supplied")
}

// The API sees its own key, and nothing that the client said about itself.
func TestCredentialsOfTheClientAreRemoved(t *testing.T) {
	once(t)
	w := shared(t)
	token := w.agent(t)
	uri := "/customers/3?credentials"
	got := w.curl(t, token, uri, "-b", "session=of-the-client", "-H", "Proxy-Authorization: Basic eDp4", "-H", "weir-target: shop",
		"-H", "Weir-Client: 10.0.0.1:1", "-H", "X-Request-Purpose: kept")
	expect(t, got.out, "HTTP/1.1 200 OK", "!set-cookie", "!Set-Cookie")
	seen := w.api.to(uri)
	if len(seen) != 1 {
		t.Fatalf("the API was asked %d times: %s", len(seen), got)
	}
	h := seen[0].Header
	if a := h.Values("Authorization"); len(a) != 1 || a[0] != "Bearer "+stage.Credentials()["customers-api"] {
		t.Error("the API did not get its own key, or another beside it")
	}
	for _, name := range []string{"Cookie", "Proxy-Authorization", "Weir-Target", "Weir-Client"} {
		if v := h.Get(name); v != "" {
			t.Errorf("%s: %s", name, v)
		}
	}
	if h.Get("X-Request-Purpose") != "kept" {
		t.Error("other headers are lost")
	}
	for name, values := range h {
		if strings.Contains(strings.Join(values, " "), token) {
			t.Errorf("the token is in %s", name)
		}
	}
}

// A response that cannot be masked is not delivered: neither one in another
// format nor the rest of a document.
func TestUnmaskableIsNotDelivered(t *testing.T) {
	once(t)
	w := shared(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, w.url("/customers/42"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.agent(t))
	resp, err := w.client(t).Do(req)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("HEAD: %v, %v", resp, err)
	}
	_ = resp.Body.Close()
	got := w.curl(t, w.agent(t), "/customers/42", "-H", "Upgrade: websocket", "-H", "Connection: Upgrade")
	expect(t, got.out, "!"+customer().SSN)
}

func TestHTTP2(t *testing.T) {
	once(t)
	w, c := shared(t), customer()
	got := w.curl(t, w.agent(t), "/customers/42", "--http2")
	expect(t, got.out, "HTTP/2 200", masked(c.SSN), "!"+c.SSN)
}
