package engine

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-gateway/weir/integration/parts"
)

// The test binary is the child: with this variable it is the engine.
const childVariable = "WEIR_ENGINE_TEST_LIBRARY"

func TestMain(m *testing.M) {
	if library := os.Getenv(childVariable); library != "" {
		if err := Serve(library, os.Args[1:]); err != nil {
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
	s, err := New(t.Context(), Config{Program: os.Args[0], Dir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	eventually(t, func() bool { return query(s, "SELECT 1") == "1" })
	return s, func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
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

func query(s *Supervisor, sql string) string {
	resp, err := http.Post(s.URL(), "text/plain", strings.NewReader(sql))
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return strings.TrimSpace(string(body))
}

func TestDataSurvivesARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "clickhouse")
	s, stop := start(t, dir)
	if got := query(s, "CREATE TABLE default.t (n Int64) ENGINE = MergeTree ORDER BY n"); got != "" {
		t.Fatal(got)
	}
	if got := query(s, "INSERT INTO default.t SELECT number FROM numbers(1000)"); got != "" {
		t.Fatal(got)
	}
	stop()
	s, stop = start(t, dir)
	defer stop()
	if got := query(s, "SELECT count() FROM default.t"); got != "1000" {
		t.Errorf("got %s rows", got)
	}
}

func TestALibraryThatIsNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "libchdb.so")
	if err := os.WriteFile(path, []byte("not a library"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Serve(path, nil); err == nil || !strings.Contains(err.Error(), "cannot be loaded") {
		t.Errorf("got %v", err)
	}
}

func TestAnEngineThatEndsIsStartedAgain(t *testing.T) {
	program := filepath.Join(t.TempDir(), "engine")
	script := "#!/bin/sh\necho \"started\" >> " + filepath.Join(filepath.Dir(program), "starts") + "\necho no disk >&2\nexit 3\n"
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), Config{Program: program, Dir: filepath.Join(t.TempDir(), "data")}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	eventually(t, func() bool {
		starts, _ := os.ReadFile(filepath.Join(filepath.Dir(program), "starts"))
		return strings.Count(string(starts), "started") > 1
	})
	eventually(t, func() bool { err := s.Err(); return err != nil && strings.Contains(err.Error(), "no disk") })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
