package cloud

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

func TestGCPMetadataServer(t *testing.T) {
	bare(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /computeMetadata/v1/instance/service-accounts/default/token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Metadata-Flavor") != "Google" {
			t.Error("asked without the header that keeps forged requests out")
		}
		expects(t, r, r.URL.Query(), "scopes", loginScope)
		reply(w, 200, map[string]any{"access_token": "the token", "expires_in": 3599, "token_type": "Bearer"})
	})
	mux.HandleFunc("GET /computeMetadata/v1/project/project-id", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "project") })
	l := serve(t, false, mux)
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(l.URL, "http://"))
	s := open(t, Config{Kind: GCP})
	want(t, s, "the token")
	want(t, s, "the token")
	if n := strings.Count(l.requests(), "/token"); n != 1 {
		t.Errorf("asked %d times:\n%s", n, l.requests())
	}
}

// credentials names a file of Application Default Credentials.
func credentials(t *testing.T, content any) {
	t.Helper()
	text, err := json.Marshal(content)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "credentials.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", file)
}

func TestGCPServiceAccount(t *testing.T) {
	bare(t)
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	refuse := false
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		expects(t, r, r.PostForm, "grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer")
		assertion, err := jwt.ParseSigned(r.PostForm.Get("assertion"), []jose.SignatureAlgorithm{jose.RS256})
		if err != nil {
			t.Error(err)
			return
		}
		claims := map[string]any{}
		if err := assertion.Claims(&key.PublicKey, &claims); err != nil || claims["iss"] != "weir@project.iam.gserviceaccount.com" || claims["scope"] != loginScope {
			t.Errorf("%v %v", claims, err)
		}
		if refuse {
			reply(w, 400, map[string]any{"error": "invalid_grant", "error_description": "Invalid JWT " + r.PostForm.Get("assertion")})
			return
		}
		reply(w, 200, map[string]any{"access_token": "the token", "expires_in": 3599, "token_type": "Bearer"})
	})
	l := serve(t, false, mux)
	credentials(t, map[string]string{
		"type": "service_account", "client_email": "weir@project.iam.gserviceaccount.com", "private_key_id": "k", "token_uri": l.URL + "/token",
		"private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
	})
	want(t, open(t, Config{Kind: GCP}), "the token")
	refuse = true
	got := refused(t, open(t, Config{Kind: GCP}))
	if got != "the token endpoint answered 400 Bad Request: invalid_grant: Invalid JWT [hidden]" {
		t.Errorf("told %q", got)
	}
}

func TestGCPWorkloadIdentityFederation(t *testing.T) {
	bare(t)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/token", func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		expects(t, r, r.PostForm, "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token", "token.of.the-cluster",
			"audience", "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k", "scope", loginScope)
		reply(w, 200, map[string]any{"access_token": "the token", "expires_in": 3599, "token_type": "Bearer", "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"})
	})
	l := serve(t, false, mux)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("token.of.the-cluster"), 0o600); err != nil {
		t.Fatal(err)
	}
	credentials(t, map[string]any{
		"type": "external_account", "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
		"subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": l.URL + "/v1/token",
		"credential_source": map[string]string{"file": file},
	})
	want(t, open(t, Config{Kind: GCP}), "the token")
}

func TestGCPCredentialsThatAreNone(t *testing.T) {
	bare(t)
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere")
	_, err := New(t.Context(), Config{Kind: GCP}, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "gcp: ") || !strings.Contains(err.Error(), "GOOGLE_APPLICATION_CREDENTIALS") {
		t.Errorf("told %v", err)
	}
}
