package drivers

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// psql is a psql that reads a script.
func psql(program, script string, args ...string) func(context.Context, *side) *exec.Cmd {
	return func(ctx context.Context, _ *side) *exec.Cmd {
		cmd := exec.CommandContext(ctx, program, append([]string{"-X", "-w"}, args...)...)
		cmd.Stdin, cmd.Dir = strings.NewReader(script), all.stage.Dir
		return cmd
	}
}

var psqlVersion = regexp.MustCompile(`\) (\d+)`)

// everyPsql runs a test with the psql that is set up, and with the machine's own if
// there is one of another version.
func everyPsql(t *testing.T, test func(t *testing.T, program string, version string)) {
	ready(t)
	tried := map[string]bool{}
	own, _ := exec.LookPath("psql")
	for _, program := range []string{all.stage.Parts.Psql(), own} {
		if program == "" {
			continue
		}
		out, err := exec.CommandContext(t.Context(), program, "--version").Output()
		version := psqlVersion.FindSubmatch(out)
		if err != nil || version == nil {
			t.Fatalf("%s --version: %v\n%s", program, err, out)
		}
		if v := string(version[1]); !tried[v] {
			tried[v] = true
			t.Run(v, func(t *testing.T) { test(t, program, v) })
		}
	}
}

func TestPsqlScripts(t *testing.T) {
	everyPsql(t, func(t *testing.T, program, version string) {
		for _, name := range []string{"describe", "commands", "pipeline"} {
			if name == "pipeline" && version < "18" {
				continue
			}
			t.Run(name, func(t *testing.T) {
				script, err := os.ReadFile(filepath.Join("testdata", "psql", name+".sql"))
				if err != nil {
					t.Fatal(err)
				}
				sides := both(t, "")
				// -e tells which statement an answer belongs to.
				sameProgram(t, sides, psql(program, string(script), "-e"), psqlDiffers[name][version]...)
			})
		}
	})
}

// psqlDiffers are the differences of the scripts. Those of whom psql 15 has no command
// are met by psql 18 only.
var psqlDiffers = map[string]map[string][]difference{
	"commands": {
		"15": {temporarySchema, notifier, imported, listed},
		"18": {temporarySchema, notifier, imported, listed, ownWords, {why: "the time of day", what: `\w+ \w+ \d+ [\d:]+ \d+ \(every`}},
	},
	"pipeline": {"18": {ownWords}},
}

var (
	temporarySchema = difference{why: "the schema is numbered by the server's free slots", what: ` *Table "pg_temp_\d+`}
	notifier        = difference{why: "process id of the server", what: `server process with PID \d+`}
	imported        = difference{why: "the server gives the next free number", what: `lo_import \d+`}
	listed          = difference{why: "the same number", what: ` \d{5} \| weir_shop`}
	ownWords        = difference{why: "the gateway knows that there is no such statement, and names no line of PostgreSQL's source",
		what: `(prepared statement "\w+" does not exist)(\nLOCATION:  FetchPreparedStatement, prepare\.c:\d+)?`}
)

// The ways to give psql a script, and what it does about errors in them.
func TestPsqlWays(t *testing.T) {
	everyPsql(t, func(t *testing.T, program, _ string) {
		sides := both(t, "")
		file := filepath.Join(t.TempDir(), "script.sql")
		if err := os.WriteFile(file, []byte("CREATE TABLE w (x int);\nINSERT INTO w VALUES (1);\nSELECT 1/0;\nSELECT count(*) FROM w;\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for i, args := range [][]string{
			{"-1", "-f", file},
			{"-v", "ON_ERROR_STOP=1", "-f", file},
			{"-1", "-v", "ON_ERROR_STOP=1", "-f", file},
			{"-f", file},
			{"-c", "SELECT 1", "-c", "SELECT 1/0", "-c", "SELECT 3"},
			{"-1", "-c", "INSERT INTO w VALUES (2)", "-c", "SELECT count(*) FROM w"},
			{"-c", "SELECT 1; SELECT 1/0; SELECT 3"},
			{"-At", "-c", "SELECT 'a', NULL, 'b'", "-P", "null=none"},
			{"-H", "-c", "SELECT '<tag>' AS html"},
			{"-l"},
			{"-c", `\conninfo`},
			{"-s", "-c", "SELECT 1"},
			{"-f", "/nonexistent"},
			{"-d", "nosuchdatabase", "-c", "SELECT 1"},
			{"-v", "v=1", "-c", `\echo :v :SERVER_VERSION_NAME :SERVER_VERSION_NUM :ENCODING`},
		} {
			t.Run(fmt.Sprint(i), func(t *testing.T) {
				sameProgram(t, sides, psql(program, "\n", args...), wayDiffers(args)...)
			})
		}
	})
}

func wayDiffers(args []string) []difference {
	if args[len(args)-1] != `\conninfo` {
		return nil
	}
	return []difference{
		{why: "process id of the server", what: `Backend PID +\| \d+|^`},
		{why: "Go and OpenSSL prefer different ciphers", what: `SSL (Key Bits|Cipher) +\| \w+|cipher: \w+`},
	}
}
