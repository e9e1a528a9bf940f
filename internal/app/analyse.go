package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weir-gateway/weir/extproc/http"
	"github.com/weir-gateway/weir/extproc/postgres"
	"github.com/weir-gateway/weir/extproc/postgres/catalog"
	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/sqlmeta"
	"github.com/weir-gateway/weir/internal/vault"
)

// Analyse says what a statement ("select 1") or a request ("GET /path", with a
// JSON body) would be to policy. A statement is analysed against the catalog of
// the target's database, which is read for it.
func Analyse(ctx context.Context, cfg *config.Config, target, text, body string, classes Classes) (*gate.Operation, error) {
	t, ok := cfg.Targets[target]
	if !ok {
		return nil, fmt.Errorf("the configuration has no target %q", target)
	}
	if t.Kind == config.HTTP {
		method, path, ok := strings.Cut(text, " ")
		if !ok || !strings.HasPrefix(path, "/") {
			return nil, errors.New("a request is written as METHOD /path")
		}
		return http.Describe(method, path, body)
	}
	return analyseSQL(ctx, cfg, target, text, classes)
}

// readWithin bounds reading the catalog.
const readWithin = 15 * time.Second

func analyseSQL(ctx context.Context, cfg *config.Config, target, text string, classes Classes) (*gate.Operation, error) {
	t := cfg.Targets[target]
	log := slog.New(slog.DiscardHandler)
	dialer, err := newDialer(ctx, cfg, target, log)
	if err != nil {
		return nil, err
	}
	functions, err := declared(target, t)
	if err != nil {
		return nil, err
	}
	known, err := catalog.New(catalog.Config{Timeout: readWithin, Functions: functions, Dial: func(ctx context.Context) (*pgx.Conn, error) {
		return dialer.dial(ctx, t.Upstream.Database)
	}}, log)
	if err != nil {
		return nil, err
	}
	snapshot, err := known.Snapshot(ctx)
	if err != nil {
		return nil, fmt.Errorf("what the tables of target %s are must be read from its database: %w", target, err)
	}
	path, err := known.SearchPath(ctx)
	if err != nil {
		return nil, err
	}
	analyzer, err := sqlmeta.New(sqlmeta.Config{MaxBytes: largestStatement(cfg)})
	if err != nil {
		return nil, err
	}
	return postgres.Describe(ctx, analyzer, target, introduction(t), text, classes, snapshot, path)
}

// newDialer makes connections to a target's server as the gateway's own are, outside of a
// running gateway.
func newDialer(ctx context.Context, cfg *config.Config, target string, log *slog.Logger) (*catalogDialer, error) {
	t := cfg.Targets[target]
	v, err := vault.New(vault.ConfigFor(string(cfg.Data), os.Getenv), log)
	if err != nil {
		return nil, err
	}
	s := &shared{vault: v, log: log}
	up, err := s.upstream(ctx, target, t)
	if err != nil {
		return nil, err
	}
	password, err := s.password(ctx, target, t)
	if err != nil {
		return nil, err
	}
	return &catalogDialer{target: t, up: &up, password: password}, nil
}
