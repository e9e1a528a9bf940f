package postgres

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/lockedfile"

	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/process"
)

// The built-in locale is the same on every machine, whatever its C library has.
var initdbArgs = []string{
	"--username=" + Superuser, "--auth=reject", "--encoding=UTF8", "--locale=C",
	"--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions",
}

// newData fills the data folder, which must not exist: with a copy of what
// initdb made when it first ran, since initdb takes seconds and a copy does not.
func newData(bin, data string) error {
	root, err := parts.Root()
	if err != nil {
		return err
	}
	program, err := os.ReadFile(filepath.Join(bin, "initdb"))
	if err != nil {
		return err
	}
	cache := filepath.Join(root, "cache")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	key := hash(append([]string{string(program), fmt.Sprint(os.Geteuid())}, initdbArgs...)...)
	template := filepath.Join(cache, fmt.Sprintf("initdb-%x", key))
	unlock, err := lockedfile.MutexAt(template + ".lock").Lock()
	if err != nil {
		return err
	}
	defer unlock()
	if _, err := os.Stat(template); err != nil {
		if err := makeTemplate(bin, template); err != nil {
			return err
		}
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		return err
	}
	return errors.Join(copyTree(data, template), own(data))
}

// makeTemplate runs initdb where the server's user may, and moves the result.
func makeTemplate(bin, template string) error {
	work, err := home("")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(work) }()
	data := filepath.Join(work, "data")
	if err := execute(work, filepath.Join(bin, "initdb"), append([]string{"--pgdata=" + data}, initdbArgs...), ""); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(template), ".initdb-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	if err := copyTree(tmp, data); err != nil {
		return err
	}
	return os.Rename(tmp, template)
}

// execute runs one of the programs to its end as the server's user, with text
// on its stdin; its output becomes the error if it fails.
func execute(dir, program string, args []string, stdin string) error {
	out, err := os.CreateTemp("", "weir-postgres-*.out")
	if err != nil {
		return err
	}
	defer func() { _, _ = out.Close(), os.Remove(out.Name()) }()
	in, err := os.CreateTemp("", "weir-postgres-*.in") // unlinked: it may hold a password
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if err := os.Remove(in.Name()); err != nil {
		return err
	}
	if _, err := in.WriteString(stdin); err != nil {
		return err
	}
	if _, err := in.Seek(0, 0); err != nil {
		return err
	}
	p, err := process.Start(process.Command{Path: program, Args: args, Dir: dir, Stdin: in, Output: out, User: owner(), Env: environment()})
	if err != nil {
		return err
	}
	<-p.Done()
	if err := p.Err(); err != nil {
		said, _ := os.ReadFile(out.Name())
		return fmt.Errorf("%s: %w: %s", filepath.Base(program), err, said)
	}
	return nil
}

// environment keeps the caller's PG* variables and locale away from the server.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + os.TempDir(), "LC_ALL=C", "TZ=UTC"}
}
