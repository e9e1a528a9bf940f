package extproc_test

import (
	"bytes"
	"fmt"
	"net"
	"path/filepath"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"

	"github.com/weir-gateway/weir/extproc"
)

// raw is a codec that leaves bytes as they are, so that the client costs little.
type raw struct{}

func (raw) Name() string { return "proto" }
func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(v.([]byte))}, nil
}
func (raw) Unmarshal(data mem.BufferSlice, v any) error { *v.(*int) = data.Len(); return nil }

// plain is the least that a processor can do: give every chunk back.
type plain struct {
	extprocv3.UnimplementedExternalProcessorServer
}

func (plain) Process(g extprocv3.ExternalProcessor_ProcessServer) error {
	for {
		m, err := g.Recv()
		if err != nil {
			return err
		}
		answer := &extprocv3.ProcessingResponse{Response: &extprocv3.ProcessingResponse_RequestHeaders{RequestHeaders: &extprocv3.HeadersResponse{}}}
		if b := m.GetRequestBody(); b != nil {
			answer.Response = &extprocv3.ProcessingResponse_RequestBody{RequestBody: &extprocv3.BodyResponse{Response: &extprocv3.CommonResponse{
				BodyMutation: &extprocv3.BodyMutation{Mutation: &extprocv3.BodyMutation_StreamedResponse{
					StreamedResponse: &extprocv3.StreamedBodyResponse{Body: b.GetBody(), EndOfStream: b.GetEndOfStream()},
				}},
			}}}
		}
		if err := g.Send(answer); err != nil {
			return err
		}
	}
}

// BenchmarkEcho sends a chunk and awaits it back, over a Unix socket: a tunnel,
// and beside it the least that is possible with gRPC.
func BenchmarkEcho(b *testing.B) {
	srv, err := extproc.New(extproc.Config{}, handlers{tunnel: echo}, discard())
	if err != nil {
		b.Fatal(err)
	}
	for name, register := range map[string]func(*grpc.Server){
		"tunnel": func(g *grpc.Server) { srv.Register(g) },
		"plain":  func(g *grpc.Server) { extprocv3.RegisterExternalProcessorServer(g, plain{}) },
	} {
		for _, size := range []int{100, 16 << 10, 64 << 10, 256 << 10} {
			b.Run(fmt.Sprintf("%s/%d", name, size), func(b *testing.B) { benchmarkEcho(b, register, size) })
		}
	}
}

func benchmarkEcho(b *testing.B, register func(*grpc.Server), size int) {
	l, err := net.Listen("unix", filepath.Join(b.TempDir(), "s"))
	if err != nil {
		b.Fatal(err)
	}
	g := grpc.NewServer(extproc.ServerOptions()...)
	register(g)
	go func() { _ = g.Serve(l) }()
	defer g.Stop()
	conn, err := grpc.NewClient("unix:"+l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})), grpc.WithInitialWindowSize(256<<10), grpc.WithInitialConnWindowSize(16<<20))
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	stream, err := conn.NewStream(metadata.AppendToOutgoingContext(b.Context(), "weir-target", "orders"),
		&grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/envoy.service.ext_proc.v3.ExternalProcessor/Process")
	if err != nil {
		b.Fatal(err)
	}
	n := 0
	exchange := func(m []byte, want int) {
		if err := stream.SendMsg(m); err != nil {
			b.Fatal(err)
		}
		for got := 0; got < want; got += n {
			if err := stream.RecvMsg(&n); err != nil {
				b.Fatal(err)
			}
		}
	}
	exchange(mustMarshal(b, firstMessage(false, ":method", "CONNECT")), 1)
	chunk := mustMarshal(b, requestBody(string(bytes.Repeat([]byte("x"), size)), false))
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		exchange(chunk, size)
	}
	_ = stream.CloseSend()
	for err == nil {
		err = stream.RecvMsg(&n)
	}
}

func mustMarshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	out, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
