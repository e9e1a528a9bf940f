// Package drivers is the proof that no driver and no tool can tell the gateway from
// PostgreSQL, where policy allows everything. Each plays a broad script of its own
// kind twice: against a PostgreSQL directly, and through the gateway against another
// that was set up alike. What it sees is written down, and must be the same.
package drivers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/integration/stage"
)

// suite is what all tests of the package share.
type suite struct {
	dir string // of everything

	once  sync.Once
	stage *stage.Stage     // the gateway, and the PostgreSQL behind it
	plain *postgres.Server // the other PostgreSQL
	ca    string           // file of the CA of the gateway's listeners
	super string           // where the gateway listens for superusers, host:port
	err   error
}

var all suite

// transport is how the sessions reach the gateway: ext_proc or relay; "" for the
// default. `make drivers` runs everything over both.
var transport = os.Getenv("WEIR_TRANSPORT")

// settings are those of both servers.
var settings = map[string]string{"max_connections": "200", "max_prepared_transactions": "8", "log_statement": "all"}

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	code := m.Run()
	if err := all.stop(); err != nil {
		fmt.Fprintln(os.Stderr, "the stage did not end well:", err)
		code = max(code, 1)
	}
	return code
}

// ready is the suite with everything running. It is started by the first test that
// asks for it.
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
	if s.dir, err = stage.TempDir("weir-drivers-"); err != nil {
		return err
	}
	weir, err := stage.Build(ctx, s.dir)
	if err != nil {
		return err
	}
	policy, err := filepath.Abs(filepath.Join("testdata", "policy"))
	if err != nil {
		return err
	}
	if s.super, err = stage.FreeAddress(); err != nil {
		return err
	}
	var plain postgres.Options
	s.stage, err = stage.Start(ctx, stage.Options{
		Dir: filepath.Join(s.dir, "stage"), Weir: weir, Transport: transport,
		Postgres: func(o *postgres.Options) {
			o.Settings = settings
			o.SQL = append(o.SQL, stage.CreateSuperuser(superRole))
			plain = *o
			plain.Dir = filepath.Join(s.dir, "plain")
		},
		Edit: func(c *stage.Settings) {
			c.Policy = policy
			c.Classification = "none.yaml"
			c.Shop = "    databases: [\"*\"]\n"
			c.AddSuperuserTarget("super", s.super, superRole, "shop")
		},
	})
	if err != nil {
		return err
	}
	if s.plain, err = postgres.Start(ctx, plain); err != nil {
		return err
	}
	if err := os.WriteFile(s.stage.Path("none.yaml"), nil, 0o600); err != nil {
		return err
	}
	if err := s.stage.StartGateway(ctx); err != nil {
		return err
	}
	path, err := s.stage.Weir(ctx, nil, "ca", "--path")
	s.ca = strings.TrimSpace(path)
	return err
}

func (s *suite) stop() error {
	var errs []error
	if s.stage != nil {
		errs = append(errs, s.stage.Stop())
	}
	if s.plain != nil {
		errs = append(errs, s.plain.Stop())
	}
	if s.dir != "" {
		errs = append(errs, os.RemoveAll(s.dir))
	}
	return errors.Join(errs...)
}
