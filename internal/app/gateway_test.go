package app

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/vault"
)

func TestEvidenceStaysAsLongAsConfigured(t *testing.T) {
	got := schemaOf(&config.Evidence{Retention: config.Duration(2 * time.Hour), PayloadRetention: config.Duration(time.Hour)})
	if got.Retention != 2*time.Hour || got.PayloadRetention != time.Hour {
		t.Errorf("got %+v", got)
	}
}

func TestAConfiguredHashKeyIsLongEnough(t *testing.T) {
	v, err := vault.New(vault.ConfigFor(t.TempDir(), os.Getenv), nil)
	if err != nil {
		t.Fatal(err)
	}
	g := &Gateway{shared: shared{vault: v}}
	cfg := &config.Config{Policy: config.Policy{HashKey: "env:WEIR_TEST_HASH_KEY"}}
	t.Setenv("WEIR_TEST_HASH_KEY", strings.Repeat("k", 32))
	if key, err := g.maskKey(cfg); err != nil || len(key) != 32 {
		t.Errorf("got %d bytes, %v", len(key), err)
	}
	t.Setenv("WEIR_TEST_HASH_KEY", strings.Repeat("k", 31))
	if _, err := g.maskKey(cfg); err == nil || !strings.Contains(err.Error(), "policy.hash_key: the key has 31 bytes") {
		t.Errorf("got %v", err)
	}
}
