package clickhouse

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weir-gateway/weir/internal/gate"
)

type allowing struct{}

func (allowing) Decide(context.Context, *gate.Input) (gate.Decision, error) {
	return gate.Decision{ID: gate.NewID(), Effect: gate.Allow, Revision: strings.Repeat("5f2c", 16), Millis: 0.0625, Rules: []string{"support"},
		Mask: []gate.Mask{{Class: "pii.ssn", MaskSpec: gate.MaskSpec{With: "partial", KeepLast: 4}}}}, nil
}

type noApprovals struct{}

func (noApprovals) Request(context.Context, *gate.Approval) error { return nil }
func (noApprovals) Wait(context.Context, string) (*gate.Approval, error) {
	return &gate.Approval{}, nil
}

// BenchmarkWay is the whole way of a small statement's evidence, from the gate
// to ClickHouse, with 40 sessions that pause 5 ms between statements. What it
// takes of the processor is what counts: this process's and the engine's.
func BenchmarkWay(b *testing.B) {
	b.Run("buffered", func(b *testing.B) { benchmarkWay(b, true) })
	b.Run("durable", func(b *testing.B) { benchmarkWay(b, false) })
}

func benchmarkWay(b *testing.B, buffered bool) {
	r := newRig(b)
	if err := r.engine.Ready(b.Context()); err != nil {
		b.Fatal(err)
	}
	g, err := gate.New(allowing{}, noApprovals{}, r.recorder, r.log)
	if err != nil {
		b.Fatal(err)
	}
	sink, _ := r.startSink()
	settle := func() {
		eventually(b, "ClickHouse has all", func() bool { return sink.Err() == nil && sink.empty(b.Context()) })
	}
	settle()
	const sessions = 40
	own, engine := cpuTime(b, os.Getpid()), cpuTime(b, r.enginePID())
	b.ReportAllocs()
	b.ResetTimer()
	var running sync.WaitGroup
	for i := range sessions {
		running.Go(func() { r.statements(g, (b.N+i)/sessions, buffered) })
	}
	running.Wait()
	settle()
	b.ReportMetric(float64(cpuTime(b, os.Getpid())-own)/float64(b.N)/1e3, "own-µs/op")
	b.ReportMetric(float64(cpuTime(b, r.enginePID())-engine)/float64(b.N)/1e3, "engine-µs/op")
}

// statements is a session with n statements.
func (r *rig) statements(g *gate.Gate, n int, buffered bool) {
	ctx := context.Background()
	s := &gate.Session{ID: gate.NewID(), Started: time.Now(), Database: "shop", Client: gate.Client{Address: "127.0.0.1:40000", Application: "pgbench"},
		Principal: gate.Principal{Subject: "agent-1", Issuer: "https://login.example/t/v2.0", Roles: []string{"group:support", "role:reader"}, Auth: "oidc",
			Claims: map[string]any{"aud": "weir", "azp": "x", "exp": 1.764e9, "iat": 1.764e9, "idtyp": "app", "tid": "5f2c"}},
		Target: gate.Target{Name: "orders", Kind: "postgres", Labels: map[string]string{"env": "prod"}, Buffered: buffered},
	}
	if _, err := g.Open(ctx, s); err != nil {
		r.t.Error(err)
	}
	request, response := make([]byte, 60), make([]byte, 90)
	for range n {
		op := &gate.Operation{
			Protocol: "postgres", Action: "select", Text: "select abalance from pgbench_accounts where aid = $1", Fingerprint: "50fde20626009aba", Risks: []string{},
			SQL: &gate.SQL{
				Statements: []gate.Statement{{Action: "select", Text: "select abalance from pgbench_accounts where aid = $1"}},
				Parameters: []any{gate.NewID()[:6]}, Functions: []string{},
				Tables: []gate.Table{{Schema: "public", Name: "pgbench_accounts", Access: "read"}},
				Columns: []gate.Column{
					{Schema: "public", Table: "pgbench_accounts", Name: "abalance", Classes: []string{}, Use: "output"},
					{Schema: "public", Table: "pgbench_accounts", Name: "aid", Classes: []string{}, Use: "filter"},
				},
			},
		}
		if _, err := g.Check(ctx, s, op, nil); err != nil {
			r.t.Error(err)
		}
		for stream, data := range map[gate.Stream][]byte{gate.RequestStream: request, gate.ResponseStream: response} {
			if err := g.Payload(ctx, s, op.ID, stream, data); err != nil {
				r.t.Error(err)
			}
		}
		if err := g.Complete(ctx, s, op.ID, gate.Outcome{Status: "ok", Tag: "SELECT 1", Rows: 1, Bytes: 77, Millis: 1.5, Digest: strings.Repeat("5f2c", 16)}); err != nil {
			r.t.Error(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (r *rig) enginePID() int {
	r.t.Helper()
	status, err := os.ReadFile(filepath.Join(r.dir, "clickhouse", "status"))
	if err != nil {
		r.t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(status), "\n")
	pid, err := strconv.Atoi(strings.TrimPrefix(first, "PID: "))
	if err != nil {
		r.t.Fatal(err)
	}
	return pid
}

// cpuTime is what a process has had of the processors.
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	if pid == os.Getpid() {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	stat, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		b.Skip(err)
	}
	_, fields, _ := strings.Cut(string(stat), ") ")
	ticks := 0
	for _, field := range strings.Fields(fields)[11:13] { // utime, stime: proc(5)
		n, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
