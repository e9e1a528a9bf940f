package app

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sync/errgroup"

	"github.com/weir-gateway/weir/envoy"
	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/xds"
)

// proxy is the Envoy that this gateway runs itself.
type proxy struct {
	binary     envoy.Binary
	supervisor *envoy.Supervisor  // nil until it is started
	stop       context.CancelFunc // ends it
	ended      chan struct{}
}

// drain has Envoy take no more connections.
func (p *proxy) drain(ctx context.Context) {
	if p != nil && p.supervisor != nil {
		_ = p.supervisor.Drain(ctx) // it may not be up
	}
}

// end stops Envoy and waits until it is gone.
func (p *proxy) end() {
	if p != nil && p.supervisor != nil {
		p.stop()
		<-p.ended
	}
}

// findProxy finds the Envoy that will run. It comes first, as all else takes a
// while to start.
func (g *Gateway) findProxy(ctx context.Context, cfg *config.Config) error {
	if !g.options.Children || cfg.Envoy.External != nil {
		return nil
	}
	lookup := envoy.Lookup{Path: cfg.Envoy.Binary, Fallbacks: envoyFallbacks(g.options.Self)}
	if named := os.Getenv("WEIR_ENVOY"); named != "" && lookup.Path == "envoy" {
		lookup.Path = named
	}
	binary, err := envoy.Find(ctx, lookup)
	if err != nil {
		return err
	}
	g.envoy = &proxy{binary: binary}
	return nil
}

// validator checks what is published with the Envoy that will run it. Where Envoy
// runs elsewhere there is none, and nil.
func (g *Gateway) validator() xds.Validator {
	if g.envoy == nil {
		return nil
	}
	return g.envoy.binary
}

// startProxy starts Envoy and keeps it running until the sessions that it carries
// have ended: it outlives ctx.
func (g *Gateway) startProxy(ctx context.Context, cfg *config.Config, group *errgroup.Group) error {
	if g.envoy == nil {
		return nil
	}
	bootstrap, err := Bootstrap(cfg)
	if err != nil {
		return err
	}
	supervisor, err := envoy.New(envoy.Config{
		Binary: g.envoy.binary, Bootstrap: bootstrap, Dir: dataPath(cfg, "envoy"),
		Concurrency: cfg.Envoy.Concurrency, LogLevel: string(cfg.Envoy.LogLevel), Drain: cfg.Drain.Targets.D(), StopTimeout: stopProxyWithin,
	}, g.log.With("part", "envoy"))
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	g.envoy.supervisor, g.envoy.stop, g.envoy.ended = supervisor, stop, make(chan struct{})
	group.Go(func() error {
		defer close(g.envoy.ended)
		return supervisor.Run(running)
	})
	return nil
}

// xdsOptions say how Envoy reaches this gateway: by sockets where it runs on this
// machine, by TLS where it may run on another. There it has no fallback.
func xdsOptions(cfg *config.Config) xds.Options {
	o := xds.Options{SystemRoots: xds.SystemRoots(), Processor: xds.Processor{Socket: processorSocket(cfg)}, Fallback: fallbackSocket(cfg)}
	x := cfg.Envoy.External
	if x == nil {
		o.Relay = relaySocket(cfg)
		return o
	}
	o.Processor = xds.Processor{Address: string(advertised(x))}
	if x.ClientCA != "" {
		o.Fallback = ""
		o.Processor.TLS = &xds.ProcessorTLS{CA: x.TLS.CA, ServerName: x.TLS.ServerName, Certificate: x.TLS.Certificate, Key: x.TLS.Key}
	}
	return o
}

// Bootstrap is the bootstrap of the configuration's Envoy.
func Bootstrap(cfg *config.Config) ([]byte, error) {
	b := envoy.BootstrapConfig{MaxConnections: cfg.Envoy.MaxConnections}
	if x := cfg.Envoy.External; x != nil {
		b.XDS.Address = string(advertised(x))
		b.Admin = "127.0.0.1:9901"
		if x.ClientCA != "" {
			b.XDS.TLS = &envoy.ClientTLS{CA: x.TLS.CA, ServerName: x.TLS.ServerName, Certificate: x.TLS.Certificate, Key: x.TLS.Key}
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
