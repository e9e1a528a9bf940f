package clickhouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// table is one that is inserted into.
type table struct{ name, columns string }

// insert is one INSERT of any number of blocks. ClickHouse gathers them and makes
// one part of each partition of them, since parts are what costs it: files, an
// fsync of each, and merges. The blocks' columns are the same memory again and
// again.
type insert struct {
	ctx   context.Context //nolint:containedctx // of this insert alone
	conn  driver.Conn
	table *table
	token string

	batch driver.Batch // nil before the first block
	each  []column.Interface
	next  int
	err   error // the first of this block
}

// begin begins an insert that ClickHouse recognises by its token when it comes
// again, and that is done and on its disk when end returns. Nothing is asked of
// ClickHouse before there are rows.
func (t *table) begin(ctx context.Context, conn driver.Conn, token string) *insert {
	return &insert{ctx: ctx, conn: conn, table: t, token: token}
}

func (i *insert) open() error {
	ctx := clickhouse.Context(i.ctx, clickhouse.WithSettings(clickhouse.Settings{
		"insert_deduplicate": 1, "async_insert": 0, "insert_deduplication_token": i.table.name + "-" + i.token,
	}))
	batch, err := i.conn.PrepareBatch(ctx, "INSERT INTO weir."+i.table.name+" ("+i.table.columns+")")
	if err != nil {
		return fmt.Errorf("%s: %w", i.table.name, err)
	}
	i.batch, i.each = batch, batch.Columns()
	return nil
}

// fill appends the values of the next column, one for each row.
func fill[V any](i *insert, values []V) {
	if i.err == nil && i.batch == nil {
		i.err = i.open()
	}
	if i.next < len(i.each) && i.err == nil {
		_, i.err = i.each[i.next].Append(values)
	}
	i.next++
}

// flush sends the block that was filled in.
func (i *insert) flush() error {
	err := i.err
	if err == nil && i.next != len(i.each) {
		err = errors.New("as many columns are needed as the table has")
	}
	if err == nil {
		err = i.batch.Flush()
	}
	i.next = 0
	return i.done(err)
}

// end ends the insert, and returns when ClickHouse has it.
func (i *insert) end() error {
	if i.batch == nil {
		return nil // there were no rows
	}
	return i.done(i.batch.Send())
}

// done gives up an insert that failed: nothing of it is kept.
func (i *insert) done(err error) error {
	if err == nil {
		return nil
	}
	if i.batch != nil {
		_ = i.batch.Abort()
		i.batch = nil
	}
	return fmt.Errorf("%s: %w", i.table.name, err)
}
