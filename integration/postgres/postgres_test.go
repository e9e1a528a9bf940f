package postgres_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/pki"
	"github.com/weir-gateway/weir/integration/postgres"
)

func query(t *testing.T, dsn, sql string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	var got string
	if err := conn.QueryRow(ctx, sql).Scan(&got); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return got
}

func TestThrowAwayServer(t *testing.T) {
	s := postgres.Test(t, postgres.Options{
		Databases: []string{"shop", "Second one"},
		SQL:       []string{"create table t (a text); insert into t values ('x')"},
		Settings:  map[string]string{"application_name": "it's set"},
	})
	if got := query(t, s.DSN("shop"), "select a from t"); got != "x" {
		t.Errorf("got %q", got)
	}
	if got := query(t, s.DSN("Second one"), "show application_name"); got != "it's set" {
		t.Errorf("setting %q", got)
	}
	if got := query(t, s.DSN("shop"), "show server_version"); !strings.HasPrefix(got, "18.") {
		t.Errorf("version %q", got)
	}
}

func TestAuth(t *testing.T) {
	for _, auth := range []postgres.Auth{postgres.SCRAM, postgres.MD5, postgres.Password, postgres.Trust} {
		t.Run(string(auth), func(t *testing.T) {
			s := postgres.Test(t, postgres.Options{Auth: auth, SQL: []string{"create user app password 'right'"}})
			if got := query(t, s.DSNFor("app", "right", "postgres"), "select current_user::text"); got != "app" {
				t.Errorf("signed in as %q", got)
			}
			conn, err := pgx.Connect(t.Context(), s.DSNFor("app", "wrong", "postgres"))
			if err == nil {
				_ = conn.Close(t.Context())
			}
			if (err == nil) != (auth == postgres.Trust) {
				t.Errorf("a wrong password: %v", err)
			}
			stored := query(t, s.DSN("postgres"), "select split_part(rolpassword, '$', 1) from pg_authid where rolname = 'app'")
			if (auth == postgres.MD5) != strings.HasPrefix(stored, "md5") {
				t.Errorf("the password is stored as %.5s", stored)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	ca, err := pki.New("test")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(pki.Request{})
	if err != nil {
		t.Fatal(err)
	}
	root, err := ca.WriteFile(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	s := postgres.Test(t, postgres.Options{
		TLS: &postgres.TLS{Cert: leaf.CertPEM, Key: leaf.KeyPEM},
		HBA: []string{"hostssl all all all scram-sha-256"},
	})
	dsn := strings.Replace(s.DSN("postgres"), "sslmode=require", "sslmode=verify-full&sslrootcert="+root, 1)
	if got := query(t, dsn, "select version from pg_stat_ssl where pid = pg_backend_pid()"); got != "TLSv1.3" {
		t.Errorf("TLS version %q", got)
	}
	if _, err := pgx.Connect(t.Context(), strings.Replace(dsn, "verify-full", "disable", 1)); err == nil {
		t.Error("connected without TLS")
	}
}

func TestRestartAndKillKeepDataAndPort(t *testing.T) {
	s := postgres.Test(t, postgres.Options{SQL: []string{"create table t (a text)"}})
	addr := s.Addr()
	for _, end := range []func() error{func() error { return nil }, s.Kill} {
		if err := s.Exec(t.Context(), "postgres", "insert into t values ('x')"); err != nil {
			t.Fatal(err)
		}
		if err := end(); err != nil {
			t.Fatal(err)
		}
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if got := query(t, s.DSN("postgres"), "select count(*)::text from t"); got != "2" || s.Addr() != addr {
		t.Errorf("%s rows at %s, want 2 at %s", got, s.Addr(), addr)
	}
}

func TestFolderKeepsDataBetweenServers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "kept")
	var steps []string
	options := postgres.Options{
		Bin: parts.Need(t, parts.Postgres).PostgresBin,
		Dir: dir, Databases: []string{"shop"}, SQL: []string{"create table t (a text)"},
		Load: func(ctx context.Context, s *postgres.Server) error {
			steps = append(steps, "load")
			if len(steps) == 1 {
				return errors.New("interrupted")
			}
			return s.Exec(ctx, "shop", "insert into t values ('x')")
		},
	}
	if _, err := postgres.Start(t.Context(), options); err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Fatalf("error %v", err)
	}
	for range 2 {
		s, err := postgres.Start(t.Context(), options)
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, "rows "+query(t, s.DSN("shop"), "select count(*)::text from t"))
		if err := s.Stop(); err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(); err != nil {
			t.Errorf("a second Stop: %v", err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(s.Home()) })
	}
	if diff := cmp.Diff([]string{"load", "load", "rows 1", "rows 1"}, steps); diff != "" {
		t.Error(diff)
	}
}

func TestStopLeavesNothing(t *testing.T) {
	s := postgres.Test(t, postgres.Options{})
	conn, err := s.Connect(t.Context(), "postgres") // a session is no reason to stay
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close(t.Context())
	if _, err := os.Stat(s.Home()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s is still there", s.Home())
	}
	if left := processesOf(t, s.Home()); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
}

func TestStartSaysWhyItFailed(t *testing.T) {
	bin := parts.Need(t, parts.Postgres).PostgresBin
	for _, test := range []struct {
		name, want string
		options    postgres.Options
	}{
		{"a setting that does not exist", "no_such_setting", postgres.Options{Bin: bin, Settings: map[string]string{"no_such_setting": "1"}}},
		{"SQL that fails", "syntax error", postgres.Options{Bin: bin, SQL: []string{"selec 1"}}},
		{"no server programs", "nowhere", postgres.Options{Bin: "/nowhere/bin"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv("TMPDIR", publicTemp(t))
			_, err := postgres.Start(t.Context(), test.options)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v", err)
			}
			if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "weir-pgdata-*")); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// processesOf lists the processes whose working folder is below dir (Linux).
func processesOf(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	cwds, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, cwd := range cwds {
		if at, err := os.Readlink(cwd); err == nil && strings.HasPrefix(at, dir) {
			found = append(found, cwd)
		}
	}
	return found
}

// publicTemp is a temporary folder that every user can reach, unlike t.TempDir.
func publicTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "weir-test-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
