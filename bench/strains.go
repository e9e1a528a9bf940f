package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// How hard it is strained.
const (
	slowRate     = 20 << 20 // bytes a second that a slow client reads
	unread       = 8        // clients that do not read
	beside       = 4        // clients that work beside them
	churning     = 8        // connections at one time of those that come and go
	signingIn    = 16       // of idle sessions that sign in at one time
	idleSessions = 1000
)

func strains(o options) []strain {
	return []strain{
		{id: "strain-copy", title: fmt.Sprintf("COPY of %d MiB TO STDOUT, read as fast as it comes", o.large), run: largeCopy(0),
			bar: "Envoy below 200 MB, the processor below 150 MB at peak"},
		{id: "strain-slow", title: fmt.Sprintf("COPY TO STDOUT to a client that reads 20 MB/s, for %g s", o.strain), run: largeCopy(slowRate),
			bar: "Envoy below 200 MB, the processor below 150 MB at peak"},
		{id: "strain-unread", title: fmt.Sprintf("%d clients that COPY TO STDOUT and do not read, while %d others work", unread, beside), run: stalled,
			bar: "Envoy below 200 MB, the processor below 150 MB at peak, the others as fast as alone"},
		{id: "strain-idle", title: fmt.Sprintf("%d idle sessions", idleSessions), run: idle,
			bar: "at most 60 KB each in the processor"},
		{id: "strain-churn", title: fmt.Sprintf("%d connections that come, ask and go, %d at a time", o.churn, churning), run: churn,
			bar: "flat memory"},
	}
}

// endless is a COPY of many times the table that COPY is measured with.
func endless(o options, mib int) string {
	return fmt.Sprintf("COPY (SELECT bulk.* FROM generate_series(1, %d), bulk) TO STDOUT", max(1, mib/o.copied))
}

// largeCopy reads the copy as fast as it comes, or for a time at a rate of bytes
// a second.
func largeCopy(rate int) func(context.Context, *straining) error {
	return func(ctx context.Context, s *straining) error {
		o := s.rig.options
		conn, err := s.route.dial(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
		to := &paced{rate: rate, start: time.Now()}
		if rate > 0 {
			to.until = to.start.Add(time.Duration(o.strain * float64(time.Second)))
		}
		_, err = conn.CopyTo(ctx, to, endless(o, o.large))
		if errors.Is(err, errEnough) {
			err = nil
		}
		s.say("MB/s", "%.0f", float64(to.n)/1e6/time.Since(to.start).Seconds())
		return err
	}
}

var errEnough = errors.New("enough was read")

// paced is a reader's pace, for what is written to it.
type paced struct {
	rate  int
	n     int64
	start time.Time
	until time.Time
}

// Write implements io.Writer.
func (p *paced) Write(b []byte) (int, error) {
	p.n += int64(len(b))
	if p.rate == 0 {
		return len(b), nil
	}
	if ahead := time.Duration(float64(p.n)/float64(p.rate)*float64(time.Second)) - time.Since(p.start); ahead > 0 {
		time.Sleep(ahead)
	}
	if time.Now().After(p.until) {
		return 0, errEnough
	}
	return len(b), nil
}

// stalled has clients that ask for much and read nothing, and measures what
// others can do meanwhile, beside what they can do alone.
func stalled(ctx context.Context, s *straining) error {
	work := bench(script{builtin: true, mode: "prepared", clients: beside})
	alone, err := work(ctx, s.rig, s.route, s.rig.options.strain)
	if err != nil {
		return err
	}
	for range unread {
		conn, err := s.route.dial(ctx)
		if err != nil {
			return err
		}
		defer conn.Conn().Close() // it would have to be read for a proper leave
		conn.Frontend().Send(&pgproto3.Query{String: endless(s.rig.options, s.rig.options.large)})
		if err := conn.Frontend().Flush(); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn.Conn(), make([]byte, 1)); err != nil { // it has begun
			return err
		}
	}
	together, err := work(ctx, s.rig, s.route, s.rig.options.strain)
	if err != nil {
		return err
	}
	s.say("tps of the others: alone, beside them", "%.0f, %.0f", alone.value, together.value)
	return nil
}

// idle signs in many and looks what they hold.
func idle(ctx context.Context, s *straining) error {
	conns, err := many(ctx, idleSessions, signingIn, func() (*pgconn.PgConn, error) {
		conn, err := s.route.dial(ctx)
		if err != nil {
			return nil, err
		}
		_, err = conn.Exec(ctx, "SELECT 1").ReadAll()
		return conn, err
	})
	defer func() {
		for _, c := range conns {
			_ = c.Close(context.WithoutCancel(ctx))
		}
	}()
	if err != nil {
		return err
	}
	s.rig.settle(ctx, s.route.bearer != "")
	s.each(idleSessions)
	return nil
}

// churn has connections come and go, and looks at the memory on the way.
func churn(ctx context.Context, s *straining) error {
	o := s.rig.options
	var seen []uint64
	start := time.Now()
	for range 4 {
		_, err := many(ctx, o.churn/4, churning, func() (*pgconn.PgConn, error) {
			conn, err := s.route.dial(ctx)
			if err != nil {
				return nil, err
			}
			_, err = conn.Exec(ctx, "SELECT 1").ReadAll()
			return nil, errors.Join(err, conn.Close(ctx))
		})
		if err != nil {
			return err
		}
		for _, p := range s.route.parts {
			if p.role == roleProcessor {
				now, _ := memory(p.pid)
				seen = append(seen, now>>20)
			}
		}
	}
	s.say("connections a second", "%.0f", float64(o.churn)/time.Since(start).Seconds())
	s.say("processor, MiB after each quarter", "%v", seen)
	return nil
}

// many does something n times, some of it at one time, and ends at the first error.
func many(ctx context.Context, n, atOnce int, do func() (*pgconn.PgConn, error)) ([]*pgconn.PgConn, error) {
	var mu sync.Mutex
	var all []*pgconn.PgConn
	var errs []error
	todo := make(chan struct{}, n)
	for range n {
		todo <- struct{}{}
	}
	close(todo)
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for range todo {
				conn, err := do()
				mu.Lock()
				all = append(all, conn)
				errs = append(errs, err)
				failed := errors.Join(errs...) != nil
				mu.Unlock()
				if failed || ctx.Err() != nil {
					return
				}
			}
		})
	}
	group.Wait()
	return slices.DeleteFunc(all, func(c *pgconn.PgConn) bool { return c == nil }), errors.Join(errs...)
}
