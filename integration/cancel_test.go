package integration

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/integration/process"
	"github.com/weir-gateway/weir/integration/stage"
)

// running starts a psql with a script, to be interrupted.
func (w *world) running(t *testing.T, conninfo, script string) *held {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*patience)
	t.Cleanup(cancel)
	h := &held{cmd: w.command(ctx, []string{"PGPASSWORD=" + w.agent(t)}, w.Parts.Psql(), "-X", "-w", "-A", "-t", "-v", "VERBOSITY=verbose", "-d", conninfo)}
	h.cmd.Stdin, h.cmd.Stdout = strings.NewReader(script), &h.out
	stderr, err := h.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	h.stderr = bufio.NewReader(io.TeeReader(stderr, &h.said))
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return h
}

// awaits waits until a server runs a statement.
func awaits(t *testing.T, server *postgres.Server, mark string) {
	t.Helper()
	soon(t, mark+" runs", func() bool { return runs(t, server, mark) > 0 })
}

func runs(t *testing.T, server *postgres.Server, mark string) (n int) {
	t.Helper()
	conn, err := server.Connect(t.Context(), "shop")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(t.Context(), "select count(*) from pg_stat_activity where state = 'active' and query like '%/* "+mark+" */%' and pid <> pg_backend_pid()").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// interrupted is what psql said after Ctrl-C.
func (h *held) interrupted(t *testing.T) result {
	t.Helper()
	if err := h.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	return h.result(t)
}

// Ctrl-C in psql, with keys of 4 and of 40 bytes.
func TestCtrlC(t *testing.T) {
	w := shared(t)
	for _, version := range []string{"3.0", "3.2"} {
		h := w.running(t, w.conninfo("max_protocol_version="+version), "select pg_sleep(60) /* ctrl-c "+version+" */;\n")
		awaits(t, w.Postgres, "ctrl-c "+version)
		expect(t, h.interrupted(t).err, "ERROR:  57014: canceling statement due to user request")
	}
}

// What the client is told: the server's process id, and a secret with which the
// server can do nothing.
func TestCancelKey(t *testing.T) {
	w := shared(t)
	for version, size := range map[string]int{"3.0": 4, "3.2": 40} {
		conn, err := w.dial(t.Context(), w.agent(t), func(c *pgx.ConnConfig) { c.MaxProtocolVersion = version })
		if err != nil {
			t.Fatal(err)
		}
		var pid uint32
		if err := conn.QueryRow(t.Context(), "select pg_backend_pid()").Scan(&pid); err != nil || pid != conn.PgConn().PID() {
			t.Errorf("told %d, is %d (%v)", conn.PgConn().PID(), pid, err)
		}
		if got := len(conn.PgConn().SecretKey()); got != size {
			t.Errorf("protocol %s: a secret of %d bytes", version, got)
		}
		ended := make(chan error, 1)
		mark := "key " + version
		go func() {
			_, err := conn.Exec(context.WithoutCancel(t.Context()), "select pg_sleep(60) /* "+mark+" */")
			ended <- err
		}()
		awaits(t, w.Postgres, mark)
		key := conn.PgConn().SecretKey()
		asks(t, w.Postgres.Addr(), pid, key) // past the gateway
		wrong := bytes.Clone(key)
		wrong[len(wrong)-1] ^= 1
		asks(t, w.Settings.DatabaseListen, pid, wrong)
		asks(t, w.Settings.DatabaseListen, pid+1, key)
		if runs(t, w.Postgres, mark) != 1 {
			t.Fatal("it was cancelled by who does not hold the key")
		}
		asks(t, w.Settings.DatabaseListen, pid, key)
		if e := refused(t, <-ended); e.Code != "57014" {
			t.Errorf("%+v", e)
		}
		_ = conn.Close(t.Context())
	}
}

// asks sends a CancelRequest, and waits until whoever listens has done with it.
func asks(t *testing.T, address string, pid uint32, secret []byte) {
	t.Helper()
	request, err := (&pgproto3.CancelRequest{ProcessID: pid, SecretKey: secret}).Encode(nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := throw(t, address, request, nil); len(got) > 0 {
		t.Errorf("a cancel request was answered: %q", got)
	}
}

// Two servers behind one target: each session is cancelled on its own, wherever
// Envoy leads the request.
func TestCancelWithSeveralServers(t *testing.T) {
	need(t)
	second := postgres.Test(t, postgres.Options{Databases: []string{"shop"}, SQL: []string{"CREATE ROLE weir_shop LOGIN PASSWORD 'known to the gateway only'"}})
	listen := freeAddress()
	w := own(t, stage.Options{Edit: func(s *stage.Settings) {
		s.Targets = fmt.Sprintf("  up-several: {kind: postgres, listen: %s, upstream: {address: [%s, %s], user: weir_shop, password: secret:shop, database: shop, tls: prefer}%s}\n",
			listen, s.Database, second.Addr(), inTransport())
	}})
	const sessions = 8
	ended := make(chan error, sessions)
	var conns []*pgx.Conn
	for range sessions {
		conn, err := w.dialTo(t.Context(), listen, w.agent(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close(context.Background()) })
		conns = append(conns, conn)
		go func() {
			_, err := conn.Exec(context.WithoutCancel(t.Context()), "select pg_sleep(60) /* several */")
			ended <- err
		}()
	}
	var on [2]int
	soon(t, "all run", func() bool {
		on = [2]int{runs(t, w.Postgres, "several"), runs(t, second, "several")}
		return on[0]+on[1] == sessions
	})
	if on[0] == 0 || on[1] == 0 {
		t.Fatalf("all sessions are on one server: %v", on)
	}
	for _, conn := range conns {
		asks(t, listen, conn.PgConn().PID(), conn.PgConn().SecretKey())
		if e := refused(t, <-ended); e.Code != "57014" {
			t.Errorf("%+v", e)
		}
	}
}

// balancer leads each connection to the next of some addresses.
func balancer(t *testing.T, to ...string) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var n atomic.Int64
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			go join(client, to[int(n.Add(1)-1)%len(to)])
		}
	}()
	return l.Addr().String()
}

func join(client net.Conn, address string) {
	defer func() { _ = client.Close() }()
	server, err := new(net.Dialer).DialContext(context.Background(), "tcp", address)
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
}

// nats is a NATS of one's own, as a fleet shares it.
func nats(t *testing.T) string {
	t.Helper()
	s, err := natsserver.NewServer(&natsserver.Options{Host: "127.0.0.1", Port: natsserver.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true, MaxPayload: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patience) {
		t.Fatal("NATS does not start")
	}
	return s.ClientURL()
}

// another is a second gateway with the same configuration, on other addresses and
// with a data folder of its own. It returns where it listens for psql.
func (w *world) another(t *testing.T) string {
	t.Helper()
	listen, web := freeAddress(), freeAddress()
	file := w.Path("another.yaml")
	text := readFile(t, w.ConfigFile())
	for from, to := range map[string]string{
		w.Settings.DatabaseListen: listen, w.Settings.APIListen: freeAddress(), w.Settings.Web: web, "data: " + w.Settings.Data: "data: another-data",
	} {
		text = strings.ReplaceAll(text, from, to)
	}
	write(t, file, text)
	for name, value := range stage.Credentials() {
		if out, err := w.Run(t.Context(), strings.NewReader(value), w.Env(), all.weir, "secret", "set", name, "-c", file); err != nil {
			t.Fatal(out, err)
		}
	}
	log, err := os.Create(w.Path("another.log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = log.Close()
		if t.Failed() {
			t.Logf("the other weir logged:\n%s", readFile(t, log.Name()))
		}
	})
	p, err := process.Start(process.Command{Path: all.weir, Args: []string{"up", "-c", file}, Env: w.Env(), Output: log, DeathSignal: syscall.SIGTERM})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(syscall.SIGINT, 10*time.Second); err != nil {
			t.Error(err)
		}
	})
	soon(t, "the other gateway is ready", func() bool {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+web+"/readyz", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return listen
}

// In a fleet Ctrl-C may reach another gateway than the one that has the session.
func TestCancelInAFleet(t *testing.T) {
	need(t)
	url := nats(t)
	w := own(t, stage.Options{Edit: func(s *stage.Settings) { s.Extra += "evidence: {spool: \"" + url + "\", replicas: 1}\n" }})
	other := w.another(t)
	for _, version := range []string{"3.0", "3.2"} {
		to := func() string { // the first connection is psql's session, the second its Ctrl-C
			host, port, _ := net.SplitHostPort(balancer(t, w.Settings.DatabaseListen, other))
			return fmt.Sprintf("host=%s port=%s dbname=shop user=agent sslmode=require max_protocol_version=%s", host, port, version)
		}
		h := w.running(t, to(), "select pg_sleep(60) /* fleet "+version+" */;\n")
		awaits(t, w.Postgres, "fleet "+version)
		expect(t, h.interrupted(t).err, "ERROR:  57014: canceling statement due to user request")

		h = w.running(t, to(), "update products set price = price where id = 1;\n")
		for h.id == "" {
			line, err := h.stderr.ReadString('\n')
			if err != nil {
				t.Fatalf("psql was not held: %s%s", h.said.String(), h.out.String())
			}
			if m := heldLine.FindStringSubmatch(line); m != nil {
				h.id = m[1]
			}
		}
		expect(t, h.interrupted(t).err, "ERROR:  57014: canceling statement due to user request")
		if a := w.state(t, h.id); a.State != "withdrawn" {
			t.Errorf("the approval is %s", a.State)
		}
	}
	// A wrong key does nothing there either.
	conn, err := w.dial(t.Context(), w.agent(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.WithoutCancel(t.Context()), "select pg_sleep(60) /* wrong key */")
		ended <- err
	}()
	awaits(t, w.Postgres, "wrong key")
	pid, key := conn.PgConn().PID(), conn.PgConn().SecretKey()
	wrong := bytes.Clone(key)
	wrong[0] ^= 1
	asks(t, other, pid, wrong)
	if runs(t, w.Postgres, "wrong key") != 1 {
		t.Fatal("it was cancelled by who does not hold the key")
	}
	asks(t, other, pid, key)
	if e := refused(t, <-ended); e.Code != "57014" {
		t.Errorf("%+v", e)
	}
}
