package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/integration/pki"
	"github.com/weir-gateway/weir/integration/stage"
)

// ledger is a table of which everybody sees the own rows, by row-level security.
const ledger = `
	CREATE TABLE ledger (owner text, amount int);
	INSERT INTO ledger VALUES ('support-agent', 1), ('spiffe://example.org/agent-7', 2), ('job.internal', 3);
	ALTER TABLE ledger ENABLE ROW LEVEL SECURITY;
	CREATE POLICY own ON ledger USING (owner = current_setting('weir.subject', true));
	GRANT SELECT ON ledger TO weir_shop`

// doors is a stage whose target "late" takes every way to sign in, and tells the
// server who is there.
type doors struct {
	*world
	listen string
	agents *pki.CA // who signs agents' certificates
}

func openDoors(t *testing.T) *doors {
	t.Helper()
	d := &doors{listen: freeAddress()}
	d.agents = newCA(t)
	d.world = unstarted(t, stage.Options{Edit: func(s *stage.Settings) {
		s.Identity = "  certificates: [{ca: file:agents.crt, trust_domain: example.org, names: [job.internal], roles: group:support}]\n"
		s.Targets = fmt.Sprintf("  late: {kind: postgres, listen: %q, sign_in: [password, oauth, certificate], upstream: {address: %s, user: weir_shop, password: secret:shop, database: shop, ca: file:%s, server_name: localhost, introduce: [application_name, settings]}%s}\n",
			d.listen, s.Database, s.CA, inTransport())
		s.Extra = "tls: {certificate: file:server.crt, key: file:server.key}\n"
	}})
	d.trust(t, d.agents)
	d.show(t, newCA(t))
	if err := d.Postgres.Exec(t.Context(), "shop", ledger); err != nil {
		t.Fatal(err)
	}
	if err := d.StartGateway(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.ca = d.Path("server-ca.crt")
	return d
}

func newCA(t *testing.T) *pki.CA {
	t.Helper()
	ca, err := pki.New("a CA of " + t.Name())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// trust makes these the CAs of agents' certificates.
func (d *doors) trust(t *testing.T, all ...*pki.CA) {
	t.Helper()
	var text []byte
	for _, ca := range all {
		text = append(text, ca.PEM...)
	}
	d.write(t, "agents.crt", text)
}

// show makes the gateway's own certificate one of this CA.
func (d *doors) show(t *testing.T, ca *pki.CA) {
	t.Helper()
	leaf, err := ca.Issue(pki.Request{})
	if err != nil {
		t.Fatal(err)
	}
	d.write(t, "server-ca.crt", ca.PEM)
	d.write(t, "server.key", leaf.KeyPEM)
	d.write(t, "server.crt", leaf.CertPEM)
}

func (d *doors) write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(d.Path(name), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// hangUp has the gateway read its files again.
func (d *doors) hangUp(t *testing.T) {
	t.Helper()
	if err := d.Gateway().Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// certificate makes one for a client, and is what psql is told to show it.
func (d *doors) certificate(t *testing.T, ca *pki.CA, r pki.Request) string {
	t.Helper()
	r.Client = true
	leaf, err := ca.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := leaf.WriteFiles(t.TempDir(), "client")
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("sslcert=%s sslkey=%s", cert, key)
}

const whoIsThere = "select owner, current_setting('application_name'), current_setting('weir.issuer'), current_setting('weir.roles') from ledger;\n"

func TestSignIn(t *testing.T) {
	d := openDoors(t)
	t.Run("by OAuth", d.byOAuth)
	t.Run("by certificate", d.byCertificate)
}

func (d *doors) byCertificate(t *testing.T) {
	agent7 := pki.Request{URI: "spiffe://example.org/agent-7"}
	try := func(more, token string) result { return d.psqlTo(t, d.conninfoTo(d.listen, more), token, whoIsThere) }

	t.Run("as whom", func(t *testing.T) {
		expect(t, try(d.certificate(t, d.agents, agent7), "").String(), `spiffe://example.org/agent-7|spiffe://example.org/agent-7 (psql)|example.org|["group:support"]`)
		expect(t, try(d.certificate(t, d.agents, agent7)+" sslnegotiation=direct", "").String(), "spiffe://example.org/agent-7")
		expect(t, try(d.certificate(t, d.agents, pki.Request{Names: []string{"job.internal"}}), "").String(), "job.internal|job.internal (psql)|example.org")
		d.audited(t, "SELECT if(count() > 0, 'yes', 'no') FROM weir.all_events WHERE kind = 'session.opened' AND subject = 'spiffe://example.org/agent-7' AND canonical LIKE '%\"sign_in\":\"certificate\"%' AND canonical LIKE '%\"auth\":\"mtls\"%'", "yes")
	})
	t.Run("a bad one never falls back", func(t *testing.T) {
		token := d.agent(t)
		for name, tc := range map[string]struct{ conninfo, want string }{
			"another CA":           {d.certificate(t, newCA(t), agent7), "FATAL:  28000: sign-in failed: the certificate was not accepted"},
			"another trust domain": {d.certificate(t, d.agents, pki.Request{URI: "spiffe://example.com/agent-7"}), "FATAL:  28000: sign-in failed: the certificate names nobody who may sign in here"},
			"expired":              {d.certificate(t, d.agents, pki.Request{URI: agent7.URI, Validity: -time.Second}), "FATAL:  28000: sign-in failed: the certificate expired at "},
		} {
			got := try(tc.conninfo, token)
			if got.code != 2 || !strings.Contains(got.err, strings.Replace(tc.want, "28000: ", "", 1)) {
				t.Errorf("%s: %s", name, got)
			}
		}
		expect(t, try("", token).out, "support-agent|support-agent (psql)|"+d.Issuer.URL)
		expect(t, try("options=-cweir.sign_in=certificate", token).err, "connection requires a valid client certificate")
	})
	t.Run("the session ends with it", func(t *testing.T) {
		conn, err := d.pgxWith(t, d.certificate(t, d.agents, pki.Request{URI: agent7.URI, Validity: 3 * time.Second}))
		if err != nil {
			t.Fatal(err)
		}
		if e := refused(t, ends(t, conn)); e.Code != "28000" || e.Message != "the session ends because its certificate has expired" {
			t.Errorf("%+v", e)
		}
	})
	t.Run("its CA is replaced", func(t *testing.T) {
		old := d.certificate(t, d.agents, agent7)
		before, err := d.pgxWith(t, old)
		if err != nil {
			t.Fatal(err)
		}
		next := newCA(t)
		fresh := d.certificate(t, next, agent7)
		expect(t, try(fresh, "").err, "the certificate was not accepted")
		d.trust(t, d.agents, next)
		d.hangUp(t)
		soon(t, "the new CA is trusted", func() bool { return try(fresh, "").code == 0 })
		expect(t, try(old, "").out, "agent-7")
		d.trust(t, next)
		d.hangUp(t)
		soon(t, "the old CA is not", func() bool { return try(old, "").code == 2 })
		d.write(t, "agents.crt", []byte("no certificate"))
		d.hangUp(t)
		soon(t, "the operator is told of a bad file", func() bool { return strings.Contains(d.status(t).out, "holds no certificate in PEM") })
		expect(t, try(fresh, "").out, "agent-7")
		var n int
		if err := before.QueryRow(t.Context(), "select 1").Scan(&n); err != nil {
			t.Errorf("a session of before: %v", err)
		}
	})
	t.Run("the gateway's own is replaced", func(t *testing.T) {
		before, err := d.pgxWith(t, "")
		if err != nil {
			t.Fatal(err)
		}
		token := d.agent(t)
		d.show(t, newCA(t))
		expect(t, try("", token).err, "certificate verify failed")
		d.hangUp(t)
		soon(t, "the new certificate is shown", func() bool { return try("", token).code == 0 })
		var n int
		if err := before.QueryRow(t.Context(), "select 1").Scan(&n); err != nil {
			t.Errorf("a session of before: %v", err)
		}
	})
}

// pgxWith connects to the doors as psql would be told.
func (d *doors) pgxWith(t *testing.T, more string) (*pgx.Conn, error) {
	t.Helper()
	conninfo := strings.Replace(d.conninfoTo(d.listen, more), "hostaddr=127.0.0.1", "", 1)
	cfg, err := pgx.ParseConfig(conninfo)
	if err != nil {
		return nil, err
	}
	cfg.Password = d.agent(t)
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err == nil {
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
	}
	return conn, err
}

func (d *doors) byOAuth(t *testing.T) {
	chosen := "options=-cweir.sign_in=oauth"
	t.Run("pgx", func(t *testing.T) {
		cfg, err := pgx.ParseConfig(strings.Replace(d.conninfoTo(d.listen, chosen), "hostaddr=127.0.0.1", "", 1))
		if err != nil {
			t.Fatal(err)
		}
		token := d.agent(t)
		cfg.OAuthTokenProvider = func(context.Context) (string, error) { return token, nil }
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		var owner string
		if err := conn.QueryRow(t.Context(), "select owner from ledger").Scan(&owner); err != nil || owner != stage.Agent {
			t.Errorf("%q, %v", owner, err)
		}
		if e := refused(t, execOnly(conn, "select set_config('weir.subject', 'job.internal', false)")); !strings.Contains(e.Message, "(identity_setting)") {
			t.Errorf("%+v", e)
		}
		if e := refused(t, execOnly(conn, "select set_config($1, 'job.internal', false)", "weir.subject")); !strings.Contains(e.Message, "(identity_setting)") {
			t.Errorf("%+v", e)
		}
		token = "not-a-token"
		if _, err := pgx.ConnectConfig(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "invalid_token") {
			t.Errorf("a bad token: %v", err)
		}
	})
	t.Run("libpq", func(t *testing.T) {
		libpq := filepath.Join(d.Parts.PostgresBin, "..", "lib", "libpq.so.5")
		if _, err := os.Stat(libpq); err != nil {
			t.Skip("PostgreSQL was not set up with libpq:", err)
		}
		client := func(token, more string) string {
			// The issuer is on loopback without TLS, which libpq takes for tests only.
			cmd := d.command(t.Context(), []string{"PGOAUTHDEBUG=UNSAFE", "TOKEN=" + token}, "python3",
				source(t, "libpq_oauth.py"), libpq, d.conninfoTo(d.listen, chosen+" oauth_client_id=psql oauth_issuer="+d.Issuer.URL+" "+more), "select owner from ledger")
			cmd.Dir = "."
			return finish(t, cmd).String()
		}
		asked := "ask " + d.Issuer.URL + "/.well-known/openid-configuration"
		expect(t, client(d.agent(t), ""), asked, "value support-agent")
		expect(t, client(d.agent(t), "require_auth=oauth"), asked, "value support-agent")
		expect(t, client("not-a-token", ""), asked, "error ", "FATAL:  sign-in failed: this is not a token")
	})
	t.Run("evidence", func(t *testing.T) {
		d.audited(t, "SELECT if(count() > 0, 'yes', 'no') FROM weir.all_events WHERE kind = 'session.opened' AND canonical LIKE '%\"sign_in\":\"oauth\"%'", "yes")
		if got, err := d.audit(t, "SELECT countIf(canonical LIKE '%no token was given%') FROM weir.all_events WHERE kind = 'session.refused'"); err != nil || got != "0" {
			t.Errorf("a question for the issuer is recorded as a refusal: %s, %v", got, err)
		}
	})
}

func execOnly(conn *pgx.Conn, sql string, args ...any) error {
	_, err := conn.Exec(context.Background(), sql, args...)
	return err
}

// source is a file of testdata.
func source(t *testing.T, name string) string {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no Python")
	}
	path, err := filepath.Abs(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}
