package postgres_test

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/postgres"
)

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
}

// Where root alone can reach the repository, as in a CI that clones into its
// home folder, the programs and the data go elsewhere.
func TestRootWithEverythingOutOfReach(t *testing.T) {
	needRoot(t)
	bin := parts.Need(t, parts.Postgres).PostgresBin
	t.Setenv("TMPDIR", publicTemp(t))
	private := t.TempDir()
	if err := os.Chmod(private, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(private, "pg"), os.DirFS(filepath.Dir(bin))); err != nil {
		t.Fatal(err)
	}
	s := postgres.Test(t, postgres.Options{Bin: filepath.Join(private, "pg", "bin"), Dir: filepath.Join(private, "data")})
	if got := query(t, s.DSN("postgres"), "select 'up'"); got != "up" {
		t.Errorf("got %q", got)
	}
}

// An ordinary user runs the server directly. This test runs two others as one,
// in a folder that stands for that user's clone.
func TestOrdinaryUser(t *testing.T) {
	needRoot(t)
	bin := parts.Need(t, parts.Postgres).PostgresBin
	daemon, err := user.Lookup("daemon") // initdb wants a user that has a name
	if err != nil {
		t.Skip(err)
	}
	uid, err := strconv.Atoi(daemon.Uid)
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	clone := publicTemp(t)
	write(t, filepath.Join(clone, "go.mod"), []byte("module github.com/weir-gateway/weir\n"))
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(clone, "program"), program)
	if err := os.CopyFS(filepath.Join(clone, "pg"), os.DirFS(filepath.Dir(bin))); err != nil {
		t.Fatal(err)
	}
	give(t, clone, uid)
	cmd := exec.Command(filepath.Join(clone, "program"), "-test.run=^(TestThrowAwayServer|TestStopLeavesNothing)$", "-test.v")
	cmd.Dir = clone
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + clone, "TMPDIR=" + clone, "WEIR_POSTGRES_BIN=" + filepath.Join(clone, "pg", "bin")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	for _, name := range []string{"TestThrowAwayServer", "TestStopLeavesNothing"} {
		if !strings.Contains(string(out), "--- PASS: "+name) {
			t.Errorf("%s did not pass:\n%s", name, out)
		}
	}
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o755); err != nil {
		t.Fatal(err)
	}
}

// give makes a folder and all below a user's.
func give(t *testing.T, dir string, uid int) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, uid, uid)
	})
	if err != nil {
		t.Fatal(err)
	}
}
