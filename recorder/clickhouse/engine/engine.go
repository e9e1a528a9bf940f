// Package engine runs a ClickHouse on this machine: the real engine, as a child
// process that lives exactly as long as its parent holds a pipe. It is either
// the user's own `clickhouse` program or libchdb.so, which is the whole engine
// as a library; that one is loaded in a child of its own, never in the gateway.
// The child listens on loopback only, and its data are behind a password that is
// new at each start.
//
// It knows nothing of what is stored.
package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"github.com/ebitengine/purego"
)

// libchdb's functions: one runs `clickhouse local`, the other reads its result.
const (
	entry       = "chdb_query_cmdline"
	entryResult = "chdb_result_error"
)

// Serve is the child's whole life: it runs the engine, a library or a clickhouse
// program, with the arguments of `clickhouse local`, at a lower priority than the
// gateway's. The process ends when its
// standard input closes; Serve returns only with an error.
func Serve(path string, args []string) error {
	if err := yieldProcessor(); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "%s [ 1 ] {} <Warning> engine: %v\n", time.Now().Format("2006.01.02 15:04:05.000000"), err)
	}
	if err := confine(path); err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "%s [ 1 ] {} <Error> engine: it cannot be kept from other files than its own, and its auditor's account could read them: %v\n",
			time.Now().Format("2006.01.02 15:04:05.000000"), err)
	}
	if !isLibrary(path) {
		return serveProgram(path, args)
	}
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("the ClickHouse engine cannot be loaded: %w", err)
	}
	if _, err := purego.Dlsym(handle, entry); err != nil {
		return fmt.Errorf("%s is not a ClickHouse engine: %w", path, err)
	}
	var run func(argc int32, argv **byte) unsafe.Pointer
	var resultError func(unsafe.Pointer) string
	purego.RegisterLibFunc(&run, handle, entry)
	purego.RegisterLibFunc(&resultError, handle, entryResult)
	go func() {
		waitForParent(os.Stdin)
		die()
	}()
	var pins runtime.Pinner
	defer pins.Unpin()
	argv := cStrings(append([]string{"clickhouse"}, args...), &pins)
	if result := run(int32(len(args)+1), &argv[0]); result != nil {
		if text := resultError(result); text != "" {
			return fmt.Errorf("the ClickHouse engine ended: %s", text)
		}
	}
	return errors.New("the ClickHouse engine ended")
}

// niceness is the engine's, 0 being the gateway's. When both want the processor,
// the gateway gets three times the engine's share: evidence is in the spool until
// the engine comes to it.
const niceness = 5

// yieldProcessor gives this thread a lower priority. The engine's threads, and a
// program that this one becomes or starts, inherit it.
func yieldProcessor() error {
	runtime.LockOSThread() // for good: the engine runs on it
	if err := syscall.Setpriority(syscall.PRIO_PROCESS, 0, niceness); err != nil {
		return fmt.Errorf("it competes with the gateway for the processor: %w", err)
	}
	return nil
}

func isLibrary(path string) bool {
	name := filepath.Base(path)
	return strings.HasPrefix(name, "lib") || strings.Contains(name, ".so") || strings.HasSuffix(name, ".dylib")
}

// cStrings makes an argv, with its closing null pointer.
func cStrings(args []string, pins *runtime.Pinner) []*byte {
	argv := make([]*byte, len(args)+1)
	pins.Pin(&argv[0])
	for i, a := range args {
		argv[i] = unsafe.SliceData(append([]byte(a), 0))
		pins.Pin(argv[i])
	}
	return argv
}

// serveProgram runs a clickhouse program. It is killed with its parent.
func serveProgram(path string, args []string) error {
	runtime.LockOSThread() // the system asks for the thread that started it (dieWithParent)
	defer runtime.UnlockOSThread()
	cmd := exec.Command(path, append([]string{"local"}, args...)...) //nolint:noctx // it ends with the pipe
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	dieWithParent(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("the ClickHouse engine cannot be started: %w", err)
	}
	go func() {
		waitForParent(os.Stdin)
		_ = cmd.Process.Kill()
		die()
	}()
	return fmt.Errorf("the ClickHouse engine ended: %w", orEnded(cmd.Wait()))
}

// waitForParent returns when the parent closes the pipe or is gone.
func waitForParent(stdin io.Reader) { _, _ = io.Copy(io.Discard, stdin) }

// die ends this process at once. The engine's tables survive that; the
// destructors of a library in use may not.
func die() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) }
