package extproc_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/weir-gateway/weir/extproc"
)

var errNoRoom = errors.New("no room")

// Until a client is admitted, its request does not go on: Envoy connects to no
// server for it.
func TestAClientWaitsUntilItIsAdmitted(t *testing.T) {
	asked, room := make(chan extproc.Peer, 1), make(chan struct{})
	left := make(chan struct{}, 2)
	s := start(t, extproc.Config{}, handlers{
		admit: func(_ context.Context, p extproc.Peer) (func(), error) {
			asked <- p
			<-room
			return func() { left <- struct{}{} }, nil
		},
		tunnel: func(_ context.Context, t *extproc.Tunnel) {
			_, _ = t.Client.Read(make([]byte, 1))
			t.SignedIn()
			_, _ = t.Client.Read(make([]byte, 1))
		},
	})
	e := s.open(t, "orders")
	e.connect("weir-client", "192.0.2.7:4711")
	if p := <-asked; p.Address != "192.0.2.7:4711" {
		t.Errorf("asked for %+v", p)
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		e.wantRequestHeaders()
	}()
	select {
	case <-answered:
		t.Fatal("the request went on")
	default:
	}
	close(room)
	<-answered
	e.requestBody("x", false)
	<-left
	e.requestBody("x", false)
	e.wantRequestBody("", true)
	e.wantImmediate(403)
	e.leave()
}

func TestAClientThatLeavesWhileItWaits(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{
		admit: func(ctx context.Context, _ extproc.Peer) (func(), error) {
			<-ctx.Done()
			return nil, ctx.Err()
		},
		tunnel: func(context.Context, *extproc.Tunnel) { t.Error("it was served") },
	})
	e := s.open(t, "orders")
	e.connect()
	e.leave()
}

func TestAClientThatIsNotAdmitted(t *testing.T) {
	admit := func(context.Context, extproc.Peer) (func(), error) { return nil, errNoRoom }
	t.Run("without a fallback it is refused", func(t *testing.T) {
		s := start(t, extproc.Config{}, handlers{admit: admit, tunnel: func(context.Context, *extproc.Tunnel) { t.Error("it was served") }})
		e := s.open(t, "orders")
		e.connect()
		e.wantImmediate(403)
		e.leave()
	})
	t.Run("with a fallback it is told", func(t *testing.T) {
		s := start(t, extproc.Config{Fallback: "/run/weir/fallback.sock"}, handlers{admit: admit, tunnel: func(_ context.Context, tunnel *extproc.Tunnel) {
			_, _ = io.ReadFull(tunnel.Client, make([]byte, 5))
			if _, err := tunnel.Server.Write([]byte("x")); !errors.Is(err, extproc.ErrUpstreamRefused) || !errors.Is(tunnel.Refused, errNoRoom) {
				t.Errorf("Server.Write: %v, refused: %v", err, tunnel.Refused)
			}
			_, _ = io.WriteString(tunnel.Client, "FATAL: no room")
		}})
		e := s.open(t, "orders")
		e.connect()
		answer := e.recv().GetRequestHeaders().GetResponse()
		set := answer.GetHeaderMutation().GetSetHeaders()
		if !answer.GetClearRouteCache() || len(set) != 1 || set[0].GetHeader().GetKey() != "weir-refused" {
			t.Errorf("the route is the same: %v", answer)
		}
		e.responseHeaders(false, ":status", "200", "weir-upstream", "/run/weir/fallback.sock")
		e.wantResponseHeaders()
		e.responseBody("\x00", false)
		e.requestBody("hello", false)
		e.wantResponseBody("FATAL: no room", true)
		e.leave()
	})
	t.Run("a panic ends it", func(t *testing.T) {
		s := start(t, extproc.Config{}, handlers{
			admit:  func(context.Context, extproc.Peer) (func(), error) { panic("a bug") },
			tunnel: func(context.Context, *extproc.Tunnel) { t.Error("it was served") },
		})
		e := s.open(t, "orders")
		e.connect()
		e.wantError(codes.Aborted)
	})
}
