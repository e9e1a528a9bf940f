package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"

	"github.com/weir-gateway/weir/extproc"
)

// childCommand is the first argument of a process that bench starts of itself.
// The parts that stand beside the gateway run in processes of their own, as the
// gateway does, so that they share no scheduler and no heap with the client.
const childCommand = "serve"

func runChild(ctx context.Context, args []string) error {
	f := flag.NewFlagSet(childCommand, flag.ContinueOnError)
	listen := f.String("listen", "", "host:port, or the path of a Unix socket")
	upstream := f.String("upstream", "", "host:port")
	if err := f.Parse(args); err != nil {
		return err
	}
	network := "tcp"
	if strings.HasPrefix(*listen, "/") {
		network = "unix"
	}
	l, err := new(net.ListenConfig).Listen(ctx, network, *listen)
	if err != nil {
		return err
	}
	context.AfterFunc(ctx, func() { _ = l.Close() })
	switch f.Arg(0) {
	case "echo":
		g := grpc.NewServer(grpc.MaxConcurrentStreams(100_000))
		extprocv3.RegisterExternalProcessorServer(g, echo{})
		err = g.Serve(l)
	case "extproc":
		err = serveExtproc(l)
	case "relay":
		err = serveRelay(ctx, l, *upstream)
	case "http":
		err = (&http.Server{Handler: customer(), ReadHeaderTimeout: 10 * time.Second}).Serve(l)
	default:
		err = fmt.Errorf("nothing is called %q", f.Arg(0))
	}
	if ctx.Err() == nil {
		return err
	}
	return nil // it was told to end
}

// serveExtproc is weir's own transport with nothing behind it: what the session,
// the policy and the evidence cost is what weir takes beyond this.
func serveExtproc(l net.Listener) error {
	s, err := extproc.New(extproc.Config{}, giveBack{}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	g := grpc.NewServer(extproc.ServerOptions()...)
	s.Register(g)
	return g.Serve(l)
}

// giveBack serves every tunnel by handing each side's bytes to the other.
type giveBack struct{}

func (giveBack) Tunnel(string) (extproc.TunnelHandler, bool)     { return giveBack{}, true }
func (giveBack) Exchange(string) (extproc.ExchangeHandler, bool) { return nil, false }
func (giveBack) Headers(string) (extproc.HeaderHandler, bool)    { return nil, false }

// Admit implements extproc.TunnelHandler.
func (giveBack) Admit(context.Context, extproc.Peer) (func(), error) { return func() {}, nil }

// ServeTunnel implements extproc.TunnelHandler.
func (giveBack) ServeTunnel(_ context.Context, t *extproc.Tunnel) { join(t.Client, t.Server) }

// serveRelay is the least that a TCP proxy in Go does.
func serveRelay(ctx context.Context, l net.Listener, upstream string) error {
	for {
		client, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			server, err := new(net.Dialer).DialContext(ctx, "tcp", upstream)
			if err != nil {
				_ = client.Close()
				return
			}
			join(client, server)
		}()
	}
}

// join carries both directions, and closes both ends when one has ended.
// Reads and writes go through a buffer, as they would if somebody looked at the
// bytes: io.Copy between two TCP connections would splice them in the kernel.
func join(a, b net.Conn) {
	var both sync.WaitGroup
	carry := func(dst, src net.Conn) {
		_, _ = io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, 64<<10))
		_ = dst.Close()
		_ = src.Close()
	}
	both.Go(func() { carry(a, b) })
	both.Go(func() { carry(b, a) })
	both.Wait()
}

// customer answers every request with a small JSON document.
func customer() http.Handler {
	document := []byte(`{"id":42,"name":"Ada Example","ssn":"123-45-6789","card":"4111-1111-1111-1111","email":"ada@shop.example",` +
		`"city":"Bergen","orders":[{"id":1,"status":"sent","note":"by bicycle"},{"id":2,"status":"open","note":"ring twice"}]}`)
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(document)
	})
}
