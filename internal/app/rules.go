package app

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/policies"
)

// rules is the policy of the configuration of now: an engine that follows its
// bundle, replaced whole when the configuration names another one.
type rules struct {
	now  atomic.Pointer[running]
	done sync.WaitGroup
}

type running struct {
	engine  *policies.Engine
	from    config.Policy
	metrics *prometheus.Registry
	stop    context.CancelFunc
}

// Decide implements gate.Policy.
func (r *rules) Decide(ctx context.Context, in *gate.Input) (gate.Decision, error) {
	now := r.now.Load()
	if now == nil {
		return gate.Decision{}, errors.New("no policy is loaded")
	}
	return now.engine.Decide(ctx, in)
}

// Gather implements prometheus.Gatherer.
func (r *rules) Gather() ([]*dto.MetricFamily, error) {
	if now := r.now.Load(); now != nil {
		return now.metrics.Gather()
	}
	return nil, nil
}

// status is the engine's.
func (r *rules) status() policies.Status { return r.now.Load().engine.Status() }

// use makes an engine the one of now and follows its bundle, and has follow
// follow the classification.
func (r *rules) use(ctx context.Context, next *running, follow func(context.Context)) {
	ctx, next.stop = context.WithCancel(ctx)
	old := r.now.Swap(next)
	if old != nil {
		old.stop()
	}
	r.done.Go(func() { _ = next.engine.Run(ctx) }) // what it cannot watch it has logged
	r.done.Go(func() { follow(ctx) })
}

// newRules loads the rules and the classification that a configuration names. The
// classes are returned, and take effect with the rules.
func (g *Gateway) newRules(ctx context.Context, cfg *config.Config) (*running, Classes, error) {
	classes, err := LoadClasses(string(cfg.Policy.Classification))
	if err != nil {
		return nil, nil, fmt.Errorf("policy.classification: %w", err)
	}
	next := &running{from: cfg.Policy, metrics: prometheus.NewRegistry()}
	first := true
	next.engine, err = policies.New(ctx, policies.Config{Bundle: string(cfg.Policy.Bundle)}, policies.Deps{
		Log: g.log.With("part", "policy"), Registerer: next.metrics,
		Classification: func() policies.Classification {
			if first { // the one that is swapped in together with the engine
				return classes
			}
			return g.classification.Load()
		},
		OnActivate: func(ctx context.Context, a policies.Activation) error {
			return g.recorder.Record(ctx, &gate.Event{Kind: gate.PolicyActivated, Time: a.At, Body: a})
		},
	})
	first = false
	if err != nil {
		return nil, nil, fmt.Errorf("policy.bundle: %w", err)
	}
	return next, classes, nil
}

// followClasses reads the classification again whenever it changes.
func (g *Gateway) followClasses(path string) func(context.Context) {
	return func(ctx context.Context) {
		if path == "" {
			return
		}
		if err := watchFile(ctx, path, g.log, func() { g.reloadClasses(ctx) }); err != nil {
			g.problems.set("classification", err)
		}
	}
}

// reloadClasses reads the classification again. A bad one changes nothing.
func (g *Gateway) reloadClasses(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	classes, err := LoadClasses(string(g.policy.now.Load().from.Classification))
	if err == nil && classes.Revision() == g.classification.Load().Revision() {
		g.problems.set("classification", nil)
		return
	}
	g.problems.set("classification", err)
	if err != nil {
		g.log.ErrorContext(ctx, "the classification was not applied; the last good one goes on", "err", err)
		return
	}
	before := g.classification.Swap(classes)
	if _, err := g.policy.now.Load().engine.Reload(ctx); err != nil {
		g.classification.Store(before)
		g.problems.set("classification", err)
		g.log.ErrorContext(ctx, "the classification was not applied; the last good one goes on", "err", err)
	}
}

// close stops following.
func (r *rules) close() {
	if now := r.now.Load(); now != nil {
		now.stop()
	}
	r.done.Wait()
}
