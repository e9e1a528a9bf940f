package envoy_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/weir-gateway/weir/envoy"
)

// waitTime is how long a test waits for what must happen.
const waitTime = 30 * time.Second

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(waitTime); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

// running is a supervisor whose Run is under way.
type running struct {
	*envoy.Supervisor
	stop func() error // ends Run's context and returns what Run did
}

func supervise(t *testing.T, cfg envoy.Config, log *slog.Logger) running {
	t.Helper()
	s, err := envoy.New(cfg, log)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-done })
	t.Cleanup(func() { _ = stop() })
	return running{s, stop}
}

func ready(t *testing.T, s running) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTime)
	defer cancel()
	if err := s.Ready(ctx); err != nil {
		t.Fatal(err)
	}
}

// alone is a bootstrap that needs no xDS, so that Envoy is ready at once. It
// has one listener, on a port of its own choice, that leads nowhere.
func alone(admin string) []byte {
	return []byte(`
admin: {address: ` + admin + `}
static_resources:
  listeners:
  - name: l
    address: {socket_address: {address: 127.0.0.1, port_value: 0}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.echo
        typed_config: {"@type": type.googleapis.com/envoy.extensions.filters.network.echo.v3.Echo}
`)
}

func aloneConfig(t *testing.T) envoy.Config {
	dir := shortDir(t)
	return envoy.Config{
		Binary:      realEnvoy(t),
		Bootstrap:   alone(`{pipe: {path: ` + filepath.Join(dir, "admin.sock") + `}}`),
		Dir:         dir,
		Concurrency: 1,
	}
}

// alive is false for a process that has ended and that nobody has waited for.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil {
		_, rest, _ := bytes.Cut(stat, []byte(") "))
		return !bytes.HasPrefix(rest, []byte("Z"))
	}
	return syscall.Kill(pid, 0) == nil
}

func TestSupervisorRestartsAKilledEnvoy(t *testing.T) {
	s := supervise(t, aloneConfig(t), testLog(t))
	ready(t, s)
	first := s.Status().PID
	if err := syscall.Kill(first, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "another Envoy", func() bool { pid := s.Status().PID; return pid != 0 && pid != first })
	ready(t, s)
	if st := s.Status(); st.Restarts != 1 || !strings.Contains(st.LastExit, "killed") {
		t.Errorf("status %+v does not tell of one restart after a kill", st)
	}
}

func TestSupervisorStopsInTimeAndLeavesNothing(t *testing.T) {
	cfg := aloneConfig(t)
	cfg.StopTimeout = 5 * time.Second
	s := supervise(t, cfg, testLog(t))
	ready(t, s)
	pid := s.Status().PID
	start := time.Now()
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > cfg.StopTimeout {
		t.Errorf("stopping took %s", took)
	}
	if alive(pid) {
		t.Error("Envoy is still there")
	}
	if st := s.Status(); st.Running || st.PID != 0 {
		t.Errorf("status says %+v", st)
	}
}

func TestSupervisorStopsThoughAClientStays(t *testing.T) {
	dir := shortDir(t)
	cfg := aloneConfig(t)
	port := freePort(t)
	cfg.Bootstrap = bytes.Replace(alone(`{pipe: {path: `+filepath.Join(dir, "admin.sock")+`}}`), []byte("port_value: 0"), fmt.Appendf(nil, "port_value: %d", port), 1)
	cfg.StopTimeout = time.Second
	s := supervise(t, cfg, testLog(t))
	ready(t, s)
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	echo(t, conn)
	pid := s.Status().PID
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	if alive(pid) {
		t.Error("Envoy is still there")
	}
}

func TestSupervisorKillsAnEnvoyThatDoesNotStop(t *testing.T) {
	dir := t.TempDir()
	up := filepath.Join(dir, "up")
	cfg := envoy.Config{
		Binary:      envoy.Binary{Path: script(t, dir, "stubborn", `trap "" TERM; touch `+up+`; while :; do sleep 1; done`)},
		Bootstrap:   []byte("{}"),
		Dir:         dir,
		StopTimeout: time.Second,
	}
	s := supervise(t, cfg, testLog(t))
	waitFor(t, "the program", func() bool { _, err := os.Stat(up); return err == nil })
	pid := s.Status().PID
	if err := s.stop(); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the end of the whole group", func() bool { return syscall.Kill(-pid, 0) != nil })
}

func TestSupervisorFindsATCPAdminAddress(t *testing.T) {
	cfg := aloneConfig(t)
	cfg.Bootstrap = alone(`{socket_address: {address: 127.0.0.1, port_value: 0}}`)
	ready(t, supervise(t, cfg, testLog(t)))
}

func TestTwoSupervisorsOnOneMachine(t *testing.T) {
	ready(t, supervise(t, aloneConfig(t), testLog(t)))
	ready(t, supervise(t, aloneConfig(t), testLog(t)))
}

func TestSupervisorTellsWhyEnvoyDoesNotStart(t *testing.T) {
	cfg := aloneConfig(t)
	cfg.Bootstrap = []byte("static_resources: {clusters: [{name: x, nope: 1}]}")
	var log syncBuffer
	s := supervise(t, cfg, slog.New(slog.NewTextHandler(&log, nil)))
	waitFor(t, "a restart", func() bool { return s.Status().Restarts > 0 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := s.Ready(ctx)
	if err == nil || !strings.Contains(err.Error(), "nope") {
		t.Errorf("Ready says %v, not what is wrong", err)
	}
	if !strings.Contains(log.String(), "level=ERROR") || !strings.Contains(log.String(), "component=main") {
		t.Errorf("the log does not tell of it:\n%s", log.String())
	}
}

func TestSupervisorWithoutAProgram(t *testing.T) {
	s := supervise(t, envoy.Config{Binary: envoy.Binary{Path: "/none"}, Bootstrap: []byte("{}"), Dir: t.TempDir()}, testLog(t))
	if err := s.stop(); err == nil || !strings.Contains(err.Error(), "/none") {
		t.Errorf("Run says %v", err)
	}
}

func TestSupervisorGivesEnvoyFilesButNoSecrets(t *testing.T) {
	t.Setenv("ORDERS_PASSWORD", "hunter2")
	s := supervise(t, aloneConfig(t), testLog(t))
	ready(t, s)
	proc := fmt.Sprintf("/proc/%d/", s.Status().PID)
	env, err := os.ReadFile(proc + "environ")
	if err != nil {
		t.Skipf("this system shows no process's environment: %v", err)
	}
	if bytes.Contains(env, []byte("hunter2")) {
		t.Error("Envoy was given our environment")
	}
	limits, err := os.ReadFile(proc + "limits")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(limits)) {
		f := strings.Fields(line)
		if strings.HasPrefix(line, "Max open files") && f[3] != f[4] {
			t.Errorf("Envoy may open only %s of %s files", f[3], f[4])
		}
	}
}

const superviseForTest = "WEIR_TEST_SUPERVISE"

// superviseAndWait is this test's program started once more: a weir that is
// going to be killed. It prints the process id of its Envoy.
func superviseAndWait() {
	dir := os.Getenv(superviseForTest)
	bootstrap, err := os.ReadFile(filepath.Join(dir, "given.yaml"))
	if err != nil {
		panic(err)
	}
	s, err := envoy.New(envoy.Config{
		Binary: envoy.Binary{Path: os.Getenv("WEIR_TEST_BINARY")}, Bootstrap: bootstrap, Dir: dir, Concurrency: 1,
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	go func() { _ = s.Run(context.Background()) }()
	if err := s.Ready(context.Background()); err != nil {
		panic(err)
	}
	fmt.Println(s.Status().PID)
	select {}
}

func TestNoEnvoyOutlivesAKilledWeir(t *testing.T) {
	cfg := aloneConfig(t)
	if err := os.WriteFile(filepath.Join(cfg.Dir, "given.yaml"), cfg.Bootstrap, 0o600); err != nil {
		t.Fatal(err)
	}
	weir := exec.Command(os.Args[0])
	weir.Env = append(os.Environ(), superviseForTest+"="+cfg.Dir, "WEIR_TEST_BINARY="+cfg.Binary.Path)
	out, err := weir.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := weir.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = weir.Process.Kill(); _ = weir.Wait() })
	var pid int
	if _, err := fmt.Fscan(out, &pid); err != nil {
		t.Fatal(err)
	}
	if !alive(pid) {
		t.Fatal("there is no Envoy")
	}
	if err := weir.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = weir.Wait()
	waitFor(t, "Envoy's end", func() bool { return !alive(pid) })
}

func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

func echo(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.SetDeadline(time.Now().Add(waitTime)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
}

// syncBuffer is a buffer for several goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
