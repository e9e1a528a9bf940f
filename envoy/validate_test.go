package envoy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-gateway/weir/envoy"
)

func TestValidate(t *testing.T) {
	b := realEnvoy(t)
	tests := []struct{ name, config, want string }{
		{"nothing in it", "{}", ""},
		{"an unknown field", "static_resources: {clusters: [{name: x, nope: 1}]}", "nope"},
		{
			"an unknown cluster",
			`{"static_resources":{"listeners":[{"name":"l","address":{"socket_address":{"address":"127.0.0.1","port_value":1}},
			"filter_chains":[{"filters":[{"name":"t","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy","stat_prefix":"x"}}]}]}]}}`,
			`field: "cluster_specifier", reason: is required`,
		},
		{"not YAML", "a: [", "bootstrap:"},
		{"empty", "", "bootstrap: it is empty"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := b.Validate(t.Context(), []byte(tt.config))
			switch {
			case tt.want == "" && err != nil:
				t.Error(err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %v, want it to say %q", err, tt.want)
			case err != nil && strings.Contains(err.Error(), "initializing configuration"):
				t.Errorf("%v tells more than the reason", err)
			}
		})
	}
}

func TestValidateLargerThanAPipe(t *testing.T) {
	config := `{"node": {"id": "` + strings.Repeat("x", 1<<20) + `"}}`
	if err := realEnvoy(t).Validate(t.Context(), []byte(config)); err != nil {
		t.Error(err)
	}
}

func TestValidateEnds(t *testing.T) {
	b := envoy.Binary{Path: script(t, t.TempDir(), "slow", "exec sleep 600")}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if err := b.Validate(ctx, []byte("{}")); err == nil {
		t.Error("a check that was called off passed")
	}
}

func TestValidateWithoutWords(t *testing.T) {
	dir := t.TempDir()
	silent := envoy.Binary{Path: script(t, dir, "silent", "cat <&3 >/dev/null; exit 7")}
	if err := silent.Validate(t.Context(), []byte("{}")); err == nil || !strings.Contains(err.Error(), "exit status 7") {
		t.Errorf("got %v", err)
	}
	odd := envoy.Binary{Path: script(t, dir, "odd", "cat <&3 >/dev/null; echo cannot open shared object >&2; exit 127")}
	if err := odd.Validate(t.Context(), []byte("{}")); err == nil || !strings.Contains(err.Error(), "cannot open shared object") {
		t.Errorf("got %v", err)
	}
	quotes := envoy.Binary{Path: script(t, dir, "quotes", `cat <&3 >/dev/null; echo '[critical][main] no: -----BEGIN EC PRIVATE KEY-----\\nabc\\n-----END EC PRIVATE KEY-----' >&2; exit 1`)}
	if err := quotes.Validate(t.Context(), []byte("{}")); err == nil || strings.Contains(err.Error(), "abc") || !strings.Contains(err.Error(), "(hidden)") {
		t.Errorf("got %v", err)
	}
	if err := (envoy.Binary{Path: filepath.Join(dir, "none")}).Validate(t.Context(), []byte("{}")); err == nil {
		t.Error("no program, and yet it passed")
	}
}

// filesFor is a certificate in files, as an Envoy elsewhere has them.
func filesFor(t *testing.T) *envoy.ClientTLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	c := write("tls.crt", "CERTIFICATE", cert)
	return &envoy.ClientTLS{CA: c, ServerName: "weir.internal", Certificate: c, Key: write("tls.key", "PRIVATE KEY", der)}
}
