package app

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/web"
)

// Status is how the gateway is, for `weir status`.
type Status struct {
	Version  string         `json:"version"`
	Started  time.Time      `json:"started"`
	Config   string         `json:"config"` // revision
	Policy   string         `json:"policy"` // revision
	Problems []string       `json:"problems"`
	Parts    []web.Check    `json:"parts"`
	Targets  []TargetStatus `json:"targets"`
	// ClickHouse is where an auditor's client connects, without the password.
	ClickHouse ClickHouseStatus `json:"clickhouse"`
}

// ClickHouseStatus says where evidence can be queried.
type ClickHouseStatus struct {
	Native string `json:"native,omitempty"` // host:port
	HTTP   string `json:"http,omitempty"`   // URL, of an embedded one
	// AuditorURL is the file that holds the URL of the auditor's account.
	AuditorURL string `json:"auditor_url,omitempty"`
}

// TargetStatus is one target.
type TargetStatus struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	Listen    string `json:"listen"`
	Upstream  string `json:"upstream"`
	Transport string `json:"transport,omitempty"` // of kind postgres
}

func (g *Gateway) status(ctx context.Context) Status {
	cfg := g.current.Load()
	s := Status{
		Version: g.options.Version, Started: g.started, Config: cfg.Revision, Policy: g.policy.status().Revision,
		Problems: g.allProblems(), Parts: g.checks(ctx), ClickHouse: g.store.where(),
	}
	for _, name := range slices.Sorted(maps.Keys(cfg.Targets)) {
		t := cfg.Targets[name]
		s.Targets = append(s.Targets, TargetStatus{
			Name: name, Kind: string(t.Kind), Listen: string(t.Listen), Upstream: upstreamOf(t), Transport: string(t.Transport),
		})
	}
	return s
}

func upstreamOf(t *config.Target) string {
	if t.Kind == config.HTTP {
		return t.Upstream.URL
	}
	return strings.Join(texts(t.Upstream.Address), ", ")
}

// texts are addresses as texts.
func texts(addresses []config.Address) []string {
	out := make([]string, len(addresses))
	for i, a := range addresses {
		out[i] = string(a)
	}
	return out
}

// allProblems are what an operator should look at though everything runs.
func (g *Gateway) allProblems() []string {
	out := g.problems.list()
	if p := g.policy.status(); p.Error != "" {
		out = append(out, "policy: "+p.Error)
	}
	for _, e := range g.xds.Status().Envoys {
		if r := e.LastRejection; r != nil && !e.Current {
			out = append(out, "Envoy "+e.Node+": "+r.Reason)
		}
	}
	if out == nil {
		out = []string{}
	}
	return out
}

// checks are the parts that must work for the gateway to be ready.
func (g *Gateway) checks(ctx context.Context) []web.Check {
	checks := []web.Check{
		check("envoy", g.xds.Ready()),
		check("spool", g.spool.Err()),
		check("recorder", g.recorder.Err()),
		check("clickhouse", g.store.ready(ctx)),
	}
	return checks
}

func check(name string, err error) web.Check {
	c := web.Check{Name: name, Ready: err == nil}
	if err != nil {
		c.Note = err.Error()
	}
	return c
}

// announceEvery is how often the gateway looks whether its parts changed.
const announceEvery = 200 * time.Millisecond

// announce says in the log when everything works, and when something no longer
// does.
func (g *Gateway) announce(ctx context.Context) {
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	var said string
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		down := []string{}
		for _, c := range g.checks(ctx) {
			if !c.Ready {
				down = append(down, c.Name+" ("+c.Note+")")
			}
		}
		switch now := strings.Join(down, ", "); {
		case now == said && now != "":
		case now == "" && said != "ready":
			g.log.Info("ready", "web", string(g.current.Load().Web.Listen), "targets", len(g.current.Load().Targets))
			said = "ready"
		case now != "" && said == "ready":
			g.log.Warn("not ready", "parts", now)
			said = now
		case now != "":
			said = now
		}
	}
}
