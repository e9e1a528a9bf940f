package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/integration/stage"
	"github.com/weir-gateway/weir/internal/gate"
)

// descendants are the processes below one, by id, with their command lines.
func descendants(t *testing.T, pid int) map[int]string {
	t.Helper()
	parents := map[int]int{}
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Skip("there is no /proc")
	}
	for _, file := range stats {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// Its name stands in brackets and may hold anything.
		rest := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		child, _ := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		parents[child], _ = strconv.Atoi(rest[1])
	}
	found := map[int]string{}
	for child := range parents {
		for p := parents[child]; p > 1; p = parents[p] {
			if p == pid {
				line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
				found[child] = strings.ReplaceAll(string(line), "\x00", " ")
				break
			}
		}
	}
	return found
}

// alive are those that still run.
func alive(pids map[int]string) []string {
	var out []string
	for pid, line := range pids {
		now, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if err == nil && len(now) > 0 && strings.ReplaceAll(string(now), "\x00", " ") == line {
			out = append(out, fmt.Sprintf("%d %s", pid, line))
		}
	}
	return out
}

// child is the process below the gateway whose command line holds a word.
func (w *world) child(t *testing.T, word string) int {
	t.Helper()
	for pid, line := range descendants(t, w.Gateway().Pid()) {
		if strings.Contains(line, word) {
			return pid
		}
	}
	t.Fatalf("no child %s", word)
	return 0
}

func TestStopEndsAll(t *testing.T) {
	w := own(t, stage.Options{})
	idle := w.pgx(t, w.agent(t), pgx.QueryExecModeExec)
	busy := w.pgx(t, w.agent(t), pgx.QueryExecModeExec)
	last := make(chan error, 1)
	go func() {
		_, err := busy.Exec(context.Background(), "select pg_sleep(60) /* busy */")
		last <- err
	}()
	soon(t, "the statement runs", func() bool {
		return w.direct(t, "select count(*)::text from pg_stat_activity where query like 'select pg_sleep(60) /* busy */%' and state = 'active'") == "1"
	})
	h := w.hold(t, w.agent(t), "create table never (id int);\n")
	children := descendants(t, w.Gateway().Pid())
	if len(children) == 0 {
		t.Fatal("the gateway has no children")
	}
	gateway := w.Gateway()
	begin := time.Now()
	if err := w.StopGateway(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(begin)
	if err := gateway.Err(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	if left := alive(children); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
	if took > 5*time.Second {
		t.Errorf("it took %s to end", took)
	}
	for name, err := range map[string]error{"idle": ends(t, idle), "busy": <-last} {
		e := refused(t, err)
		if e.Code != "57P01" || e.Severity != "FATAL" || e.Message != "the session ends because the gateway stops" {
			t.Errorf("the %s session: %+v", name, e)
		}
	}
	expect(t, h.result(t).String(), "FATAL:  57P01: the session ends because the gateway stops", "!CREATE TABLE")
	soon(t, "PostgreSQL is rid of its sessions", func() bool {
		return w.direct(t, "select count(*)::text from pg_stat_activity where usename = 'weir_shop' and state <> 'active'") == "0"
	})
}

func TestSecondGatewayIsRefused(t *testing.T) {
	once(t)
	w := shared(t)
	got := w.weir(t, nil, "up")
	expect(t, got.err, "weir: another weir is running on "+w.Path("weir-data")+"; stop it, or choose another folder (data:)")
	if got.code != 1 {
		t.Errorf("exit %d", got.code)
	}
	expect(t, w.signs(t, w.agent(t)).out, "in\n") // the first goes on
}

func TestRestartContinues(t *testing.T) {
	once(t)
	w := own(t, stage.Options{})
	ann := w.mint(t, stage.Approver, person("dba"))
	h := w.hold(t, w.agent(t), "create table before_restart (id int);\n")
	expect(t, w.vote(t, ann, "approve", h.id, "ticket 1").out, "it is approved")
	if end := h.result(t); end.code != 0 {
		t.Fatal(end)
	}
	before := w.sessionOf(t, stage.Agent)
	ca := w.weir(t, nil, "ca").out
	hash := w.psql(t, w.agent(t), "select email from customers where id = 42;\n").out
	if err := w.StopGateway(); err != nil {
		t.Fatal(err)
	}
	if err := w.raise(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a := w.state(t, h.id); a.State != gate.Approved || a.Votes[0].Reason != "ticket 1" {
		t.Errorf("the approval of before: %+v", a)
	}
	soon(t, "ClickHouse answers", func() bool { return w.weir(t, nil, "sessions", "show", before.ID).code == 0 })
	expect(t, w.weir(t, nil, "replay", before.ID).out, "create table before_restart", "approved by ann")
	if got := w.weir(t, nil, "ca").out; got != ca || ca == "" {
		t.Error("the development CA is another one")
	}
	if got := w.psql(t, w.agent(t), "select email from customers where id = 42;\n").out; got != hash {
		t.Errorf("a hash was %q and is %q", hash, got)
	}
}

func TestKilledGatewayLeavesNothing(t *testing.T) {
	w := own(t, stage.Options{})
	conn := w.pgx(t, w.agent(t), pgx.QueryExecModeExec)
	children := descendants(t, w.Gateway().Pid())
	gateway := w.Gateway()
	if err := gateway.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-gateway.Done()
	if err := ends(t, conn); err == nil {
		t.Error("the session went on")
	}
	soon(t, "its children are gone", func() bool { return len(alive(children)) == 0 })
	if err := w.raise(t.Context()); err != nil {
		t.Fatal(err)
	}
	expect(t, w.signs(t, w.agent(t)).out, "in\n")
	expect(t, w.status(t).out, "!problem")
}

// Envoy is started again when it has died, and what it carried has ended.
func TestEnvoyDies(t *testing.T) {
	w := own(t, stage.Options{})
	conn := w.pgx(t, w.agent(t), pgx.QueryExecModeExec)
	if err := syscall.Kill(w.child(t, "bootstrap.yaml"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := ends(t, conn); err == nil {
		t.Error("the session went on")
	}
	soon(t, "a new Envoy serves", func() bool { return w.signs(t, w.agent(t)).code == 0 })
	soon(t, "the gateway is ready again", func() bool { return w.Ready(t.Context()) })
	expect(t, w.GatewayLog(), "envoy ended; it is started again")
	expect(t, w.curl(t, w.agent(t), "/customers/1").out, "200 OK")
}
