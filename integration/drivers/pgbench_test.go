package drivers

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// pipelined is a script of pgbench's with a pipeline, which the simple protocol lacks.
const pipelined = `\set aid random(1, 1000)
\startpipeline
BEGIN;
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid = :aid;
\syncpipeline
SELECT 1;
COMMIT;
\endpipeline
`

// pgbench makes its tables and plays each of its scripts in each protocol. With the
// same seed, what is in the tables afterwards must be the same.
func TestPgbench(t *testing.T) {
	sides := both(t, "")
	script := filepath.Join(t.TempDir(), "pipeline.sql")
	if err := os.WriteFile(script, []byte(pipelined), 0o600); err != nil {
		t.Fatal(err)
	}
	var runs [][]string
	for _, protocol := range []string{"simple", "extended", "prepared"} {
		for _, builtin := range []string{"tpcb-like", "simple-update", "select-only"} {
			runs = append(runs, []string{"-M", protocol, "-b", builtin})
		}
		if protocol != "simple" {
			runs = append(runs, []string{"-M", protocol, "-f", script})
		}
	}
	seen := make([]string, 2)
	each(t, sides, func(ctx context.Context, one *side) error {
		var all strings.Builder
		for _, init := range [][]string{{"-i", "-q", "-I", "dtgvpf", "--partitions=2"}, {"-i", "-q", "-I", "dtGvp"}} {
			if _, err := one.run(ctx, "pgbench", init...); err != nil {
				return err
			}
		}
		for _, run := range runs {
			out, err := one.run(ctx, "pgbench", append([]string{"-n", "-c", "1", "-t", "40", "--random-seed=1", "--max-tries=3"}, run...)...)
			if err != nil {
				return err
			}
			for _, line := range strings.Split(out, "\n") {
				if !strings.HasPrefix(line, "latency") && !strings.HasPrefix(line, "tps") && !strings.HasPrefix(line, "initial connection") {
					all.WriteString(line + "\n")
				}
			}
		}
		sums, err := one.run(ctx, "psql", "-X", "-c", "SELECT sum(abalance), count(*) FROM pgbench_accounts", "-c", "SELECT sum(bbalance) FROM pgbench_branches",
			"-c", "SELECT tid, bid, aid, delta FROM pgbench_history ORDER BY mtime, tid, aid, delta")
		seen[one.index()] = all.String() + sums
		return err
	})
	same(t, sides, seen)
	// And several at once, connecting for each transaction too.
	each(t, sides[1:], func(ctx context.Context, one *side) error {
		for _, run := range [][]string{{"-c", "8", "-j", "2", "-t", "25", "-M", "prepared"}, {"-c", "4", "-C", "-t", "5", "-S"}} {
			if out, err := one.run(ctx, "pgbench", append([]string{"-n"}, run...)...); err != nil {
				return err
			} else if !strings.Contains(out, "number of failed transactions: 0 (0.000%)") {
				t.Error(out)
			}
		}
		return nil
	})
}
