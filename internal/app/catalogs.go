package app

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/extproc/postgres"
	"github.com/weir-gateway/weir/extproc/postgres/catalog"
	"github.com/weir-gateway/weir/internal/classification"
	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// maxCatalogs bounds how many databases of one target are known at a time. A
// target names its databases, or lets clients ask for any.
const maxCatalogs = 256

// maxColumnNames bounds for how many databases it is remembered what their columns were called.
const maxColumnNames = 1024

// catalogs keeps the catalog of each database of a target that was asked for.
type catalogs struct {
	dial func(ctx context.Context, database string) (*pgx.Conn, error)
	log  *slog.Logger
	// functions are what the operator says of the target's functions.
	functions map[string]*sqlmeta.Facts
	// names are what columns of a database were called, renamed is told of a change of that.
	names   func(database string) *catalog.Names
	renamed func(was, now sqlmeta.ColumnRef)

	ctx    context.Context // of all that are read
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu sync.Mutex
	by map[string]*catalog.Catalog
}

func newCatalogs(dial func(context.Context, string) (*pgx.Conn, error), functions map[string]*sqlmeta.Facts, log *slog.Logger, names func(string) *catalog.Names) *catalogs {
	c := &catalogs{dial: dial, log: log, functions: functions, names: names, by: map[string]*catalog.Catalog{}}
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
		Functions: c.functions,
		Dial:      func(ctx context.Context) (*pgx.Conn, error) { return c.dial(ctx, database) },
		Names:     c.names(database), Renamed: c.renamed,
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

// declared is what a target's configuration says of functions.
func declared(target string, t *config.Target) (map[string]*sqlmeta.Facts, error) {
	all := make(map[string]*sqlmeta.Facts, len(t.Functions))
	for name, facts := range t.Functions {
		one := new(sqlmeta.Facts)
		for _, f := range facts {
			if f == config.Pure {
				continue
			}
			names, err := classification.Names(string(f))
			if err != nil || len(names) != 3 {
				return nil, fmt.Errorf("targets.%s.functions: %q is not schema.table.column", target, f)
			}
			one.Reads = append(one.Reads, sqlmeta.ColumnRef{Schema: names[0], Table: names[1], Column: names[2]})
		}
		all[strings.ReplaceAll(name, ", ", ",")] = one
	}
	return all, nil
}

// close stops reading.
func (c *catalogs) close() {
	c.cancel()
	c.done.Wait()
}

// columnNames are what columns were called, for as long as the process lives: a target's
// handlers, and with them its catalogs, follow one another.
type columnNames struct {
	mu sync.Mutex
	by map[string]*catalog.Names
}

// of are those of a database of a target, while it has these servers.
func (c *columnNames) of(target string, servers []string, database string) *catalog.Names {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[string]*catalog.Names{}
	}
	key := fmt.Sprintf("%q %q %q", target, servers, database)
	if c.by[key] == nil {
		if len(c.by) == maxColumnNames {
			return new(catalog.Names)
		}
		c.by[key] = new(catalog.Names)
	}
	return c.by[key]
}
