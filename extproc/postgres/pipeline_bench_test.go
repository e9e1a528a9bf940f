package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	pgserver "github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/recorder"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/spool"
)

// BenchmarkPipeline is 5,000 statements before one Sync: by themselves, and with
// evidence on a real disk, buffered and durable.
func BenchmarkPipeline(b *testing.B) {
	for _, way := range []string{"direct", "buffered", "durable"} {
		b.Run(way, func(b *testing.B) {
			w, server := realWorld(b, pgserver.Options{})
			dsn := server.DSNFor("weir_orders", "upstream-secret", "shop")
			if way != "direct" {
				w.cfg.Target.Buffered = way == "buffered"
				w.recorder = realRecorder(b)
				host, port, err := net.SplitHostPort(w.serve(server.Addr()))
				if err != nil {
					b.Fatal(err)
				}
				dsn = fmt.Sprintf("host=%s port=%s user=anyone password=good dbname=shop sslmode=disable", host, port)
			}
			ctx := context.Background()
			c, err := pgconn.Connect(ctx, dsn)
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close(ctx)
			if _, err := c.Prepare(ctx, "s", "SELECT $1::text", nil); err != nil {
				b.Fatal(err)
			}
			pipeline(b, c)
			before := processorTime(b)
			for b.Loop() {
				pipeline(b, c)
			}
			b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N)/pipelined, "cpu-µs/statement")
		})
	}
}

const pipelined = 5000

func pipeline(b *testing.B, c *pgconn.PgConn) {
	p := c.StartPipeline(context.Background())
	for range pipelined {
		p.SendQueryPrepared("s", [][]byte{[]byte("a")}, nil, nil)
	}
	if err := p.Sync(); err != nil {
		b.Fatal(err)
	}
	for range pipelined {
		r, err := p.GetResults()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := r.(*pgconn.ResultReader).Close(); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Close(); err != nil {
		b.Fatal(err)
	}
}

func realRecorder(b *testing.B) *recorder.Recorder {
	quiet := slog.New(slog.DiscardHandler)
	s, err := spool.Open(b.Context(), spool.Config{Dir: b.TempDir(), Join: event.Joiner()}, quiet)
	if err != nil {
		b.Fatal(err)
	}
	r, err := recorder.New(recorder.Config{}, s, quiet)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = r.Close(context.Background())
		_ = s.Close()
	})
	return r
}

// processorTime is what this process has taken of the processors.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
