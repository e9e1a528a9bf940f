package classify

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Table is a table, view, materialized view or foreign table.
type Table struct {
	OID          uint32
	Schema, Name string
	Kind         string // pg_class.relkind: r p v m f
	Columns      []*Column
	Parents      []uint32
	Children     []uint32

	comment    string
	rows       float64 // about how many
	pages      int64
	policed    bool // row-level security hides rows from who reads here
	unreadable bool // its schema may not be entered
}

// Column is a column of a table.
type Column struct {
	Table     *Table
	Name      string
	Type      string // as SQL writes it
	Generated bool
	Inherited bool // from a parent table: what the parent's column has, it has too

	num      int16
	family   family
	array    bool
	builtin  bool // its type, or what that is a domain over, came with the server
	cuttable bool // text that the server can be asked for the beginning of
	comment  string
	readable bool // by who reads here
	refers   []ref
}

// ref is a column that a foreign key leads to.
type ref struct {
	table uint32
	num   int16
}

// catalogQuery reads columns, those of the server itself and of temporary tables left out. Of
// an array its elements' type counts, of a domain what it is over.
const catalogQuery = `
SELECT c.oid, n.nspname, c.relname, c.relkind::text, c.reltuples::float8, c.relpages::int8,
       coalesce(obj_description(c.oid, 'pg_class'), ''), row_security_active(c.oid),
       NOT has_schema_privilege(n.oid, 'USAGE'),
       a.attname, format_type(a.atttypid, a.atttypmod), a.attnum, a.attgenerated <> '', a.attinhcount > 0,
       coalesce(e.typname, b.typname, t.typname), coalesce(e.typcategory, b.typcategory, t.typcategory)::text, e.oid IS NOT NULL,
       coalesce(e.typnamespace, b.typnamespace, t.typnamespace) = 'pg_catalog'::regnamespace,
       coalesce(col_description(c.oid, a.attnum), ''),
       has_column_privilege(c.oid, a.attnum, 'SELECT')
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  JOIN pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_type b ON b.oid = t.typbasetype
  LEFT JOIN pg_type e ON e.oid = coalesce(nullif(b.typelem, 0), nullif(t.typelem, 0)) AND coalesce(b.typcategory, t.typcategory) = 'A'
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND c.relpersistence <> 't'
   AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_toast%' AND n.nspname NOT LIKE 'pg\_temp%'
 ORDER BY n.nspname, c.relname, c.oid, a.attnum`

const inheritanceQuery = `SELECT inhrelid, inhparent FROM pg_inherits ORDER BY inhparent, inhseqno, inhrelid`

const foreignKeyQuery = `
SELECT conrelid, k.own, confrelid, k.other
  FROM pg_constraint, unnest(conkey, confkey) AS k (own, other)
 WHERE contype = 'f' AND conparentid = 0 ORDER BY 1, 2, 3, 4`

// Catalog is what a database holds, in order of names.
type Catalog struct {
	Database string
	Tables   []*Table

	byOID map[uint32]*Table
}

// ReadCatalog reads the tables and columns of a database, in one transaction that only reads.
func ReadCatalog(ctx context.Context, conn *pgx.Conn) (*Catalog, error) {
	c := &Catalog{byOID: map[uint32]*Table{}}
	err := reading(ctx, conn.PgConn(), catalogTimeout, func() error {
		if err := conn.QueryRow(ctx, "SELECT current_database()").Scan(&c.Database); err != nil {
			return err
		}
		if err := c.readColumns(ctx, conn); err != nil {
			return err
		}
		if err := c.readInheritance(ctx, conn); err != nil {
			return err
		}
		return c.readForeignKeys(ctx, conn)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the catalog: %w", err)
	}
	return c, nil
}

func (c *Catalog) readColumns(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, catalogQuery)
	if err != nil {
		return err
	}
	var t Table
	var col Column
	var typeName, category string
	_, err = pgx.ForEachRow(rows, []any{
		&t.OID, &t.Schema, &t.Name, &t.Kind, &t.rows, &t.pages, &t.comment, &t.policed, &t.unreadable,
		&col.Name, &col.Type, &col.num, &col.Generated, &col.Inherited, &typeName, &category, &col.array, &col.builtin, &col.comment, &col.readable,
	}, func() error {
		known := c.byOID[t.OID]
		if known == nil {
			kept := t
			known = &kept
			c.byOID[t.OID] = known
			c.Tables = append(c.Tables, known)
		}
		one := col
		one.Table, one.family = known, familyOf(typeName, category)
		one.cuttable = col.builtin && !col.array && (typeName == "text" || typeName == "varchar" || typeName == "bpchar")
		known.Columns = append(known.Columns, &one)
		return nil
	})
	return err
}

func (c *Catalog) readInheritance(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, inheritanceQuery)
	if err != nil {
		return err
	}
	var child, parent uint32
	_, err = pgx.ForEachRow(rows, []any{&child, &parent}, func() error {
		if t, p := c.byOID[child], c.byOID[parent]; t != nil && p != nil {
			t.Parents, p.Children = append(t.Parents, parent), append(p.Children, child)
		}
		return nil
	})
	return err
}

func (c *Catalog) readForeignKeys(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, foreignKeyQuery)
	if err != nil {
		return err
	}
	var own, other ref
	_, err = pgx.ForEachRow(rows, []any{&own.table, &own.num, &other.table, &other.num}, func() error {
		if col := c.column(own); col != nil {
			col.refers = append(col.refers, other)
		}
		return nil
	})
	return err
}

func (c *Catalog) column(r ref) *Column {
	t := c.byOID[r.table]
	if t == nil {
		return nil
	}
	i := slices.IndexFunc(t.Columns, func(col *Column) bool { return col.num == r.num })
	if i < 0 {
		return nil
	}
	return t.Columns[i]
}

// leaves are the tables that hold the rows of a table: itself, and those below it.
func (c *Catalog) leaves(t *Table) []*Table {
	var out []*Table
	seen := map[uint32]bool{}
	var visit func(*Table)
	visit = func(t *Table) {
		if seen[t.OID] {
			return
		}
		seen[t.OID] = true
		if t.Kind != "p" {
			out = append(out, t)
		}
		for _, oid := range t.Children {
			visit(c.byOID[oid])
		}
	}
	visit(t)
	return out
}

// reading does something in a transaction that only reads, locks nothing that anybody waits
// for, and waits for nobody long. Names in it are those of pg_catalog.
func reading(ctx context.Context, conn *pgconn.PgConn, timeout time.Duration, do func() error) error {
	begin := fmt.Sprintf(`BEGIN TRANSACTION READ ONLY; SET LOCAL search_path = ''; SET LOCAL statement_timeout = %d;
SET LOCAL lock_timeout = '1s'; SET LOCAL idle_in_transaction_session_timeout = '60s'`, timeout.Milliseconds())
	if _, err := conn.Exec(ctx, begin).ReadAll(); err != nil {
		return err
	}
	err := do()
	if conn.IsClosed() {
		return err
	}
	if _, rollback := conn.Exec(ctx, "ROLLBACK").ReadAll(); err == nil {
		err = rollback
	}
	return err
}
