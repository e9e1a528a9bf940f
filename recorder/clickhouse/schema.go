package clickhouse

import (
	"bytes"
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"testing/fstest"
	"text/template"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Views are what auditors may read, all of database weir.
var Views = []string{"all_events", "sessions", "operations", "denials", "approvals", "masked_reads", "column_access", "policy_changes", "gaps"}

// Schema says how tables are made.
type Schema struct {
	// ClusterName is the ON CLUSTER of every statement; its tables are replicated.
	// Empty is a single server.
	ClusterName string
	// PayloadRetention is how long protocol bytes are kept. 90 days when 0.
	PayloadRetention time.Duration
}

const defaultPayloadRetention = 90 * 24 * time.Hour

// Cluster is the clause after a table's name.
func (s Schema) Cluster() string {
	if s.ClusterName == "" {
		return ""
	}
	return "ON CLUSTER `" + s.ClusterName + "`"
}

// Engine is a table's engine.
func (s Schema) Engine(table string) string {
	if s.ClusterName == "" {
		return "MergeTree"
	}
	return fmt.Sprintf("ReplicatedMergeTree('/clickhouse/tables/{shard}/weir/%s', '{replica}')", table)
}

// Deduplication is the setting that makes a repeated insert none.
func (s Schema) Deduplication() string {
	if s.ClusterName == "" {
		return "non_replicated_deduplication_window"
	}
	return "replicated_deduplication_window"
}

// PayloadTTL is in seconds.
func (s Schema) PayloadTTL() string {
	keep := s.PayloadRetention
	if keep == 0 {
		keep = defaultPayloadRetention
	}
	return strconv.FormatInt(int64(keep/time.Second), 10)
}

// Migrate brings the schema up to this version. Running it twice, or in two
// gateways at once, does no harm.
func (s Schema) Migrate(ctx context.Context, o *clickhouse.Options) error {
	files, err := s.files()
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	db := clickhouse.OpenDB(o)
	defer db.Close()
	if _, err := db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS weir "+s.Cluster()); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	store, err := database.NewStore(goose.DialectClickHouse, "weir.schema_versions")
	if err != nil {
		return err
	}
	if err := begin(ctx, db, store); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	p, err := goose.NewProvider("", db, files, goose.WithStore(store))
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	return s.keep(ctx, o)
}

// begin makes the table of versions on the first start. Goose does so as well, but
// looks for it first in a way that the server complains about in its log.
func begin(ctx context.Context, db *sql.DB, store database.Store) error {
	var exists uint8
	if err := db.QueryRowContext(ctx, "EXISTS TABLE "+store.Tablename()).Scan(&exists); err != nil || exists == 1 {
		return err
	}
	if err := store.CreateVersionTable(ctx, db); err != nil {
		return err
	}
	return store.Insert(ctx, db, database.InsertRequest{Version: 0})
}

// keep sets how long payloads stay, which may have changed since they were made.
func (s Schema) keep(ctx context.Context, o *clickhouse.Options) error {
	db := clickhouse.OpenDB(o)
	defer db.Close()
	_, err := db.ExecContext(ctx, "ALTER TABLE weir.payloads "+s.Cluster()+" MODIFY TTL toDateTime(ts) + toIntervalSecond("+s.PayloadTTL()+")")
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	return nil
}

// files are the migrations with this schema's choices filled in.
func (s Schema) files() (fs.FS, error) {
	out := fstest.MapFS{}
	entries, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	for _, name := range entries {
		t, err := template.ParseFS(migrations, name)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		if err := t.Execute(&b, s); err != nil {
			return nil, err
		}
		out[name[len("migrations/"):]] = &fstest.MapFile{Data: b.Bytes()}
	}
	return out, nil
}
