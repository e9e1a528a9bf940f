package postgres_test

import (
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
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

// An ordinary user runs the server directly.
func TestOrdinaryUser(t *testing.T) {
	needRoot(t)
	bin := parts.Need(t, parts.Postgres).PostgresBin
	dir := publicTemp(t)
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module github.com/weir-gateway/weir\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "program")
	if err := os.WriteFile(program, raw, 0o755); err != nil {
		t.Fatal(err)
	}
	daemon, err := user.Lookup("daemon") // initdb wants a user that has a name
	if err != nil {
		t.Skip(err)
	}
	uid, err := strconv.Atoi(daemon.Uid)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, uid, uid); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "-test.run=^(TestThrowAwayServer|TestStopLeavesNothing)$", "-test.v")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "WEIR_POSTGRES_BIN=" + bin}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v:\n%s", err, out)
	} else {
		t.Logf("%s", out)
	}
}
