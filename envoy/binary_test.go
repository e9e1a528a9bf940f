package envoy_test

import (
	"errors"
	"log/slog"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/weir-gateway/weir/envoy"
)

func TestMain(m *testing.M) {
	if os.Getenv(superviseForTest) != "" {
		superviseAndWait()
		return
	}
	goleak.VerifyTestMain(m)
}

// realEnvoy is the Envoy of WEIR_ENVOY, of PATH, or that `make` set up.
func realEnvoy(t *testing.T) envoy.Binary {
	t.Helper()
	b, err := envoy.Find(t.Context(), envoy.Lookup{
		Path:      os.Getenv("WEIR_ENVOY"),
		Fallbacks: []string{"../.weir/bin/envoy"},
	})
	if errors.Is(err, envoy.ErrMissing) {
		t.Skipf("this test needs Envoy: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// shortDir is a folder whose path leaves room for a socket's name.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weir")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func testLog(t *testing.T) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}
