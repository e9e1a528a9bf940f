package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/gate"
	"github.com/weir-gateway/weir/internal/identity"
)

// problems are what an operator should look at, by where they are.
type problems struct {
	mu sync.Mutex
	by map[string]string
}

// set tells of a problem, or with nil that there is none any more.
func (p *problems) set(where string, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = map[string]string{}
	}
	delete(p.by, where)
	if err != nil {
		p.by[where] = err.Error()
	}
}

func (p *problems) list() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for _, where := range slices.Sorted(maps.Keys(p.by)) {
		out = append(out, where+": "+p.by[where])
	}
	return out
}

// Reload reads the configuration again and applies it. A bad one changes
// nothing: the last good one stays, and the reason is in the log and the status.
func (g *Gateway) Reload(ctx context.Context) {
	cfg, err := config.Load(g.options.File)
	if err == nil && cfg.Revision == g.current.Load().Revision {
		g.problems.set("configuration", nil)
		g.refreshFiles(ctx)
		return
	}
	if err == nil {
		err = g.apply(ctx, cfg)
	}
	g.problems.set("configuration", err)
	if err != nil {
		g.log.Error("the configuration was not applied; the last good one goes on", "err", err)
	}
}

// activation is the body of config.activated.
type activation struct {
	Revision  string    `json:"revision"`
	Previous  string    `json:"previous,omitempty"`
	At        time.Time `json:"at"`
	Added     []string  `json:"added,omitempty"`
	Removed   []string  `json:"removed,omitempty"`
	Changed   []string  `json:"changed,omitempty"`
	Other     []string  `json:"other,omitempty"`      // sections
	AtRestart []string  `json:"at_restart,omitempty"` // keys that wait for a restart
}

// apply makes a configuration the one of now: everything is built first, then
// recorded, then swapped in. Targets that did not change keep their handlers and
// sessions.
func (g *Gateway) apply(ctx context.Context, cfg *config.Config) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	last := g.current.Load()
	if last == nil {
		last = &config.Config{}
	}
	changes := config.Diff(last, cfg)
	if _, err := g.cert.refresh(ctx, cfg, g.vault); err != nil {
		return err
	}
	identities, err := g.identityConfig(ctx, cfg)
	if err != nil {
		return err
	}
	authenticator, err := identity.New(identities, g.identityMetrics, g.log.With("part", "identity"))
	if err != nil {
		return err
	}
	trusted, err := g.readAuthorities(ctx, cfg)
	if err != nil {
		return err
	}
	next, err := g.nextHandlers(ctx, cfg, &changes)
	if err != nil {
		return err
	}
	targets, err := g.xdsTargets(ctx, cfg)
	if err != nil {
		return err
	}
	var rules *running
	var classes Classes
	if now := g.policy.now.Load(); now == nil || now.from != cfg.Policy {
		if rules, classes, err = g.newRules(ctx, cfg); err != nil {
			return err
		}
	}
	if err := g.recordConfig(ctx, last, cfg, &changes); err != nil {
		return err
	}
	dropped := g.handlers.swap(next)
	if err := g.xds.Publish(ctx, targets); err != nil {
		g.handlers.swap(*dropped.before)
		return fmt.Errorf("the configuration of Envoy: %w", err)
	}
	if rules != nil {
		g.classification.Store(classes)
		g.policy.use(ctx, rules, g.followClasses(string(cfg.Policy.Classification)))
	}
	g.useIdentity(ctx, authenticator)
	if trusted != nil {
		g.identity.certificates.Store(trusted)
	}
	g.current.Store(cfg)
	g.level.Set(levels[cfg.Log.Level])
	dropped.stop(context.WithoutCancel(ctx), "the target was changed or removed")
	g.log.Info("configuration applied", "revision", cfg.Revision[:12], "targets", len(cfg.Targets), "change", summary(&changes))
	if len(changes.Restart) > 0 && last.Revision != "" {
		g.log.Warn("some changes take effect at the next start only", "keys", changes.Restart)
	}
	return nil
}

func summary(c *config.Changes) string {
	var parts []string
	for _, one := range []struct {
		word string
		list []string
	}{{"added", c.Added}, {"changed", c.Changed}, {"removed", c.Removed}, {"also", c.Live}} {
		if len(one.list) > 0 {
			parts = append(parts, one.word+" "+strings.Join(one.list, ", "))
		}
	}
	return strings.Join(parts, "; ")
}

// nextHandlers are the handlers of a configuration: those of unchanged targets
// as they are, the others new.
func (g *Gateway) nextHandlers(ctx context.Context, cfg *config.Config, c *config.Changes) (map[string]*handler, error) {
	next := make(map[string]*handler, len(cfg.Targets))
	for name, t := range cfg.Targets {
		if slices.Contains(c.Unchanged, name) {
			if old := g.handlers.get(name); old != nil {
				next[name] = old
				continue
			}
		}
		h, err := g.newHandler(ctx, name, t)
		if err != nil {
			return nil, err
		}
		next[name] = h
	}
	return next, nil
}

func (g *Gateway) recordConfig(ctx context.Context, last, cfg *config.Config, c *config.Changes) error {
	body := activation{
		Revision: cfg.Revision, Previous: last.Revision, At: time.Now(),
		Added: c.Added, Removed: c.Removed, Changed: c.Changed, Other: c.Live,
	}
	if last.Revision != "" {
		body.AtRestart = c.Restart
	}
	if err := g.recorder.Record(ctx, &gate.Event{Kind: gate.ConfigActivated, Time: body.At, Body: body}); err != nil {
		return fmt.Errorf("the new configuration could not be recorded: %w", err)
	}
	return nil
}

// useIdentity swaps in an authenticator, and lets it ask its issuers ahead of the
// first sign-in.
func (g *Gateway) useIdentity(ctx context.Context, a *identity.Authenticator) {
	if g.stopIdentity != nil {
		g.stopIdentity()
	}
	ctx, g.stopIdentity = context.WithCancel(ctx)
	g.identity.now.Store(a)
	go func() { _ = a.Run(ctx) }() // it only warms up, and ends with its context
}

// renewCertificate reads the certificate and the authorities of clients again now and then. A new one reaches
// Envoy by xDS and PostgreSQL sessions at their next handshake.
func (g *Gateway) renewCertificate(ctx context.Context) {
	tick := time.NewTicker(certificateCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		g.refreshFiles(ctx)
	}
}

// refreshFiles reads again what the configuration names and what may be renewed
// without a change of it: the listeners' certificate, and the authorities of
// clients'. What is bad leaves the last good one.
func (g *Gateway) refreshFiles(ctx context.Context) {
	g.problems.set("certificate", g.refreshCertificate(ctx))
	g.problems.set("authorities of clients", g.refreshAuthorities(ctx))
}

func (g *Gateway) refreshAuthorities(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	next, err := g.readAuthorities(ctx, g.current.Load())
	if err != nil || next == nil {
		return err
	}
	g.identity.certificates.Store(next)
	g.log.Info("the authorities of client certificates were renewed")
	return nil
}

func (g *Gateway) refreshCertificate(ctx context.Context) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	cfg := g.current.Load()
	changed, err := g.cert.refresh(ctx, cfg, g.vault)
	if err != nil || !changed {
		return err
	}
	targets, err := g.xdsTargets(ctx, cfg)
	if err != nil {
		return err
	}
	g.log.Info("the certificate was renewed")
	return g.xds.Publish(ctx, targets)
}
