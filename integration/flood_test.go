package integration

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// A client that sends megabytes ahead, while the session waits for the server again and
// again, cannot keep the server's bytes from it. Over ext_proc both come by one way, and
// what was sent ahead is kept, within a bound (docs/envoy.md).
func TestAFloodDoesNotStarveTheServer(t *testing.T) {
	w := shared(t)
	const pairs = 64
	conn := w.pgx(t, w.agent(t), pgx.QueryExecModeExec).PgConn()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	sent := make(chan error, 1)
	go func() {
		var flood []byte
		padding := strings.Repeat("x", 128<<10)
		for range pairs {
			flood, _ = (&pgproto3.Query{String: "set search_path = public"}).Encode(flood)
			// Where the path leads is asked for before this is judged.
			flood, _ = (&pgproto3.Query{String: "select count(*) from customers where city = '" + padding + "'"}).Encode(flood)
		}
		_, err := conn.Conn().Write(flood)
		sent <- err
	}()
	for n := 0; n < 2*pairs; {
		m, err := conn.ReceiveMessage(ctx)
		if err != nil {
			t.Fatalf("%v, behind %d answers", err, n)
		}
		switch m := m.(type) {
		case *pgproto3.ReadyForQuery:
			n++
		case *pgproto3.ErrorResponse:
			t.Fatal(m.Message)
		}
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}
