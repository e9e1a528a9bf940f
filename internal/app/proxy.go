package app

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/weir-gateway/weir/envoy"
	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/xds"
)

// proxy is the Envoy that this gateway runs itself.
type proxy struct {
	binary     envoy.Binary
	supervisor *envoy.Supervisor
}

// prepareProxy finds the Envoy that will run, which also checks what is
// published. Where Envoy runs elsewhere there is none, and nil.
func (g *Gateway) prepareProxy(ctx context.Context, cfg *config.Config) (xds.Validator, error) {
	if !g.options.Children || cfg.Envoy.External != nil {
		return nil, nil
	}
	binary, err := envoy.Find(ctx, envoy.Lookup{Path: cfg.Envoy.Binary, Fallbacks: envoyFallbacks(g.options.Self)})
	if err != nil {
		return nil, err
	}
	g.envoy = &proxy{binary: binary}
	return binary, nil
}

// startProxy starts Envoy and keeps it running.
func (g *Gateway) startProxy(ctx context.Context, cfg *config.Config, group *errgroup.Group) error {
	if g.envoy == nil {
		return nil
	}
	bootstrap, err := Bootstrap(cfg)
	if err != nil {
		return err
	}
	g.envoy.supervisor, err = envoy.New(envoy.Config{
		Binary: g.envoy.binary, Bootstrap: bootstrap, Dir: dataPath(cfg, "envoy"),
		Concurrency: cfg.Envoy.Concurrency, LogLevel: string(cfg.Envoy.LogLevel), Drain: cfg.Drain.Targets.D(), StopTimeout: stopProxyWithin,
	}, g.log.With("part", "envoy"))
	if err != nil {
		return err
	}
	group.Go(func() error { return g.envoy.supervisor.Run(ctx) })
	return nil
}

// Bootstrap is the bootstrap of the configuration's Envoy.
func Bootstrap(cfg *config.Config) ([]byte, error) {
	b := envoy.BootstrapConfig{MaxConnections: cfg.Envoy.MaxConnections}
	if x := cfg.Envoy.External; x != nil {
		b.XDS.Address = string(advertised(x))
		b.Admin = "127.0.0.1:9901"
		if x.ClientCA != "" {
			b.XDS.TLS = &envoy.ClientTLS{CA: "/etc/weir/ca.crt", Certificate: "/etc/weir/envoy.crt", Key: "/etc/weir/envoy.key"}
		}
	} else {
		b.XDS.Socket = processorSocket(cfg)
		b.Admin = "unix:" + adminProxySocket(cfg)
	}
	out, err := envoy.Bootstrap(b)
	if err != nil {
		return nil, fmt.Errorf("bootstrap: %w", err)
	}
	return out, nil
}
