package drivers

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// wholeSuites runs the drivers' own test suites whole (`make drivers`), not the quick
// part of them.
var wholeSuites = os.Getenv("WEIR_DRIVERS") == "all"

// upstreamSuite is the tests that a driver ships in its module.
type upstreamSuite struct {
	module, pkg string
	setup       string // by the superuser
	quick       string // what runs without wholeSuites, "" for nothing
	skip        string // what cannot run, on either side
	env         func(*side) []string
	// differs are the tests that pass directly only, and why.
	differs map[string]string
}

const (
	untilAsked  = "Parse reaches the server with the message that asks for its answer, and so does the start of its statement_timeout"
	whoOneIs    = "as whom one logs in to the server is not for the client to say"
	eachIsKept  = "each statement of a pipeline waits until its evidence is on disk: 100,000 of them take longer than the test gives"
	pgxSetup    = `CREATE EXTENSION IF NOT EXISTS hstore; CREATE EXTENSION IF NOT EXISTS ltree; CREATE DOMAIN uint64 AS numeric(20,0);`
	pgxModule   = "github.com/jackc/pgx/v5"
	suiteWithin = 10 * time.Minute
)

func pgxEnv(s *side) []string { return []string{"PGX_TEST_DATABASE=" + s.url("")} }

var suites = map[string]upstreamSuite{
	"pgx": {module: pgxModule, pkg: ".", setup: pgxSetup, env: pgxEnv, differs: map[string]string{
		"TestPrepareHandlesTimeoutBetweenParseAndDescribe":                 untilAsked,
		"TestPrepareWithDigestedNameHandlesTimeoutBetweenParseAndDescribe": untilAsked,
		"TestSendBatchHandlesTimeoutBetweenParseAndDescribe":               untilAsked,
	}},
	"pgconn":  {module: pgxModule, pkg: "./pgconn", setup: pgxSetup, env: pgxEnv, differs: map[string]string{"TestConnExecBatchHuge": eachIsKept}},
	"pgtype":  {module: pgxModule, pkg: "./pgtype", setup: pgxSetup, env: pgxEnv},
	"pgxpool": {module: pgxModule, pkg: "./pgxpool", setup: pgxSetup, env: pgxEnv},
	"stdlib":  {module: pgxModule, pkg: "./stdlib", setup: pgxSetup, env: pgxEnv},
	"pq": {
		module: "github.com/lib/pq", pkg: ".", quick: "^Test(Copy|Notif|Listen|Stmt|Query|Exec|Error|Bind|Binary|Tx|Commit|Row|Bytea|Time|Issue)",
		// The first waits for further servers for good, the second gives a cancel 50 ms, however busy the machine is,
		// and the third takes a connection that is gone for a failure where the driver says so in words of its own.
		skip: "^(TestConnectionTargetSessionAttrs|TestQueryRowContext|TestCopyInRespLoopConnectionError)$",
		env:  (*side).env, differs: map[string]string{"TestErrorDuringStartup": whoOneIs, "TestErrorDuringStartupClosesConn": whoOneIs, "TestAuth/end_to_end": whoOneIs},
	},
}

var passed = regexp.MustCompile(`(?m)^\s*--- PASS: (\S+)`)

// What passes directly passes through the gateway, of the tests that the drivers ship.
func TestUpstreamSuites(t *testing.T) {
	for name, suite := range suites {
		if suite.quick == "" && !wholeSuites {
			continue
		}
		t.Run(name, func(t *testing.T) { suite.compare(t) })
	}
}

func (u *upstreamSuite) compare(t *testing.T) {
	sides := bothAs(t, superRole, u.setup)
	dir, binary := u.build(t)
	args := []string{"-test.v", "-test.skip=" + u.skip}
	if !wholeSuites {
		args = append(args, "-test.run="+u.quick)
	}
	through := map[string]bool{}
	var directly []string
	for i := range sides {
		out := u.run(t, &sides[i], dir, binary, args)
		for _, m := range passed.FindAllStringSubmatch(out, -1) {
			if sides[i].name == "direct" {
				directly = append(directly, m[1])
			} else {
				through[m[1]] = true
			}
		}
		defer func() {
			if t.Failed() {
				t.Logf("%s:\n%s", sides[i].name, out)
			}
		}()
	}
	if len(directly) < 50 {
		t.Errorf("%d tests passed directly", len(directly))
	}
	for _, test := range directly {
		if through[test] {
			continue
		}
		if why := u.why(test); why != "" {
			t.Logf("%s passes directly only: %s", test, why)
		} else {
			t.Errorf("%s passes directly only", test)
		}
	}
	t.Logf("%d tests pass directly, %d through the gateway", len(directly), len(through))
}

// why is the reason for which a test, or one that it is part of, passes directly only.
func (u *upstreamSuite) why(test string) string {
	for {
		if why := u.differs[test]; why != "" {
			return why
		}
		parent := strings.LastIndexByte(test, '/')
		if parent < 0 {
			return ""
		}
		test = test[:parent]
	}
}

// build copies the module, which the module cache has for reading only, and compiles
// the tests of the package.
func (u *upstreamSuite) build(t *testing.T) (dir, binary string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", u.module).Output()
	if err != nil {
		t.Fatalf("go list -m %s: %v", u.module, err)
	}
	root := filepath.Join(t.TempDir(), "module")
	if err := os.CopyFS(root, os.DirFS(strings.TrimSpace(string(out)))); err != nil {
		t.Fatal(err)
	}
	binary = filepath.Join(t.TempDir(), "suite.test")
	build := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, u.pkg)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the tests of %s: %v\n%s", u.module, err, out)
	}
	return filepath.Join(root, u.pkg), binary
}

// run runs the tests on one side. That some fail is no error.
func (u *upstreamSuite) run(t *testing.T, one *side, dir, binary string, args []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), suiteWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Dir, cmd.Env = dir, append(all.stage.Env(), u.env(one)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.WaitDelay = &out, &out, time.Second
	if err := cmd.Run(); ctx.Err() != nil {
		t.Error(fmt.Errorf("%s: %w: %w", one.name, ctx.Err(), err))
	}
	return out.String()
}
