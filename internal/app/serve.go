package app

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	nethttp "net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/web"
	"github.com/weir-gateway/weir/xds"
)

// serve starts what listens, then runs until ctx ends or a part gives up.
func (g *Gateway) serve(ctx context.Context, cfg *config.Config, ending *stack) error {
	group, ctx := errgroup.WithContext(ctx)
	ending.push("parts", func(context.Context) error { return group.Wait() })
	if err := g.startProxyServices(ctx, cfg, group, ending); err != nil {
		return err
	}
	if err := g.apply(ctx, cfg); err != nil {
		return err
	}
	if err := g.startProxy(ctx, cfg, group); err != nil {
		return err
	}
	if err := g.startWeb(ctx, cfg, group, ending); err != nil {
		return err
	}
	ending.push("policy", func(context.Context) error { g.policy.close(); return nil })
	group.Go(func() error { return g.approvals.Run(ctx) })
	group.Go(func() error { return watchFile(ctx, g.options.File, g.log, func() { g.Reload(ctx) }) })
	group.Go(func() error { g.renewCertificate(ctx); return nil })
	group.Go(func() error { g.announce(ctx); return nil })
	<-ctx.Done()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// listenSocket listens on a Unix socket that only this user can open.
func listenSocket(ctx context.Context, path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	return l, os.Chmod(path, 0o600) // the folder is private since before
}

// startProxyServices serves what Envoy asks for: xDS, ext_proc and ext_authz.
func (g *Gateway) startProxyServices(ctx context.Context, cfg *config.Config, group *errgroup.Group, ending *stack) error {
	var err error
	g.xds, err = xds.New(xds.Config{Options: xdsOptions(cfg), Validator: g.validator()}, g.log.With("part", "xds"), g.metrics)
	if err != nil {
		return err
	}
	l, serverOptions, err := g.listenProxy(ctx, cfg)
	if err != nil {
		return err
	}
	server := grpc.NewServer(append(extproc.ServerOptions(), serverOptions...)...)
	g.extproc.Register(server)
	g.xds.Register(server)
	fallback, err := listenSocket(ctx, fallbackSocket(cfg))
	if err != nil {
		return fmt.Errorf("the fallback's socket: %w", err)
	}
	handedOver, err := listenRelay(ctx, cfg)
	if err != nil {
		return fmt.Errorf("the relay's socket: %w", err)
	}
	serving, stop := context.WithCancel(context.WithoutCancel(ctx))
	group.Go(func() error {
		if err := server.Serve(l); !errors.Is(err, grpc.ErrServerStopped) { // it may be stopped before it began
			return err
		}
		return nil
	})
	group.Go(func() error { return g.extproc.ServeFallback(serving, fallback) })
	if handedOver != nil {
		group.Go(func() error { return g.relay.Serve(serving, handedOver) })
	}
	ending.push("sessions", func(ctx context.Context) error {
		defer stop()
		drain, cancel := context.WithTimeout(ctx, cfg.Drain.Shutdown.D()+lastWords)
		defer cancel()
		g.envoy.drain(drain)
		err := g.drainSessions(drain)
		g.handlers.stop(ctx, "the gateway stopped")
		g.envoy.end()
		server.Stop()
		if errors.Is(err, context.DeadlineExceeded) {
			g.log.Warn("some sessions were cut off", "after", cfg.Drain.Shutdown.D())
			return nil
		}
		return err
	})
	return nil
}

// listenRelay listens where Envoy hands connections over. An Envoy that runs
// elsewhere cannot: then there is none, and nil.
func listenRelay(ctx context.Context, cfg *config.Config) (net.Listener, error) {
	if cfg.Envoy.External != nil {
		return nil, nil
	}
	return listenSocket(ctx, relaySocket(cfg))
}

// drainSessions ends the sessions of both transports, and waits until they have
// ended.
func (g *Gateway) drainSessions(ctx context.Context) error {
	var both errgroup.Group
	both.Go(func() error { return g.extproc.Drain(ctx) })
	both.Go(func() error { return g.relay.Drain(ctx) })
	return both.Wait()
}

// lastWords is how long sessions that are cut off may take to tell their clients.
const lastWords = 300 * time.Millisecond

func advertised(x *config.External) config.Address {
	if x.Advertise != "" {
		return x.Advertise
	}
	return x.XDS
}

// listenProxy listens where Envoy is told to connect to.
func (g *Gateway) listenProxy(ctx context.Context, cfg *config.Config) (net.Listener, []grpc.ServerOption, error) {
	x := cfg.Envoy.External
	if x == nil {
		l, err := listenSocket(ctx, processorSocket(cfg))
		return l, nil, err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", string(x.XDS))
	if err != nil {
		return nil, nil, fmt.Errorf("envoy.external.xds: %w", err)
	}
	if x.ClientCA == "" {
		return l, nil, nil // on loopback, says config
	}
	roots, err := g.roots(ctx, x.ClientCA)
	if err != nil {
		return nil, nil, fmt.Errorf("envoy.external.client_ca: %w", err)
	}
	return l, []grpc.ServerOption{grpc.Creds(credentials.NewTLS(g.mutualTLS(roots)))}, nil
}

func (g *Gateway) mutualTLS(clients *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: g.cert.GetCertificate,
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: clients,
	}
}

// startWeb serves people, probes and the commands of this machine.
func (g *Gateway) startWeb(ctx context.Context, cfg *config.Config, group *errgroup.Group, ending *stack) error {
	site, err := web.New(web.Deps{
		Identity: g.identity, Approvals: voting{g.approvals}, Evidence: g.store,
		Readers: func() []string { return g.current.Load().Web.Readers },
		Ready:   func(ctx context.Context) []web.Check { return g.checks(ctx) },
		Status:  func(ctx context.Context) any { return g.status(ctx) },
		Config:  func() ([]byte, error) { return g.current.Load().Resolved() },
		Metrics: promhttp.HandlerFor(prometheus.Gatherers{g.metrics, &g.policy}, promhttp.HandlerOpts{}), Log: g.log.With("part", "web"),
	})
	if err != nil {
		return err
	}
	port, err := new(net.ListenConfig).Listen(ctx, "tcp", string(cfg.Web.Listen))
	if err != nil {
		return fmt.Errorf("web.listen: %w; choose another port", err)
	}
	if cfg.Web.TLS != config.Off {
		port = tls.NewListener(port, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: g.cert.GetCertificate, NextProtos: []string{"h2", "http/1.1"}})
	}
	socket, err := listenSocket(ctx, AdminSocket(cfg))
	if err != nil {
		return fmt.Errorf("the admin socket: %w", err)
	}
	g.serveHTTP(port, site.Public(), group, ending)
	g.serveHTTP(socket, site.Local(), group, ending)
	return nil
}

func (g *Gateway) serveHTTP(l net.Listener, h nethttp.Handler, group *errgroup.Group, ending *stack) {
	server := &nethttp.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 128 << 10}
	group.Go(func() error {
		if err := server.Serve(l); !errors.Is(err, nethttp.ErrServerClosed) {
			return err
		}
		return nil
	})
	ending.push("web", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			return server.Close()
		}
		return nil
	})
}
