package spool

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"
)

// childDir makes the test binary append to a spool until it is killed.
const childDir = "WEIR_SPOOL_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		appendForEver(dir)
	}
	goleak.VerifyTestMain(m)
}

func appendForEver(dir string) {
	s, err := Open(context.Background(), Config{Dir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	for i := 1; ; i++ {
		if err := s.Append(context.Background(), Events, []byte(strconv.Itoa(i))); err != nil {
			panic(err)
		}
		fmt.Println(i)
	}
}

func testLog(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
}

func openSpool(t testing.TB, cfg Config) *Spool {
	t.Helper()
	if cfg.Dir == "" && cfg.URL == "" {
		cfg.Dir = t.TempDir()
	}
	s, err := Open(t.Context(), cfg, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// externalURL starts a NATS of its own on a free port.
func externalURL(t testing.TB) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS did not start")
	}
	return s.ClientURL()
}

// eachKind runs a test on an embedded spool and on an external one.
func eachKind(t *testing.T, f func(t *testing.T, cfg Config)) {
	t.Run("embedded", func(t *testing.T) { f(t, Config{Dir: t.TempDir()}) })
	t.Run("external", func(t *testing.T) { f(t, Config{URL: externalURL(t), Replicas: 1}) })
}

func appendAll(t testing.TB, s *Spool, lane Lane, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err := s.Append(t.Context(), lane, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
}

// readTexts reads n messages.
func readTexts(t testing.TB, q *Queue, after uint64, n int) []string {
	t.Helper()
	r, err := q.Read(t.Context(), after)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	var out []string
	for range n {
		m, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, string(m.Data))
	}
	return out
}

func TestReadsWhatWasAppendedInOrder(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg Config) {
		s := openSpool(t, cfg)
		appendAll(t, s, Events, "a")
		appendAll(t, s, Cuts, "b")
		appendAll(t, s, Payloads, "x")
		appendAll(t, s, Events, "c")
		if got := readTexts(t, s.EventQueue(), 0, 3); strings.Join(got, "") != "abc" {
			t.Errorf("events: %q", got)
		}
		if got := readTexts(t, s.EventQueue(), 2, 1); got[0] != "c" {
			t.Errorf("after 2: %q", got)
		}
		if got := readTexts(t, s.PayloadQueue(), 0, 1); got[0] != "x" {
			t.Errorf("payloads: %q", got)
		}
	})
}

func TestReaderWaitsForTheNext(t *testing.T) {
	s := openSpool(t, Config{})
	r, err := s.EventQueue().Read(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Stop()
	short, done := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer done()
	if _, err := r.Next(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nothing there: %v", err)
	}
	appendAll(t, s, Events, "late")
	m, err := r.Next(t.Context())
	if err != nil || string(m.Data) != "late" || m.Lane != Events || m.Seq != 1 {
		t.Errorf("got %+v, %v", m, err)
	}
}

func TestReopenedSpoolHoldsAll(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), Config{Dir: dir}, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	appendAll(t, s, Events, "1", "2", "3")
	c, err := s.EventQueue().SetCursor(t.Context(), Cursor{Done: 1, Plan: 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, Config{Dir: dir})
	got, err := s.EventQueue().Cursor(t.Context())
	if err != nil || got != c {
		t.Errorf("cursor %+v, %v; want %+v", got, err, c)
	}
	if got := readTexts(t, s.EventQueue(), got.Done, 2); strings.Join(got, "") != "23" {
		t.Errorf("got %q", got)
	}
}

func TestKilledSpoolHoldsAllThatWasAcknowledged(t *testing.T) {
	dir := t.TempDir()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childDir+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if acknowledged, err = strconv.Atoi(lines.Text()); err != nil {
			t.Fatal(err)
		}
		if acknowledged == 500 {
			_ = child.Process.Kill()
		}
	}
	_ = child.Wait()
	if acknowledged < 500 {
		t.Fatalf("the child stopped after %d", acknowledged)
	}
	s := openSpool(t, Config{Dir: dir})
	for i, text := range readTexts(t, s.EventQueue(), 0, acknowledged) {
		if text != strconv.Itoa(i+1) {
			t.Fatalf("message %d is %q", i+1, text)
		}
	}
}

func TestFullSpoolRefusesAndKeepsTheOld(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg Config) {
		cfg.MaxBytes = 64 << 10 // 16 KiB of events
		s := openSpool(t, cfg)
		kilo := strings.Repeat("k", 1<<10)
		n, taken := 0, 0
		var err error
		for ; err == nil; n++ {
			if err = s.Append(t.Context(), Events, fmt.Appendf(nil, "%4d%s", n+1, kilo)); err == nil {
				taken++
			}
		}
		if !errors.Is(err, ErrFull) {
			t.Fatalf("after %d: %v", n, err)
		}
		appendAll(t, s, Payloads, "payloads have a bound of their own")
		// All that was taken comes, in its order, as fast as it is released.
		r, err := s.EventQueue().Read(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Stop()
		for i := range taken {
			m, err := r.Next(t.Context())
			if err != nil || string(m.Data) != fmt.Sprintf("%4d%s", i+1, kilo) || m.Seq != uint64(i+1) {
				t.Fatalf("message %d: %d %.4s, %v", i+1, m.Seq, m.Data, err)
			}
			if i == 0 {
				b, err := s.EventQueue().Backlog(t.Context())
				if err != nil || b.First != 1 || b.Last > uint64(taken) || b.Oldest.IsZero() {
					t.Errorf("backlog %+v, %v", b, err)
				}
			}
			if err := s.EventQueue().Release(t.Context(), m.Seq); err != nil {
				t.Fatal(err)
			}
		}
		appendAll(t, s, Events, kilo, kilo)
	})
}

func TestReleaseOfAllKeepsCounting(t *testing.T) {
	s := openSpool(t, Config{})
	appendAll(t, s, Events, "1", "2")
	readTexts(t, s.EventQueue(), 0, 2)
	if err := s.EventQueue().Release(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	appendAll(t, s, Events, "3")
	if got := readTexts(t, s.EventQueue(), 2, 1); got[0] != "3" {
		t.Errorf("got %q", got)
	}
	b, err := s.EventQueue().Backlog(t.Context())
	if err != nil || b.First != 3 || b.Last != 3 {
		t.Errorf("backlog %+v, %v", b, err)
	}
}

func TestTooLargeAMessageIsRefused(t *testing.T) {
	s := openSpool(t, Config{})
	err := s.Append(t.Context(), Events, make([]byte, s.MaxMessage()+1))
	if !errors.Is(err, ErrRefused) {
		t.Errorf("got %v", err)
	}
	appendAll(t, s, Events, strings.Repeat("x", s.MaxMessage()-4096))
}

func TestNearlyFullDiskRefuses(t *testing.T) {
	s := openSpool(t, Config{MinFree: 1 << 60})
	if err := s.Append(t.Context(), Events, []byte("x")); !errors.Is(err, ErrFull) {
		t.Errorf("got %v", err)
	}
}

func TestDeadServerRefusesAtOnce(t *testing.T) {
	s := openSpool(t, Config{})
	if err := s.server.server.ShutdownJetStream(); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), Events, []byte("x")); !errors.Is(err, ErrRefused) {
		t.Errorf("JetStream down: %v", err)
	}
	s.server.shutdown()
	deadline := time.Now().Add(10 * time.Second)
	for s.conn.IsConnected() && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if err := s.Append(t.Context(), Events, []byte("x")); !errors.Is(err, ErrRefused) {
		t.Errorf("server down: %v", err)
	}
}

func TestCursorHasOneMover(t *testing.T) {
	eachKind(t, func(t *testing.T, cfg Config) {
		q := openSpool(t, cfg).EventQueue()
		a, err := q.Cursor(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b := a
		a.Plan = 5
		if a, err = q.SetCursor(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		b.Plan = 7
		if _, err := q.SetCursor(t.Context(), b); !errors.Is(err, ErrMoved) {
			t.Errorf("the second mover: %v", err)
		}
		a.Done = 5
		if _, err := q.SetCursor(t.Context(), a); err != nil {
			t.Error(err)
		}
	})
}

func TestOneGatewayLeads(t *testing.T) {
	url := externalURL(t)
	first := openSpool(t, Config{URL: url, Replicas: 1}).EventQueue()
	second := openSpool(t, Config{URL: url, Replicas: 1}).EventQueue()
	leading, resign, err := first.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	short, done := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer done()
	if _, _, err := second.Lead(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("two lead: %v", err)
	}
	if leading.Err() != nil {
		t.Fatal("the first lost its lease")
	}
	resign()
	_, resign, err = second.Lead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	resign()
}

func TestConfigMistakes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, cfg := range map[string]Config{
		"nothing":      {},
		"both":         {Dir: t.TempDir(), URL: "nats://127.0.0.1:1"},
		"a file":       {Dir: file},
		"nobody there": {URL: "nats://user:hunter2@127.0.0.1:1"},
	} {
		s, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
		if err == nil {
			_ = s.Close()
			t.Errorf("%s: opened", name)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: a password in %q", name, err)
		}
	}
}

// TestDiskFull fills a real file system. It needs the right to mount one.
func TestDiskFull(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Skipf("no file system can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	s := openSpool(t, Config{Dir: dir, MinFree: 1, Timeout: 500 * time.Millisecond})
	appendAll(t, s, Events, "before")
	ballast := filepath.Join(dir, "ballast")
	fill(t, ballast)
	taken := []string{"before"}
	for big := strings.Repeat("x", 64<<10); ; {
		one := fmt.Sprint(len(taken), big)
		if err := s.Append(t.Context(), Events, []byte(one)); err != nil {
			break
		}
		if taken = append(taken, one); len(taken) > 2*segmentSize/len(one) {
			t.Fatal("a full disk takes events without end")
		}
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := s.Append(t.Context(), Events, []byte("after"))
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("not well again: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	for i, got := range readTexts(t, s.EventQueue(), 0, len(taken)) {
		if got != taken[i] {
			t.Errorf("message %d is %.20q", i, got)
		}
	}
}

// fill writes until there is no space.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4 << 10, 1} {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, lane := range []Lane{Events, Payloads} {
		b.Run(string(lane), func(b *testing.B) {
			s := openSpool(b, Config{})
			data := make([]byte, 2<<10)
			for b.Loop() {
				if err := s.Append(b.Context(), lane, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// A spool that an earlier version made, which had the server compress, goes on.
func TestASpoolOfAnEarlierVersionGoesOn(t *testing.T) {
	cfg := Config{Dir: t.TempDir()}
	s := openSpool(t, cfg)
	earlier := s.streamConfig(eventStream, s.cfg.MaxBytes/4, string(Events), string(Cuts))
	earlier.Compression = jetstream.S2Compression
	if _, err := s.js.UpdateStream(t.Context(), earlier); err != nil {
		t.Fatal(err)
	}
	appendAll(t, s, Events, "before")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openSpool(t, cfg)
	if err := s.Append(t.Context(), Events, []byte("after")); err != nil {
		t.Fatal(err)
	}
	if got := readTexts(t, s.EventQueue(), 0, 2); strings.Join(got, " ") != "before after" {
		t.Errorf("got %q", got)
	}
}
