// Package classify_test runs `weir classify` against a real PostgreSQL with a company's
// database, of which it is known what is sensitive.
package classify_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/classify"
	"github.com/weir-gateway/weir/internal/cli"
)

// company is the server that all tests share; each works in a database of its own.
type company struct {
	once   sync.Once
	server *postgres.Server
	secret []string
	err    error
}

var shared company

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "PostgreSQL did not end well:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func (c *company) start(bin string) error {
	schema, err := os.ReadFile(filepath.Join("testdata", "schema.sql"))
	if err != nil {
		return err
	}
	ctx := context.Background()
	f := newFiller()
	c.server, err = postgres.Start(ctx, postgres.Options{
		Bin: bin, Databases: []string{"model"}, SQL: []string{string(schema)},
		Settings: map[string]string{"log_statement": "all", "log_line_prefix": "<%a> "},
		Load: func(ctx context.Context, s *postgres.Server) error {
			conn, err := s.Connect(ctx, "model")
			if err != nil {
				return err
			}
			defer func() { _ = conn.Close(ctx) }()
			return f.fill(ctx, conn)
		},
	})
	c.secret = f.secret
	return err
}

// desk is where somebody types weir classify: a folder with a configuration, and a copy of the
// company's database.
type desk struct {
	t        *testing.T
	dir      string
	database string
	secret   []string
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	bin := parts.Need(t, parts.Postgres).PostgresBin
	shared.once.Do(func() { shared.err = shared.start(bin) })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	d := &desk{t: t, dir: t.TempDir(), database: strings.ToLower(strings.ReplaceAll(t.Name(), "/", "_")), secret: shared.secret}
	if err := shared.server.Exec(t.Context(), "postgres", "CREATE DATABASE "+d.database+" TEMPLATE model"); err != nil {
		t.Fatal(err)
	}
	d.configure(shared.server.Addr())
	t.Setenv("WEIR_TEST_PASSWORD", "reader")
	return d
}

func (d *desk) configure(address string) {
	d.write("weir.yaml", fmt.Sprintf(`
data: %s
identity: {issuers: [{url: https://login.example}]}
policy: {bundle: %s, classification: classification.yaml}
targets:
  crm:
    kind: postgres
    listen: 127.0.0.1:15432
    upstream: {address: %q, user: weir_reader, password: env:WEIR_TEST_PASSWORD, tls: disable, database: %s}
  api: {kind: http, listen: "127.0.0.1:18080", upstream: {url: https://billing.internal}}
`, d.path("data"), d.dir, address, d.database))
	if _, err := os.Stat(d.path("classification.yaml")); err != nil {
		d.write("classification.yaml", "")
	}
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

func (d *desk) write(name, text string) {
	d.t.Helper()
	if err := os.WriteFile(d.path(name), []byte(text), 0o600); err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) read(name string) string {
	d.t.Helper()
	text, err := os.ReadFile(d.path(name))
	if err != nil {
		d.t.Fatal(err)
	}
	return string(text)
}

func (d *desk) exec(sql string) {
	d.t.Helper()
	if err := shared.server.Exec(d.t.Context(), d.database, sql); err != nil {
		d.t.Fatal(err)
	}
}

// weir runs the command, and fails the test where it prints a value.
func (d *desk) weir(args ...string) (out, stderr string, code int) {
	d.t.Helper()
	var o, e bytes.Buffer
	args = append([]string{"classify", "-c", d.path("weir.yaml")}, args...)
	code = cli.Main(d.t.Context(), args, cli.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	for _, s := range d.secret {
		if strings.Contains(o.String(), s) || strings.Contains(e.String(), s) {
			d.t.Fatalf("weir %v printed the value %q", args, s)
		}
	}
	return o.String(), e.String(), code
}

func (d *desk) report(args ...string) *classify.Report {
	d.t.Helper()
	out, stderr, code := d.weir(append([]string{"crm", "-o", "json"}, args...)...)
	if code != 0 {
		d.t.Fatalf("exit %d: %s", code, stderr)
	}
	var r classify.Report
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		d.t.Fatal(err)
	}
	return &r
}

// expected is the truth about the schema: column and path → class.
func expected(t *testing.T) (want map[string]string, maybe map[string]bool) {
	text, err := os.ReadFile(filepath.Join("testdata", "expected"))
	if err != nil {
		t.Fatal(err)
	}
	want, maybe = map[string]string{}, map[string]bool{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		name, class, _ := strings.Cut(line, " ")
		if name == "maybe" {
			maybe[class] = true
		} else {
			want[name] = class
		}
	}
	return want, maybe
}

// score compares findings of a confidence with the truth.
func score(t *testing.T, r *classify.Report, least classify.Confidence) (precision, recall float64) {
	want, maybe := expected(t)
	right, wrong := 0, 0
	found := map[string]bool{}
	for _, f := range r.Findings {
		name := f.Column + f.Path
		if !f.Confidence.AtLeast(least) || maybe[name] {
			continue
		}
		if class, ok := want[name]; ok && slices.Contains(f.Classes, class) {
			right++
			found[name] = true
			continue
		}
		wrong++
		t.Logf("wrong: %s %v %s: %s", name, f.Classes, f.Confidence, f.Why())
	}
	for name, class := range want {
		if !found[name] {
			t.Logf("missed: %s %s", name, class)
		}
	}
	return float64(right) / float64(right+wrong), float64(len(found)) / float64(len(want))
}

func TestPrecisionAndRecall(t *testing.T) {
	d := newDesk(t)
	sampled := d.report()
	d.exec("DROP VIEW public.customer_list") // which was looked at once
	for _, tt := range []struct {
		what              string
		report            *classify.Report
		least             classify.Confidence
		precision, recall float64
	}{
		{"medium", sampled, classify.Medium, .97, .97},
		{"high", sampled, classify.High, 1, .75},
		{"names only", d.report("--no-sample"), classify.Medium, .97, .85},
	} {
		t.Run(tt.what, func(t *testing.T) {
			precision, recall := score(t, tt.report, tt.least)
			t.Logf("precision %.3f, recall %.3f", precision, recall)
			if precision < tt.precision || recall < tt.recall {
				t.Errorf("wanted %.2f and %.2f", tt.precision, tt.recall)
			}
		})
	}
}
