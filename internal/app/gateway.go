// Package app wires the rooms together: it maps the configuration onto each,
// starts what runs in the right order, applies changes, and ends everything in
// time. It decides nothing itself.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/approval"
	"github.com/weir-gateway/weir/internal/classification"
	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/fleet"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/identity"
	"github.com/weir-gateway/weir/internal/mask"
	"github.com/weir-gateway/weir/internal/relay"
	"github.com/weir-gateway/weir/internal/sqlmeta"
	"github.com/weir-gateway/weir/internal/vault"
	"github.com/weir-gateway/weir/recorder"
	"github.com/weir-gateway/weir/recorder/event"
	"github.com/weir-gateway/weir/recorder/spool"
	"github.com/weir-gateway/weir/xds"
)

// Options say how the gateway is run.
type Options struct {
	File     string // the configuration's path
	Children bool   // start Envoy and ClickHouse ("weir up"), or reach them ("weir serve")
	Self     string // path of this program, which also is the embedded ClickHouse
	Version  string
	Log      io.Writer
}

// Gateway is everything that runs.
type Gateway struct {
	options Options
	started time.Time
	level   slog.LevelVar
	log     *slog.Logger
	metrics *prometheus.Registry

	shared
	classification atomic.Pointer[classification.Classification]
	spool          *spool.Spool
	recorder       *recorder.Recorder
	approvals      *approval.Store
	policy         rules
	handlers       handlers
	extproc        *extproc.Server
	relay          *relay.Server
	xds            *xds.Server
	store          *store
	envoy          *proxy

	identityMetrics *identity.Metrics
	stopIdentity    context.CancelFunc

	mu       sync.Mutex // one configuration is applied at a time
	current  atomic.Pointer[config.Config]
	problems problems
}

// Run is the whole life of a gateway: it returns when ctx ends, or when it could
// not start.
func Run(ctx context.Context, o Options) error {
	cfg, err := config.Load(o.File)
	if err != nil {
		return err
	}
	if err := forbidCoreDumps(); err != nil {
		return fmt.Errorf("core dumps, which would hold secrets, could not be switched off: %w", err)
	}
	unlock, err := lockData(string(cfg.Data))
	if err != nil {
		return err
	}
	defer unlock()
	g := &Gateway{options: o, started: time.Now(), metrics: prometheus.NewRegistry()}
	g.level.Set(levels[cfg.Log.Level])
	g.log = newLogger(o.Log, cfg.Log.Format, &g.level)
	g.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := privateFolder(socketFolder(string(cfg.Data))); err != nil {
		return fmt.Errorf("the sockets' folder: %w", err)
	}
	return g.run(ctx, cfg)
}

// run builds from the inside out: what keeps evidence, what decides, what
// serves. It ends from the outside in.
func (g *Gateway) run(ctx context.Context, cfg *config.Config) error {
	var ending stack
	err := g.findProxy(ctx, cfg)
	if err == nil {
		err = g.build(ctx, cfg, &ending)
	}
	if err == nil {
		err = g.serve(ctx, cfg, &ending)
	}
	if ctx.Err() != nil {
		g.log.Info("stopping")
	}
	return errors.Join(err, ending.unwind(context.WithoutCancel(ctx), stopWithin))
}

// stopWithin bounds ending everything, stopProxyWithin the part of it that Envoy
// may take once its sessions have ended.
const (
	stopWithin      = 5 * time.Second
	stopProxyWithin = 1500 * time.Millisecond
)

func (g *Gateway) build(ctx context.Context, cfg *config.Config, ending *stack) error {
	if err := g.buildEvidence(ctx, cfg, ending); err != nil {
		return err
	}
	g.classes = &g.classification
	if err := g.buildApprovals(ctx, cfg); err != nil {
		return err
	}
	var err error
	if g.gate, err = gate.New(&g.policy, g.approvals, g.recorder, g.log); err != nil {
		return err
	}
	if err := g.joinFleet(cfg, ending); err != nil {
		return err
	}
	return g.buildSessions(cfg)
}

func (g *Gateway) buildEvidence(ctx context.Context, cfg *config.Config, ending *stack) (err error) {
	g.shared.log, g.shared.metrics, g.drain = g.log, g.metrics, cfg.Drain.Shutdown.D()
	if g.vault, err = vault.New(vault.ConfigFor(string(cfg.Data), os.Getenv), g.log); err != nil {
		return err
	}
	spoolConfig := spool.Config{Dir: dataPath(cfg, "spool"), MaxBytes: int64(cfg.Evidence.SpoolSize), Replicas: cfg.Evidence.Replicas, Join: event.Joiner()}
	if cfg.Evidence.Spool != config.Embedded {
		spoolConfig.Dir, spoolConfig.URL = "", cfg.Evidence.Spool
		if cfg.Evidence.SpoolCredentials != "" {
			if spoolConfig.Credentials, err = g.vault.Resolve(ctx, string(cfg.Evidence.SpoolCredentials)); err != nil {
				return fmt.Errorf("evidence.spool_credentials: %w", err)
			}
		}
	}
	if g.spool, err = spool.Open(ctx, spoolConfig, g.log.With("part", "spool")); err != nil {
		return err
	}
	ending.push("spool", func(context.Context) error { return g.spool.Close() })
	if err := g.startStore(ctx, cfg, ending); err != nil {
		return err
	}
	g.recorder, err = recorder.New(recorder.Config{Auditors: cfg.Evidence.Auditors, Metrics: g.metrics}, g.spool, g.log.With("part", "recorder"))
	if err != nil {
		return err
	}
	ending.push("recorder", g.recorder.Close)
	return nil
}

// joinFleet finds the gateways that share the spool.
func (g *Gateway) joinFleet(cfg *config.Config, ending *stack) error {
	if cfg.Evidence.Spool == config.Embedded {
		return nil
	}
	joined, err := fleet.Join(g.spool.JetStream().Conn(), &g.live, g.log.With("part", "fleet"))
	if err != nil {
		return err
	}
	ending.push("fleet", func(context.Context) error { joined.Leave(); return nil })
	g.fleet = joined
	return nil
}

func (g *Gateway) buildSessions(cfg *config.Config) (err error) {
	key, err := g.maskKey(cfg)
	if err != nil {
		return err
	}
	if g.masker, err = mask.New(mask.Keys{HMAC: key}); err != nil {
		return err
	}
	if g.analyzer, err = sqlmeta.New(sqlmeta.Config{MaxBytes: largestStatement(cfg), CompiledDir: dataPath(cfg, "parser")}); err != nil {
		return err
	}
	if g.identityMetrics, err = identity.NewMetrics(g.metrics); err != nil {
		return err
	}
	g.identity, g.cert = &signIn{}, &certificate{}
	if g.extproc, err = extproc.New(extproc.Config{Fallback: fallbackSocket(cfg), Registerer: g.metrics}, &g.handlers, g.log.With("part", "extproc")); err != nil {
		return err
	}
	g.relay, err = relay.New(relay.Config{Registerer: g.metrics}, &g.handlers, g.log.With("part", "relay"))
	return err
}

// largestStatement is the largest SQL text that any target may be sent.
func largestStatement(cfg *config.Config) int {
	largest := 1 << 20
	for _, t := range cfg.Targets {
		largest = max(largest, int(t.Limits.Statement))
	}
	return largest
}

func (g *Gateway) maskKey(cfg *config.Config) ([]byte, error) {
	if cfg.Policy.HashKey == "" {
		return hashKey(string(cfg.Data))
	}
	text, err := g.vault.Resolve(context.Background(), string(cfg.Policy.HashKey))
	if err != nil {
		return nil, fmt.Errorf("policy.hash_key: %w", err)
	}
	if len(text) < hashKeyBytes {
		return nil, fmt.Errorf("policy.hash_key: the key has %d bytes, at least %d are needed; `openssl rand -hex 32` makes one", len(text), hashKeyBytes)
	}
	return []byte(text), nil
}
