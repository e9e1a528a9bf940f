// Package conformance runs the conformance kit against the whole gateway: the weir
// binary with its Envoy, and a real PostgreSQL with two databases that are equal but
// for their canaries.
package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/integration/stage"
	"github.com/weir-gateway/weir/internal/conformance"
)

const (
	schema    = "weir_conformance"
	superRole = "weir_conformance_super" // so that the server itself refuses little
)

// suite is what all tests of the package share.
type suite struct {
	dir    string
	weir   string // the program
	once   sync.Once
	stage  *stage.Stage
	ca     string            // file of the CA of the gateway's listeners
	token  string            // of an agent
	listen map[string]string // of the targets
	err    error
}

var all suite

func TestMain(m *testing.M) {
	code := m.Run()
	if err := all.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "the stage did not end well:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// ready is the suite with everything running.
func ready(t *testing.T) *suite {
	t.Helper()
	parts.Need(t, parts.Envoy, parts.Postgres, parts.Clients, parts.CHDB)
	all.once.Do(func() { all.err = all.start() })
	if all.err != nil {
		t.Fatal(all.err)
	}
	return &all
}

func (s *suite) start() error {
	ctx := context.Background()
	var err error
	if s.dir, err = stage.TempDir("weir-conformance-"); err != nil {
		return err
	}
	if s.weir, err = stage.Build(ctx, s.dir); err != nil {
		return err
	}
	policy, err := filepath.Abs(filepath.Join("testdata", "policy"))
	if err != nil {
		return err
	}
	s.stage, err = stage.Start(ctx, stage.Options{
		Dir: filepath.Join(s.dir, "stage"), Weir: s.weir,
		Postgres: func(o *postgres.Options) {
			o.SQL = append(o.SQL, stage.CreateSuperuser(superRole), "CREATE DATABASE left_side", "CREATE DATABASE right_side")
		},
		Edit: func(c *stage.Settings) {
			c.Policy, c.Classification = policy, "canaries.yaml"
			s.targets(c, "lax", "strict")
		},
	})
	if err != nil {
		return err
	}
	if err := os.WriteFile(s.stage.Path("canaries.yaml"), []byte(conformance.Classification("*", schema, "canary")), 0o600); err != nil {
		return err
	}
	if err := s.stage.StartGateway(ctx); err != nil {
		return err
	}
	path, err := s.stage.Weir(ctx, nil, "ca", "--path")
	if s.ca = strings.TrimSpace(path); err != nil {
		return err
	}
	s.token, err = s.stage.SignIn(ctx, stage.Agent)
	return err
}

// targets are ways to both databases.
func (s *suite) targets(c *stage.Settings, names ...string) {
	s.listen = map[string]string{}
	for _, name := range names {
		address, err := stage.FreeAddress()
		if err != nil {
			panic(err)
		}
		s.listen[name] = address
		c.AddSuperuserTarget(name, address, superRole, "left_side")
	}
}

func (s *suite) stop() error {
	if s.stage == nil {
		return nil
	}
	return errors.Join(s.stage.Stop(), os.RemoveAll(s.dir))
}

// options are those of a run at a target.
func (s *suite) options(target string) conformance.Options {
	return conformance.Options{
		Target: s.dsn(target, "left_side"), Direct: s.direct("left_side"),
		Twin: s.dsn(target, "right_side"), TwinDirect: s.direct("right_side"), Schema: schema,
	}
}

func (s *suite) dsn(target, database string) string {
	u := url.URL{
		Scheme: "postgres", User: url.UserPassword("agent", s.token), Host: s.listen[target], Path: "/" + database,
		RawQuery: url.Values{"sslmode": {"verify-ca"}, "sslrootcert": {s.ca}}.Encode(),
	}
	return u.String()
}

func (s *suite) direct(database string) string { return s.stage.Postgres.DSN(database) }
