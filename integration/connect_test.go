package integration

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// outside is an address of this machine that is not the loopback's.
func outside(t *testing.T) string {
	t.Helper()
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		if ip, ok := a.(*net.IPNet); ok && ip.IP.To4() != nil && ip.IP.IsGlobalUnicast() {
			return ip.IP.String()
		}
	}
	t.Skip("this machine has the loopback only")
	return ""
}

func TestTLS(t *testing.T) {
	w := shared(t)
	with := func(mode string) string { return strings.Replace(w.conninfo(""), "sslmode=verify-full", mode, 1) }
	for name, tc := range map[string]struct{ conninfo, want string }{
		"verify-full":            {w.conninfo(""), "in|t"},
		"TLS without asking":     {w.conninfo("sslnegotiation=direct"), "in|t"},
		"only TLS 1.2":           {w.conninfo("ssl_max_protocol_version=TLSv1.2"), "in|t"},
		"in clear from loopback": {with("sslmode=disable"), "in|t"},
		"another CA":             {strings.Replace(w.conninfo(""), w.ca, w.Path("ca.crt"), 1), "certificate verify failed"},
		"another name":           {strings.Replace(w.conninfo(""), "host=localhost", "host=gateway.example", 1), `does not match host name "gateway.example"`},
	} {
		t.Run(name, func(t *testing.T) {
			// What PostgreSQL sees is the gateway, always in TLS.
			got := w.psqlTo(t, tc.conninfo, w.agent(t), "select 'in', ssl from pg_stat_ssl where pid = pg_backend_pid();\n")
			expect(t, got.String(), tc.want)
		})
	}
}

// Beyond the loopback a token is taken over TLS only.
func TestTokenInClear(t *testing.T) {
	w, ip := shared(t), outside(t)
	_, port, _ := net.SplitHostPort(all.listen["patient"])
	conninfo := "host=" + ip + " port=" + port + " dbname=shop user=agent "
	got := w.psqlTo(t, conninfo+"sslmode=disable", w.agent(t), "select 'in';\n")
	expect(t, got.err, "FATAL:  a token is taken over TLS only", "HINT:  Connect with sslmode=require or stricter.")
	if got.code != 2 {
		t.Errorf("exit %d", got.code)
	}
	expect(t, w.psqlTo(t, conninfo+"sslmode=require", w.agent(t), "select 'in';\n").out, "in\n")
	expect(t, w.psqlTo(t, conninfo+"sslmode=verify-ca sslrootcert="+w.ca, w.agent(t), "select 'in';\n").out, "in\n")
}

// A running statement is cancelled by the key that the gateway has given.
func TestCancelWhileRunning(t *testing.T) {
	w := shared(t)
	conn := w.pgx(t, w.agent(t), pgx.QueryExecModeExec)
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.WithoutCancel(t.Context()), "select pg_sleep(60) /* cancel me */")
		done <- err
	}()
	soon(t, "the statement runs", func() bool {
		return w.direct(t, "select count(*)::text from pg_stat_activity where query like '%/* cancel me */%' and state = 'active' and usename = 'weir_shop'") == "1"
	})
	if err := conn.PgConn().CancelRequest(t.Context()); err != nil {
		t.Fatal(err)
	}
	if e := refused(t, <-done); e.Code != "57014" {
		t.Errorf("%+v", e)
	}
	var n int
	if err := conn.QueryRow(t.Context(), "select 1").Scan(&n); err != nil {
		t.Errorf("the connection is not usable any more: %v", err)
	}
}

// The user and database that a client names do not matter beyond what the target
// offers, and its own settings do.
func TestWhatAClientNames(t *testing.T) {
	w := shared(t)
	conninfo := strings.Replace(w.conninfo("application_name=trial options='-c statement_timeout=12345'"), "user=agent", "user=postgres", 1)
	got := w.psqlTo(t, conninfo, w.agent(t), "select current_user, current_setting('application_name'), current_setting('statement_timeout');\n")
	expect(t, got.out, "weir_shop|trial|12345ms")
	without := strings.Replace(w.conninfo(""), "dbname=shop", "dbname=", 1)
	expect(t, w.psqlTo(t, strings.Replace(without, "user=agent", "user=shop", 1), w.agent(t), "select current_database();\n").String(), "shop\n")
}
