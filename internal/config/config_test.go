package config

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares what a user sees with the file beside the input.
func golden(t *testing.T, input, got string) {
	t.Helper()
	file := strings.TrimSuffix(input, ".yaml") + ".golden"
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got; -update rewrites it):\n%s", file, diff)
	}
}

func inputs(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %d files, %v", pattern, len(files), err)
	}
	return files
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func parse(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse([]byte(text), "/etc/weir")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEveryMistakeAtOnce(t *testing.T) {
	for _, file := range inputs(t, "testdata/wrong/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			_, err := Parse(read(t, file), "/etc/weir")
			var mistakes *Error
			if !errors.As(err, &mistakes) {
				t.Fatalf("got %v, want a *Error", err)
			}
			mistakes.File = filepath.Base(file)
			if strings.Contains(strings.ToLower(err.Error()), "hunter2") {
				t.Error("an error repeats a secret")
			}
			golden(t, file, err.Error()+"\n")
		})
	}
}

func TestResolved(t *testing.T) {
	for _, file := range inputs(t, "testdata/valid/*.yaml") {
		t.Run(filepath.Base(file), func(t *testing.T) {
			shown, err := parse(t, string(read(t, file))).Resolved()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, file, string(shown))
			again := parse(t, string(shown))
			reshown, err := again.Resolved()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(shown), string(reshown)); diff != "" {
				t.Errorf("what is shown means something else when it is read:\n%s", diff)
			}
		})
	}
}

func TestHeaderLiteralsAreHidden(t *testing.T) {
	c := parse(t, string(read(t, "testdata/valid/everything.yaml")))
	if got := string(c.Targets["billing"].Headers["X-Tenant"]); got != "acme" {
		t.Errorf("X-Tenant is %q", got)
	}
	shown, err := c.Resolved()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(shown), "acme") {
		t.Error("a header's literal value is shown")
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "weir.yaml")
	text := read(t, "testdata/valid/ten-lines.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(c.Data), filepath.Join(dir, "weir-data"); got != want {
		t.Errorf("data is %s, want %s", got, want)
	}
	if len(c.Revision) != 64 {
		t.Errorf("revision is %q", c.Revision)
	}
	if c.Targets["orders"].Session.Idle.D() != time.Hour {
		t.Errorf("idle is %v", c.Targets["orders"].Session.Idle.D())
	}

	if err := os.WriteFile(file, []byte("data: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err = Load(file); err == nil || !strings.HasPrefix(err.Error(), file+":1:1: identity: is missing") {
		t.Errorf("got %v", err)
	}
	if _, err = Load(filepath.Join(dir, "none.yaml")); err == nil || !strings.Contains(err.Error(), "there is no configuration file") {
		t.Errorf("got %v", err)
	}
}

func TestAliasesDoNotUnfold(t *testing.T) {
	var b strings.Builder
	b.WriteString("x: &x [" + strings.Repeat("a,", 1000) + "a]\nidentity: {issuers: [{url: https://login.example, audiences: *x}]}\ntargets:\n")
	b.WriteString("  t: &t {kind: postgres, listen: 127.0.0.1:1, databases: *x, upstream: {address: a:1, user: u, password: secret:s}}\n")
	for i := range 1000 {
		b.WriteString("  t" + strings.Repeat("x", i%60) + string(rune('a'+i%26)) + ": *t\n")
	}
	_, err := Parse([]byte(b.String()), "/")
	if err == nil || !strings.Contains(err.Error(), "too large") {
		t.Errorf("got %.300v", err)
	}
}

func TestDiff(t *testing.T) {
	head := "identity: {issuers: [{url: https://login.example}]}\n"
	target := func(name, port, more string) string {
		return "  " + name + ": {kind: postgres, listen: 127.0.0.1:" + port + ", upstream: {address: db:5432, user: u, password: secret:s" + more + "}}\n"
	}
	old := parse(t, head+"log: {level: info, format: text}\ntargets:\n"+target("a", "1001", "")+target("b", "1002", "")+target("c", "1003", ""))
	next := parse(t, head+"data: elsewhere\nlog: {level: debug, format: json}\npolicy: {bundle: p, hash_key: secret:k}\nenvoy: {concurrency: 2}\napprovals: {kinds: [human, service]}\n"+
		"evidence: {retention: 1h, payload_retention: 1h}\nweb: {tls: \"on\"}\ndrain: {shutdown: 1s}\ntargets:\n"+
		target("a", "1001", "")+target("b", "1002", ", tls: require")+target("d", "1004", ""))
	got := Diff(old, next)
	want := Changes{
		Added: []string{"d"}, Removed: []string{"c"}, Changed: []string{"b"}, Unchanged: []string{"a"},
		Live: []string{"log", "policy"}, Restart: []string{
			"approvals.kinds", "data", "drain.shutdown", "envoy.concurrency", "evidence.payload_retention", "evidence.retention", "log.format",
			"policy.hash_key", "web.tls",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if same := Diff(old, old); same.Any() {
		t.Errorf("a configuration differs from itself: %+v", same)
	}
}

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/valid/*.yaml", "testdata/wrong/*.yaml"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := Parse(text, "/etc/weir")
		if err != nil {
			var mistakes *Error
			if !errors.As(err, &mistakes) || len(mistakes.Issues) == 0 {
				t.Fatalf("not a list of mistakes: %v", err)
			}
			return
		}
		shown, err := c.Resolved()
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(shown), "[hidden]") {
			return
		}
		if _, err := Parse(shown, "/etc/weir"); err != nil {
			t.Fatalf("what is shown cannot be read: %v\n%s", err, shown)
		}
	})
}

func TestDataFolderOfABrokenFile(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"data: /var/lib/weir\ntargets: }\n":            "/var/lib/weir",
		"targets: [\ndata:   'state of mine' # here\n": filepath.Join(dir, "state of mine"),
		"a: {data: x}\n  data: y\n":                    filepath.Join(dir, "weir-data"),
		"":                                             filepath.Join(dir, "weir-data"),
	} {
		file := filepath.Join(dir, "weir.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := DataFolder(file); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	if got, want := DataFolder(filepath.Join(dir, "missing.yaml")), filepath.Join(dir, "weir-data"); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
