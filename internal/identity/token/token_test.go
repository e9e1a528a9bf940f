package token_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/weir-gateway/weir/integration/issuer"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/identity"
	"github.com/weir-gateway/weir/internal/identity/token"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// parts are an issuer with every kind of client, and a gateway that trusts it.
type parts struct {
	issuer  *issuer.Issuer
	other   *issuer.Issuer // whose tokens the federated client signs in with
	gateway *identity.Authenticator
	ecKey   string // files
	rsaKey  string
	fedFile string
	dir     string
}

func setUp(t *testing.T, lifetime time.Duration) *parts {
	t.Helper()
	dir := t.TempDir()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other := start(t, issuer.Config{Audience: []string{"federation"}})
	p := &parts{other: other, dir: dir, fedFile: filepath.Join(dir, "federated.jwt")}
	p.issuer = start(t, issuer.Config{
		Lifetime: lifetime,
		Clients: []issuer.Client{
			{ID: "agent-secret", Secret: "s3cr3t/+ü", Claims: map[string]any{"idtyp": "app", "groups": []string{"bots"}}},
			{ID: "agent-ec", Key: ec.Public()},
			{ID: "agent-rsa", Key: rsaKey.Public(), Subject: "rsa-subject"},
			{ID: "agent-fed", Federated: &issuer.Federated{Issuer: other.URL, Subject: "system:serviceaccount:x", JWKS: other.JWKS()}},
			{ID: "cli", Device: true},
		},
		Users: []issuer.User{{Name: "alice", Password: "wonder", Subject: "alice-1", Claims: map[string]any{"idtyp": "user", "groups": []string{"dba"}}}},
	})
	p.ecKey, p.rsaKey = writeKey(t, dir, "ec.pem", ec), writeKey(t, dir, "rsa.pem", rsaKey)
	p.gateway, err = identity.New(identity.Config{Issuers: []identity.Issuer{{
		URL: p.issuer.URL, Audiences: []string{"weir"}, Roles: []string{"groups"},
		Kind: map[gate.Kind]map[string][]string{gate.Human: {"idtyp": {"user"}}},
	}}}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func start(t *testing.T, cfg issuer.Config) *issuer.Issuer {
	t.Helper()
	is, err := issuer.Start(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = is.Close() })
	return is
}

func writeKey(t *testing.T, dir, name string, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func (p *parts) source(t *testing.T, cfg token.Config) *token.Source {
	t.Helper()
	if cfg.Issuer == "" {
		cfg.Issuer = p.issuer.URL
	}
	cfg.CacheDir = filepath.Join(p.dir, "cache")
	if cfg.Prompt == nil {
		cfg.Prompt = io.Discard
	}
	s, err := token.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (p *parts) federate(t *testing.T, subject string, opts ...issuer.MintOption) {
	t.Helper()
	raw, err := p.other.Mint(subject, nil, append([]issuer.MintOption{issuer.Audience(p.issuer.URL)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.fedFile, []byte(raw+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *token.Source) string {
	t.Helper()
	raw, err := s.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// TestPrograms: what each way gives is what the gateway accepts.
func TestPrograms(t *testing.T) {
	p := setUp(t, time.Hour)
	p.federate(t, "system:serviceaccount:x")
	for name, tc := range map[string]struct {
		cfg     token.Config
		subject string
		roles   []string
	}{
		"secret":             {token.Config{ClientID: "agent-secret", Secret: "s3cr3t/+ü"}, "agent-secret", []string{"group:bots"}},
		"private key, P-256": {token.Config{ClientID: "agent-ec", KeyFile: p.ecKey, KeyID: "k1"}, "agent-ec", nil},
		"private key, RSA":   {token.Config{ClientID: "agent-rsa", KeyFile: p.rsaKey}, "rsa-subject", nil},
		"assertion audience": {token.Config{ClientID: "agent-rsa", KeyFile: p.rsaKey, AssertionAudience: p.issuer.URL, Scopes: []string{"x"}}, "rsa-subject", nil},
		"federated":          {token.Config{ClientID: "agent-fed", AssertionFile: p.fedFile}, "agent-fed", nil},
	} {
		t.Run(name, func(t *testing.T) {
			who, err := p.gateway.Authenticate(t.Context(), get(t, p.source(t, tc.cfg)))
			if err != nil {
				t.Fatal(err)
			}
			if who.Subject != tc.subject || who.Kind != gate.Agent || cmp.Diff(append([]string{}, tc.roles...), who.Roles) != "" {
				t.Errorf("principal is %s %s %v", who.Kind, who.Subject, who.Roles)
			}
		})
	}
}

func TestKeptUntilItExpires(t *testing.T) {
	p := setUp(t, time.Hour)
	cfg := token.Config{ClientID: "agent-secret", Secret: "s3cr3t/+ü"}
	first := get(t, p.source(t, cfg))
	if second := get(t, p.source(t, cfg)); second != first {
		t.Error("a good token was not kept")
	}
	other := cfg
	other.Scopes = []string{"more"}
	if get(t, p.source(t, other)) == first {
		t.Error("a token was used for other scopes")
	}
	p.issuer.Pause() // what is kept needs no issuer
	if get(t, p.source(t, cfg)) != first {
		t.Error("another token without an issuer")
	}
	p.issuer.Resume()
	files, err := filepath.Glob(filepath.Join(p.dir, "cache", "*.json"))
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", f, info.Mode(), err)
		}
		if err := os.WriteFile(f, []byte("{broken"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if get(t, p.source(t, cfg)) == first {
		t.Error("a broken file gave the old token")
	}

	short := setUp(t, 30*time.Second) // less than the margin
	one, two := get(t, short.source(t, cfg)), get(t, short.source(t, cfg))
	if one == two {
		t.Error("a token that is about to expire was kept")
	}
}

func TestOneAsksForAll(t *testing.T) {
	p := setUp(t, time.Hour)
	cfg := token.Config{ClientID: "agent-secret", Secret: "s3cr3t/+ü"}
	var group sync.WaitGroup
	var mu sync.Mutex
	seen := map[string]bool{}
	for range 8 {
		s := p.source(t, cfg)
		group.Go(func() {
			raw, err := s.Token(context.Background())
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			seen[raw] = true
		})
	}
	group.Wait()
	if len(seen) != 1 {
		t.Errorf("%d tokens for one client", len(seen))
	}
}

// person reads the prompt and does what it says.
type person struct {
	mu   sync.Mutex
	text bytes.Buffer
	act  func(link, code string)
}

var prompt = regexp.MustCompile(`open (\S+) and enter the code (\S+)\n`)

func (p *person) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.text.Write(b)
	if m := prompt.FindStringSubmatch(p.text.String()); m != nil && p.act != nil {
		act := p.act
		p.act = nil
		act(m[1], m[2])
	}
	return len(b), nil
}

func submit(t *testing.T, form url.Values) func(link, code string) {
	return func(link, code string) {
		form.Set("user_code", code)
		resp, err := http.PostForm(link, form)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		page, _ := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", resp.Status, page)
		}
	}
}

func TestPeople(t *testing.T) {
	p := setUp(t, time.Hour)
	for _, idToken := range []bool{false, true} {
		alice := &person{act: submit(t, url.Values{"username": {"alice"}, "password": {"wonder"}, "action": {"allow"}})}
		cfg := token.Config{ClientID: "cli", Prompt: alice, IDToken: idToken}
		raw := get(t, p.source(t, cfg))
		who, err := p.gateway.Authenticate(t.Context(), raw)
		if err != nil {
			t.Fatal(err)
		}
		if who.Subject != "alice-1" || who.Kind != gate.Human || !strings.Contains(strings.Join(who.Roles, " "), "group:dba") {
			t.Errorf("principal is %s %s %v", who.Kind, who.Subject, who.Roles)
		}
		if !strings.Contains(alice.text.String(), "user_code=") || strings.Contains(alice.text.String(), raw) {
			t.Errorf("prompt is %q", alice.text.String())
		}
		quiet := &person{}
		cfg.Prompt = quiet
		if get(t, p.source(t, cfg)) != raw || quiet.text.Len() != 0 {
			t.Error("she was asked twice")
		}
	}
	denied := &person{act: submit(t, url.Values{"username": {"alice"}, "password": {"wonder"}, "action": {"deny"}})}
	if _, err := p.source(t, token.Config{ClientID: "cli", Prompt: denied, Scopes: []string{"openid", "x"}}).Token(t.Context()); err == nil || !strings.Contains(err.Error(), "the sign-in was denied") {
		t.Errorf("got %v", err)
	}
}

func TestDevicePage(t *testing.T) {
	p := setUp(t, time.Hour)
	post := func(form url.Values) int {
		resp, err := http.PostForm(p.issuer.URL+"/device", form)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	good := url.Values{"username": {"alice"}, "password": {"wonder"}, "action": {"allow"}, "user_code": {"NONE"}}
	if got := post(good); got != http.StatusNotFound {
		t.Errorf("unknown code: %d", got)
	}
	good.Set("password", "wrong")
	if got := post(good); got != http.StatusForbidden {
		t.Errorf("wrong password: %d", got)
	}
	resp, err := http.Get(p.issuer.URL + "/device?user_code=<script>")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	if err != nil || strings.Contains(string(page), "<script>") || !strings.Contains(string(page), `name="user_code"`) {
		t.Errorf("page is %s, %v", page, err)
	}
}

func TestRefusals(t *testing.T) {
	p := setUp(t, time.Hour)
	p.federate(t, "somebody else")
	garbage := filepath.Join(p.dir, "garbage.pem")
	if err := os.WriteFile(garbage, []byte("hunter2"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		cfg  token.Config
		want string
	}{
		"wrong secret":       {token.Config{ClientID: "agent-secret", Secret: "hunter2"}, "does not accept this client"},
		"unknown client":     {token.Config{ClientID: "nobody", Secret: "hunter2"}, "does not accept this client"},
		"another's key":      {token.Config{ClientID: "agent-ec", KeyFile: p.rsaKey}, "does not accept this client"},
		"federated stranger": {token.Config{ClientID: "agent-fed", AssertionFile: p.fedFile}, "does not accept this client"},
		"no key file":        {token.Config{ClientID: "agent-ec", KeyFile: "/none"}, "no such file"},
		"key is garbage":     {token.Config{ClientID: "agent-ec", KeyFile: garbage}, "it is not PEM"},
		"no federated file":  {token.Config{ClientID: "agent-fed", AssertionFile: "/none"}, "no such file"},
		"no such issuer":     {token.Config{ClientID: "agent-fed", Secret: "x", Issuer: p.issuer.URL + "/none"}, "404"},
		"unreachable":        {token.Config{ClientID: "agent-fed", Secret: "x", Issuer: "http://127.0.0.1:1"}, "connection refused"},
		"device not allowed": {token.Config{ClientID: "agent-secret"}, "does not accept this client"},
	} {
		t.Run(name, func(t *testing.T) {
			raw, err := p.source(t, tc.cfg).Token(t.Context())
			if raw != "" || err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %q, %v; want %q", raw, err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Error("an error repeats a secret")
			}
		})
	}
	for want, cfg := range map[string]token.Config{
		"no issuer":  {ClientID: "x"},
		"no client":  {Issuer: "x"},
		"exclude":    {Issuer: "x", ClientID: "x", Secret: "x", KeyFile: "x"},
		"for people": {Issuer: "x", ClientID: "x", Secret: "x", IDToken: true},
	} {
		if _, err := token.New(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestCanceled(t *testing.T) {
	p := setUp(t, time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	waiting := &person{act: func(string, string) { cancel() }}
	if _, err := p.source(t, token.Config{ClientID: "cli", Prompt: waiting}).Token(ctx); err == nil {
		t.Error("a token without a sign-in")
	}
}

// TestMainCommand: the issuer as a program of its own, as the demo runs it.
func TestMainCommand(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "issuer.yaml")
	text := `
audience: [weir]
lifetime: 5m
clients:
  - {id: agent, secret: s, subject: agent-1, claims: {idtyp: app, act: {sub: planner}}}
users:
  - {name: bob, password: b, claims: {groups: [x]}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- issuer.Main(ctx, []string{"-c", file}, in)
		_ = in.Close()
	}()
	line := make([]byte, 200)
	n, err := out.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	link := strings.TrimSpace(string(line[:n]))
	resp, err := http.Get(link + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	var doc map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&doc); err != nil || doc["issuer"] != link || doc["device_authorization_endpoint"] == nil {
		t.Errorf("discovery is %v, %v", doc, err)
	}
	_ = resp.Body.Close()
	s, err := token.New(token.Config{Issuer: link, ClientID: "agent", Secret: "s", CacheDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	raw := get(t, s)
	a, err := identity.New(identity.Config{Issuers: []identity.Issuer{{URL: link, Audiences: []string{"weir"}}}}, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	who, err := a.Authenticate(t.Context(), raw)
	if err != nil || who.Subject != "agent-1" || len(who.OnBehalfOf) != 1 {
		t.Errorf("principal is %+v, %v", who, err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
