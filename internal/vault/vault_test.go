package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"
)

const secretValue = "hunter2-is-the-secret"

func newVault(t *testing.T, cfg Config) (*Vault, *bytes.Buffer) {
	t.Helper()
	var log bytes.Buffer
	v, err := New(cfg, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	return v, &log
}

func noEnv(string) string { return "" }

func write(t *testing.T, file, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestResolve(t *testing.T) {
	dir := t.TempDir()
	v, log := newVault(t, ConfigFor(dir, noEnv))
	if err := v.Set(t.Context(), "orders", Hide(secretValue)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WEIR_TEST_SET", secretValue)
	t.Setenv("WEIR_TEST_EMPTY", "")
	file := func(name, text string) string { return "file:" + write(t, filepath.Join(dir, name), text, 0o600) }
	for _, tc := range []struct{ name, ref, want, err string }{
		{"secret", "secret:orders", secretValue, ""},
		{"env", "env:WEIR_TEST_SET", secretValue, ""},
		{"file with newline", file("a", secretValue+"\n"), secretValue, ""},
		{"file with CRLF", file("b", secretValue+"\r\n"), secretValue, ""},
		{"only one newline goes", file("c", secretValue+"\n\n"), secretValue + "\n", ""},
		{"no such secret", "secret:billing", "", "secret:billing: there is no such secret; run: weir secret set billing"},
		{"bad name", "secret:../x", "", "not a name for a secret"},
		{"unset", "env:WEIR_TEST_UNSET", "", "env:WEIR_TEST_UNSET: the environment variable WEIR_TEST_UNSET is not set"},
		{"empty variable", "env:WEIR_TEST_EMPTY", "", "is empty"},
		{"no such file", "file:" + dir + "/none", "", "file:" + dir + "/none: there is no such file"},
		{"folder", "file:" + dir, "", "not a regular file"},
		{"empty file", file("d", "\n"), "", "the file is empty"},
		{"large file", file("e", strings.Repeat("x", 1<<20+1)), "", "larger than 1 MiB"},
		{"in clear", secretValue, "", "use secret:NAME, env:NAME or file:PATH"},
		{"unknown scheme", "vault:" + secretValue, "", "use secret:NAME, env:NAME or file:PATH"},
		{"nothing", "", "", "use secret:NAME, env:NAME or file:PATH"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := v.Resolve(t.Context(), tc.ref)
			if got != tc.want {
				t.Errorf("value is %q", got)
			}
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Errorf("error is %v, want %q", err, tc.err)
			}
			if err != nil && strings.Contains(err.Error(), secretValue) {
				t.Error("an error repeats the secret")
			}
		})
	}
	if strings.Contains(log.String(), secretValue) {
		t.Error("the log repeats the secret")
	}
}

func TestModeIsComplainedAboutOnce(t *testing.T) {
	dir := t.TempDir()
	v, log := newVault(t, ConfigFor(dir, noEnv))
	open := "file:" + write(t, filepath.Join(dir, "open"), "x", 0o644)
	public := "file:" + write(t, filepath.Join(dir, "ca.pem"), "-----BEGIN CERTIFICATE-----\n", 0o644)
	for range 3 {
		for _, ref := range []string{open, public} {
			if _, err := v.Resolve(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := strings.Count(log.String(), "can read a credential"); n != 1 {
		t.Errorf("%d warnings:\n%s", n, log)
	}
}

func TestExpand(t *testing.T) {
	v, _ := newVault(t, ConfigFor(t.TempDir(), noEnv))
	if err := v.Set(t.Context(), "billing", Hide("abc")); err != nil {
		t.Fatal(err)
	}
	for template, want := range map[string]string{
		"Bearer {{secret:billing}}":               "Bearer abc",
		"{{ secret:billing }}.{{secret:billing}}": "abc.abc",
		"plain": "plain",
	} {
		got, err := v.Expand(t.Context(), template)
		if err != nil || got.Reveal() != want {
			t.Errorf("%s: %q, %v", template, got.Reveal(), err)
		}
	}
	got, err := v.Expand(t.Context(), "{{secret:billing}} {{secret:none}} {{env:WEIR_TEST_UNSET}}")
	if !got.Empty() || err == nil || !strings.Contains(err.Error(), "secret set none") || !strings.Contains(err.Error(), "WEIR_TEST_UNSET") {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestSetListRemove(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made")
	v, _ := newVault(t, ConfigFor(dir, noEnv))
	ctx := t.Context()
	if names, err := v.List(ctx); err != nil || len(names) != 0 {
		t.Fatalf("%v, %v", names, err)
	}
	for _, name := range []string{"b", "a", "C.d-e_f"} {
		if err := v.Set(ctx, name, Hide(name+secretValue)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"", ".a", "a b", "a/b", "ä", strings.Repeat("x", 129)} {
		if err := v.Set(ctx, name, Hide("x")); err == nil {
			t.Errorf("name %q was taken", name)
		}
	}
	if err := v.Set(ctx, "empty", Hide("")); err == nil {
		t.Error("an empty secret was taken")
	}
	if err := v.Remove(ctx, "b"); err != nil {
		t.Fatal(err)
	}
	if err := v.Remove(ctx, "b"); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v", err)
	}
	other, _ := newVault(t, ConfigFor(dir, noEnv)) // as another process would
	names, err := other.List(ctx)
	if diff := cmp.Diff([]string{"C.d-e_f", "a"}, names); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := other.Resolve(ctx, "secret:a"); err != nil || got != "a"+secretValue {
		t.Errorf("%q, %v", got, err)
	}
	if err := v.Set(ctx, "a", Hide("new")); err != nil {
		t.Fatal(err)
	}
	if got, err := other.Resolve(ctx, "secret:a"); err != nil || got != "new" {
		t.Errorf("a changed secret is not seen: %q, %v", got, err)
	}
	assertFiles(t, dir)
}

// assertFiles: nothing readable by others, nothing in clear, no leftovers.
func assertFiles(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 && info.Size() > 0 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(secretValue)) {
			t.Errorf("%s holds a secret in clear", e.Name())
		}
	}
	if diff := cmp.Diff([]string{"secrets.age", "secrets.age.lock", "secrets.key"}, names); diff != "" {
		t.Error(diff)
	}
}

func TestWritersDoNotLoseEachOther(t *testing.T) {
	dir := t.TempDir()
	var group sync.WaitGroup
	const writers = 12
	for i := range writers {
		group.Go(func() {
			v, err := New(ConfigFor(dir, noEnv), slog.New(slog.DiscardHandler))
			if err == nil {
				err = v.Set(context.Background(), fmt.Sprintf("s%02d", i), Hide(fmt.Sprint(i)))
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	v, _ := newVault(t, ConfigFor(dir, noEnv))
	names, err := v.List(t.Context())
	if err != nil || len(names) != writers {
		t.Errorf("%v, %v", names, err)
	}
}

func TestOtherKeys(t *testing.T) {
	dir := t.TempDir()
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	elsewhere := filepath.Join(dir, "keys", "weir.key")
	for name, getenv := range map[string]func(string) string{
		"passphrase": env(PassphraseEnv, "correct horse battery staple"),
		"key":        env(KeyEnv, "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"),
		"file":       env(KeyFileEnv, elsewhere),
	} {
		t.Run(name, func(t *testing.T) {
			if name == "passphrase" && testing.Short() {
				t.Skip("scrypt takes seconds")
			}
			data := filepath.Join(dir, name)
			v, _ := newVault(t, ConfigFor(data, getenv))
			if err := v.Set(t.Context(), "a", Hide(secretValue)); err != nil {
				t.Fatal(err)
			}
			again, _ := newVault(t, ConfigFor(data, getenv))
			if got, err := again.Resolve(t.Context(), "secret:a"); err != nil || got != secretValue {
				t.Errorf("%q, %v", got, err)
			}
			if _, err := os.Stat(filepath.Join(data, "secrets.key")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a key file was made: %v", err)
			}
			stranger, _ := newVault(t, ConfigFor(data, noEnv))
			if err := stranger.Set(t.Context(), "b", Hide("x")); err == nil {
				t.Error("somebody without the key wrote")
			}
		})
	}
	wrong, _ := newVault(t, ConfigFor(filepath.Join(dir, "key"), env(PassphraseEnv, "wrong")))
	if _, err := wrong.Resolve(t.Context(), "secret:a"); err == nil || !strings.Contains(err.Error(), "sealed with another key") {
		t.Errorf("got %v", err)
	}
	garbage, _ := newVault(t, ConfigFor(filepath.Join(dir, "key"), env(KeyEnv, secretValue)))
	if _, err := garbage.Resolve(t.Context(), "secret:a"); err == nil || strings.Contains(err.Error(), secretValue) || !strings.Contains(err.Error(), KeyEnv) {
		t.Errorf("got %v", err)
	}
}

func TestDamage(t *testing.T) {
	for _, tc := range []struct {
		name   string
		damage func(t *testing.T, dir string)
		want   string
	}{
		{"key readable by others", func(t *testing.T, dir string) {
			if err := os.Chmod(filepath.Join(dir, "secrets.key"), 0o644); err != nil {
				t.Fatal(err)
			}
		}, "chmod 600"},
		{"key lost", func(t *testing.T, dir string) {
			if err := os.Remove(filepath.Join(dir, "secrets.key")); err != nil {
				t.Fatal(err)
			}
		}, "restore it from a backup"},
		{"key garbled", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "secrets.key"), "garbage", 0o600) }, "AGE-SECRET-KEY-1"},
		{"sealed file garbled", func(t *testing.T, dir string) { write(t, filepath.Join(dir, "secrets.age"), "garbage", 0o600) }, "it is damaged"},
		{"sealed file cut", func(t *testing.T, dir string) {
			file := filepath.Join(dir, "secrets.age")
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			write(t, file, string(raw[:len(raw)-3]), 0o600)
		}, "it is damaged"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			first, _ := newVault(t, ConfigFor(dir, noEnv))
			if err := first.Set(t.Context(), "a", Hide(secretValue)); err != nil {
				t.Fatal(err)
			}
			tc.damage(t, dir)
			v, _ := newVault(t, ConfigFor(dir, noEnv))
			for what, err := range map[string]error{
				"resolve": func() error { _, err := v.Resolve(t.Context(), "secret:a"); return err }(),
				"set":     v.Set(t.Context(), "b", Hide(secretValue)),
			} {
				if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), secretValue) {
					t.Errorf("%s: %v", what, err)
				}
			}
		})
	}
}

func TestStringNeverShows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := Hide("SECRET" + rapid.String().Draw(t, "secret"))
		type holder struct {
			Open   String
			closed String
			list   []String
			table  map[string]String
		}
		h := holder{s, s, []String{s}, map[string]String{"k": s}}
		var out strings.Builder
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
			fmt.Fprintf(&out, verb, s)
			fmt.Fprintf(&out, verb, &s)
			fmt.Fprintf(&out, verb, h)
			fmt.Fprintf(&out, verb, &h)
		}
		raw, err := json.Marshal(h)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(raw)
		if raw, err = yaml.Marshal(map[string]any{"s": s}); err != nil {
			t.Fatal(err)
		}
		out.Write(raw)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "s", s, "h", h, "p", &s)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "s", s, "h", h, "p", &s)
		if strings.Contains(out.String(), "SECRET") || strings.Contains(out.String(), fmt.Sprintf("%x", "SECRET")) {
			t.Fatalf("shown: %s", out.String())
		}
		if !strings.HasPrefix(s.Reveal(), "SECRET") {
			t.Fatal("lost")
		}
	})
}
