package engine

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-gateway/weir/integration/parts"
)

// The test binary is the child: with this variable it is the engine.
const childVariable = "WEIR_ENGINE_TEST_LIBRARY"

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		if err := Serve(path, os.Args[1:]); err != nil {
			_, _ = io.WriteString(os.Stderr, err.Error())
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// start runs an engine and waits until it answers.
func start(t *testing.T, dir string) (s *Supervisor, stop func()) {
	t.Helper()
	t.Setenv(childVariable, parts.Need(t, parts.CHDB).LibCHDB)
	return run(t, Config{Program: os.Args[0], Dir: dir, AuditorViews: []string{"denials"}})
}

func run(t *testing.T, cfg Config) (s *Supervisor, stop func()) {
	t.Helper()
	s, err := New(t.Context(), cfg, slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	waiting, done := context.WithTimeout(t.Context(), time.Minute)
	defer done()
	if err := s.Ready(waiting); err != nil {
		stop()
		t.Fatal(err)
	}
	return s, stop
}

func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("it did not come about")
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// as asks over HTTP as a user.
func as(s *Supervisor, user, password, sql string) string {
	req, err := http.NewRequest(http.MethodPost, s.URL(), strings.NewReader(sql))
	if err != nil {
		return err.Error()
	}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return strings.TrimSpace(string(body))
}

func query(s *Supervisor, sql string) string { return as(s, Owner, s.owner, sql) }

func mustQuery(t *testing.T, s *Supervisor, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if got := query(s, sql); got != "" {
			t.Fatalf("%s: %s", sql, got)
		}
	}
}

func TestDataSurvivesARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "clickhouse & <more>")
	s, stop := start(t, dir)
	mustQuery(t, s, "CREATE TABLE default.t (n Int64) ENGINE = MergeTree ORDER BY n", "INSERT INTO default.t SELECT number FROM numbers(1000)")
	stop()
	s, stop = start(t, dir)
	defer stop()
	if got := query(s, "SELECT count() FROM default.t"); got != "1000" {
		t.Errorf("got %s rows", got)
	}
}

func TestDataSurviveAKill(t *testing.T) {
	s, stop := start(t, filepath.Join(t.TempDir(), "clickhouse"))
	defer stop()
	mustQuery(t, s, "CREATE TABLE default.t (n Int64) ENGINE = MergeTree ORDER BY n", "INSERT INTO default.t SELECT number FROM numbers(1000)")
	if err := syscall.Kill(enginePID(t, s), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return s.Err() != nil })
	eventually(t, func() bool { return query(s, "SELECT count() FROM default.t") == "1000" })
	if err := s.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

// enginePID reads what the engine wrote about itself.
func enginePID(t *testing.T, s *Supervisor) int {
	t.Helper()
	status, err := os.ReadFile(filepath.Join(s.cfg.Dir, "status"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(status), "\n")
	pid, err := strconv.Atoi(strings.TrimPrefix(first, "PID: "))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestNothingIsLeftBehind(t *testing.T) {
	s, stop := start(t, filepath.Join(t.TempDir(), "clickhouse"))
	pid := enginePID(t, s)
	began := time.Now()
	stop()
	if err := syscall.Kill(pid, 0); err == nil {
		t.Errorf("process %d is still there", pid)
	}
	t.Logf("ended in %v", time.Since(began))
}

func TestOnlyTheOwnerAndTheAuditorReadIt(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "clickhouse")
	s, stop := start(t, dir)
	defer stop()
	mustQuery(t, s, "CREATE DATABASE weir", "CREATE TABLE weir.events (n Int64) ENGINE = MergeTree ORDER BY n", "INSERT INTO weir.events VALUES (7)",
		"CREATE VIEW weir.denials DEFINER = CURRENT_USER SQL SECURITY DEFINER AS SELECT n FROM weir.events")
	for _, sql := range []string{
		"SELECT * FROM weir.events", "SELECT * FROM weir.denials", "INSERT INTO weir.events VALUES (8)", "DROP TABLE weir.events",
		"SELECT * FROM file('/etc/passwd', 'LineAsString', 'l String')", "SYSTEM SHUTDOWN", "SELECT * FROM system.processes",
	} {
		for user, password := range map[string]string{"": "", Owner: "guess", Auditor: ""} {
			if got := as(s, user, password, sql); !strings.Contains(got, "USER_SESSION_LIMIT_EXCEEDED") && !strings.Contains(got, "AUTHENTICATION_FAILED") {
				t.Errorf("%q may %s: %s", user, sql, got)
			}
		}
	}
	url, err := os.ReadFile(filepath.Join(dir, AuditorFile))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(url), Auditor+":"+s.auditor+"@") {
		t.Errorf("the auditor's URL is %s", url)
	}
	if got := as(s, Auditor, s.auditor, "SELECT n FROM weir.denials"); got != "7" {
		t.Errorf("the auditor reads %s", got)
	}
	for _, sql := range []string{"SELECT * FROM weir.events", "INSERT INTO weir.events VALUES (8)", "DROP VIEW weir.denials"} {
		if got := as(s, Auditor, s.auditor, sql); !strings.Contains(got, "ACCESS_DENIED") && !strings.Contains(got, "READONLY") {
			t.Errorf("the auditor may %s: %s", sql, got)
		}
	}
}

// clickhouse local has a function that reads any file and asks no privilege for
// it, and its own account has no password.
func TestNobodyReadsFilesOfTheMachine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "clickhouse")
	secret := filepath.Join(filepath.Dir(dir), "secrets.key")
	if err := os.WriteFile(secret, []byte("AGE-SECRET-KEY"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SHOP_PASSWORD", "AGE-SECRET-KEY")
	s, stop := start(t, dir)
	defer stop()
	for _, sql := range []string{"SYSTEM STOP LISTEN TCP", "SELECT 1", "SELECT file('" + filepath.Join(dir, AuditorFile) + "')"} {
		if got := as(s, "default", "", sql); !strings.Contains(got, "USER_SESSION_LIMIT_EXCEEDED") {
			t.Errorf("without a password: %s: %s", sql, got)
		}
	}
	for user, password := range map[string]string{Auditor: s.auditor, Owner: s.owner} {
		for _, path := range []string{secret, "/etc/passwd", "/proc/self/environ", "/proc/1/environ", "/proc/self/root" + secret, dir + "/../secrets.key"} {
			if got := as(s, user, password, "SELECT file('"+path+"')"); strings.Contains(got, "AGE-SECRET-KEY") || strings.Contains(got, "root:") {
				t.Errorf("%s reads %s: %s", user, path, got)
			}
		}
	}
}

func TestALibraryThatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(path, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv(confined, "1") // this process is to go on
	if err := Serve(path, nil); err == nil || !strings.Contains(err.Error(), "cannot be loaded") {
		t.Errorf("got %v", err)
	}
}

// script writes a program of a few lines.
func script(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnEngineThatEndsIsStartedAgain(t *testing.T) {
	starts := filepath.Join(t.TempDir(), "starts")
	program := script(t, "engine", "echo \"started\" >> "+starts+"\necho no disk >&2\nexit 3\n")
	s, err := New(t.Context(), Config{Program: program, Dir: filepath.Join(t.TempDir(), "data")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	eventually(t, func() bool {
		text, _ := os.ReadFile(starts)
		return strings.Count(string(text), "started") > 1
	})
	eventually(t, func() bool { err := s.Err(); return err != nil && strings.Contains(err.Error(), "no disk") })
	short, done := context.WithTimeout(t.Context(), time.Millisecond)
	defer done()
	if err := s.Ready(short); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("ready: %v", err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAClickHouseThatCannotServeIsReplaced(t *testing.T) {
	t.Setenv(childVariable, parts.Need(t, parts.CHDB).LibCHDB)
	// The program becomes the test binary only with the argument of the fallback.
	program := script(t, "engine", `[ "$1" = new ] || { echo "unknown option"; exit 2; }
shift
exec `+os.Args[0]+` "$@"
`)
	s, stop := run(t, Config{Program: program, Args: []string{"old"}, Fallback: []string{"new"}, Dir: filepath.Join(t.TempDir(), "data")})
	defer stop()
	if got := query(s, "SELECT 1"); got != "1" {
		t.Errorf("got %s", got)
	}
}

// TestAClickHouseProgram stands in for the user's own program: a script that
// turns into the library's engine.
func TestAClickHouseProgram(t *testing.T) {
	library := parts.Need(t, parts.CHDB).LibCHDB
	program := script(t, "clickhouse", `[ "$1" = local ] || exit 2
shift
`+childVariable+`=`+library+` exec `+os.Args[0]+` "$@" 0<&3
`)
	wrapper := script(t, "wrapper", confined+"=1 "+childVariable+`=`+program+` exec `+os.Args[0]+` "$@" 3<&0
`)
	s, stop := run(t, Config{Program: wrapper, Dir: filepath.Join(t.TempDir(), "data")})
	pid := enginePID(t, s)
	if got := query(s, "SELECT 1"); got != "1" {
		t.Errorf("got %s", got)
	}
	stop()
	eventually(t, func() bool { return syscall.Kill(pid, 0) != nil })
}

func TestLogIsLevelled(t *testing.T) {
	var out strings.Builder
	words := copyLog(strings.NewReader(`2026.07.01 10:00:00.123456 [ 1 ] {} <Error> MergeTree: broken part
0. ? @ 0x000000001c8fa4b3

2026.07.01 10:00:00.123457 [ 1 ] {abc} <Warning> Context: slow disk
2026.07.01 10:00:00.123458 [ 1 ] {abc} <Error> executeQuery: Code: 62. DB::Exception: Syntax error. (SYNTAX_ERROR) (version 26.7) (from 127.0.0.1:1) (in query: INSERT hunter2), Stack trace (when copying
plain words
`), slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	for _, want := range []string{`level=WARN msg="MergeTree: broken part"`, `level=DEBUG msg="Context: slow disk"`, `level=DEBUG msg="plain words"`, "(SYNTAX_ERROR)\"\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %s in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "0x0000") || strings.Contains(out.String(), "hunter2") || !strings.HasSuffix(words, "plain words") {
		t.Errorf("words %q, log\n%s", words, &out)
	}
}

// TestEngineYieldsTheProcessor: its threads have a lower priority. As root it
// raises the one of its own that watches its memory.
func TestEngineYieldsTheProcessor(t *testing.T) {
	s, stop := start(t, filepath.Join(t.TempDir(), "clickhouse"))
	defer stop()
	threads, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(enginePID(t, s)), "task", "*"))
	if err != nil || len(threads) == 0 {
		t.Skip("no /proc here")
	}
	checked := 0
	for _, thread := range threads {
		stat, err := os.ReadFile(filepath.Join(thread, "stat"))
		if err != nil {
			continue // it has ended
		}
		head, fields, _ := strings.Cut(string(stat), ") ")
		if strings.HasSuffix(head, "(MemoryWorker") {
			continue
		}
		if nice := strings.Fields(fields)[16]; nice != strconv.Itoa(niceness) { // proc_pid_stat(5)
			t.Errorf("%s) has niceness %s", head, nice)
		}
		checked++
	}
	if checked == 0 {
		t.Error("it has no threads")
	}
}
