package parts

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// pinned is a file of pins and a client that writes a file, or fails.
func pinned(t *testing.T, content string) []string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "pins")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return []string{file}
}

func client(script string) func(string) ([]string, error) {
	return func(string) ([]string, error) { return []string{"sh", "-c", script}, nil }
}

func TestPackages(t *testing.T) {
	i, _ := newTest(t)
	one, err := i.packages(t.Context(), "tools", pinned(t, "a==1"), "python 3.11", client("echo first > got"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := i.packages(t.Context(), "tools", pinned(t, "a==1"), "python 3.11", client("false"))
	if err != nil || again != one {
		t.Errorf("what is there was fetched again: %q, %v", again, err)
	}
	for what, other := range map[string]func() (string, error){
		"other pins": func() (string, error) {
			return i.packages(t.Context(), "tools", pinned(t, "a==2"), "python 3.11", client("true"))
		},
		"another Python": func() (string, error) {
			return i.packages(t.Context(), "tools", pinned(t, "a==1"), "python 3.12", client("true"))
		},
	} {
		if dir, err := other(); err != nil || dir == one {
			t.Errorf("%s: got %q, %v", what, dir, err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(one, "got")); err != nil || string(got) != "first\n" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A fetch that fails half way leaves nothing that could be taken for the packages.
func TestPackagesFail(t *testing.T) {
	i, _ := newTest(t)
	tries := filepath.Join(t.TempDir(), "tries")
	once := client("echo >> " + tries + "; echo half > got; test $(wc -l < " + tries + ") -ge 2")
	dir, err := i.packages(t.Context(), "tools", pinned(t, "a==1"), "node", once)
	if err != nil {
		t.Fatalf("it was not tried again: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "got")); err != nil {
		t.Error(err)
	}
	refused := func(string) ([]string, error) { return nil, errors.New("there is no client") }
	if _, err := i.packages(t.Context(), "tools", pinned(t, "a==2"), "node", refused); err == nil {
		t.Error("packages without a client")
	}
	left, _ := filepath.Glob(filepath.Join(i.Root, "parts", ".new-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestPackagesOffline(t *testing.T) {
	i, _ := newTest(t)
	i.Offline = true
	if _, err := i.packages(t.Context(), "tools", pinned(t, "a==1"), "node", client("true")); !errors.Is(err, ErrMissing) {
		t.Errorf("got %v, want ErrMissing", err)
	}
}
