package extproc

import (
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/keepalive"
)

// ServerOptions are what the gRPC server for Envoy should be made with. Other
// services can be registered on it.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.ForceServerCodecV2(newCodec()),

		// A stream's window is what Envoy may send before the handler reads. It
		// bounds the memory of a session that stands still. Fixed windows also spare
		// the pings that gRPC would measure the bandwidth with.
		grpc.InitialWindowSize(256 << 10),
		// All sessions of a worker of Envoy share one connection. gRPC opens its
		// window again when bytes arrive, not when they are read, so a session that
		// stands still takes nothing from the others: this needs to hold only what
		// is under way.
		grpc.InitialConnWindowSize(16 << 20),

		// One connection a worker, so bigger buffers cost little, and a chunk of
		// 64 KiB takes one system call instead of three.
		grpc.ReadBufferSize(128 << 10),
		grpc.WriteBufferSize(128 << 10),

		// A session is a stream. Past this Envoy opens another connection.
		grpc.MaxConcurrentStreams(100_000),

		// An Envoy on another machine may vanish without a word. On a Unix socket
		// this is never needed, and costs a ping a minute.
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: time.Minute, Timeout: 20 * time.Second}),
		// gRPC's own limit would take an Envoy that checks its connections more than
		// once in 5 minutes for an attacker, and end all of its sessions.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),

		// Stop returns when no handler runs any more.
		grpc.WaitForHandlers(true),
	}
}
