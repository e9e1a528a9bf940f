package extproc_test

import (
	"context"
	"net/http"
	"testing"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"

	"github.com/weir-gateway/weir/extproc"
)

func checkRequest(headers map[string]string) *authv3.CheckRequest {
	return &authv3.CheckRequest{Attributes: &authv3.AttributeContext{
		Source: &authv3.AttributeContext_Peer{
			Principal: "spiffe://example/agent",
			Address: &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
				Address: "192.0.2.7", PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: 4711},
			}}},
		},
		TlsSession: &authv3.AttributeContext_TLSSession{Sni: "api.example"},
		Request: &authv3.AttributeContext_Request{Http: &authv3.AttributeContext_HttpRequest{
			Method: "GET", Scheme: "https", Host: "api.internal", Path: "/v1?a=b", Headers: headers,
		}},
	}}
}

func TestCheckLetsPassAsTheHandlerChangedIt(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{headers: func(_ context.Context, target string, p extproc.Peer, r *extproc.Request) (*extproc.Request, *extproc.Refusal) {
		want := extproc.Peer{Address: "192.0.2.7:4711", ServerName: "api.example", URISAN: "spiffe://example/agent", TLS: "TLSv1.3"}
		if diff := cmp.Diff(want, p); diff != "" {
			t.Error(diff)
		}
		if target != "orders" || r.Method != http.MethodGet || r.Path != "/v1?a=b" || r.Authority != "api.internal" || r.HasBody {
			t.Errorf("got %+v for %s", r, target)
		}
		r.Header.Del("Authorization")
		r.Header.Set("X-Key", "secret")
		return r, nil
	}})
	got := s.check(t, "orders", checkRequest(map[string]string{":method": "GET", "authorization": "Bearer x", "weir-client-tls": "TLSv1.3"}))
	if got.GetStatus().GetCode() != int32(codes.OK) {
		t.Fatalf("got %v", got)
	}
	ok := got.GetOkResponse()
	if diff := cmp.Diff([]string{"authorization"}, ok.GetHeadersToRemove()); diff != "" {
		t.Error(diff)
	}
	if len(ok.GetHeaders()) != 1 || ok.GetHeaders()[0].GetHeader().GetKey() != "x-key" || ok.GetHeaders()[0].GetHeader().GetValue() != "secret" {
		t.Errorf("got %v", ok.GetHeaders())
	}
}

func TestCheckDenies(t *testing.T) {
	pass := func(_ context.Context, _ string, _ extproc.Peer, r *extproc.Request) (*extproc.Request, *extproc.Refusal) {
		return r, nil
	}
	for name, c := range map[string]struct {
		target  string
		request *authv3.CheckRequest
		headers headersFunc
		want    int
	}{
		"a target that nobody serves": {"billing", checkRequest(nil), pass, 403},
		"no request in it":            {"orders", &authv3.CheckRequest{}, pass, 500},
		"as the handler says": {"orders", checkRequest(nil), func(context.Context, string, extproc.Peer, *extproc.Request) (*extproc.Request, *extproc.Refusal) {
			return nil, &extproc.Refusal{Status: 401, Header: http.Header{"Www-Authenticate": {"Bearer"}}, Body: []byte("sign in")}
		}, 401},
		"when the handler says neither": {"orders", checkRequest(nil), func(context.Context, string, extproc.Peer, *extproc.Request) (*extproc.Request, *extproc.Refusal) {
			return nil, nil
		}, 500},
		"when the handler says both": {"orders", checkRequest(nil), func(_ context.Context, _ string, _ extproc.Peer, r *extproc.Request) (*extproc.Request, *extproc.Refusal) {
			return r, &extproc.Refusal{Status: 403}
		}, 403},
		"with a status that would be none": {"orders", checkRequest(nil), func(context.Context, string, extproc.Peer, *extproc.Request) (*extproc.Request, *extproc.Refusal) {
			return nil, &extproc.Refusal{Status: 200}
		}, 403},
		"when the handler panics": {"orders", checkRequest(nil), func(context.Context, string, extproc.Peer, *extproc.Request) (*extproc.Request, *extproc.Refusal) {
			panic("a bug")
		}, 500},
		"a change that cannot be made": {"orders", checkRequest(nil), func(_ context.Context, _ string, _ extproc.Peer, r *extproc.Request) (*extproc.Request, *extproc.Refusal) {
			r.Method = http.MethodDelete
			return r, nil
		}, 500},
	} {
		t.Run(name, func(t *testing.T) {
			got := start(t, extproc.Config{}, handlers{headers: c.headers}).check(t, c.target, c.request)
			if got.GetStatus().GetCode() == int32(codes.OK) || int(got.GetDeniedResponse().GetStatus().GetCode()) != c.want {
				t.Errorf("got %v, want a denial with %d", got, c.want)
			}
		})
	}
}
