package integration

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weir-gateway/weir/integration/pki"
	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/integration/stage"
)

// The server's lines for each way to sign in.
var signInLines = []string{
	"hostssl all weir_cert 127.0.0.1/32 cert",
	"hostssl all weir_both 127.0.0.1/32 scram-sha-256 clientcert=verify-ca",
	"hostssl all weir_md5 127.0.0.1/32 md5",
	"hostssl all weir_clear 127.0.0.1/32 password",
	"hostnossl all weir_open 127.0.0.1/32 password",
	"hostssl all weir_trust 127.0.0.1/32 trust",
	"hostssl all weir_entra 127.0.0.1/32 password",
	"hostssl all weir_google 127.0.0.1/32 password",
	"host all all 127.0.0.1/32 scram-sha-256",
}

const signInRoles = `CREATE ROLE weir_cert LOGIN; CREATE ROLE weir_trust LOGIN;
CREATE ROLE weir_both LOGIN PASSWORD 'known to the gateway only';
CREATE ROLE weir_clear LOGIN PASSWORD 'known to the gateway only';
CREATE ROLE weir_open LOGIN PASSWORD 'known to the gateway only';
SET password_encryption = 'md5'; CREATE ROLE weir_md5 LOGIN PASSWORD 'known to the gateway only'; RESET password_encryption;
CREATE ROLE weir_entra LOGIN PASSWORD 'the first token'; CREATE ROLE weir_google LOGIN PASSWORD 'the token of google';`

// machine is what a cloud has at a fixed address on each machine: here the
// environment says where.
func machine(t *testing.T) (entra *atomic.Pointer[string]) {
	t.Helper()
	entra = new(atomic.Pointer[string])
	reply := func(w http.ResponseWriter, v any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /msi/token", func(w http.ResponseWriter, r *http.Request) {
		if token := entra.Load(); token != nil && r.Header.Get("X-IDENTITY-HEADER") == "header" {
			// A token that is renewed five seconds later.
			reply(w, map[string]any{"access_token": *token, "expires_on": fmt.Sprint(time.Now().Add(20 * time.Second).Unix()), "token_type": "Bearer"})
			return
		}
		w.WriteHeader(http.StatusBadRequest)
		reply(w, map[string]any{"error": "invalid_request", "error_description": "Identity not found"})
	})
	mux.HandleFunc("GET /computeMetadata/v1/instance/service-accounts/default/token", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, map[string]any{"access_token": "the token of google", "expires_in": 3599, "token_type": "Bearer"})
	})
	mux.HandleFunc("GET /computeMetadata/v1/project/project-id", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, "shop") })
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	t.Setenv("IDENTITY_ENDPOINT", server.URL+"/msi/token")
	t.Setenv("IDENTITY_HEADER", "header")
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(server.URL, "http://"))
	t.Setenv("GOOGLE_APPLICATION_CREDENTIALS", "")
	t.Setenv("HOME", t.TempDir())
	return entra
}

// way is a target, and what comes of it.
type way struct{ name, upstream, in string }

// Each way to secure the connection to the server and to sign in there, against
// the real server's own idea of it.
func TestServerSignIn(t *testing.T) {
	need(t)
	clients, err := pki.New("clients")
	if err != nil {
		t.Fatal(err)
	}
	files := t.TempDir()
	show := func(name string) string {
		leaf, err := clients.Issue(pki.Request{CommonName: name, Client: true})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := leaf.WriteFiles(files, "shown"); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("certificate: file:%s/shown.crt, key: file:%s/shown.key", files, files)
	}
	shown := show("weir_cert")
	other, err := clients.WriteFile(files)
	if err != nil {
		t.Fatal(err)
	}
	entra := machine(t)
	plain := postgres.Test(t, postgres.Options{Databases: []string{"shop"}, HBA: signInLines, SQL: []string{
		"CREATE ROLE weir_shop LOGIN PASSWORD 'known to the gateway only'; CREATE ROLE weir_open LOGIN PASSWORD 'known to the gateway only'",
	}})

	const password, verified = "password: secret:shop", "tls: verify-full, ca: file:ca.crt, server_name: localhost"
	no := "FATAL:  the gateway could not sign in to target "
	shop := func(tls string) string { return "user: weir_shop, " + password + ", tls: " + tls }
	ways := []way{
		{"up-disable", shop("disable"), "weir_shop"},
		{"up-prefer", shop("prefer"), "weir_shop"},
		{"up-require", shop("require"), "weir_shop"},
		{"up-verify-ca", shop("verify-ca, ca: file:ca.crt"), "weir_shop"},
		{"up-verify-full", shop("verify-full, ca: file:ca.crt, server_name: localhost"), "weir_shop"},
		{"up-wrong-name", shop("verify-full, ca: file:ca.crt, server_name: db.example"), no},
		{"up-wrong-ca", shop("verify-full, server_name: localhost, ca: file:" + other), no},
		{"up-wrong-chain", shop("verify-ca, ca: file:" + other), no},
		{"up-system-ca", shop("verify-full, server_name: localhost"), no},
		{"plain-disable", shop("disable"), "weir_shop"},
		{"plain-prefer", shop("prefer"), "weir_shop"},
		{"plain-require", shop("require"), no},
		{"plain-verify-ca", shop("verify-ca, ca: file:ca.crt"), no},
		{"plain-verify-full", shop("verify-full, ca: file:ca.crt, server_name: localhost"), no},
		{"plain-clear", "user: weir_open, " + password + ", tls: prefer", no}, // a password in clear, over nothing
		{"up-cert", "user: weir_cert, auth: certificate, " + shown + ", " + verified, "weir_cert"},
		{"up-no-cert", "user: weir_cert, auth: trust, " + verified, no},
		{"up-both", "user: weir_both, " + password + ", " + shown + ", " + verified, "weir_both"},
		{"up-half", "user: weir_both, " + password + ", " + verified, no},
		{"up-md5", "user: weir_md5, " + password + ", " + verified, "weir_md5"},
		{"up-clear", "user: weir_clear, " + password + ", " + verified, "weir_clear"},
		{"up-trust", "user: weir_trust, auth: trust, " + verified, "weir_trust"},
		{"up-entra", "user: weir_entra, auth: entra, " + verified, no}, // no token yet
		{"up-google", "user: weir_google, auth: gcp, " + verified, "weir_google"},
	}
	listen := map[string]string{}
	w := own(t, stage.Options{
		Postgres: func(o *postgres.Options) {
			o.HBA, o.TLS.ClientCA = signInLines, clients.PEM
			o.SQL = append(o.SQL, signInRoles)
		},
		Edit: func(s *stage.Settings) {
			for _, one := range ways {
				listen[one.name] = freeAddress()
				address := s.Database
				if strings.HasPrefix(one.name, "plain") {
					address = plain.Addr()
				}
				s.Targets += fmt.Sprintf("  %s: {kind: postgres, listen: %s, upstream: {address: %s, database: shop, %s}%s}\n", one.name, listen[one.name], address, one.upstream, inTransport())
			}
		},
	})
	tries := func(name string) result {
		t.Helper()
		return w.psqlTo(t, w.conninfoTo(listen[name], ""), w.agent(t), "select current_user;\n")
	}
	for _, one := range ways {
		got := tries(one.name)
		if strings.HasPrefix(one.in, "FATAL") {
			expect(t, got.err, one.in+one.name, "!weir_", "!known to")
		} else if got.out != one.in+"\n" {
			t.Errorf("%s: %s", one.name, got)
		}
	}
	expect(t, readFile(t, w.Path("weir.log")), "the server asks for the password in clear, and the connection is not in TLS",
		"the target's password: the token endpoint answered 400 Bad Request: invalid_request: Identity not found",
		"the server offers no TLS, and the target's tls is require", "x509: certificate is valid for localhost, not db.example", "!known to the gateway only")

	// Another certificate, without a restart.
	show("somebody")
	expect(t, tries("up-cert").err, no)
	show("weir_cert")
	if got := tries("up-cert"); got.out != "weir_cert\n" {
		t.Error(got)
	}

	// A token, and the one after it.
	for _, token := range []string{"the first token", "the second token"} {
		if err := w.Postgres.Exec(t.Context(), "shop", "ALTER ROLE weir_entra PASSWORD '"+token+"'"); err != nil {
			t.Fatal(err)
		}
		entra.Store(&token)
		soon(t, "the gateway has "+token, func() bool { return tries("up-entra").out == "weir_entra\n" })
	}
	expect(t, readFile(t, w.Path("weir.log")), "!the first token", "!the second token", "!the token of google")
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
