package clickhouse

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3/database"
)

// versions keeps track of migrations in ClickHouse, replicated where the tables
// are. A version may stand there twice: gateways that started together both
// applied it.
type versions struct{ schema Schema }

var _ database.Store = versions{}

// Tablename implements database.Store.
func (versions) Tablename() string { return "weir.schema_versions" }

// CreateVersionTable implements database.Store.
func (v versions) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	_, err := db.ExecContext(ctx, fmt.Sprintf(`CREATE TABLE IF NOT EXISTS %s %s
		(version_id Int64, is_applied UInt8, date Date DEFAULT now(), tstamp DateTime DEFAULT now())
		ENGINE = %s ORDER BY version_id COMMENT 'Which migrations were applied.'`,
		v.Tablename(), v.schema.Cluster(), v.schema.Engine("schema_versions")))
	return err
}

func (v versions) insert(ctx context.Context, db database.DBTxConn, version int64) error {
	_, err := db.ExecContext(ctx, fmt.Sprintf("INSERT INTO %s (version_id, is_applied) VALUES (%d, 1)", v.Tablename(), version))
	return err
}

// Insert implements database.Store.
func (v versions) Insert(ctx context.Context, db database.DBTxConn, r database.InsertRequest) error {
	return v.insert(ctx, db, r.Version)
}

// Delete implements database.Store: evidence goes forward only.
func (versions) Delete(context.Context, database.DBTxConn, int64) error {
	return errors.New("the schema goes forward only")
}

// GetMigration implements database.Store.
func (v versions) GetMigration(ctx context.Context, db database.DBTxConn, version int64) (*database.GetMigrationResult, error) {
	r := &database.GetMigrationResult{IsApplied: true}
	err := db.QueryRowContext(ctx, fmt.Sprintf("SELECT tstamp FROM %s WHERE version_id = %d LIMIT 1", v.Tablename(), version)).Scan(&r.Timestamp)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, database.ErrVersionNotFound
	}
	return r, err
}

// GetLatestVersion implements database.Store.
func (v versions) GetLatestVersion(ctx context.Context, db database.DBTxConn) (int64, error) {
	var known uint64
	var latest int64
	err := db.QueryRowContext(ctx, "SELECT count(), max(version_id) FROM "+v.Tablename()).Scan(&known, &latest)
	if err == nil && known == 0 {
		return 0, database.ErrVersionNotFound
	}
	return latest, err
}

// ListMigrations implements database.Store.
func (v versions) ListMigrations(ctx context.Context, db database.DBTxConn) ([]*database.ListMigrationsResult, error) {
	rows, err := db.QueryContext(ctx, "SELECT DISTINCT version_id FROM "+v.Tablename()+" ORDER BY version_id DESC")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []*database.ListMigrationsResult
	for rows.Next() {
		r := &database.ListMigrationsResult{IsApplied: true}
		if err := rows.Scan(&r.Version); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, rows.Err()
}
