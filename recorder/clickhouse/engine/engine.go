// Package engine runs a ClickHouse on this machine: the real engine, as a child
// process that lives exactly as long as its parent holds a pipe. It is either
// the user's own `clickhouse` program or libchdb.so, which is the whole engine
// as a library; that one is loaded in a child of its own, never in the gateway.
//
// It knows nothing of what is stored.
package engine

import (
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"unsafe"

	"github.com/ebitengine/purego"
)

// entry is libchdb's function that runs `clickhouse local`.
const entry = "chdb_query_cmdline"

// Arguments are those of `clickhouse local` for a server on loopback that serves
// until its standard input closes.
func Arguments(dir string, nativePort, httpPort int) []string {
	return []string{
		"--path=" + dir, "--listen_host=127.0.0.1",
		"--tcp_port=" + strconv.Itoa(nativePort), "--http_port=" + strconv.Itoa(httpPort),
		"--query=SYSTEM START LISTEN TCP", "--query=SYSTEM START LISTEN HTTP",
		"--query=SELECT * FROM file('/dev/stdin', 'LineAsString', 'l String') FORMAT Null",
	}
}

// Serve is the child's whole life: it loads the library and runs the engine in
// it. It returns when standard input closes, or with an error.
func Serve(library string, args []string) error {
	handle, err := purego.Dlopen(library, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err != nil {
		return fmt.Errorf("the ClickHouse engine cannot be loaded: %w", err)
	}
	if _, err := purego.Dlsym(handle, entry); err != nil {
		return fmt.Errorf("%s is not a ClickHouse engine: %w", library, err)
	}
	var run func(argc int32, argv **byte) uintptr
	purego.RegisterLibFunc(&run, handle, entry)
	argv, keep := cStrings(append([]string{"clickhouse"}, args...))
	run(int32(len(args)+1), &argv[0])
	runtime.KeepAlive(keep)
	return errors.New("the ClickHouse engine ended")
}

// cStrings makes an argv, with its closing null pointer.
func cStrings(args []string) (argv []*byte, keep [][]byte) {
	argv = make([]*byte, len(args)+1)
	for i, a := range args {
		text := append([]byte(a), 0)
		keep = append(keep, text)
		argv[i] = unsafe.SliceData(text)
	}
	return argv, keep
}
