package catalog

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// A snapshot may be older than the database. So each relation and function has a version
// that is read along with it, and can be read again alone, by indexes: it changes with
// whatever an analysis takes from the catalog. What a table was written to, or who may
// read it, changes no version.

// versions are those of everything of one name: whatever the search path is, a name that
// leads to something else now is not of the same version.
type versions map[version]string

// version is what has one: a name among relations ('r') or functions ('f'), or the names
// of schemas ('n') and what is called by no name of a function ('o') as such.
type version struct {
	kind byte
	name string
}

// firstUsers is the first OID that the server gives to what users make
// (FirstNormalObjectId in access/transam.h). What is below does not change.
const firstUsers = 16384

// versioned reads versions. The first condition is on pg_class, the second on pg_proc.
// Of pg_class only what matters counts: its rows are written anew by TRUNCATE and GRANT.
const versioned = `
WITH named AS MATERIALIZED (
  SELECT oid, relname, relnamespace, relkind, reltype FROM pg_class
   WHERE oid >= %[1]d AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c') AND relpersistence <> 't' AND %[2]s
)
SELECT 'r', relname::text, sum(hashtextextended(part, 0))::text FROM (
  SELECT relname, concat_ws(':', oid, relnamespace, relkind, reltype) AS part FROM named
  UNION ALL
  SELECT relname, concat_ws(':', 'a', attrelid, attnum, a.xmin) FROM named JOIN pg_attribute a ON attrelid = named.oid WHERE attnum > 0
  UNION ALL
  SELECT relname, concat_ws(':', 'd', d.oid, d.xmin) FROM named JOIN pg_attrdef d ON adrelid = named.oid
  UNION ALL
  SELECT relname, concat_ws(':', 'r', r.oid, r.xmin) FROM named JOIN pg_rewrite r ON ev_class = named.oid
  UNION ALL
  SELECT relname, concat_ws(':', 't', t.oid, t.xmin) FROM named JOIN pg_trigger t ON tgrelid = named.oid WHERE NOT tgisinternal
  UNION ALL
  SELECT relname, concat_ws(':', 'p', inhrelid, inhparent, i.xmin) FROM named JOIN pg_inherits i ON inhrelid = named.oid
  UNION ALL
  SELECT relname, concat_ws(':', 'c', inhrelid, inhparent, i.xmin) FROM named JOIN pg_inherits i ON inhparent = named.oid
) AS parts GROUP BY relname
UNION ALL
SELECT 'f', proname::text, sum(hashtextextended(concat_ws(':', oid, xmin), 0))::text FROM pg_proc WHERE oid >= %[1]d AND %[3]s GROUP BY proname
UNION ALL
SELECT 'o', '', concat_ws('/', (SELECT sum(hashtextextended(concat_ws(':', oid, xmin), 0)) FROM pg_operator WHERE oid >= %[1]d),
                               (SELECT sum(hashtextextended(concat_ws(':', oid, xmin), 0)) FROM pg_cast WHERE oid >= %[1]d),
                               (SELECT sum(hashtextextended(concat_ws(':', oid, xmin), 0)) FROM pg_constraint WHERE contypid <> 0 AND oid >= %[1]d))
UNION ALL
SELECT 'n', '', sum(hashtextextended(concat_ws(':', oid, xmin), 0))::text FROM pg_namespace
 WHERE oid >= %[1]d AND nspname NOT LIKE 'pg\_%%'`

var (
	allVersions  = fmt.Sprintf(versioned, firstUsers, "true", "true")
	someVersions = fmt.Sprintf(versioned, firstUsers, "relname = ANY ($1::text[]::name[])", "proname = ANY ($2::text[]::name[])")
)

// byIndex has the server look up a few names, without planning it each time.
const byIndex = `SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off; SET plan_cache_mode = force_generic_plan; SET jit = off`

func readVersions(rows pgx.Rows, err error) (versions, error) {
	if err != nil {
		return nil, err
	}
	all := versions{}
	var kind, name string
	var sum *string // NULL: there are no schemas
	_, err = pgx.ForEachRow(rows, []any{&kind, &name, &sum}, func() error {
		if sum != nil {
			all[version{kind[0], name}] = *sum
		}
		return nil
	})
	return all, err
}

// agree says that two readings are the same about these names.
func (v versions) agree(other versions, n sqlmeta.Names) bool {
	same := func(kind byte) func(string) bool {
		return func(name string) bool { return v[version{kind, name}] != other[version{kind, name}] }
	}
	named := len(n.Relations)+len(n.Functions) > 0 // else a schema more or less makes no difference
	return (!named || !same('n')("")) && !same('o')("") && !slices.ContainsFunc(n.Relations, same('r')) && !slices.ContainsFunc(n.Functions, same('f'))
}

// keptVersions is how many contents of the database it is remembered for which versions
// they had: a statement may have been judged under one that is not the last.
const keptVersions = 4

// dated is a content of the database and the versions that it was last seen to have.
type dated struct {
	revision string
	versions versions
}

// keep remembers the versions of a content. c.mu must be held.
func (c *Catalog) keep(revision string, v versions) {
	c.recent = slices.DeleteFunc(c.recent, func(d dated) bool { return d.revision == revision })
	if len(c.recent) == keptVersions {
		c.recent = slices.Delete(c.recent, 0, 1)
	}
	c.recent = append(c.recent, dated{revision, v})
}

func (c *Catalog) versionsOf(revision string) versions {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.recent {
		if d.revision == revision {
			return d.versions
		}
	}
	return nil
}

// Holds says whether what a snapshot of this catalog says of names still is so, at a
// moment after the call. Where it is not, the catalog is read anew meanwhile. Callers at
// the same time share one question to the server.
func (c *Catalog) Holds(ctx context.Context, of sqlmeta.Catalog, n sqlmeta.Names) (bool, error) {
	s, ok := sqlmeta.Unshadowed(of).(*Snapshot)
	if !ok {
		return false, nil
	}
	revision := s.revision
	if s.base != "" { // what the transaction itself has done, nobody else sees
		revision = s.base
	}
	before := c.versionsOf(revision)
	if before == nil { // it has changed several times since
		return false, nil
	}
	q := c.questions.join(n, c.cfg)
	select {
	case <-q.done:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if q.err != nil {
		return false, fmt.Errorf("confirming what is known: %w", q.err)
	}
	if before.agree(q.now, n) {
		return true, nil
	}
	c.join()
	return false, nil
}

// question asks for the versions of some names, for everyone who came while the one
// before it was under way.
type question struct {
	done                 chan struct{}
	relations, functions map[string]struct{}
	now                  versions
	err                  error
}

// questions are asked one at a time, over a connection of their own: a look may take long.
type questions struct {
	mu     sync.Mutex // guards flight and next
	flight *question
	next   *question

	conn *pgx.Conn // used by the flight only
}

// join adds names to the first question that has not been asked yet.
func (qs *questions) join(n sqlmeta.Names, cfg Config) *question {
	qs.mu.Lock()
	defer qs.mu.Unlock()
	q := qs.next
	if q == nil {
		q = &question{done: make(chan struct{}), relations: map[string]struct{}{}, functions: map[string]struct{}{}}
	}
	for _, name := range n.Relations {
		q.relations[name] = struct{}{}
	}
	for _, name := range n.Functions {
		q.functions[name] = struct{}{}
	}
	if qs.flight != nil {
		qs.next = q
		return q
	}
	qs.flight = q
	go qs.fly(q, cfg)
	return q
}

// fly asks one question after the other until nobody waits for a further one.
func (qs *questions) fly(q *question, cfg Config) {
	for q != nil {
		ctx, cancel := context.WithTimeout(context.Background(), cfg.Timeout)
		fresh := qs.conn == nil || qs.conn.IsClosed()
		if q.err = qs.ask(ctx, q, cfg); q.err != nil && !fresh { // the connection may have been idle for long
			q.err = qs.ask(ctx, q, cfg)
		}
		cancel()
		qs.mu.Lock()
		q, qs.next = qs.next, nil
		done := qs.flight
		qs.flight = q
		close(done.done)
		qs.mu.Unlock()
	}
}

func (qs *questions) ask(ctx context.Context, q *question, cfg Config) error {
	if qs.conn == nil || qs.conn.IsClosed() {
		conn, err := cfg.Dial(ctx)
		if err != nil {
			return fmt.Errorf("connecting: %w", err)
		}
		qs.conn = conn
		if _, err := conn.PgConn().Exec(ctx, byIndex).ReadAll(); err != nil {
			return qs.drop(ctx, err)
		}
	}
	now, err := readVersions(qs.conn.Query(ctx, someVersions, names(q.relations), names(q.functions)))
	if err != nil {
		return qs.drop(ctx, err)
	}
	q.now = now
	return nil
}

func (qs *questions) drop(ctx context.Context, err error) error {
	_ = qs.conn.Close(ctx)
	qs.conn = nil
	return err
}

func names(set map[string]struct{}) []string {
	return slices.AppendSeq(make([]string, 0, len(set)), maps.Keys(set))
}

// close waits for what is under way and closes the connection.
func (qs *questions) close(ctx context.Context) {
	closeIdle(ctx, &qs.mu, &qs.conn, func() <-chan struct{} {
		if qs.flight == nil {
			return nil
		}
		return qs.flight.done
	})
}
