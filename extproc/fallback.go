package extproc

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"
)

// ServeFallback is the upstream that Envoy turns to when a target refuses its
// connection, until ctx ends. It serves nothing: it is there so that Envoy keeps
// the client, whom the handler can then tell what is wrong in the words of its
// protocol, over the client's own TLS. l should be a Unix socket beside the one
// of the gRPC server.
//
// In Envoy it is an endpoint of the target's cluster with priority 1. The route
// needs a retry_policy {retry_on: connect-failure, retry_priority:
// previous_priorities with update_frequency 1}, and a response header
// weir-upstream: %UPSTREAM_REMOTE_ADDRESS%, by which Config.Fallback knows it.
func (s *Server) ServeFallback(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	var sessions sync.WaitGroup
	defer sessions.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("extproc: fallback upstream: %w", err)
		}
		sessions.Go(func() { hold(ctx, c) })
	}
}

// hold keeps a connection until Envoy closes it. Its first byte opens the way to
// the client: Envoy takes nothing for the client before the upstream has spoken.
func hold(ctx context.Context, c net.Conn) {
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	defer func() { _ = c.Close() }()
	if _, err := c.Write([]byte{0}); err == nil {
		_, _ = io.Copy(io.Discard, c)
	}
}
