package cloud

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const ossrdbms = "https://ossrdbms-aad.database.windows.net"

func TestManagedIdentity(t *testing.T) {
	for name, id := range map[string][2]string{"the machine's": {"", ""}, "one of several": {"", "client-1"}, "of the environment": {"client-2", ""}} {
		t.Run(name, func(t *testing.T) {
			bare(t)
			t.Setenv("AZURE_CLIENT_ID", id[0])
			mux := http.NewServeMux()
			mux.HandleFunc("GET /metadata/identity/oauth2/token", func(w http.ResponseWriter, r *http.Request) {
				expects(t, r, r.URL.Query(), "resource", ossrdbms, "client_id", id[0]+id[1])
				if r.Header.Get("Metadata") != "true" {
					t.Error("asked without the header that keeps forged requests out")
				}
				reply(w, 200, map[string]any{"access_token": "the token", "expires_in": "3600", "expires_on": inAnHour(), "resource": ossrdbms, "token_type": "Bearer"})
			})
			l := serve(t, false, mux)
			s := open(t, Config{Kind: Entra, Address: "db.postgres.database.azure.com:5432", ClientID: id[1], Client: l.client(t)})
			want(t, s, "the token")
			want(t, s, "the token")
			if got := l.requests(); strings.Count(got, "\n") != 0 {
				t.Errorf("asked more than once:\n%s", got)
			}
		})
	}
}

// Container Apps and App Service tell where their endpoint is.
func TestManagedIdentityOfAnApp(t *testing.T) {
	bare(t)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /msi/token", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-IDENTITY-HEADER") != "header" {
			reply(w, 401, map[string]any{"error": "who"})
			return
		}
		expects(t, r, r.URL.Query(), "resource", ossrdbms)
		reply(w, 200, map[string]any{"access_token": "the token", "expires_on": inAnHour(), "resource": ossrdbms, "token_type": "Bearer"})
	})
	l := serve(t, false, mux)
	t.Setenv("IDENTITY_ENDPOINT", l.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "header")
	want(t, open(t, Config{Kind: Entra}), "the token")
}

// federation is Entra ID's token endpoint, as far as a client assertion needs it.
func federation(t *testing.T, token func(w http.ResponseWriter, r *http.Request)) *local {
	bare(t)
	mux := http.NewServeMux()
	var l *local
	mux.HandleFunc("GET /common/discovery/instance", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]any{"tenant_discovery_endpoint": l.URL + "/tenant/v2.0/.well-known/openid-configuration", "api-version": "1.1", "metadata": []any{}})
	})
	mux.HandleFunc("GET /tenant/v2.0/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, 200, map[string]any{"authorization_endpoint": l.URL + "/tenant/oauth2/v2.0/authorize", "token_endpoint": l.URL + "/tenant/oauth2/v2.0/token", "issuer": l.URL + "/tenant/v2.0"})
	})
	mux.HandleFunc("POST /tenant/oauth2/v2.0/token", token)
	l = serve(t, true, mux)
	t.Setenv("AZURE_AUTHORITY_HOST", l.URL)
	t.Setenv("AZURE_TENANT_ID", "tenant")
	t.Setenv("AZURE_CLIENT_ID", "client")
	file := filepath.Join(t.TempDir(), "token")
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", file)
	if err := os.WriteFile(file, []byte("token.of.the-cluster"), 0o600); err != nil {
		t.Fatal(err)
	}
	return l
}

func TestWorkloadIdentity(t *testing.T) {
	l := federation(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		expects(t, r, r.PostForm, "grant_type", "client_credentials", "client_id", "client", "client_assertion", "token.of.the-cluster",
			"client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		if !strings.Contains(r.PostForm.Get("scope"), ossrdbms+"/.default") {
			t.Errorf("scope %q", r.PostForm.Get("scope"))
		}
		reply(w, 200, map[string]any{"access_token": "the token", "expires_in": 3600, "token_type": "Bearer"})
	})
	s := open(t, Config{Kind: Entra, Client: l.client(t)})
	want(t, s, "the token")
}

func TestWorkloadIdentityIsRefused(t *testing.T) {
	l := federation(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		reply(w, 400, map[string]any{"error": "invalid_request", "error_description": fmt.Sprintf(
			"AADSTS700213: No matching federated identity record found. You sent %s%s", r.PostForm.Get("client_assertion"), strings.Repeat("x", 50))})
	})
	got := refused(t, open(t, Config{Kind: Entra, Client: l.client(t)}))
	if !strings.HasPrefix(got, "the token endpoint answered 400 Bad Request: invalid_request: AADSTS700213: No matching federated identity record found.") ||
		strings.Contains(got, "token.of.the-cluster") || strings.Contains(got, "\n") {
		t.Errorf("told %q", got)
	}
}

func TestWorkloadIdentityIsIncomplete(t *testing.T) {
	bare(t)
	t.Setenv("AZURE_FEDERATED_TOKEN_FILE", "/nowhere")
	t.Setenv("AZURE_TENANT_ID", "tenant")
	_, err := New(t.Context(), Config{Kind: Entra}, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "entra: AZURE_FEDERATED_TOKEN_FILE is set, and not both") {
		t.Errorf("told %v", err)
	}
}

func TestEntraScope(t *testing.T) {
	for address, want := range map[string]string{
		"db.postgres.database.azure.com:5432":         ossrdbms + "/.default",
		"10.1.2.3:5432":                               ossrdbms + "/.default",
		"db.postgres.database.usgovcloudapi.net:5432": "https://ossrdbms-aad.database.usgovcloudapi.net/.default",
		"db.postgres.database.chinacloudapi.cn:5432":  "https://ossrdbms-aad.database.chinacloudapi.cn/.default",
		"db.usgovcloudapi.net.example.com:5432":       ossrdbms + "/.default",
	} {
		if got := entraScope(address); got != want {
			t.Errorf("%s: %s", address, got)
		}
	}
}
