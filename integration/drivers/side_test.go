package drivers

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/integration/issuer"
	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/integration/stage"
)

// Who is logged in, on both sides.
const (
	role      = "weir_shop"  // an ordinary role that owns the database it works in
	superRole = "weir_super" // a superuser, which some upstream suites and tools ask for
)

// patience is how long one script may take on one side.
const patience = 2 * time.Minute

// side is one of the two ways to a database.
type side struct {
	name     string // "direct" or "through"
	port     string // on localhost
	database string // the same name on both sides
	role     string
	password string // of role: the database's own, or a token
	ca       string // file of the CA that signed what listens there
	server   *postgres.Server
}

// both makes a database of the test's own on both servers, by the same script: it
// runs as the superuser, and may be empty. Done at the same time in the same order,
// even object ids come out equal.
func both(t *testing.T, setup string) []side {
	t.Helper()
	return bothAs(t, role, setup)
}

// bothAs is both for one of the two roles.
func bothAs(t *testing.T, as, setup string) []side {
	t.Helper()
	s := ready(t)
	tellLog(t)
	token, err := s.stage.Issuer.Mint(stage.Agent, map[string]any{"idtyp": "app"}, issuer.ExpiresIn(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	database := strings.ToLower(strings.NewReplacer("/", "_", "#", "_").Replace(t.Name()))
	_, plain, _ := net.SplitHostPort(s.plain.Addr())
	listen := s.stage.Settings.DatabaseListen
	if as == superRole {
		listen = s.super
	}
	_, gateway, _ := net.SplitHostPort(listen)
	sides := []side{
		{name: "direct", port: plain, password: stage.Credentials()["shop"], ca: s.stage.Path("ca.crt"), server: s.plain},
		{name: "through", port: gateway, password: token, ca: s.ca, server: s.stage.Postgres},
	}
	each(t, sides, func(ctx context.Context, one *side) error {
		one.database, one.role = database, as
		name := pgx.Identifier{database}.Sanitize()
		if err := one.server.Exec(ctx, "postgres", "CREATE DATABASE "+name+" OWNER "+as); err != nil {
			return err
		}
		return one.server.Exec(ctx, database, setup)
	})
	return sides
}

// each does something on both sides at once.
func each(t *testing.T, sides []side, do func(context.Context, *side) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan error, len(sides))
	for i := range sides {
		go func() {
			err := do(ctx, &sides[i])
			if err != nil {
				err = fmt.Errorf("%s: %w", sides[i].name, err)
			}
			done <- err
		}()
	}
	for range sides {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// url is the side as a connection URL, with further parameters: "name=value&…".
func (s *side) url(more string) string {
	query := "sslmode=verify-full&sslrootcert=" + url.QueryEscape(s.ca)
	if more != "" {
		query += "&" + more
	}
	u := url.URL{Scheme: "postgres", User: url.UserPassword(s.role, s.password), Host: "localhost:" + s.port, Path: "/" + s.database, RawQuery: query}
	return u.String()
}

// env is the side as libpq's environment variables, which most drivers know.
func (s *side) env() []string {
	return []string{
		"PGHOST=localhost", "PGPORT=" + s.port, "PGDATABASE=" + s.database, "PGUSER=" + s.role, "PGPASSWORD=" + s.password,
		"PGSSLMODE=verify-full", "PGSSLROOTCERT=" + s.ca,
	}
}

// tellLog prints what the gateway has logged if the test fails.
func tellLog(t *testing.T) {
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("weir logged:\n%s", all.stage.GatewayLog())
		}
	})
}
