package main

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/weir-gateway/weir/envoy"
	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/internal/app"
	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/policies"
)

func TestSummary(t *testing.T) {
	rate, done, err := summary("transaction type: <builtin: select only>\nnumber of transactions actually processed: 1234\n" +
		"latency average = 0.3 ms\ntps = 3271.5 (without initial connection time)\n")
	if err != nil || rate != 3271.5 || done != 1234 {
		t.Errorf("%v tps, %v done, %v", rate, done, err)
	}
	if _, _, err := summary("pgbench: nothing"); err == nil {
		t.Error("no error for no summary")
	}
}

func TestComplaint(t *testing.T) {
	err := complaint("progress\npgbench: error: client 0 aborted: ERROR:  refused by policy (x)\nmore\n", errors.New("exit 2"))
	if want := "pgbench: error: client 0 aborted: ERROR:  refused by policy (x)"; err.Error() != want {
		t.Errorf("got %q", err)
	}
}

func TestReadLog(t *testing.T) {
	file := filepath.Join(t.TempDir(), "log.1")
	if err := os.WriteFile(file, []byte("0 1 250 0 1700000000 1\n0 2 1250 0 1700000000 2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	times, err := readLog(file)
	if diff := cmp.Diff([]float64{0.25, 1.25}, times); diff != "" || err != nil {
		t.Error(diff, err)
	}
}

func TestMedianOfRounds(t *testing.T) {
	for want, of := range map[float64][]float64{2: {3, 1, 2}, 2.5: {4, 1, 3, 2}, 7: {7}} {
		if got := median(of); got != want {
			t.Errorf("median of %v: %v", of, got)
		}
	}
	// Round by round: 2/1, 9/3, 4/1. Medians over medians would be 4/1.
	if got := combine(quotient, []float64{2, 9, 4}, []float64{1, 3, 1}); got != 3 {
		t.Errorf("got %v", got)
	}
	if got := combine(quotient, nil, []float64{1}); !math.IsNaN(got) {
		t.Errorf("of nothing: %v", got)
	}
}

// traces is what `go tool pprof -traces` prints.
const traces = `File: weir
Type: cpu
Duration: 2s, Total samples = 100ms ( 5%)
-----------+-------------------------------------------------------
      60ms   internal/runtime/syscall/linux.Syscall6
             internal/poll.(*FD).Write (inline)
             google.golang.org/grpc/internal/transport.(*bufWriter).Flush
             github.com/weir-gateway/weir/extproc.(*stream).send
             github.com/weir-gateway/weir/extproc/postgres.(*session).flush
-----------+-------------------------------------------------------
      30ms   runtime.mallocgc
             github.com/go-json-experiment/json.Marshal
             github.com/weir-gateway/weir/recorder/event.Canonical
-----------+-------------------------------------------------------
      10ms   runtime.futex
             runtime.findRunnable
             runtime.schedule
             runtime.mcall
-----------+-------------------------------------------------------
`

func TestBreakDown(t *testing.T) {
	got, err := breakDown(traces)
	if err != nil {
		t.Fatal(err)
	}
	near := cmpopts.EquateApprox(0, 1e-9)
	if diff := cmp.Diff([]share{
		{name: "grpc-go", alone: 0.6, in: 0.6}, {name: "github.com/go-json-experiment/json", alone: 0.3, in: 0.3}, {name: ownerScheduler, alone: 0.1, in: 0.1},
		{name: "weir: extproc", in: 0.6}, {name: "weir: extproc/postgres", in: 0.6}, {name: "weir: recorder/event", in: 0.3},
	}, got.owners, cmp.AllowUnexported(share{}), cmpopts.IgnoreFields(share{}, "above"), near); diff != "" {
		t.Error(diff)
	}
	var own []string // the session only calls the stream: that one stands for both
	for _, f := range (profiled{breakdown: got}).ownFunctions() {
		own = append(own, f.name)
	}
	if diff := cmp.Diff([]string{module + "extproc.(*stream).send", module + "recorder/event.Canonical"}, own); diff != "" {
		t.Error(diff)
	}
	kinds := map[string]float64{}
	for _, k := range got.kinds {
		kinds[k.name] = k.alone
	}
	want := map[string]float64{"system calls (reads, writes, fsync)": 0.6, "allocating": 0.3, "handing over between goroutines (scheduler, futex, poller)": 0.1}
	if diff := cmp.Diff(want, kinds, near); diff != "" {
		t.Error(diff)
	}
	if got.total != 100*time.Millisecond || got.functions[0].name != "internal/runtime/syscall/linux.Syscall6" {
		t.Errorf("%s, %v", got.total, got.functions[0])
	}
	if _, err := breakDown("File: weir\n"); err == nil {
		t.Error("no error for an empty profile")
	}
}

// The results of a run, as far as a person can check them.
func TestReport(t *testing.T) {
	cells := func(values ...float64) (out []cell) {
		for _, v := range values {
			out = append(out, cell{outcome: outcome{v, 100}, used: map[string]usage{roleProcessor: {700, 10 * time.Millisecond}}})
		}
		return out
	}
	o := options{rounds: 2, only: regexp.MustCompile("")}
	res := &results{
		workloads: workloads(o)[:2],
		routes:    []*route{{id: routeDirect, label: "direct"}, {id: routeEcho, label: "echo"}, {id: routeBuffered, label: "weir, buffered"}, {id: routeDurable, label: "weir, durable"}},
		cells: map[string]map[string][]cell{
			"select-1":  {routeDirect: cells(0.1, 0.1), routeEcho: cells(0.3, 0.3), routeBuffered: cells(0.35, 0.37)},
			"select-40": {routeEcho: cells(10000, 10000), routeBuffered: cells(9000, 9000), routeDurable: cells(7200, 7200)},
		},
		failed: map[string]map[string]error{"select-1": {routeDurable: errors.New("FATAL: no\nspool")}},
	}
	file := filepath.Join(t.TempDir(), "RESULTS.md")
	for range 2 { // the second time it is there
		if err := (report{machine: machine{{"date", "today"}}, options: o, results: res, others: others{before: 0.5}}).write(file); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"| date | today |", "**Others were at work",
			"| 1 client, `pgbench -S -M prepared` (ms) | 0.100 | 0.300 | 0.360 | refused |",
			"| weir, buffered | 0.360 | 0.350 to 0.370 | 3.60 | 1.20 | 0.260 | 1.30 | 7.0 |  | 100 |",
			"weir, durable: `FATAL: no spool`",
			"over what the echo adds | at most 1.25 | 1.30 |",
			"| 40 clients, durable, over buffered | at least 0.7 | 0.80 |",
			"| connect, sign in, SELECT 1, close, buffered, over the echo | at most 1.15 | not measured |",
		} {
			if !strings.Contains(string(text), want) {
				t.Errorf("no %q in\n%s", want, text)
			}
		}
		if err := os.WriteFile(file, append(text, "By hand.\n"...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if text, _ := os.ReadFile(file); strings.Count(string(text), "By hand.") != 2 {
		t.Errorf("what was written by hand is gone:\n%s", text)
	}
}

// What the gateway is given must hold without a run.
func TestGatewaysFiles(t *testing.T) {
	classes, err := app.LoadClasses("classification.yaml")
	if err != nil {
		t.Fatal(err)
	}
	r, err := policies.Check(policies.Config{Bundle: "policy"}, classes)
	if err != nil || len(r.Errors) > 0 {
		t.Errorf("%v %v", err, r.Errors)
	}
	rig := &rig{ports: ports{upstream: 1, buffered: 2, durable: 3, relayBuffered: 8, relayDurable: 9, headers: 4, headersDurable: 5, json: 6, jsonDurable: 7}}
	text := "identity: {issuers: [{url: \"http://127.0.0.1:9\"}]}\ntargets:\n" + rig.targets("127.0.0.1:5432")
	cfg, err := config.Parse([]byte(text), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if got := len(cfg.Targets); got != 8 {
		t.Errorf("%d targets", got)
	}
	for name, target := range cfg.Targets {
		if target.Kind == config.Postgres && !classes.Classified(name) {
			t.Errorf("nothing is masked at %s", name)
		}
	}
}

func TestEnvoyTakesTheConfigurations(t *testing.T) {
	paths := parts.Need(t, parts.Envoy)
	for _, c := range []envoyConfig{
		{name: "proxy", template: "proxy", Postgres: 1, JSON: 2, ToPostgres: 3, ToHTTP: 4},
		{name: "processor", template: "processor", Postgres: 1, ToPostgres: 3, ToHTTP: 4, Processor: "/s", HTTP: []envoyHTTP{{5, headersAlone}, {6, withBodies}}},
	} {
		text, err := c.text()
		if err != nil {
			t.Fatal(err)
		}
		if err := (envoy.Binary{Path: paths.Envoy}).Validate(t.Context(), text); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
