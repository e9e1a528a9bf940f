package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/weir-gateway/weir/integration/issuer"
	"github.com/weir-gateway/weir/integration/pki"
	"github.com/weir-gateway/weir/internal/identity"
)

// TestHTTPS: the issuer's certificate is verified.
func TestHTTPS(t *testing.T) {
	ca, err := pki.New("issuers")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(pki.Request{})
	if err != nil {
		t.Fatal(err)
	}
	pair, err := leaf.TLS()
	if err != nil {
		t.Fatal(err)
	}
	is := startIssuer(t, issuer.Config{Host: "localhost", TLS: &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}})
	if !strings.HasPrefix(is.URL, "https://localhost:") {
		t.Fatalf("issuer is %s", is.URL)
	}
	trusting := authenticator(t, identity.Config{Issuers: []identity.Issuer{{URL: is.URL, Audiences: []string{"weir"}, Roots: ca.Pool()}}})
	accept(t, trusting, mint(t, is, "a", nil))
	if e := refusal(t, authenticator(t, identity.Config{}, is.URL), mint(t, is, "a", nil)); e.Code != identity.Unreachable {
		t.Errorf("got %v", e)
	}
}

// key is one that no issuer has.
func key(t *testing.T, alg jose.SignatureAlgorithm) crypto.Signer {
	t.Helper()
	if alg != jose.ES256 {
		t.Fatalf("no key for %s", alg)
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestBadIssuers: what an issuer answers is not trusted either.
func TestBadIssuers(t *testing.T) {
	honest := startIssuer(t, issuer.Config{})
	for name, handler := range map[string]func(url string, w http.ResponseWriter, r *http.Request){
		"discovery of another issuer": func(_ string, w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": "https://other.example", "jwks_uri": honest.JWKS()})
		},
		"keys in clear from elsewhere": func(url string, w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": url, "jwks_uri": "http://keys.example/jwks"})
		},
		"keys that are none": func(url string, w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/jwks") {
				fmt.Fprint(w, "<html>sign in first</html>")
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": url, "jwks_uri": url + "/jwks"})
		},
		"keys without end": func(url string, w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, "/jwks") {
				_ = json.NewEncoder(w).Encode(map[string]any{"issuer": url, "jwks_uri": url + "/jwks"})
				return
			}
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		},
		"redirect into clear": func(_ string, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
		},
		"error": func(_ string, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
	} {
		t.Run(name, func(t *testing.T) {
			var url string
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(url, w, r) }))
			defer server.Close()
			url = server.URL
			a := authenticator(t, identity.Config{}, url)
			raw := mint(t, honest, "a", nil, issuer.Claim("iss", url))
			if e := refusal(t, a, raw); e.Code != identity.Unreachable || len(e.Error()) > 500 {
				t.Errorf("got %v", e)
			}
		})
	}
}

func FuzzAuthenticate(f *testing.F) {
	is, err := issuer.Start(f.Context(), issuer.Config{})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { _ = is.Close() })
	good, err := is.Mint("a", map[string]any{"act": map[string]any{"sub": "b"}, "groups": []string{"x"}})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "a.b.c", good, good[:len(good)-4], strings.ToUpper(good), good + "." + good} {
		f.Add(seed)
	}
	a, err := identity.New(identity.Config{Issuers: []identity.Issuer{{URL: is.URL, Audiences: []string{"weir"}}}}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		p, err := a.Authenticate(t.Context(), raw)
		if err == nil && strings.TrimSpace(raw) != good {
			// ECDSA signatures are not unique in base64: the claims must be the same.
			if p.Subject != "a" || strings.Count(raw, ".") != 2 || strings.Split(strings.TrimSpace(raw), ".")[1] != strings.Split(good, ".")[1] {
				t.Fatalf("accepted: %q", raw)
			}
		}
	})
}
