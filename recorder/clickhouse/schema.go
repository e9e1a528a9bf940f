package clickhouse

import (
	"archive/zip"
	"bytes"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"text/template"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed grants.sql
var grants string

// Grants is SQL for a server of the operator's own: roles for the gateway and
// for auditors, with no more rights than they need.
func Grants() string { return grants }

// Views are what auditors may read, all of database weir.
var Views = []string{
	"all_events", "sessions", "operations", "denials", "sign_in_refusals", "approvals", "privileged_operations", "masked_reads",
	"column_access", "unmasked_reads", "policy_changes", "gaps", "broken_chains",
}

// Schema says how tables are made.
type Schema struct {
	// ClusterName is the ON CLUSTER of every statement; its tables are replicated.
	// Empty is a single server.
	ClusterName string
	// Retention is how long events are kept. 0 keeps them for ever.
	Retention time.Duration
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
func (s Schema) PayloadTTL() int64 {
	if s.PayloadRetention == 0 {
		return int64(defaultPayloadRetention / time.Second)
	}
	return int64(s.PayloadRetention / time.Second)
}

// Migrate brings the schema up to this version. Running it twice, or in several
// gateways at once, does no harm: each statement of a migration can be repeated.
func (s Schema) Migrate(ctx context.Context, o *clickhouse.Options) error {
	files, err := s.files()
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	db := clickhouse.OpenDB(o)
	defer db.Close()
	if err := s.begin(ctx, db); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectCustom, db, files, goose.WithStore(versions{s}), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	if err := s.keep(ctx, db); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	return nil
}

// begin makes the database and the table of versions. Goose makes that as well,
// but looks for it first in a way that the server complains about in its log.
func (s Schema) begin(ctx context.Context, db *sql.DB) error {
	v := versions{s}
	var exists uint8
	if err := db.QueryRowContext(ctx, "EXISTS DATABASE weir").Scan(&exists); err != nil {
		return err
	}
	if exists == 0 {
		if _, err := db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS weir "+s.Cluster()); err != nil {
			return err
		}
	}
	if err := db.QueryRowContext(ctx, "EXISTS TABLE "+v.Tablename()).Scan(&exists); err != nil || exists == 1 {
		return err
	}
	if err := v.CreateVersionTable(ctx, db); err != nil {
		return err
	}
	return v.insert(ctx, db, 0)
}

// keep sets for how long rows stay, where that is not so already.
func (s Schema) keep(ctx context.Context, db *sql.DB) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"materialize_ttl_after_modify": 0}))
	for table, seconds := range map[string]int64{"events": int64(s.Retention / time.Second), "payloads": s.PayloadTTL()} {
		var engine string
		err := db.QueryRowContext(ctx, "SELECT engine_full FROM system.tables WHERE database = 'weir' AND name = ?", table).Scan(&engine)
		if err != nil {
			return err
		}
		ttl := fmt.Sprintf("TTL toDateTime(ts) + toIntervalSecond(%d)", seconds)
		change := "MODIFY " + ttl
		switch {
		case seconds == 0 && !strings.Contains(engine, " TTL "), seconds != 0 && strings.Contains(engine+" ", " "+ttl+" "):
			continue
		case seconds == 0:
			change = "REMOVE TTL"
		}
		if _, err := db.ExecContext(ctx, "ALTER TABLE weir."+table+" "+s.Cluster()+" "+change); err != nil {
			return fmt.Errorf("retention of %s: %w", table, err)
		}
	}
	return nil
}

// files are the migrations with this schema's choices filled in.
func (s Schema) files() (fs.FS, error) {
	if strings.ContainsAny(s.ClusterName, "`\\") {
		return nil, errors.New("a cluster's name has no backquote and no backslash")
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for _, name := range names {
		t, err := template.ParseFS(migrations, name)
		if err != nil {
			return nil, err
		}
		f, err := w.Create(path.Base(name))
		if err != nil {
			return nil, err
		}
		if err := t.Execute(f, s); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return zip.NewReader(bytes.NewReader(packed.Bytes()), int64(packed.Len()))
}
