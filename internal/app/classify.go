package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/extproc/postgres/catalog"
	"github.com/weir-gateway/weir/internal/classify"
	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/sqlmeta"
)

// Classify proposes classes for the columns of a target's database: the one named, or else
// the one that the configuration names. It signs in as the gateway does, and only reads.
func Classify(ctx context.Context, cfg *config.Config, database string, known Classes, o classify.Options) (*classify.Report, error) {
	t := cfg.Targets[o.Target]
	if database == "" {
		database = t.Upstream.Database
	}
	if database == "" {
		return nil, fmt.Errorf("target %s names no upstream.database: name one with --database", o.Target)
	}
	log := slog.New(slog.DiscardHandler)
	dialer, err := newDialer(ctx, cfg, o.Target, log)
	if err != nil {
		return nil, err
	}
	dialer.application = "weir classify"
	conn, err := dialer.dial(ctx, database)
	if err != nil {
		return nil, fmt.Errorf("database %s of target %s must be read: %w", database, o.Target, err)
	}
	defer closeSoon(conn)
	l := &lineage{dial: func(ctx context.Context) (*pgx.Conn, error) { return dialer.dial(ctx, database) }, log: log}
	defer l.close()
	o.Lineage = l.of
	r, err := classify.Database(ctx, conn, known, o)
	if err != nil {
		return nil, fmt.Errorf("target %s: %w", o.Target, err)
	}
	if len(r.Dead) > 0 && !oneDatabase(t) {
		r.Notes = append(r.Notes, classify.Note{Text: fmt.Sprintf("%d lines of the classification name no column of %s; they may name columns of another database of the target", len(r.Dead), database)})
		r.Dead = []classify.Dead{}
	}
	return r, nil
}

// oneDatabase says that clients of a target can reach one database only.
func oneDatabase(t *config.Target) bool {
	reached := append(slices.Clone(t.Databases), t.Upstream.Database)
	slices.Sort(reached)
	return len(slices.Compact(reached)) == 1 && reached[0] != "*" && reached[0] != ""
}

// closeSoon says good-bye to a server, also where the context that it served has ended.
func closeSoon(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx)
}

// lineage traces the columns of views with the analysis that sessions are judged by. It reads
// the catalog when it is first asked.
type lineage struct {
	dial func(context.Context) (*pgx.Conn, error)
	log  *slog.Logger

	conn     *pgx.Conn
	snapshot sqlmeta.Catalog
	analyzer *sqlmeta.Analyzer
}

func (l *lineage) open(ctx context.Context) error {
	known, err := catalog.New(catalog.Config{Timeout: readWithin, Dial: func(ctx context.Context) (*pgx.Conn, error) {
		conn, err := l.dial(ctx)
		l.conn = conn
		return conn, err
	}}, l.log)
	if err != nil {
		return err
	}
	snapshot, err := known.Snapshot(ctx)
	if err != nil {
		return err
	}
	analyzer, err := sqlmeta.New(sqlmeta.Config{})
	if err != nil {
		return err
	}
	l.snapshot, l.analyzer = snapshot, analyzer
	return nil
}

func (l *lineage) close() {
	if l.conn != nil {
		closeSoon(l.conn)
	}
	if l.analyzer != nil {
		_ = l.analyzer.Close()
	}
}

func (l *lineage) of(ctx context.Context, t *classify.Table) ([]classify.Origin, error) {
	if l.analyzer == nil {
		if err := l.open(ctx); err != nil {
			return nil, err
		}
	}
	names := make([]string, 0, len(t.Columns))
	for _, c := range t.Columns {
		names = append(names, pgx.Identifier{c.Name}.Sanitize())
	}
	text := "SELECT " + strings.Join(names, ", ") + " FROM " + pgx.Identifier{t.Schema, t.Name}.Sanitize()
	a, err := l.analyzer.Analyze(ctx, text, l.snapshot, nil)
	if err != nil {
		return nil, err
	}
	if len(a.Statements) != 1 || len(a.Statements[0].Outputs) != len(t.Columns) {
		return nil, errors.New("its definition is not understood")
	}
	out := make([]classify.Origin, 0, len(t.Columns))
	for i, o := range a.Statements[0].Outputs {
		origin := classify.Origin{Column: t.Columns[i].Name, Direct: o.Direct, Opaque: o.Opaque}
		for _, s := range o.Sources {
			origin.From = append(origin.From, classify.Source{Schema: s.Schema, Table: s.Table, Column: s.Column})
		}
		out = append(out, origin)
	}
	return out, nil
}
