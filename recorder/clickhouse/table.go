package clickhouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// table inserts into one table, again and again. Its columns keep their memory
// from one insert to the next: a new batch for each would grow them anew, which
// costs several times what the rows take.
type table struct {
	name, columns string

	settings clickhouse.Settings
	batch    driver.Batch // nil before the first insert, and after one that failed
	each     []column.Interface
	next     int
	rows     int
	err      error // the first of this insert
}

// begin starts an insert of one block that ClickHouse recognises by its token
// when it comes again, and that is done and on its disk when send returns.
func (t *table) begin(ctx context.Context, conn driver.Conn, token string) error {
	if t.batch == nil {
		// What is set here is read again at each insert.
		t.settings = clickhouse.Settings{"insert_deduplicate": 1, "async_insert": 0}
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(t.settings))
		batch, err := conn.PrepareBatch(ctx, "INSERT INTO weir."+t.name+" ("+t.columns+")", driver.WithReleaseConnection())
		if err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
		t.batch, t.each = batch, batch.Columns()
	}
	t.settings["insert_deduplication_token"] = t.name + "-" + token
	for _, c := range t.each {
		c.Reset()
	}
	t.next, t.rows, t.err = 0, 0, nil
	return nil
}

// fill appends the values of the next column, one for each row.
func fill[V any](t *table, values []V) {
	if t.next < len(t.each) && t.err == nil {
		_, t.err = t.each[t.next].Append(values)
	}
	t.next++
	t.rows = len(values)
}

// send inserts what was filled in.
func (t *table) send() error {
	err := t.err
	if err == nil && t.next != len(t.each) {
		err = errors.New("as many columns are needed as the table has")
	}
	if err == nil && t.rows > 0 {
		err = t.batch.Send()
	}
	if err != nil {
		_ = t.batch.Close()
		t.batch = nil
		return fmt.Errorf("%s: %w", t.name, err)
	}
	return nil
}
