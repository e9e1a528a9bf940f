package postgres

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weir-gateway/weir/integration/parts"
	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
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
	if n := w.handler.Sessions(); n != 0 {
		waitFor(t, func() bool { return w.handler.Sessions() == 0 })
	}
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

func TestPsql(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	w.rules = func(in *gate.Input) gate.Decision {
		if in.Operation != nil && in.Operation.Action == "delete" {
			return gate.Denied("no_delete", "rows are not deleted here", "UPDATE them instead.")
		}
		return gate.Decision{Effect: gate.Allow}
	}
	address := w.serve(server.Addr())
	out, err := tool(t, address, "psql", "-X", "-e", "-c", "\\d customers", "-c", "SELECT count(*) FROM customers",
		"-c", "DELETE FROM notes", "-c", "BEGIN; INSERT INTO notes (body) VALUES ('a');", "-c", "SELECT 1; SELECT 2")
	t.Log(out, err)
}
