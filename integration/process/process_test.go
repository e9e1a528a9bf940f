package process_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-gateway/weir/integration/process"
)

// asParent makes this test binary a parent that starts a child, says its
// process id, and waits to be killed.
const asParent = "WEIR_TEST_PARENT"

func TestMain(m *testing.M) {
	if os.Getenv(asParent) == "" {
		os.Exit(m.Run())
	}
	p, err := process.Start(process.Command{Path: "/bin/sleep", Args: []string{"600"}})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(p.Pid())
	<-p.Done()
}

func start(t *testing.T, c process.Command) *process.Process {
	t.Helper()
	p, err := process.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Signal(syscall.SIGKILL); <-p.Done() })
	return p
}

func TestStop(t *testing.T) {
	for _, test := range []struct {
		name, script string
		killed       bool
	}{
		{"a child that ends when told", "trap 'exit 0' TERM; echo ready >&3; while :; do sleep 0.01; done", false},
		{"a child that does not listen", "trap '' TERM; echo ready >&3; while :; do sleep 0.01; done", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			p := start(t, process.Command{Path: "/bin/sh", Args: []string{"-c", "exec 3>&1; " + test.script}, Output: w})
			_ = w.Close()
			if _, err := bufio.NewReader(r).ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			grace := time.Minute
			if test.killed {
				grace = 50 * time.Millisecond
			}
			if err := p.Stop(syscall.SIGTERM, grace); (err != nil) != test.killed {
				t.Errorf("Stop: %v", err)
			}
			if err := p.Stop(syscall.SIGTERM, grace); err != nil {
				t.Errorf("a second Stop: %v", err)
			}
		})
	}
}

func TestMissingProgram(t *testing.T) {
	_, err := process.Start(process.Command{Path: "/nonexistent/envoy"})
	if err == nil || !strings.Contains(err.Error(), "starting envoy") {
		t.Errorf("error %v", err)
	}
}

func TestChildDiesWithItsParent(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has a signal for the death of the parent")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	parent := exec.Command(self)
	parent.Env = append(os.Environ(), asParent+"=1")
	out, err := parent.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = parent.Wait()
	deadline := time.Now().Add(30 * time.Second)
	for alive(child) {
		if time.Now().After(deadline) {
			_ = syscall.Kill(child, syscall.SIGKILL)
			t.Fatal("the child outlived its parent")
		}
		time.Sleep(time.Millisecond)
	}
}

// alive is false for a process that is gone or waits to be reaped.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
