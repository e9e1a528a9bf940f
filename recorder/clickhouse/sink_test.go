package clickhouse

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// A ClickHouse that takes no more does not hold up who stops.
func TestAStuckWriteEndsWithItsContext(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close() // which nobody reads
	ctx, cancel := context.WithCancel(t.Context())
	o := interruptible(ctx, &clickhouse.Options{DialContext: func(context.Context, string) (net.Conn, error) { return near, nil }})
	conn, err := o.DialContext(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	wrote := make(chan error, 1)
	go func() {
		_, err := conn.Write([]byte("x"))
		wrote <- err
	}()
	cancel()
	if err := <-wrote; !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("the write ended with %v", err)
	}
}
