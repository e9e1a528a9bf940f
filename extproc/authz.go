package extproc

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	statusv3 "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
)

// Check implements Envoy's Authorization. It never returns an error: what cannot
// be judged is denied.
func (s *Server) Check(ctx context.Context, m *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	ctx, leave, ok := s.enter(ctx)
	if !ok {
		s.metrics.refuse(refusedDraining)
		return denied(&Refusal{Status: http.StatusServiceUnavailable, Body: []byte("weir is shutting down\n")}), nil
	}
	defer leave()
	defer s.count(kindCheck)()
	target := targetOf(ctx)
	handler, ok := s.handlers.Headers(target)
	if !ok {
		s.metrics.refuse(refusedTarget)
		s.log.WarnContext(ctx, "ext_authz: a request was refused", "target", target, "reason", refusedTarget)
		return denied(&Refusal{Status: http.StatusForbidden, Body: []byte("weir: " + refusedTarget + "\n")}), nil
	}
	before := checkHead(m)
	if before.method == "" {
		s.metrics.refuse(refusedProtocol)
		return denied(&Refusal{Status: http.StatusInternalServerError}), nil
	}
	return s.judge(ctx, handler, target, checkPeer(m, before.header), before), nil
}

func (s *Server) judge(ctx context.Context, h HeaderHandler, target string, p Peer, before *head) (answer *authv3.CheckResponse) {
	defer func() {
		if v := recover(); v != nil {
			s.metrics.refuse(refusedPanic)
			s.log.ErrorContext(ctx, "ext_authz: a handler panicked", "target", target,
				"panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			answer = denied(&Refusal{Status: http.StatusInternalServerError})
		}
	}()
	r, refusal := h.CheckHeaders(ctx, target, p, &Request{
		Method: before.method, Scheme: before.scheme, Authority: before.authority, Path: before.path,
		Header: before.header.Clone(), Body: http.NoBody,
	})
	switch {
	case refusal != nil:
		s.metrics.refuse(refusedByHandler)
		return denied(refusal)
	case r == nil:
		s.metrics.refuse(refusedNoAnswer)
		s.log.ErrorContext(ctx, "ext_authz: a handler left a request without an answer", "target", target)
		return denied(&Refusal{Status: http.StatusInternalServerError})
	}
	var c change
	if err := c.request(before, r, false); err != nil {
		s.log.ErrorContext(ctx, "ext_authz: a handler made a change that cannot be made", "target", target, "err", err)
		return denied(&Refusal{Status: http.StatusInternalServerError})
	}
	return &authv3.CheckResponse{
		Status: &statusv3.Status{Code: int32(codes.OK)},
		HttpResponse: &authv3.CheckResponse_OkResponse{OkResponse: &authv3.OkHttpResponse{
			Headers: plainValues(c.set), HeadersToRemove: c.remove,
		}},
	}
}

// denied is a refusal as ext_authz takes it. A status that is none becomes 403.
func denied(r *Refusal) *authv3.CheckResponse {
	code := r.Status
	if code < 300 || code > 599 {
		code = http.StatusForbidden
	}
	var c change
	if err := c.headers(nil, r.Header); err != nil {
		c = change{}
	}
	return &authv3.CheckResponse{
		Status: &statusv3.Status{Code: int32(codes.PermissionDenied)},
		HttpResponse: &authv3.CheckResponse_DeniedResponse{DeniedResponse: &authv3.DeniedHttpResponse{
			Status:  &typev3.HttpStatus{Code: typev3.StatusCode(code)},
			Headers: plainValues(c.set),
			Body:    string(r.Body),
		}},
	}
}

// plainValues moves raw values into value, the field that ext_authz reads. It
// keeps only the last of several values, so they are made one (RFC 9110, 5.3).
func plainValues(options []*corev3.HeaderValueOption) []*corev3.HeaderValueOption {
	var out []*corev3.HeaderValueOption
	for _, o := range options {
		name, value := o.GetHeader().GetKey(), strings.ToValidUTF8(string(o.GetHeader().GetRawValue()), "?")
		if last := len(out) - 1; last >= 0 && out[last].GetHeader().GetKey() == name {
			out[last].Header.Value += ", " + value
			continue
		}
		o.Header.Value, o.Header.RawValue = value, nil
		out = append(out, o)
	}
	return out
}

// checkHead reads the request from the attributes. Envoy sends the headers as a
// map, or as a list (encode_raw_headers).
func checkHead(m *authv3.CheckRequest) *head {
	r := m.GetAttributes().GetRequest().GetHttp()
	list := r.GetHeaderMap()
	if list == nil {
		list = new(corev3.HeaderMap)
		for name, value := range r.GetHeaders() {
			list.Headers = append(list.Headers, &corev3.HeaderValue{Key: name, Value: value})
		}
	}
	h := readHead(list)
	h.method, h.scheme, h.authority, h.path = r.GetMethod(), r.GetScheme(), r.GetHost(), r.GetPath()
	return h
}

// checkPeer reads the client from the attributes. They hold no TLS version, and
// a TLS session also where there was none, so that comes from a header which
// Envoy sets and lets no client set.
func checkPeer(m *authv3.CheckRequest, h http.Header) Peer {
	a := m.GetAttributes()
	p := Peer{
		Address:    socketAddress(a.GetSource().GetAddress()),
		ServerName: a.GetTlsSession().GetSni(),
		TLS:        present(h.Get(headerTLS)),
	}
	// The principal is the first of: URI SAN, DNS SAN, subject.
	if id := a.GetSource().GetPrincipal(); uriScheme.MatchString(id) {
		p.URISAN = id
	}
	return p
}

// uriScheme is how a URI begins (RFC 3986, section 3.1).
var uriScheme = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)

func socketAddress(a *corev3.Address) string {
	if s := a.GetSocketAddress(); s != nil {
		return net.JoinHostPort(s.GetAddress(), strconv.Itoa(int(s.GetPortValue())))
	}
	return a.GetPipe().GetPath()
}
