package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"golang.org/x/sync/errgroup"

	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/web"
	"github.com/weir-gateway/weir/recorder/clickhouse"
	"github.com/weir-gateway/weir/recorder/clickhouse/engine"
)

// store is ClickHouse as the gateway uses it: what brings evidence there, and
// what reads it back.
type store struct {
	engine *engine.Supervisor // nil where ClickHouse runs elsewhere
	sink   *clickhouse.Sink
	reader *clickhouse.Reader
	folder string // of the engine
	native string // host:port
}

// schemaOf says how ClickHouse's tables are made, and how long rows stay.
func schemaOf(e *config.Evidence) clickhouse.Schema {
	return clickhouse.Schema{Retention: e.Retention.D(), PayloadRetention: e.PayloadRetention.D()}
}

// startStore starts ClickHouse, or reaches it, and what brings evidence there.
// They end after everything that records has ended, so that the last of it still
// gets there; what does not, the spool keeps.
func (g *Gateway) startStore(ctx context.Context, cfg *config.Config, ending *stack) error {
	s := &store{folder: dataPath(cfg, "clickhouse")}
	options, err := g.clickhouseOptions(ctx, cfg, s)
	if err != nil {
		return err
	}
	if s.reader, err = clickhouse.NewReader(options); err != nil {
		return err
	}
	s.sink, err = clickhouse.NewSink(clickhouse.Config{
		Options: options, Schema: schemaOf(&cfg.Evidence), Registerer: g.metrics,
	}, g.spool.EventQueue(), g.spool.PayloadQueue(), g.log.With("part", "clickhouse"))
	if err != nil {
		return err
	}
	g.store = s
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	group := new(errgroup.Group)
	group.Go(func() error {
		if err := s.answers(running); err != nil {
			return nil //nolint:nilerr // it was ended before it ever answered
		}
		return s.sink.Run(running)
	})
	if s.engine != nil {
		group.Go(func() error { return s.engine.Run(running) })
	}
	ending.push("ClickHouse", func(ctx context.Context) error {
		settle, cancel := context.WithTimeout(ctx, settleWithin)
		defer cancel()
		s.sink.Settle(settle)
		stop()
		return errors.Join(group.Wait(), s.reader.Close())
	})
	return nil
}

// answers waits until an embedded engine answers.
func (s *store) answers(ctx context.Context) error {
	if s.engine == nil {
		return nil
	}
	return s.engine.Ready(ctx)
}

// settleWithin bounds how long the end waits for the last evidence to reach
// ClickHouse.
const settleWithin = time.Second

func (g *Gateway) clickhouseOptions(ctx context.Context, cfg *config.Config, s *store) (*clickhousego.Options, error) {
	if cfg.Evidence.ClickHouse == config.Embedded {
		supervisor, err := g.newEngine(ctx, cfg)
		if err != nil {
			return nil, err
		}
		s.engine, s.native = supervisor, supervisor.Address()
		return supervisor.Options(), nil
	}
	options, err := clickhousego.ParseDSN(cfg.Evidence.ClickHouse)
	if err != nil {
		return nil, fmt.Errorf("evidence.clickhouse: %w", err)
	}
	options.Auth.Database = "" // the schema names its own
	if ref := cfg.Evidence.ClickHousePassword; ref != "" {
		if options.Auth.Password, err = g.vault.Resolve(ctx, string(ref)); err != nil {
			return nil, fmt.Errorf("evidence.clickhouse_password: %w", err)
		}
	}
	s.native = options.Addr[0]
	return options, nil
}

// newEngine finds the embedded ClickHouse: the user's own program, or the
// library that this program loads in a child.
func (g *Gateway) newEngine(ctx context.Context, cfg *config.Config) (*engine.Supervisor, error) {
	c := engine.Config{Program: g.options.Self, Dir: dataPath(cfg, "clickhouse"), AuditorViews: clickhouse.Views}
	for _, path := range findEngines(g.options.Self) {
		if c.Args == nil {
			c.Args = engineCommand(path)
		} else if c.Fallback == nil {
			c.Fallback = engineCommand(path)
		}
	}
	if c.Args == nil {
		return nil, errors.New("no ClickHouse was found: install `clickhouse`, name libchdb.so with WEIR_LIBCHDB " +
			"(it is in the npm package @chdb/lib-linux-x64-gnu), or name a server with evidence.clickhouse")
	}
	return engine.New(ctx, c, g.log.With("part", "clickhouse"))
}

// engineCommand is the hidden command that serves an engine.
func engineCommand(path string) []string { return []string{"engine", "--library", path} }

// findEngines are the engines of this machine, the one to try first in front.
func findEngines(self string) []string {
	var out []string
	if path := os.Getenv("WEIR_LIBCHDB"); path != "" {
		out = append(out, path)
	}
	if path, err := exec.LookPath("clickhouse"); err == nil {
		out = append(out, path)
	}
	if path := findEngine(self); path != "" {
		out = append(out, path)
	}
	return out
}

// where says where evidence can be queried.
func (s *store) where() ClickHouseStatus {
	out := ClickHouseStatus{Native: s.native}
	if s.engine != nil {
		out.HTTP, out.AuditorURL = s.engine.URL(), filepath.Join(s.folder, engine.AuditorFile)
	}
	return out
}

// ready says what keeps evidence from being queried.
func (s *store) ready(context.Context) error {
	if s.engine != nil {
		if err := s.engine.Err(); err != nil {
			return err
		}
	}
	return s.sink.Err()
}

// askWithin bounds one question.
const askWithin = 30 * time.Second

// Sessions implements web.Evidence.
func (s *store) Sessions(ctx context.Context, f web.Filter) ([]web.Session, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	rows, err := s.reader.Sessions(ctx, clickhouse.Filter{Target: f.Target, Subject: f.Subject, Since: f.Since, Until: f.Until, Limit: f.Limit})
	out := make([]web.Session, len(rows))
	for i := range rows {
		out[i] = session(&rows[i])
	}
	return out, err
}

// Session implements web.Evidence.
func (s *store) Session(ctx context.Context, id string) (*web.Session, []web.Operation, error) {
	ctx, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	row, err := s.reader.Session(ctx, id)
	if err != nil {
		return nil, nil, asWeb(err)
	}
	operations, err := s.reader.Operations(ctx, row.Session)
	if err != nil {
		return nil, nil, err
	}
	out := make([]web.Operation, len(operations))
	for i, o := range operations {
		out[i] = web.Operation{
			ID: o.Operation, At: o.At, Action: o.Action, Text: o.Text, Effect: o.Effect, Code: o.Code, Reason: o.Reason,
			Decision: o.Decision, Approval: o.Approval, Status: o.Status, Error: o.Error, Rows: o.Rows, Bytes: o.Bytes, Millis: o.Millis, Masked: o.Masked,
		}
	}
	one := session(row)
	return &one, out, nil
}

func session(r *clickhouse.SessionRow) web.Session {
	client := r.Client
	if r.Application != "" {
		client += " " + r.Application
	}
	return web.Session{
		ID: r.Session, Target: r.Target, Kind: r.Kind, Subject: r.Subject, Issuer: r.Issuer, Principal: r.Principal, Client: client,
		Database: r.Database, Started: r.Started, Ended: r.Ended, EndReason: r.EndReason, Operations: r.Operations, Refused: r.Refused, Revision: r.Policy,
	}
}

// Replay implements web.Evidence.
func (s *store) Replay(ctx context.Context, id string) iter.Seq2[web.ReplayItem, error] {
	return func(yield func(web.ReplayItem, error) bool) {
		row, err := s.reader.Session(ctx, id)
		if err != nil {
			yield(web.ReplayItem{}, asWeb(err))
			return
		}
		for i, err := range s.reader.Replay(ctx, row.Session) {
			if err != nil {
				yield(web.ReplayItem{}, err)
				return
			}
			if !yield(replayItem(&i), nil) {
				return
			}
		}
	}
}

func replayItem(i *clickhouse.Item) web.ReplayItem {
	out := web.ReplayItem{At: i.At, Kind: i.Kind, Operation: i.Operation, Stream: gate.Stream(i.Stream)}
	if i.Kind == clickhouse.Payload {
		out.Data = []byte(i.Data)
		return out
	}
	out.Body = json.RawMessage(i.Body)
	return out
}

func asWeb(err error) error {
	switch {
	case errors.Is(err, clickhouse.ErrNotFound):
		return web.ErrNotFound
	case errors.Is(err, clickhouse.ErrAmbiguous):
		return web.ErrAmbiguous
	}
	return err
}
