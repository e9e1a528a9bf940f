package integration

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-gateway/weir/integration/issuer"
	"github.com/weir-gateway/weir/integration/stage"
)

// clients are programs that sign in with a key, and with another issuer's token.
type clients struct {
	key       *ecdsa.PrivateKey
	workloads *issuer.Issuer // where their federated tokens come from
}

func TestWeirToken(t *testing.T) {
	once(t)
	c := newClients(t)
	w := own(t, stage.Options{Issuer: c.add})
	home := t.TempDir()
	env := func(more ...string) []string {
		return append([]string{"XDG_CACHE_HOME=" + home, "WEIR_ISSUER=" + w.Issuer.URL}, more...)
	}
	secretFile, key, federated := filepath.Join(home, "secret"), filepath.Join(home, "key.pem"), filepath.Join(home, "federated")
	write(t, secretFile, stage.Secret(stage.Agent)+"\n")
	write(t, key, c.pem(t))
	write(t, federated, c.token(t, w))
	for name, env := range map[string][]string{
		"secret":      env("WEIR_CLIENT_ID="+stage.Agent, "WEIR_CLIENT_SECRET="+stage.Secret(stage.Agent)),
		"secret file": env("WEIR_CLIENT_ID="+stage.Analyst, "WEIR_CLIENT_SECRET_FILE="+secretFileOf(t, stage.Analyst)),
		"private key": env("WEIR_CLIENT_ID=key-agent", "WEIR_CLIENT_KEY="+key),
		"federated":   env("WEIR_CLIENT_ID=workload-agent", "WEIR_FEDERATED_TOKEN_FILE="+federated),
	} {
		t.Run(name, func(t *testing.T) {
			got := w.weir(t, env, "token")
			if got.code != 0 || got.err != "" || strings.Count(got.out, "\n") != 1 || strings.Count(got.out, ".") != 2 {
				t.Fatalf("it prints more or less than a token: %s", got)
			}
			expect(t, w.psql(t, strings.TrimSpace(got.out), "select 'in';\n").out, "in\n")
			if again := w.weir(t, env, "token"); again.out != got.out {
				t.Error("the token was not kept")
			}
		})
	}
	t.Run("kept for its owner only", func(t *testing.T) {
		files, err := filepath.Glob(filepath.Join(home, "weir", "tokens", "*"))
		if err != nil || len(files) < 4 {
			t.Fatalf("%v, %v", files, err)
		}
		for _, f := range append(files, filepath.Dir(files[0])) {
			if info, err := os.Stat(f); err != nil || info.Size() > 0 && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s: %v, %v", f, info.Mode(), err)
			}
		}
	})
	t.Run("kept tokens need no issuer", func(t *testing.T) {
		w.Issuer.Pause()
		defer w.Issuer.Resume()
		got := w.weir(t, env("WEIR_CLIENT_ID="+stage.Agent, "WEIR_CLIENT_SECRET="+stage.Secret(stage.Agent)), "token")
		if got.code != 0 {
			t.Error(got)
		}
		got = w.weir(t, append(env("WEIR_CLIENT_ID="+stage.Agent, "WEIR_CLIENT_SECRET=x"), "XDG_CACHE_HOME="+t.TempDir()), "token")
		expect(t, got.err, "weir: issuer "+w.Issuer.URL+": ")
		if got.code != 1 || got.out != "" {
			t.Error(got)
		}
	})
	for name, tc := range map[string]struct {
		env  []string
		want string
	}{
		"wrong secret": {env("WEIR_CLIENT_ID="+stage.Agent, "WEIR_CLIENT_SECRET=wrong-one"), "it does not accept this client: check the client's id and secret, key or federated token"},
		"two ways":     {env("WEIR_CLIENT_ID=x", "WEIR_CLIENT_SECRET=x", "WEIR_CLIENT_KEY="+key), "a secret, a private key and a federated token file exclude each other: give one"},
		"no client":    {env(), "no client: name one with --client-id or WEIR_CLIENT_ID"},
		"no issuer":    {[]string{"WEIR_CLIENT_ID=x"}, "no issuer: name one with --issuer or WEIR_ISSUER"},
		"nothing":      {nil, "who are you? Set WEIR_TOKEN, or WEIR_ISSUER and WEIR_CLIENT_ID so that a token can be fetched (see `weir token --help`)"},
		"a bad key":    {env("WEIR_CLIENT_ID=key-agent", "WEIR_CLIENT_KEY="+federated), "it is not PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.weir(t, append(tc.env, "XDG_CACHE_HOME="+t.TempDir()), "token")
			expect(t, got.err, "weir: ", tc.want, "!wrong-one")
			if got.code != 1 || got.out != "" {
				t.Errorf("%s", got)
			}
		})
	}
	t.Run("a person denies", func(t *testing.T) { w.denyDevice(t) })
}

func newClients(t *testing.T) *clients {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	workloads, err := issuer.Start(t.Context(), issuer.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return &clients{key, workloads}
}

func (c *clients) add(cfg *issuer.Config) {
	cfg.Clients = append(cfg.Clients,
		issuer.Client{ID: "key-agent", Key: c.key.Public(), Claims: app("support")},
		issuer.Client{ID: "workload-agent", Federated: &issuer.Federated{Issuer: c.workloads.URL, Subject: "pod-1", JWKS: c.workloads.JWKS()}, Claims: app("support")})
}

func (c *clients) pem(t *testing.T) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(c.key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// token is what the platform puts beside a workload.
func (c *clients) token(t *testing.T, w *world) string {
	t.Helper()
	token, err := c.workloads.Mint("pod-1", nil, issuer.Audience(w.Issuer.TokenURL(), w.Issuer.URL))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func secretFileOf(t *testing.T, who string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	write(t, path, stage.Secret(who)+"\n")
	return path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
