package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// dial signs in on a route.
func (t *route) dial(ctx context.Context) (*pgconn.PgConn, error) {
	return pgconn.Connect(ctx, t.connString())
}

// repeat does something for some time, at least three times, and takes the
// median of how long it took.
func repeat(seconds float64, do func() error) (outcome, error) {
	var times []float64
	for began := time.Now(); len(times) < 3 || time.Since(began).Seconds() < seconds; {
		start := time.Now()
		if err := do(); err != nil {
			return outcome{}, err
		}
		times = append(times, float64(time.Since(start).Nanoseconds())/1e6)
	}
	return outcome{median(times), float64(len(times))}, nil
}

// copyOut reads a table whole by COPY.
func copyOut(table string) func(context.Context, *rig, *route, float64) (outcome, error) {
	return func(ctx context.Context, r *rig, t *route, _ float64) (outcome, error) {
		conn, err := t.dial(ctx)
		if err != nil {
			return outcome{}, err
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		var got count
		start := time.Now()
		_, err = conn.CopyTo(ctx, &got, "COPY "+table+" TO STDOUT")
		took := time.Since(start)
		if err != nil {
			return outcome{}, err
		}
		if want := r.options.copied << 20 / copyRowBytes * copyRowBytes; int(got) != want {
			return outcome{}, fmt.Errorf("COPY gave %d bytes of %d", got, want)
		}
		return outcome{float64(got) / 1e6 / took.Seconds(), 1}, nil
	}
}

// count counts what is written to it.
type count int

// Write implements io.Writer.
func (c *count) Write(b []byte) (int, error) {
	*c += count(len(b))
	return len(b), nil
}

// emptyLarge makes every run of insertLarge begin with the same table.
func emptyLarge(ctx context.Context, r *rig) error {
	return r.stage.Postgres.Exec(ctx, databaseName, "TRUNCATE large")
}

// insertLarge inserts literals of 1 MiB, each with a text of its own.
func insertLarge(ctx context.Context, _ *rig, t *route, seconds float64) (outcome, error) {
	conn, err := t.dial(ctx)
	if err != nil {
		return outcome{}, err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	literal, n := strings.Repeat("x", 1<<20), 0
	return repeat(seconds, func() error {
		n++
		_, err := conn.Exec(ctx, fmt.Sprintf("INSERT INTO large VALUES ('%016d%s')", n, literal[16:])).ReadAll()
		return err
	})
}

// connect is what a program does that keeps no connection.
func connect(ctx context.Context, _ *rig, t *route, seconds float64) (outcome, error) {
	return repeat(seconds, func() error {
		conn, err := t.dial(ctx)
		if err != nil {
			return err
		}
		_, err = conn.Exec(ctx, "SELECT 1").ReadAll()
		return errors.Join(err, conn.Close(ctx))
	})
}

// get asks for the document again and again, over one connection.
func get(masked bool) func(context.Context, *rig, *route, float64) (outcome, error) {
	return func(ctx context.Context, _ *rig, t *route, seconds float64) (outcome, error) {
		id := workloadHeaders
		if masked {
			id = workloadJSON
		}
		transport := &http.Transport{MaxConnsPerHost: 1, DisableCompression: true}
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, t.urls[id]+"/customers/42", nil)
		if err != nil {
			return outcome{}, err
		}
		if t.bearer != "" {
			req.Header.Set("Authorization", "Bearer "+t.bearer)
		}
		return repeat(seconds, func() error {
			resp, err := transport.RoundTrip(req)
			if err != nil {
				return err
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			switch {
			case err != nil:
				return err
			case resp.StatusCode != http.StatusOK:
				return fmt.Errorf("%s: %s", resp.Status, body)
			case masked && t.bearer != "" && strings.Contains(string(body), "123-45"):
				return fmt.Errorf("not masked: %s", body)
			}
			return nil
		})
	}
}
