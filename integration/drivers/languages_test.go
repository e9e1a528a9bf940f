package drivers

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/weir-gateway/weir/integration/parts"
)

// python plays a script of this folder's python on both sides.
func python(t *testing.T, script string, allowed ...difference) {
	t.Helper()
	pythonWith(t, "requirements.txt", nil, script, allowed...)
}

// pythonWith is python with other packages, and more in the environment.
func pythonWith(t *testing.T, requirements string, env []string, script string, allowed ...difference) {
	t.Helper()
	packages := setUp(t, func(i *parts.Installer) (string, error) {
		return i.Python(t.Context(), "drivers-python", filepath.Join("python", requirements))
	})
	passes(t, sameProgram(t, bothAs(t, superRole, ""), func(ctx context.Context, _ *side) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "python3", "-B", filepath.Join("python", script))
		cmd.Env = slices.Concat(env, []string{"PYTHONPATH=" + packages, "PYTHONWARNINGS=ignore", "PYTHONUTF8=1"})
		return cmd
	}, allowed...))
}

// node plays a script of this folder's node on both sides.
func node(t *testing.T, script string, allowed ...difference) {
	t.Helper()
	packages := setUp(t, func(i *parts.Installer) (string, error) {
		return i.Node(t.Context(), "drivers-node", "node")
	})
	// Node looks for packages beside the script and above it.
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("node")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(packages, "node_modules"), filepath.Join(dir, "node_modules")); err != nil {
		t.Fatal(err)
	}
	passes(t, sameProgram(t, bothAs(t, superRole, ""), func(ctx context.Context, _ *side) *exec.Cmd {
		cmd := exec.CommandContext(ctx, "node", filepath.Join(dir, script))
		cmd.Env = []string{"NODE_NO_WARNINGS=1"}
		return cmd
	}, allowed...))
}

// java compiles a program of this folder's java and plays it on both sides.
func java(t *testing.T, program, lock string, allowed ...difference) {
	t.Helper()
	jar := setUp(t, func(i *parts.Installer) (string, error) {
		return i.Jar(t.Context(), "drivers-java", filepath.Join("java", lock))
	})
	dir := t.TempDir()
	compile := exec.CommandContext(t.Context(), "javac", "-encoding", "UTF-8", "-cp", jar, "-d", dir, filepath.Join("java", program+".java"))
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("javac: %v\n%s", err, out)
	}
	passes(t, sameProgram(t, bothAs(t, superRole, ""), func(ctx context.Context, _ *side) *exec.Cmd {
		return exec.CommandContext(ctx, "java", "-cp", jar+string(filepath.ListSeparator)+dir, program)
	}, allowed...))
}

// passes fails the test where a script found something that it did not expect,
// though it was the same on both sides.
func passes(t *testing.T, seen []string) {
	t.Helper()
	for _, text := range seen {
		if !strings.HasSuffix(text, "--- exit 0") {
			t.Errorf("the script itself failed:\n%s", text[max(0, len(text)-4000):])
		}
	}
}

// setUp fetches the packages of a language. A machine without the language skips the
// test; so does -short where they are not there yet.
func setUp(t *testing.T, packages func(*parts.Installer) (string, error)) string {
	t.Helper()
	i, err := parts.New(os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	i.Offline = testing.Short()
	dir, err := packages(i)
	if errors.Is(err, parts.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPsycopg(t *testing.T) {
	python(t, "drive_psycopg.py",
		difference{"characters beyond ASCII need UTF8", `\["\\u00e9", 1\]`, `"the statement has characters beyond ASCII, and client_encoding is not known to be UTF8"`},
		difference{why: "said by the gateway, which has no such place", what: `"(prepare|postgres|mbutils)\.c", "\d+", "(FetchPreparedStatement|exec_describe_portal_message|report_invalid_encoding_int)"\]|"", "", ""\]`})
}

func TestPsycopg2(t *testing.T) { python(t, "drive_psycopg2.py") }

func TestAsyncpg(t *testing.T) {
	python(t, "drive_asyncpg.py",
		difference{why: "a token that is none", what: `"type": "Invalid(Password|AuthorizationSpecification)Error"[^}]*`},
		difference{why: "said by the gateway, which has no such place", what: `"insufficient data left in message"[^}]*`})
}

func TestSQLAlchemy(t *testing.T) { python(t, "drive_sqlalchemy.py") }

func TestNodePostgres(t *testing.T) { node(t, "drive_pg.mjs") }

func TestPostgresJS(t *testing.T) { node(t, "drive_postgresjs.mjs") }

// Where there is no Java, or no Maven to fetch the driver, this is skipped.
func TestPgjdbc(t *testing.T) { java(t, "DrivePgjdbc", "pgjdbc.lock") }

// Npgsql comes with a .NET runtime of 70 MB, which not every run should fetch.
func TestNpgsql(t *testing.T) {
	if os.Getenv("WEIR_DRIVERS") != "all" || runtime.GOOS+"/"+runtime.GOARCH != "linux/amd64" {
		t.Skip("only with WEIR_DRIVERS=all, as `make drivers` sets it, on linux/amd64")
	}
	// That runtime speaks TLS by OpenSSL 1.1, which is beside the PostgreSQL server.
	libraries := filepath.Join(filepath.Dir(ready(t).stage.Parts.PostgresBin), "lib")
	pythonWith(t, "requirements-npgsql.txt", []string{"LD_LIBRARY_PATH=" + libraries, "CLR_OPENSSL_VERSION_OVERRIDE=1.1"}, "drive_npgsql.py")
}
