// Package integration plays the gateway end to end: the real weir binary and its
// children, real clients, a real PostgreSQL, a real issuer. A test asserts what a
// user sees, and at the server what a user must not have reached.
package integration

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/integration/stage"
)

// transport is how PostgreSQL's bytes reach the gateway in this run: ext_proc or
// relay, "" for the default. `make test` runs the suite over both.
var transport = os.Getenv("WEIR_TRANSPORT")

// once skips a test in which no transport has a part, where the suite runs over
// another than the default.
func once(t *testing.T) {
	t.Helper()
	if transport != "" {
		t.Skip("it says nothing of transport " + transport)
	}
}

// inTransport is a target's line that says so, within braces.
func inTransport() string {
	if transport == "" {
		return ""
	}
	return ", transport: " + transport
}

// suite is what all tests of the package share.
type suite struct {
	dir  string // of everything
	weir string // the program under test

	once   sync.Once
	stage  *world
	listen map[string]string // of its further targets
	err    error
}

var all suite

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if all.dir, err = stage.TempDir("weir-e2e-"); err == nil {
		all.weir, err = stage.Build(context.Background(), all.dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if all.stage != nil {
		err = all.stage.Stop()
	}
	if err = errors.Join(err, os.RemoveAll(all.dir)); err != nil {
		fmt.Fprintln(os.Stderr, "the shared stage did not end well:", err)
		code = max(code, 1)
	}
	return code
}

// shared is the stage of all tests that break nothing on it.
func shared(t *testing.T) *world {
	t.Helper()
	need(t)
	all.once.Do(func() { all.stage, all.err = open(all.folder("shared"), stage.Options{Edit: furtherTargets}) })
	if all.err != nil {
		t.Fatal(all.err)
	}
	tellLog(t, all.stage)
	return all.stage
}

// furtherTargets are more ways to the shop's database: one that is patient with
// expired tokens, one that takes little at a time, and one behind which nobody
// listens.
func furtherTargets(s *stage.Settings) {
	database := func(name, address, more string) {
		listen := freeAddress()
		s.Targets += fmt.Sprintf("  %s: {kind: postgres, listen: %s, upstream: {address: %s, user: weir_shop, password: secret:shop, database: shop, tls: verify-full, ca: file:%s, server_name: localhost}, %s%s}\n",
			name, listen, address, s.CA, more, inTransport())
		all.listen[name] = listen
	}
	all.listen = map[string]string{}
	database("patient", s.Database, "session: {token_grace: 1h}")
	_, port, _ := net.SplitHostPort(all.listen["patient"])
	s.Targets = strings.Replace(s.Targets, all.listen["patient"], "0.0.0.0:"+port, 1)
	database("tiny", s.Database, "limits: {statement: 4KiB, message: 64KiB, sessions: 2}, session: {startup: 2s, idle: 1s}")
	database("lame", freeAddress(), "labels: {env: gone}")
	all.listen["lame-api"] = freeAddress()
	s.Targets += fmt.Sprintf("  lame-api: {kind: http, listen: %s, upstream: {url: http://%s}}\n", all.listen["lame-api"], freeAddress())
}

// freeAddress is one of the loopback on which nobody listens.
func freeAddress() string {
	address, err := stage.FreeAddress()
	if err != nil {
		panic(err)
	}
	return address
}

// own is a stage for one test, with a gateway that runs.
func own(t *testing.T, o stage.Options) *world {
	t.Helper()
	w := unstarted(t, o)
	if err := w.raise(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w
}

// unstarted is a stage for one test, without a gateway.
func unstarted(t *testing.T, o stage.Options) *world {
	t.Helper()
	need(t)
	w, err := set(all.folder(t.Name()), o)
	if err != nil {
		t.Fatal(err)
	}
	tellLog(t, w)
	t.Cleanup(func() {
		if err := w.Stop(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// need skips a test where -short is asked for and the parts are not set up.
func need(t *testing.T) {
	t.Helper()
	parts.Need(t, parts.Envoy, parts.Postgres, parts.Clients, parts.CHDB)
}

// folder is a folder of a test's; its name is short, as sockets lie in it.
func (s *suite) folder(name string) string {
	name = strings.NewReplacer("/", "-", "Test", "").Replace(name)
	return filepath.Join(s.dir, name[:min(len(name), 24)])
}

func open(dir string, o stage.Options) (*world, error) {
	w, err := set(dir, o)
	if err != nil {
		return nil, err
	}
	if err := w.raise(context.Background()); err != nil {
		return nil, errors.Join(err, w.Stop())
	}
	return w, nil
}

// set sets a stage on which PostgreSQL logs every statement, the customers API
// notes every request, and the tests' own rules hold beside the shop's.
func set(dir string, o stage.Options) (*world, error) {
	w := &world{api: &requests{}}
	o.Dir, o.Weir, o.API, o.Transport = dir, all.weir, w.api.note, cmp.Or(o.Transport, transport)
	edit, tune := o.Edit, o.Postgres
	o.Postgres = func(p *postgres.Options) {
		p.Settings = map[string]string{"log_statement": "all", "log_connections": "on"}
		if tune != nil {
			tune(p)
		}
	}
	var policy error
	o.Edit = func(s *stage.Settings) {
		policy = copyPolicy(filepath.Join(dir, "policy"), s.Policy)
		s.Policy = "policy"
		if edit != nil {
			edit(s)
		}
	}
	var err error
	w.Stage, err = stage.Start(context.Background(), o)
	if err == nil && policy != nil {
		err = errors.Join(policy, w.Stop())
	}
	return w, err
}

// copyPolicy puts the shop's rules and the tests' own into one folder.
func copyPolicy(dst, shop string) error {
	for _, src := range []string{shop, filepath.Join("testdata", "policy")} {
		if err := os.CopyFS(dst, os.DirFS(src)); err != nil {
			return err
		}
	}
	return nil
}

// raise starts the gateway.
func (w *world) raise(ctx context.Context) error {
	if err := w.StartGateway(ctx); err != nil {
		return err
	}
	path, err := w.Weir(ctx, nil, "ca", "--path")
	w.ca = strings.TrimSpace(path)
	return err
}

func tellLog(t *testing.T, w *world) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("weir logged:\n%s", w.GatewayLog())
		}
	})
}
