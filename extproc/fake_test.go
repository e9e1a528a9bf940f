package extproc_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	filterv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_proc/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"

	"github.com/weir-gateway/weir/extproc"
)

// handlers serves the target "orders" with whatever is set.
type handlers struct {
	tunnel   func(context.Context, *extproc.Tunnel)
	admit    func(context.Context, extproc.Peer) (func(), error) // everybody where it is nil
	exchange func(context.Context, extproc.Exchange)
	headers  func(context.Context, string, extproc.Peer, *extproc.Request) (*extproc.Request, *extproc.Refusal)
}

func (h handlers) Tunnel(target string) (extproc.TunnelHandler, bool) {
	return tunnelHandler{h.tunnel, h.admit}, target == "orders" && h.tunnel != nil
}

func (h handlers) Exchange(target string) (extproc.ExchangeHandler, bool) {
	return exchangeFunc(h.exchange), target == "orders" && h.exchange != nil
}

func (h handlers) Headers(target string) (extproc.HeaderHandler, bool) {
	return headersFunc(h.headers), target == "orders" && h.headers != nil
}

type tunnelHandler struct {
	serve func(context.Context, *extproc.Tunnel)
	admit func(context.Context, extproc.Peer) (func(), error)
}

func (h tunnelHandler) Admit(ctx context.Context, p extproc.Peer) (func(), error) {
	if h.admit == nil {
		return func() {}, nil
	}
	return h.admit(ctx, p)
}

func (h tunnelHandler) ServeTunnel(ctx context.Context, t *extproc.Tunnel) { h.serve(ctx, t) }

type exchangeFunc func(context.Context, extproc.Exchange)

func (f exchangeFunc) ServeExchange(ctx context.Context, e extproc.Exchange) { f(ctx, e) }

type headersFunc func(context.Context, string, extproc.Peer, *extproc.Request) (*extproc.Request, *extproc.Refusal)

func (f headersFunc) CheckHeaders(ctx context.Context, target string, p extproc.Peer, r *extproc.Request) (*extproc.Request, *extproc.Refusal) {
	return f(ctx, target, p, r)
}

// service is a Server on a gRPC server in memory.
type service struct {
	*extproc.Server
	conn *grpc.ClientConn
}

func start(t testing.TB, cfg extproc.Config, h extproc.Handlers) *service {
	t.Helper()
	srv, err := extproc.New(cfg, h, slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err != nil {
		t.Fatal(err)
	}
	listener := bufconn.Listen(1 << 20)
	g := grpc.NewServer(extproc.ServerOptions()...)
	srv.Register(g)
	served := make(chan error, 1)
	go func() { served <- g.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///weir",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		g.Stop()
		if err := <-served; err != nil && !errors.Is(err, grpc.ErrServerStopped) {
			t.Error(err)
		}
	})
	return &service{Server: srv, conn: conn}
}

// check plays Envoy's ext_authz filter.
func (s *service) check(t testing.TB, target string, m *authv3.CheckRequest) *authv3.CheckResponse {
	t.Helper()
	ctx := metadata.AppendToOutgoingContext(t.Context(), "weir-target", target)
	answer, err := authv3.NewAuthorizationClient(s.conn).Check(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// envoy plays Envoy's ext_proc filter on one stream, message by message.
type envoy struct {
	t      testing.TB
	stream extprocv3.ExternalProcessor_ProcessClient
	cancel context.CancelFunc
}

func (s *service) open(t testing.TB, target ...string) *envoy {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	for _, name := range target {
		ctx = metadata.AppendToOutgoingContext(ctx, "weir-target", name)
	}
	stream, err := extprocv3.NewExternalProcessorClient(s.conn).Process(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return &envoy{t: t, stream: stream, cancel: cancel}
}

func (e *envoy) send(m *extprocv3.ProcessingRequest) {
	e.t.Helper()
	if err := e.stream.Send(m); err != nil {
		e.t.Fatalf("sending %v: %v", m, err)
	}
}

func headerMap(pairs ...string) *corev3.HeaderMap {
	m := new(corev3.HeaderMap)
	for i := 0; i < len(pairs); i += 2 {
		m.Headers = append(m.Headers, &corev3.HeaderValue{Key: pairs[i], RawValue: []byte(pairs[i+1])})
	}
	return m
}

func firstMessage(end bool, pairs ...string) *extprocv3.ProcessingRequest {
	const full = filterv3.ProcessingMode_FULL_DUPLEX_STREAMED
	return &extprocv3.ProcessingRequest{
		Request: &extprocv3.ProcessingRequest_RequestHeaders{RequestHeaders: &extprocv3.HttpHeaders{
			Headers: headerMap(pairs...), EndOfStream: end,
		}},
		ProtocolConfig: &extprocv3.ProtocolConfiguration{RequestBodyMode: full, ResponseBodyMode: full},
	}
}

func (e *envoy) connect(pairs ...string) {
	e.t.Helper()
	e.send(firstMessage(false, append([]string{":method", "CONNECT", ":authority", "orders.weir.internal:5432"}, pairs...)...))
}

func (e *envoy) request(end bool, pairs ...string) {
	e.t.Helper()
	e.send(firstMessage(end, append([]string{":scheme", "http", ":authority", "api.internal", ":path", "/v1/things?a=b"}, pairs...)...))
}

func (e *envoy) responseHeaders(end bool, pairs ...string) {
	e.t.Helper()
	e.send(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseHeaders{
		ResponseHeaders: &extprocv3.HttpHeaders{Headers: headerMap(pairs...), EndOfStream: end},
	}})
}

func requestBody(body string, end bool) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{
		Request:         &extprocv3.ProcessingRequest_RequestBody{RequestBody: &extprocv3.HttpBody{Body: []byte(body), EndOfStream: end}},
		MetadataContext: new(corev3.Metadata), // as Envoy does
	}
}

func responseBody(body string, end bool) *extprocv3.ProcessingRequest {
	return &extprocv3.ProcessingRequest{
		Request:         &extprocv3.ProcessingRequest_ResponseBody{ResponseBody: &extprocv3.HttpBody{Body: []byte(body), EndOfStream: end}},
		MetadataContext: new(corev3.Metadata),
	}
}

func (e *envoy) requestBody(body string, end bool) {
	e.t.Helper()
	e.send(requestBody(body, end))
}

func (e *envoy) responseBody(body string, end bool) {
	e.t.Helper()
	e.send(responseBody(body, end))
}

func (e *envoy) requestTrailers(pairs ...string) {
	e.t.Helper()
	e.send(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_RequestTrailers{
		RequestTrailers: &extprocv3.HttpTrailers{Trailers: headerMap(pairs...)},
	}})
}

func (e *envoy) responseTrailers(pairs ...string) {
	e.t.Helper()
	e.send(&extprocv3.ProcessingRequest{Request: &extprocv3.ProcessingRequest_ResponseTrailers{
		ResponseTrailers: &extprocv3.HttpTrailers{Trailers: headerMap(pairs...)},
	}})
}

func (e *envoy) recv() *extprocv3.ProcessingResponse {
	e.t.Helper()
	m, err := e.stream.Recv()
	if err != nil {
		e.t.Fatalf("receiving: %v", err)
	}
	return m
}

// wantRequestHeaders receives the answer to the request's headers.
func (e *envoy) wantRequestHeaders() *extprocv3.HeaderMutation {
	e.t.Helper()
	m := e.recv()
	if m.GetRequestHeaders() == nil {
		e.t.Fatalf("got %v, want the request's headers", m)
	}
	return m.GetRequestHeaders().GetResponse().GetHeaderMutation()
}

func (e *envoy) wantResponseHeaders() *extprocv3.HeaderMutation {
	e.t.Helper()
	m := e.recv()
	if m.GetResponseHeaders() == nil {
		e.t.Fatalf("got %v, want the response's headers", m)
	}
	return m.GetResponseHeaders().GetResponse().GetHeaderMutation()
}

// wantRequestBody receives chunks until all of want came and, with end, the end.
func (e *envoy) wantRequestBody(want string, end bool) {
	e.t.Helper()
	e.wantBody((*extprocv3.ProcessingResponse).GetRequestBody, want, end)
}

func (e *envoy) wantResponseBody(want string, end bool) {
	e.t.Helper()
	e.wantBody((*extprocv3.ProcessingResponse).GetResponseBody, want, end)
}

func (e *envoy) wantBody(of func(*extprocv3.ProcessingResponse) *extprocv3.BodyResponse, want string, end bool) {
	e.t.Helper()
	got, ended := "", false
	for got != want || ended != end {
		m := e.recv()
		chunk := of(m).GetResponse().GetBodyMutation().GetStreamedResponse()
		if chunk == nil {
			e.t.Fatalf("got %v, want a chunk (so far %q)", m, got)
		}
		got += string(chunk.GetBody())
		ended = ended || chunk.GetEndOfStream()
		if len(got) > len(want) || ended && !end || ended && got != want {
			e.t.Fatalf("got %.100q (end %v), want %.100q (end %v)", got, ended, want, end)
		}
	}
}

func (e *envoy) wantImmediate(code int) *extprocv3.ImmediateResponse {
	e.t.Helper()
	m := e.recv().GetImmediateResponse()
	if m == nil || int(m.GetStatus().GetCode()) != code {
		e.t.Fatalf("got %v, want an immediate response %d", m, code)
	}
	return m
}

// tunnel opens a tunnel as far as the target's connection.
func (s *service) tunnel(t testing.TB) *envoy {
	t.Helper()
	e := s.open(t, "orders")
	e.connect("weir-client", "192.0.2.7:4711")
	e.wantRequestHeaders()
	e.responseHeaders(false, ":status", "200")
	e.wantResponseHeaders()
	return e
}

// leave ends the stream as Envoy does when the connection is over. Only then may
// the service end it too, without an error.
func (e *envoy) leave() {
	e.t.Helper()
	if err := e.stream.CloseSend(); err != nil {
		e.t.Fatal(err)
	}
	for {
		_, err := e.stream.Recv()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			e.t.Fatalf("the stream ended with %v", err)
		}
	}
}

// wantError waits for the service to end the stream with an error.
func (e *envoy) wantError(code codes.Code) {
	e.t.Helper()
	for {
		m, err := e.stream.Recv()
		if err == nil {
			e.t.Logf("passing over %v", m)
			continue
		}
		if status.Code(err) != code {
			e.t.Fatalf("the stream ended with %v, want %v", err, code)
		}
		return
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }
