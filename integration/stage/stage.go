// Package stage sets up the whole around a gateway, all of it real: PostgreSQL
// with the shop database, the customers API, an OIDC issuer with its people and
// agents, and a configuration. The demo plays on it, and so do the end-to-end
// tests. It starts the gateway as its user does: the weir binary, `weir up`.
package stage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"github.com/weir-gateway/weir/integration/issuer"
	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/pki"
	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/integration/process"
)

// Options say where and with what.
type Options struct {
	// Dir keeps everything; a second start there continues where it stopped.
	Dir string
	// Weir is the gateway's program.
	Weir string
	// Transport is how the shop's sessions reach the gateway: ext_proc or relay; ""
	// is the gateway's default.
	Transport string
	// Edit changes the configuration before it is written.
	Edit func(*Settings)
	// Issuer changes who is known and how, before the issuer starts.
	Issuer func(*issuer.Config)
	// Postgres changes how PostgreSQL is started.
	Postgres func(*postgres.Options)
	// API wraps the customers API, to see what reaches it.
	API func(http.Handler) http.Handler
	// Progress is told of each long step; nil is silent.
	Progress io.Writer
}

// Stage is everything but the gateway.
type Stage struct {
	Dir      string
	Settings Settings
	Parts    parts.Paths
	Postgres *postgres.Server
	Issuer   *issuer.Issuer

	weir     string
	progress io.Writer
	api      *http.Server
	gateway  *process.Process
}

// databaseUser is as whom the gateway signs in to PostgreSQL; nobody else knows
// the password.
const databaseUser = "weir_shop"

// Start sets the stage. Stop ends it, whatever has been started.
func Start(ctx context.Context, o Options) (*Stage, error) {
	s := &Stage{Dir: o.Dir, weir: o.Weir, progress: o.Progress}
	if s.progress == nil {
		s.progress = io.Discard
	}
	if err := s.start(ctx, &o); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Stage) start(ctx context.Context, o *Options) (err error) {
	if err := os.MkdirAll(s.Dir, 0o755); err != nil {
		return err
	}
	if s.Parts, err = parts.Ensure(ctx, parts.Envoy, parts.Postgres, parts.Clients, parts.CHDB); err != nil {
		return err
	}
	ca, err := pki.New("shop CA")
	if err != nil {
		return err
	}
	if _, err := ca.WriteFile(s.Dir); err != nil {
		return err
	}
	if err := s.startPostgres(ctx, ca, o.Postgres); err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	s.say("starting the OIDC issuer")
	known := people()
	if o.Issuer != nil {
		o.Issuer(&known)
	}
	if s.Issuer, err = issuer.Start(context.WithoutCancel(ctx), known); err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	if err := s.startAPI(ctx, ca, o.API); err != nil {
		return fmt.Errorf("customers API: %w", err)
	}
	return s.configure(ctx, o)
}

func (s *Stage) say(what string) { _, _ = fmt.Fprintln(s.progress, "  … "+what) }

// Stop ends everything, the gateway first.
func (s *Stage) Stop() error {
	var errs []error
	errs = append(errs, s.StopGateway())
	if s.api != nil {
		errs = append(errs, s.api.Close())
	}
	if s.Issuer != nil {
		errs = append(errs, s.Issuer.Close())
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Stop())
	}
	return errors.Join(errs...)
}

// Path is a file of the stage's.
func (s *Stage) Path(elem ...string) string {
	return filepath.Join(append([]string{s.Dir}, elem...)...)
}

// The ports that stages take lie below those that systems give to outgoing
// connections (32768 and up on Linux): such a connection would take one between
// its choice and its use.
const (
	firstPort = 15_000
	ports     = 15_000
)

// given are the addresses that FreeAddress has given so far.
var given sync.Map

// FreeAddress is one of the loopback on which nobody listens, and another each time.
func FreeAddress() (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", firstPort+rand.IntN(ports))
		if _, again := given.LoadOrStore(address, true); again {
			continue
		}
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", address)
		if err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("no free port was found")
}
