package postgres

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weir-gateway/weir/integration/parts"
	pgserver "github.com/weir-gateway/weir/integration/postgres"
)

// tool runs a client program against the gateway.
func tool(t *testing.T, address, name string, args ...string) (string, error) {
	t.Helper()
	paths := parts.Need(t, parts.Clients)
	host, port, _ := strings.Cut(address, ":")
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, paths.Client(name), args...)
	cmd.Env = append(os.Environ(), "PGHOST="+host, "PGPORT="+port, "PGUSER=anyone", "PGPASSWORD=good", "PGDATABASE=shop", "PGSSLMODE=disable", "PGCONNECT_TIMEOUT=20")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestPgbench(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	address := w.serve(server.Addr())
	if out, err := tool(t, address, "pgbench", "-i", "-s", "1", "-q"); err != nil {
		t.Fatalf("pgbench -i: %v\n%s", err, out)
	}
	pipeline := filepath.Join(t.TempDir(), "pipeline.sql")
	script := `\startpipeline
SELECT abalance FROM pgbench_accounts WHERE aid = 1;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = 2;
SELECT 1;
\endpipeline
`
	if err := os.WriteFile(pipeline, []byte(script), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"-M", "simple"}, {"-M", "extended"}, {"-M", "prepared"},
		{"-M", "simple", "-S"}, {"-M", "extended", "-S"}, {"-M", "prepared", "-S"},
		{"-M", "extended", "-f", pipeline}, {"-M", "prepared", "-f", pipeline},
	} {
		out, err := tool(t, address, "pgbench", append([]string{"-n", "-c", "4", "-t", "50"}, args...)...)
		if err != nil || !strings.Contains(out, "number of failed transactions: 0") || strings.Contains(out, "WARNING") {
			t.Errorf("pgbench %v: %v\n%s", args, err, out)
		}
	}
	for _, o := range w.ledger.outcomes() {
		if o.Status != "ok" {
			t.Errorf("an operation ended as %+v", o)
			break
		}
	}
	waitFor(t, func() bool { return w.handler.live.Count() == 0 })
}

// waitFor waits until a condition holds.
func waitFor(t testing.TB, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !cond() {
		if time.Now().After(deadline) {
			t.Fatal("it did not come to pass")
		}
		time.Sleep(time.Millisecond)
	}
}

// What touches nothing sensitive works as ever while masks are in force.
func TestBenignUnderMasks(t *testing.T) {
	_, address := maskedWorld(t)
	for _, command := range []string{
		`\d`, `\d customers`, `\d+ people`, `\dt+`, `\df`, `\l`, `\du`, `\dn`, `\dp`, `\di`, `\dx`, `\dT`, `\conninfo`, `\sf now`,
	} {
		if out, err := tool(t, address, "psql", "-X", "-c", command); err != nil || strings.Contains(out, "ERROR") {
			t.Errorf("%s: %v\n%s", command, err, out)
		}
	}
	if out, err := tool(t, address, "pg_dump", "-s"); err != nil || !strings.Contains(out, "CREATE TABLE public.customers") {
		t.Errorf("pg_dump -s: %v\n%s", err, out)
	}
}

// A dump through the gateway is the dump that the server gives.
func TestDump(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{Auth: pgserver.Trust})
	address := w.serve(server.Addr())
	dump := func(address, user string) string {
		out, err := tool(t, address, "pg_dump", "-U", user, "--restrict-key", "key")
		if err != nil {
			t.Fatalf("pg_dump: %v\n%s", err, out)
		}
		return out
	}
	if direct, through := dump(server.Addr(), "weir_orders"), dump(address, "anyone"); direct != through || len(direct) < 10_000 {
		t.Errorf("%d bytes direct, %d through the gateway", len(direct), len(through))
	}
}

func TestPsql(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	w.rules = noDelete
	address := w.serve(server.Addr())
	out, err := tool(t, address, "psql", "-X", "-At", "-c", "SELECT count(*) FROM customers", "-c", "DELETE FROM notes",
		"-c", "BEGIN; INSERT INTO notes (body) VALUES ('a'); COMMIT", "-c", "SELECT 1; SELECT 2", "-c", "\\copy notes (body) FROM PROGRAM 'echo b'", "-c", "SELECT count(*) FROM notes")
	const want = `100
ERROR:  refused by policy: rows are not deleted here (no_delete)
DETAIL:  decision ID
HINT:  UPDATE them instead.
BEGIN
INSERT 0 1
COMMIT
1
2
COPY 1
2
`
	got := regexp.MustCompile(`decision \S+`).ReplaceAllString(out, "decision ID")
	if got != want {
		t.Errorf("psql printed (%v)\n%s", err, got)
	}
}
