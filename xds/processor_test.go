package xds

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	procv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
)

// seen is what a processor was told at the beginning of a stream.
type seen struct {
	target     string
	headers    map[string]string
	attributes map[string]string
}

// processor gives everything back as it is, and keeps what it was told.
type processor struct {
	hold  <-chan struct{} // request headers are answered once it is closed; nil at once
	deny  bool            // for checks by headers
	twice bool            // bodies are given back twice over, their lengths taken away

	mu        sync.Mutex
	seen      []seen
	responses []map[string]string // headers of the upstream's
}

func (p *processor) register(g *grpc.Server) {
	procv3.RegisterExternalProcessorServer(g, p)
	authv3.RegisterAuthorizationServer(g, p)
}

func (p *processor) tell(ctx context.Context, headers, attributes map[string]string) {
	md, _ := metadata.FromIncomingContext(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, seen{strings.Join(md.Get("weir-target"), ","), headers, attributes})
}

func (p *processor) lastResponse() map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.responses) == 0 {
		return nil
	}
	return p.responses[len(p.responses)-1]
}

func (p *processor) last() seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.seen) == 0 {
		return seen{}
	}
	return p.seen[len(p.seen)-1]
}

// Process serves one stream of ext_proc.
func (p *processor) Process(stream procv3.ExternalProcessor_ProcessServer) error {
	for {
		req, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		resp := p.answer(stream.Context(), req)
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

func (p *processor) answer(ctx context.Context, req *procv3.ProcessingRequest) *procv3.ProcessingResponse {
	switch r := req.GetRequest().(type) {
	case *procv3.ProcessingRequest_RequestHeaders:
		p.tell(ctx, headersOf(r.RequestHeaders.GetHeaders()), attributesOf(req))
		if p.hold != nil {
			<-p.hold
		}
		return &procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_RequestHeaders{RequestHeaders: p.headers()}}
	case *procv3.ProcessingRequest_ResponseHeaders:
		p.mu.Lock()
		p.responses = append(p.responses, headersOf(r.ResponseHeaders.GetHeaders()))
		p.mu.Unlock()
		return &procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_ResponseHeaders{ResponseHeaders: p.headers()}}
	case *procv3.ProcessingRequest_RequestBody:
		return &procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_RequestBody{RequestBody: p.streamed(r.RequestBody)}}
	case *procv3.ProcessingRequest_ResponseBody:
		return &procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_ResponseBody{ResponseBody: p.streamed(r.ResponseBody)}}
	case *procv3.ProcessingRequest_RequestTrailers:
		return &procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_RequestTrailers{RequestTrailers: &procv3.TrailersResponse{}}}
	default:
		return &procv3.ProcessingResponse{Response: &procv3.ProcessingResponse_ResponseTrailers{ResponseTrailers: &procv3.TrailersResponse{}}}
	}
}

func (p *processor) headers() *procv3.HeadersResponse {
	if !p.twice {
		return &procv3.HeadersResponse{}
	}
	return &procv3.HeadersResponse{Response: &procv3.CommonResponse{
		HeaderMutation: &procv3.HeaderMutation{RemoveHeaders: []string{"content-length"}},
	}}
}

func (p *processor) streamed(b *procv3.HttpBody) *procv3.BodyResponse {
	if p.twice {
		b.Body = append(b.Body, b.GetBody()...)
	}
	return &procv3.BodyResponse{Response: &procv3.CommonResponse{BodyMutation: &procv3.BodyMutation{
		Mutation: &procv3.BodyMutation_StreamedResponse{StreamedResponse: &procv3.StreamedBodyResponse{
			Body: b.GetBody(), EndOfStream: b.GetEndOfStream(),
		}},
	}}}
}

func headersOf(m *corev3.HeaderMap) map[string]string {
	out := map[string]string{}
	for _, h := range m.GetHeaders() {
		out[h.GetKey()] = h.GetValue() + string(h.GetRawValue())
	}
	return out
}

func attributesOf(req *procv3.ProcessingRequest) map[string]string {
	out := map[string]string{}
	for _, s := range req.GetAttributes() {
		for k, v := range s.GetFields() {
			out[k] = v.GetStringValue()
		}
	}
	return out
}

// Check serves one check by ext_authz.
func (p *processor) Check(ctx context.Context, req *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	a := req.GetAttributes()
	p.tell(ctx, a.GetRequest().GetHttp().GetHeaders(), map[string]string{
		"source.address":                   a.GetSource().GetAddress().GetSocketAddress().GetAddress(),
		"connection.requested_server_name": a.GetTlsSession().GetSni(),
	})
	if p.deny {
		return &authv3.CheckResponse{
			Status: &status.Status{Code: int32(codes.PermissionDenied)},
			HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
				Status: &typev3.HttpStatus{Code: typev3.StatusCode_Forbidden}, Body: "no",
			}},
		}, nil
	}
	return &authv3.CheckResponse{Status: &status.Status{}, HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{}}}, nil
}

// with is the names of the headers with a prefix, in order.
func with(prefix string, headers map[string]string) []string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(headers)) {
		if strings.HasPrefix(strings.ToLower(k), prefix) {
			out = append(out, k)
		}
	}
	return out
}
