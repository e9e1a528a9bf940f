package integration

import (
	"context"
	"os"
	"testing"
)

// pgbench -i would be DDL; the shop stands in for its tables.
const benchScript = `\set id random(1, 1000)
begin;
select name, ssn from customers where id = :id;
update orders set note = 'pgbench' where id = :id;
end;
`

func TestPgbench(t *testing.T) {
	w := shared(t)
	script := w.Path("bench.sql")
	if err := os.WriteFile(script, []byte(benchScript), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, protocol := range []string{"simple", "extended", "prepared"} {
		t.Run(protocol, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			cmd := w.command(ctx, []string{"PGPASSWORD=" + w.agent(t)}, w.Parts.Client("pgbench"),
				"-n", "-M", protocol, "-c", "4", "-j", "1", "-t", "25", "-f", script, "-d", w.conninfo(""))
			got := finish(t, cmd)
			if got.code != 0 {
				t.Fatal(got)
			}
			expect(t, got.out, "query mode: "+protocol, "number of transactions actually processed: 100/100", "number of failed transactions: 0 (0.000%)")
		})
	}
	if n := w.direct(t, "select count(*)::text from orders where note = 'pgbench'"); n == "0" {
		t.Error("nothing arrived")
	}
}
