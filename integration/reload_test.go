package integration

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/integration/stage"
)

// late is a further target for the shop's database.
func (w *world) late(listen, more string) string {
	s := &w.Settings
	return fmt.Sprintf("  late: {kind: postgres, listen: %q, upstream: {address: %s, user: weir_shop, password: secret:shop, database: shop, tls: verify-full, ca: file:%s, server_name: localhost}%s%s}\n",
		listen, s.Database, s.CA, more, inTransport())
}

// configure changes the configuration file while the gateway runs.
func (w *world) configure(t *testing.T, edit func(*stage.Settings)) {
	t.Helper()
	edit(&w.Settings)
	if err := w.WriteConfig(); err != nil {
		t.Fatal(err)
	}
}

func (w *world) status(t *testing.T) result {
	t.Helper()
	return w.weir(t, nil, "status")
}

// answers says whether a connection of before still works.
func answers(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	var ssn string
	if err := conn.QueryRow(t.Context(), "select ssn from customers where id = $1", someone).Scan(&ssn); err != nil || ssn != masked(customer().SSN) {
		t.Errorf("a session of before: %q, %v", ssn, err)
	}
}

func TestReload(t *testing.T) {
	w := own(t, stage.Options{Edit: func(s *stage.Settings) { s.Extra = "drain: {targets: 1s}" }})
	first := w.pgx(t, w.agent(t), pgx.QueryExecModeExec)
	listen := freeAddress()
	reach := func() bool { return w.psqlTo(t, w.conninfoTo(listen, ""), w.agent(t), "select 1;\n").code == 0 }

	t.Run("a target is added", func(t *testing.T) {
		w.configure(t, func(s *stage.Settings) { s.Targets = w.late(listen, "") })
		soon(t, "the new target is reached", reach)
		answers(t, first)
		expect(t, w.status(t).out, "late  ", listen, "shop  ", "!problem")
	})
	t.Run("a target is changed", func(t *testing.T) {
		old, err := w.dialTo(t.Context(), listen, w.agent(t), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = old.Close(context.Background()) }()
		before := listen
		listen = freeAddress()
		w.configure(t, func(s *stage.Settings) { s.Targets = w.late(listen, ", labels: {changed: once}") })
		soon(t, "the changed target is reached", reach)
		answers(t, first)
		soon(t, "nobody listens where it was", func() bool {
			return w.psqlTo(t, w.conninfoTo(before, ""), w.agent(t), "select 1;\n").code != 0
		})
		if err := ends(t, old); err == nil {
			t.Error("the changed target's session went on")
		}
		w.configure(t, func(s *stage.Settings) { s.Targets = w.late(listen, ", labels: {changed: twice}") })
		soon(t, "it is applied", func() bool { return strings.Contains(w.GatewayLog(), "changed late") })
		soon(t, "the changed target is reached", reach)
		answers(t, first)
	})
	t.Run("a target is removed", func(t *testing.T) {
		w.configure(t, func(s *stage.Settings) { s.Targets = "" })
		soon(t, "nobody listens there", func() bool { return !reach() })
		answers(t, first)
		soon(t, "the status no longer lists it", func() bool { return !strings.Contains(w.status(t).out, "late") })
	})
	t.Run("SIGHUP", func(t *testing.T) {
		if err := w.Gateway().Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		answers(t, first)
	})
}

func TestBadFileKeepsTheLastGoodOne(t *testing.T) {
	once(t)
	w := own(t, stage.Options{})
	conn := w.pgx(t, w.agent(t), pgx.QueryExecModeExec)
	good := w.Settings
	for name, tc := range map[string]struct {
		edit func(*stage.Settings)
		want string
	}{
		"a misspelt key": {func(s *stage.Settings) { s.Targets = w.late(freeAddress(), ", lables: {a: b}") }, "lables"},
		"no YAML":        {func(s *stage.Settings) { s.Extra = "}" }, "weir.yaml"},
		"a lost secret": {func(s *stage.Settings) {
			s.Targets = strings.Replace(w.late(freeAddress(), ""), "file:ca.crt", "file:lost.crt", 1)
		}, "lost.crt"},
		"no rules": {func(s *stage.Settings) { s.Policy = "nowhere" }, "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			w.configure(t, tc.edit)
			soon(t, "the status says so", func() bool { return strings.Contains(w.status(t).out, "problem       configuration: ") })
			expect(t, w.status(t).out, tc.want)
			answers(t, conn)
			expect(t, w.signs(t, w.agent(t)).out, "in\n")
			logged := strings.Count(w.GatewayLog(), "the configuration was not applied; the last good one goes on")
			w.configure(t, func(s *stage.Settings) { *s = good })
			soon(t, "the problem is over", func() bool { return !strings.Contains(w.status(t).out, "problem") })
			if logged > 2 { // the editor writes more than once
				t.Errorf("it was logged %d times", logged)
			}
			if err := os.Truncate(w.Path("weir.log"), 0); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestPortInUse(t *testing.T) {
	once(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	w := own(t, stage.Options{})
	w.configure(t, func(s *stage.Settings) { s.Targets = w.late(taken.Addr().String(), "") })
	soon(t, "the status says so", func() bool { return strings.Contains(w.status(t).out, "problem ") })
	status := w.status(t)
	expect(t, status.out, "problem       ", "target late: "+taken.Addr().String()+" is in use by another program; choose another `listen`")
	expect(t, w.signs(t, w.agent(t)).out, "in\n")
	expect(t, w.curl(t, w.agent(t), "/customers/1").out, "200 OK")
	free := freeAddress()
	w.configure(t, func(s *stage.Settings) { s.Targets = w.late(free, "") })
	soon(t, "it is reached at another port", func() bool {
		return w.psqlTo(t, w.conninfoTo(free, ""), w.agent(t), "select 1;\n").code == 0
	})
	soon(t, "the problem is over", func() bool { return !strings.Contains(w.status(t).out, "problem") })
}

func TestPolicyReload(t *testing.T) {
	once(t)
	w := own(t, stage.Options{Edit: func(s *stage.Settings) {
		text, err := os.ReadFile(s.Classification)
		if err != nil {
			t.Fatal(err)
		}
		s.Classification = filepath.Join(t.TempDir(), "classification.yaml")
		write(t, s.Classification, string(text))
	}})
	conn := w.pgx(t, w.agent(t), pgx.QueryExecModeExec)
	answers(t, conn)
	city := func() string {
		var got string
		if err := conn.QueryRow(t.Context(), "select city from customers where id = $1", someone).Scan(&got); err != nil {
			return err.Error()
		}
		return got
	}
	if got := city(); got != customer().City {
		t.Fatalf("city %q", got)
	}
	file := w.Path("policy", "live.rego")
	t.Run("a new rule", func(t *testing.T) {
		write(t, file, "package weir.rules.live\n\nimport rego.v1\n\ndeny contains {\"code\": \"closed\", \"message\": \"the shop is closed\"} if input.target.name == \"shop\"\n")
		soon(t, "the rule holds", func() bool { return strings.Contains(city(), "the shop is closed (closed)") })
	})
	t.Run("a broken one", func(t *testing.T) {
		write(t, file, "package weir.rules.live\n\nthis is no rego\n")
		soon(t, "the status says so", func() bool { return strings.Contains(w.status(t).out, "problem       policy: ") })
		expect(t, w.status(t).out, "live.rego")
		expect(t, city(), "the shop is closed (closed)") // the last good one
	})
	t.Run("no rule any more", func(t *testing.T) {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		soon(t, "the shop is open", func() bool { return city() == customer().City })
		soon(t, "the problem is over", func() bool { return !strings.Contains(w.status(t).out, "problem") })
	})
	classes := w.Settings.Classification
	text, err := os.ReadFile(classes)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("a new class", func(t *testing.T) {
		write(t, classes, strings.Replace(string(text), "shop:\n", "shop:\n  public.customers.city: pii.ssn\n", 1))
		soon(t, "the city is masked", func() bool { return strings.HasPrefix(city(), "*") })
	})
	t.Run("a broken classification", func(t *testing.T) {
		write(t, classes, "shop: [")
		soon(t, "the status says so", func() bool { return strings.Contains(w.status(t).out, "problem       classification: ") })
		expect(t, city(), "*")
		answers(t, conn)
	})
}

// A target's transport changes while the gateway runs: its sessions of before have
// their time, and new ones come the other way.
func TestTransportChanges(t *testing.T) {
	once(t)
	w := own(t, stage.Options{Transport: "ext_proc", Edit: func(s *stage.Settings) { s.Extra = "drain: {targets: 5m}" }})
	first := w.pgx(t, w.agent(t), pgx.QueryExecModeExec)
	for _, to := range []string{"relay", "ext_proc"} {
		w.configure(t, func(s *stage.Settings) { s.Transport = to })
		soon(t, "the status says so", func() bool { return strings.Contains(w.status(t).out, "  "+to+"  ") })
		soon(t, "sessions come by "+to, func() bool {
			conn, err := w.dial(t.Context(), w.agent(t), nil)
			if err != nil {
				return false
			}
			defer func() { _ = conn.Close(context.Background()) }()
			return (w.metric(t, "weir_relay_connections_open") == "1") == (to == "relay")
		})
		answers(t, first)
	}
	expect(t, w.status(t).out, "!problem")
}
