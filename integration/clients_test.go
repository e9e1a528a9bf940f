package integration

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/weir-gateway/weir/integration/issuer"
	"github.com/weir-gateway/weir/integration/stage"
)

// world is a stage with clients on it.
type world struct {
	*stage.Stage
	ca  string // file of the CA of the gateway's listeners
	api *requests
}

// patience is how long anything may take that a test waits for.
const patience = time.Minute

// soon waits until a condition holds.
func soon(t *testing.T, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s: %s", patience, what)
		case <-tick.C:
		}
	}
}

// agent is a token of an agent that sees masked values.
func (w *world) agent(t *testing.T, opts ...issuer.MintOption) string {
	t.Helper()
	return w.mint(t, stage.Agent, app("support"), opts...)
}

// mint makes a token for anybody.
func (w *world) mint(t *testing.T, subject string, claims map[string]any, opts ...issuer.MintOption) string {
	t.Helper()
	token, err := w.Issuer.Mint(subject, claims, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// app are the claims of an agent, person those of a human.
func app(groups ...string) map[string]any {
	return map[string]any{"idtyp": "app", "groups": groups}
}
func person(groups ...string) map[string]any {
	return map[string]any{"idtyp": "user", "groups": groups}
}

// result is what a program said.
type result struct {
	out, err string
	code     int
}

func (r result) String() string { return fmt.Sprintf("exit %d\n%s%s", r.code, r.out, r.err) }

// lacks fails the test where a text is missing, unless it starts with "!": then
// where it is there.
func expect(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if not, ok := strings.CutPrefix(want, "!"); ok {
			if strings.Contains(text, not) {
				t.Errorf("found %q in\n%s", not, text)
			}
		} else if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}

// command prepares a program in the stage's environment.
func (w *world) command(ctx context.Context, env []string, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = w.Env(env...), w.Dir, time.Second
	return cmd
}

func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var out, err bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &err
	failed := cmd.Run()
	var exit *exec.ExitError
	if failed != nil && !errors.As(failed, &exit) {
		t.Fatalf("%s: %v", filepath.Base(cmd.Path), failed)
	}
	return result{out.String(), err.String(), cmd.ProcessState.ExitCode()}
}

// weir runs one of the gateway's commands.
func (w *world) weir(t *testing.T, env []string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return finish(t, w.command(ctx, env, all.weir, append(args, "-c", w.ConfigFile())...))
}

// conninfo is what psql and pgx are told.
func (w *world) conninfo(more string) string { return w.conninfoTo(w.Settings.DatabaseListen, more) }

func (w *world) conninfoTo(listen, more string) string {
	host, port, _ := net.SplitHostPort(listen)
	return fmt.Sprintf("host=localhost hostaddr=%s port=%s dbname=shop user=agent sslmode=verify-full sslrootcert=%s %s", host, port, w.ca, more)
}

// psql runs a script through the gateway: as a person types it, and telling
// errors with their SQLSTATE.
func (w *world) psql(t *testing.T, token, script string, args ...string) result {
	t.Helper()
	return w.psqlTo(t, w.conninfo(""), token, script, args...)
}

func (w *world) psqlTo(t *testing.T, conninfo, token, script string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	args = append([]string{"-X", "-w", "-A", "-t", "-v", "VERBOSITY=verbose", "-d", conninfo}, args...)
	cmd := w.command(ctx, []string{"PGPASSWORD=" + token}, w.Parts.Psql(), args...)
	cmd.Stdin = strings.NewReader(script)
	return finish(t, cmd)
}

// pgx connects through the gateway; the connection ends with the test.
func (w *world) pgx(t *testing.T, token string, mode pgx.QueryExecMode) *pgx.Conn {
	t.Helper()
	conn, err := w.dial(t.Context(), token, func(c *pgx.ConnConfig) { c.DefaultQueryExecMode = mode })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func (w *world) dial(ctx context.Context, token string, edit func(*pgx.ConnConfig)) (*pgx.Conn, error) {
	return w.dialTo(ctx, w.Settings.DatabaseListen, token, edit)
}

func (w *world) dialTo(ctx context.Context, listen, token string, edit func(*pgx.ConnConfig)) (*pgx.Conn, error) {
	// pgx knows no hostaddr; localhost is the same here.
	cfg, err := pgx.ParseConfig(strings.Replace(w.conninfoTo(listen, "connect_timeout=10"), "hostaddr=127.0.0.1", "", 1))
	if err != nil {
		return nil, err
	}
	cfg.Password = token
	if edit != nil {
		edit(cfg)
	}
	return pgx.ConnectConfig(ctx, cfg)
}

// refused is the error of PostgreSQL's protocol in err.
func refused(t *testing.T, err error) *pgconn.PgError {
	t.Helper()
	var e *pgconn.PgError
	if !errors.As(err, &e) {
		t.Fatalf("not an error of the protocol: %v", err)
	}
	return e
}

// curl asks the customers API through the gateway with the real curl, and prints
// the response's headers before its body.
func (w *world) curl(t *testing.T, token, path string, args ...string) result {
	t.Helper()
	return w.curlTo(t, w.Settings.APIListen, token, path, args...)
}

func (w *world) curlTo(t *testing.T, listen, token, path string, args ...string) result {
	t.Helper()
	program, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("there is no curl")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	args = append([]string{"-sS", "-i", "--http1.1", "--noproxy", "*", "--cacert", w.ca}, args...)
	if token != "" { // not on the command line: a token may be longer than that takes
		args = append(args, "-H", "@-")
	}
	cmd := w.command(ctx, nil, program, append(args, "https://"+listen+path)...)
	cmd.Stdin = strings.NewReader("Authorization: Bearer " + token + "\n")
	return finish(t, cmd)
}

func (w *world) url(path string) string { return "https://" + w.Settings.APIListen + path }

// client is an HTTP client that trusts the gateway.
func (w *world) client(t *testing.T) *http.Client {
	t.Helper()
	return &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: w.roots(t)}, DisableKeepAlives: true}}
}

func (w *world) roots(t *testing.T) *x509.CertPool {
	t.Helper()
	text, err := os.ReadFile(w.ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(text)
	return roots
}

// requests are those that reached the customers API.
type requests struct {
	mu   sync.Mutex
	seen []*http.Request
}

func (r *requests) note(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.seen = append(r.seen, req.Clone(context.Background()))
		r.mu.Unlock()
		next.ServeHTTP(rw, req)
	})
}

// to are the requests for a path, with the query that marks them.
func (r *requests) to(uri string) []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []*http.Request
	for _, one := range r.seen {
		if one.RequestURI == uri {
			out = append(out, one)
		}
	}
	return out
}

// reached says whether PostgreSQL was sent a statement that holds the mark.
func (w *world) reached(t *testing.T, mark string) bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(w.Postgres.Home(), "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(text, []byte(mark))
}

// direct asks PostgreSQL itself, past the gateway, as its superuser.
func (w *world) direct(t *testing.T, sql string, args ...any) string {
	t.Helper()
	conn, err := w.Postgres.Connect(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	var got *string
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&got); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	if got == nil {
		return "NULL"
	}
	return *got
}
