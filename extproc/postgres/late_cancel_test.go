package postgres

import (
	"context"
	"net"
	"testing"
	"time"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/internal/gate"
)

// The gateway's own cancel request stops the statement that has reached a limit, however
// long it takes to reach the server: never one behind it.
func TestLateCancel(t *testing.T) {
	w, server := realWorld(t, pgserver.Options{})
	dial := w.deps.Dial
	w.deps.Dial = func(ctx context.Context, addr string) (net.Conn, error) {
		time.Sleep(50 * time.Millisecond) // a slow network
		return dial(ctx, addr)
	}
	w.rules = limited(gate.Limits{MaxRows: 2})
	c := dialRaw(t, w.serve(server.Addr()))
	const insert = "INSERT INTO notes (body) SELECT 'w' || i FROM generate_series(1, 3) i RETURNING body"
	for range 2 {
		c.send(script(run1(insert), synced, run1("SELECT 5 AS five FROM pg_sleep(0.2)"), synced)...)
		sees(t, c.until(2), "parsed", "bound", "row w1", "row w2", "ERROR 54000", "ready I", "parsed", "bound", "row 5", "done SELECT 1", "ready I")
		sees(t, c.ask(insert+"; "+insert), "columns body", "row w1", "row w2", "ERROR 54000", "ready I")
		sees(t, c.ask("SELECT count(*) FROM notes"), "columns count", "row 0", "done SELECT 1", "ready I")
	}
}
