package catalog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// ErrUnknown says that the database could not be read for so long that nothing
// is known of it any more.
var ErrUnknown = errors.New("the database's catalog could not be read")

// Config says where a catalog is read, and how often. Zero durations mean the
// defaults.
type Config struct {
	// Dial opens a connection to the database, as the user that sessions have
	// there. It is kept until it fails.
	Dial func(ctx context.Context) (*pgx.Conn, error)
	// Functions is what the operator says of functions, by schema.name(types) as
	// regprocedure writes it, or by schema.name for all of that name.
	Functions map[string]*sqlmeta.Facts
	// Interval is the time between two looks; default 30 s, give or take a tenth.
	Interval time.Duration
	// Timeout bounds one look, connecting included; default 30 s.
	Timeout time.Duration
	// MaxStale is how long the last good snapshot serves while looks fail;
	// default 5 min.
	MaxStale time.Duration
	// Names are kept from the catalog of this database that was there before; nil: none was.
	Names *Names
	// Renamed is told of each column that has another name than at the look before, or
	// whose name is gone: now is zero then. It may be nil.
	Renamed func(was, now sqlmeta.ColumnRef)
}

// Catalog is the catalog of one database. It is safe for concurrent use.
type Catalog struct {
	cfg Config
	log *slog.Logger
	now func() time.Time

	current atomic.Pointer[seen]

	changing atomic.Int64 // changes that have begun and not ended
	changed  atomic.Int64 // those that have ended

	mu     sync.Mutex // guards flight, next and recent
	flight *look      // under way
	next   *look      // waits for flight to end
	recent []dated    // the last contents, the newest at the end

	questions questions

	conn  *pgx.Conn // used by the flight only
	probe string    // what the catalog's tables looked like at the last read
}

// seen is a snapshot and when it was last known to be right.
type seen struct {
	*Snapshot
	at      time.Time
	changed int64 // of Catalog, before the look
}

// look is one read of the catalog; everyone who waits for it shares its result.
type look struct {
	done chan struct{}
	err  error
}

// New makes a Catalog. It reads nothing yet.
func New(cfg Config, log *slog.Logger) (*Catalog, error) {
	if cfg.Dial == nil {
		return nil, errors.New("catalog: Dial is required")
	}
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{{&cfg.Interval, 30 * time.Second}, {&cfg.Timeout, 30 * time.Second}, {&cfg.MaxStale, 5 * time.Minute}} {
		if *d.value < 0 {
			return nil, errors.New("catalog: a duration is negative")
		}
		if *d.value == 0 {
			*d.value = d.or
		}
	}
	if cfg.Names == nil {
		cfg.Names = new(Names)
	}
	return &Catalog{cfg: cfg, log: log, now: time.Now}, nil
}

// Run polls until ctx ends, and then closes the connection. It never fails:
// what cannot be read is tried again, and said once.
func (c *Catalog) Run(ctx context.Context) error {
	defer c.close()
	failing := false
	for {
		err := c.Refresh(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			c.log.WarnContext(ctx, "the database's catalog could not be read: the last one serves for now", "err", err, "for", c.cfg.MaxStale)
		case err == nil && failing:
			c.log.InfoContext(ctx, "the database's catalog can be read again")
		}
		failing = err != nil
		wait := c.cfg.Interval
		if failing { // sooner, so that a server that is back is seen soon
			wait /= 4
		}
		wait += time.Duration((rand.Float64() - 0.5) * 0.2 * float64(wait))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// Snapshot is the catalog as it was last read. The first call reads it. It fails
// with ErrUnknown when the last good read is too long ago.
func (c *Catalog) Snapshot(ctx context.Context) (sqlmeta.Catalog, error) {
	s, err := c.snapshot(ctx)
	if err != nil {
		return nil, err // not a nil *Snapshot in an interface
	}
	return s, nil
}

func (c *Catalog) snapshot(ctx context.Context) (*Snapshot, error) {
	if s := c.fresh(); s != nil && c.settled() {
		return s, nil
	}
	err := c.Refresh(ctx)
	if s := c.fresh(); s != nil && err == nil {
		return s, nil
	}
	return nil, fmt.Errorf("%w: %w", ErrUnknown, err)
}

func (c *Catalog) fresh() *Snapshot {
	s := c.current.Load()
	if s == nil || c.now().Sub(s.at) > c.cfg.MaxStale {
		return nil
	}
	return s.Snapshot
}

// Changes notes that somebody is about to change the database. Until the change has ended,
// by a call of done, and the catalog was looked at again, each Snapshot looks first: what
// one session has changed, another must not be judged without.
func (c *Catalog) Changes() (done func()) {
	c.changing.Add(1)
	return sync.OnceFunc(func() {
		c.changed.Add(1)
		c.changing.Add(-1)
	})
}

// settled says that nobody has changed the database, through this gateway, since it was
// looked at.
func (c *Catalog) settled() bool {
	s := c.current.Load()
	return c.changing.Load() == 0 && s != nil && s.changed == c.changed.Load()
}

// SearchPath is the search path that a session of this user starts with.
func (c *Catalog) SearchPath(ctx context.Context) ([]string, error) {
	s, err := c.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return s.searchPath, nil
}

// Refresh looks at the database now, and returns when a look that began after
// the call is done. Callers at the same time share one.
func (c *Catalog) Refresh(ctx context.Context) error {
	l := c.join()
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// join finds the first look that has not begun yet, and sees to it that it will.
func (c *Catalog) join() *look {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flight != nil {
		if c.next == nil {
			c.next = &look{done: make(chan struct{})}
		}
		return c.next
	}
	c.flight = &look{done: make(chan struct{})}
	go c.fly(c.flight)
	return c.flight
}

// fly does one look after the other until nobody waits for a further one.
func (c *Catalog) fly(l *look) {
	for l != nil {
		ctx, cancel := context.WithTimeout(context.Background(), c.cfg.Timeout)
		l.err = c.look(ctx)
		cancel()
		c.mu.Lock()
		l, c.next = c.next, nil
		done := c.flight
		c.flight = l
		close(done.done)
		c.mu.Unlock()
	}
}

// look reads the catalog if it has changed.
func (c *Catalog) look(ctx context.Context) error {
	if c.conn == nil || c.conn.IsClosed() {
		conn, err := c.cfg.Dial(ctx)
		if err != nil {
			return fmt.Errorf("connecting: %w", err)
		}
		c.conn, c.probe = conn, ""
	}
	at, changed := c.now(), c.changed.Load()
	last := c.current.Load()
	snapshot, v, probe, err := read(ctx, c.conn, c.cfg.Functions, c.probe)
	if err != nil {
		_ = c.conn.Close(ctx)
		c.conn = nil
		return err
	}
	if snapshot != nil {
		for _, r := range c.cfg.Names.remember(snapshot) {
			if c.cfg.Renamed != nil {
				c.cfg.Renamed(r.was, r.now)
			}
		}
	}
	switch {
	case snapshot == nil && last != nil: // as it was
		snapshot = last.Snapshot
	case last != nil && last.revision == snapshot.revision: // keep what is shared already
		snapshot = last.Snapshot
	}
	c.probe = probe
	if v != nil {
		c.mu.Lock()
		c.keep(snapshot.revision, v)
		c.mu.Unlock()
	}
	c.current.Store(&seen{snapshot, at, changed})
	return nil
}

// close waits for what is under way and closes the connections.
func (c *Catalog) close() {
	ctx, cancel := context.WithTimeout(context.Background(), c.cfg.Timeout)
	defer cancel()
	c.questions.close(ctx)
	closeIdle(ctx, &c.mu, &c.conn, func() <-chan struct{} {
		if c.flight == nil {
			return nil
		}
		return c.flight.done
	})
}

// closeIdle closes a connection once nothing that uses it is under way. flight is called
// with mu and says when what is under way ends, nil where nothing is.
func closeIdle(ctx context.Context, mu *sync.Mutex, conn **pgx.Conn, flight func() <-chan struct{}) {
	for {
		mu.Lock()
		done := flight()
		if done == nil {
			if *conn != nil {
				_ = (*conn).Close(ctx)
				*conn = nil
			}
			mu.Unlock()
			return
		}
		mu.Unlock()
		<-done
	}
}
