package conformance

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/internal/conformance"
)

// command runs `weir conformance` and returns what it printed for people to pipe on,
// and its exit code.
func (s *suite) command(t *testing.T, args ...string) (out, stderr string, code int) {
	t.Helper()
	var text, said strings.Builder
	cmd := exec.CommandContext(t.Context(), s.weir, append([]string{"conformance"}, args...)...)
	cmd.Stdout, cmd.Stderr, cmd.Env = &text, &said, s.stage.Env()
	_ = cmd.Run() // its exit code says it
	return text.String(), said.String(), cmd.ProcessState.ExitCode()
}

// passThrough is a proxy that does nothing: what a gateway without masks is.
func passThrough(t *testing.T, server string) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			up, err := new(net.Dialer).DialContext(context.WithoutCancel(t.Context()), "tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			go pipe(client, up)
			go pipe(up, client)
		}
	}()
	return l.Addr().String()
}

func pipe(to, from net.Conn) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
}

// A buyer compares: this gateway, and a proxy that masks nothing.
func TestCommandCompares(t *testing.T) {
	s := ready(t)
	direct := s.direct("left_side")
	u, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	server := u.Host
	u.Host = passThrough(t, server)
	ours, theirs := filepath.Join(t.TempDir(), "ours.json"), filepath.Join(t.TempDir(), "theirs.json")

	report, said, code := s.command(t, "--target", s.dsn("strict", "left_side"), "--direct", direct, "--family", "columns", "--brief", "-o", "json")
	if code != 0 {
		t.Fatalf("the gateway: exit %d\n%s%s", code, report, said)
	}
	write(t, ours, report)
	report, said, code = s.command(t, "--target", u.String(), "--direct", direct, "--family", "columns", "--brief", "-o", "json")
	if code != 1 {
		t.Fatalf("the proxy: exit %d\n%s%s", code, report, said)
	}
	write(t, theirs, report)
	var r conformance.Report
	if err := json.Unmarshal([]byte(report), &r); err != nil {
		t.Fatal(err)
	}
	if r.Total[conformance.Leak] == 0 || r.Total[conformance.Masked] > 0 || !r.Complete {
		t.Errorf("through a proxy that masks nothing: %v", r.Total)
	}

	out, said, code := s.command(t, "--compare", ours+","+theirs)
	if code != 1 || !strings.Contains(out, "columns/plain") {
		t.Errorf("exit %d\n%s%s", code, out, said)
	}
	if out, said, code := s.command(t, "--compare", theirs+","+ours); code != 0 {
		t.Errorf("the other way round: exit %d\n%s%s", code, out, said)
	}
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// A gateway that masks one column is held to that one only.
func TestCommandMasked(t *testing.T) {
	s := ready(t)
	out, said, code := s.command(t, "--target", s.direct("left_side"), "--masked", "generated.ssn", "--family", "columns", "--brief")
	if code != 0 || !strings.Contains(out, "Nothing bad was found") {
		t.Errorf("exit %d\n%s%s", code, out, said)
	}
}

func TestCommandCannotRun(t *testing.T) {
	s := ready(t)
	strict, direct := s.dsn("strict", "left_side"), s.direct("left_side")
	for want, args := range map[string][]string{
		"which gateway?":        nil,
		"--target is no DSN":    {"--target", "nonsense", "--direct", direct},
		"connecting to the tar": {"--target", strings.Replace(strict, "agent:", "agent:x", 1), "--direct", direct},
		"past the gateway":      {"--target", strict, "--direct", strings.Replace(direct, "postgres:", "postgres:x", 1)},
		"(by a user who may":    {"--target", strict},
		"no such column":        {"--target", strict, "--direct", direct, "--masked", "people.snn"},
		"no shape is of family": {"--target", strict, "--direct", direct, "--family", "columns,nosuch"},
		"--random 200":          {"--target", strict, "--direct", direct, "--for", "1h"},
	} {
		out, said, code := s.command(t, args...)
		if code != 2 || out != "" || !strings.Contains(said, want) || strings.Contains(said, s.token) {
			t.Errorf("%v: exit %d, want %q\n%s%s", args, code, want, out, said)
		}
	}
}

// Whoever leads elsewhere or refuses all keeps everything: that is no result.
func TestTargetElsewhere(t *testing.T) {
	s := ready(t)
	o := s.options("strict")
	o.Target, o.Twin, o.TwinDirect, o.Settle = o.Twin, "", "", time.Nanosecond
	_, err := conformance.Run(t.Context(), o, corpus(t)[:1])
	if err == nil || !strings.Contains(err.Error(), "Is it in front of the database of --direct") {
		t.Error(err)
	}
}

// Ctrl-C leaves no scratch schema behind, and says what was found so far.
func TestCommandInterrupted(t *testing.T) {
	s := ready(t)
	db, err := pgx.Connect(t.Context(), s.direct("left_side"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(context.WithoutCancel(t.Context()))
	there := func(what string) (is bool) {
		if err := db.QueryRow(t.Context(), "SELECT to_reg"+what+" IS NOT NULL").Scan(&is); err != nil {
			t.Fatal(err)
		}
		return is
	}
	var said strings.Builder
	cmd := exec.CommandContext(t.Context(), s.weir, "conformance", "--target", s.dsn("strict", "left_side"), "--direct", s.direct("left_side"))
	cmd.Stderr, cmd.Env = &said, s.stage.Env()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for !there("class('weir_conformance.control')") {
		if t.Context().Err() != nil {
			t.Fatal("no scratch schema was made")
		}
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 2 || !strings.Contains(said.String(), "interrupted") {
		t.Errorf("exit %d: %s", code, &said)
	}
	if there("namespace('weir_conformance')") {
		t.Error("the scratch schema is still there")
	}
}
