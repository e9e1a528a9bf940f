package app

import (
	"context"
	"log/slog"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/extproc/postgres"
	"github.com/weir-gateway/weir/extproc/postgres/catalog"
)

// maxCatalogs bounds how many databases of one target are known at a time. A
// target names its databases, or lets clients ask for any.
const maxCatalogs = 256

// catalogs keeps the catalog of each database of a target that was asked for.
type catalogs struct {
	dial func(ctx context.Context, database string) (*pgx.Conn, error)
	log  *slog.Logger

	ctx    context.Context // of all that are read
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu sync.Mutex
	by map[string]*catalog.Catalog
}

func newCatalogs(dial func(context.Context, string) (*pgx.Conn, error), log *slog.Logger) *catalogs {
	c := &catalogs{dial: dial, log: log, by: map[string]*catalog.Catalog{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// of is the catalog of a database, kept fresh from the first time it is asked
// for.
func (c *catalogs) of(database string) (postgres.Catalog, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if one := c.by[database]; one != nil {
		return one, nil
	}
	one, err := catalog.New(catalog.Config{
		Dial: func(ctx context.Context) (*pgx.Conn, error) { return c.dial(ctx, database) },
	}, c.log.With("database", database))
	if err != nil {
		return nil, err
	}
	if len(c.by) < maxCatalogs {
		c.by[database] = one
		c.done.Go(func() { _ = one.Run(c.ctx) }) // it never fails
	}
	return one, nil
}

// close stops reading.
func (c *catalogs) close() {
	c.cancel()
	c.done.Wait()
}
