package extproc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	extprocv3 "github.com/envoyproxy/go-control-plane/envoy/service/ext_proc/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"

	"github.com/weir-gateway/weir/extproc"
)

// forward lets an exchange pass as it is.
func forward(ctx context.Context, e extproc.Exchange) {
	resp, err := e.Forward(ctx, e.Request())
	if err != nil {
		return
	}
	_ = e.Respond(ctx, resp)
}

// mutation is a header mutation, readable.
type mutation struct {
	Set    []string // name: value, + before one that is appended
	Remove []string
}

func readable(m *extprocv3.HeaderMutation) mutation {
	var out mutation
	for _, o := range m.GetSetHeaders() {
		sign := ""
		if o.GetAppendAction() == 0 {
			sign = "+"
		}
		out.Set = append(out.Set, sign+o.GetHeader().GetKey()+": "+string(o.GetHeader().GetRawValue()))
	}
	out.Remove = m.GetRemoveHeaders()
	return out
}

func wantMutation(t *testing.T, got *extprocv3.HeaderMutation, want mutation) {
	t.Helper()
	if diff := cmp.Diff(want, readable(got)); diff != "" {
		t.Error(diff)
	}
}

func TestAnExchangePassesUnchanged(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{exchange: forward})
	for name, play := range map[string]func(e *envoy){
		"with bodies": func(e *envoy) {
			e.request(false, ":method", "POST", "content-length", "8", "x-a", "1", "x-a", "2")
			wantMutation(t, e.wantRequestHeaders(), mutation{})
			e.requestBody("four", false)
			e.wantRequestBody("four", false)
			e.requestBody("more", true)
			e.wantRequestBody("more", true)
			e.responseHeaders(false, ":status", "200", "content-length", "4")
			wantMutation(t, e.wantResponseHeaders(), mutation{})
			e.responseBody("okay", true)
			e.wantResponseBody("okay", true)
		},
		"without bodies": func(e *envoy) {
			e.request(true, ":method", "GET")
			e.wantRequestHeaders()
			e.responseHeaders(true, ":status", "204")
			e.wantResponseHeaders()
		},
		"an empty end": func(e *envoy) {
			e.request(false, ":method", "POST")
			e.wantRequestHeaders()
			e.requestBody("x", false)
			e.wantRequestBody("x", false)
			e.requestBody("", true)
			e.wantRequestBody("", true)
			e.responseHeaders(false, ":status", "200")
			e.wantResponseHeaders()
			e.responseBody("", true)
			e.wantResponseBody("", true)
		},
		"with trailers": func(e *envoy) {
			e.request(false, ":method", "POST")
			e.wantRequestHeaders()
			e.requestBody("x", false)
			e.wantRequestBody("x", false)
			e.requestTrailers("checksum", "1")
			if m := e.recv().GetRequestTrailers(); m == nil || m.GetHeaderMutation() != nil {
				t.Errorf("got %v", m)
			}
			e.responseHeaders(false, ":status", "200")
			e.wantResponseHeaders()
			e.responseBody("y", false)
			e.wantResponseBody("y", false)
			e.responseTrailers("grpc-status", "0")
			if m := e.recv().GetResponseTrailers(); m == nil || m.GetHeaderMutation() != nil {
				t.Errorf("got %v", m)
			}
		},
		"a response before the request's end": func(e *envoy) {
			e.request(false, ":method", "POST")
			e.wantRequestHeaders()
			e.requestBody("x", false)
			e.wantRequestBody("x", false)
			e.responseHeaders(false, ":status", "413")
			e.wantResponseHeaders()
			e.responseBody("too large", true)
			e.wantResponseBody("too large", true)
		},
		"both ways at once, as in a WebSocket": func(e *envoy) {
			e.request(false, ":method", "GET", "connection", "upgrade", "upgrade", "websocket")
			e.wantRequestHeaders()
			e.responseHeaders(false, ":status", "101", "connection", "upgrade", "upgrade", "websocket")
			e.wantResponseHeaders()
			for range 3 {
				e.requestBody("ping", false)
				e.wantRequestBody("ping", false)
				e.responseBody("pong", false)
				e.wantResponseBody("pong", false)
			}
			e.responseBody("", true)
			e.wantResponseBody("", true)
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := s.open(t, "orders")
			play(e)
			e.leave()
		})
	}
}

func TestAnExchangeShowsTheRequestAndItsPeer(t *testing.T) {
	seen := make(chan extproc.Exchange, 1)
	s := start(t, extproc.Config{}, handlers{exchange: func(_ context.Context, e extproc.Exchange) {
		seen <- e
		_ = e.Refuse(403, nil, nil)
	}})
	e := s.open(t, "orders")
	m := firstMessage(true, ":method", "GET", ":scheme", "https", ":authority", "api.internal", ":path", "/v1?a=b", "x-forwarded-for", "203.0.113.1", "x-a", "1", "x-a", "2")
	attributes, err := structpb.NewStruct(map[string]any{
		"source.address": "192.0.2.7:4711", "connection.requested_server_name": "api.example",
		"connection.uri_san_peer_certificate": "spiffe://example/agent", "connection.tls_version": "TLSv1.3", "connection.mtls": true,
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Attributes = map[string]*structpb.Struct{"envoy.filters.http.ext_proc": attributes}
	e.send(m)
	got := <-seen
	wantPeer := extproc.Peer{Address: "192.0.2.7:4711", ServerName: "api.example", URISAN: "spiffe://example/agent", TLS: "TLSv1.3"}
	if diff := cmp.Diff(wantPeer, got.Peer()); diff != "" {
		t.Error(diff)
	}
	r := got.Request()
	if r.Method != http.MethodGet || r.Scheme != "https" || r.Authority != "api.internal" || r.Path != "/v1?a=b" || r.HasBody || got.Target() != "orders" {
		t.Errorf("got %+v", r)
	}
	if diff := cmp.Diff(http.Header{"X-Forwarded-For": {"203.0.113.1"}, "X-A": {"1", "2"}}, r.Header); diff != "" {
		t.Error(diff)
	}
	e.wantImmediate(403)
	e.leave()
}

func TestHeadersAreChangedAsTheHandlerChangedThem(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
		r := e.Request()
		r.Header.Del("Authorization")
		r.Header.Set("X-Key", "secret")
		r.Header["X-Many"] = []string{"1", "2"}
		r.Header["x-lower"] = []string{"2"} // as one that was not set by Set
		delete(r.Header, "X-Lower")
		r.Header.Del("X-Envoy-Internal") // Envoy's own: stays
		r.Path = "/v2"
		resp, err := e.Forward(ctx, r)
		if err != nil {
			t.Error(err)
			return
		}
		resp.Status = 203
		resp.Header.Del("Set-Cookie")
		if err := e.Respond(ctx, resp); err != nil {
			t.Error(err)
		}
	}})
	e := s.open(t, "orders")
	e.request(true, ":method", "GET", "authorization", "Bearer x", "x-same", "1", "x-many", "1", "x-lower", "1", "x-envoy-internal", "true")
	wantMutation(t, e.wantRequestHeaders(), mutation{
		Set:    []string{"x-key: secret", "x-lower: 2", "x-many: 1", "+x-many: 2", ":path: /v2"},
		Remove: []string{"authorization"},
	})
	e.responseHeaders(true, ":status", "200", "set-cookie", "a", "set-cookie", "b")
	wantMutation(t, e.wantResponseHeaders(), mutation{Set: []string{":status: 203"}, Remove: []string{"set-cookie"}})
	e.leave()
}

func TestChangesThatCannotBeMade(t *testing.T) {
	for name, change := range map[string]func(*extproc.Request){
		"method":         func(r *extproc.Request) { r.Method = "DELETE" },
		"scheme":         func(r *extproc.Request) { r.Scheme = "ftp" },
		"authority":      func(r *extproc.Request) { r.Authority = "elsewhere" },
		"split header":   func(r *extproc.Request) { r.Header.Set("X-A", "1\r\nx-b: 2") },
		"header's name":  func(r *extproc.Request) { r.Header["X A"] = []string{"1"} },
		"path":           func(r *extproc.Request) { r.Path = "/ HTTP/1.1\r\n" },
		"body from none": func(r *extproc.Request) { r.Body = strings.NewReader("x") },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, extproc.Config{}, handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
				r := e.Request()
				change(r)
				if _, err := e.Forward(ctx, r); !errors.Is(err, extproc.ErrNotMutable) {
					t.Errorf("Forward: %v", err)
				}
			}})
			e := s.open(t, "orders")
			e.request(true, ":method", "GET")
			e.wantImmediate(500) // nothing was forwarded, and the handler gave up
			e.leave()
		})
	}
}

// upper changes both bodies whole, as a mask of JSON does.
func upper(ctx context.Context, e extproc.Exchange) {
	r := e.Request()
	raw, _ := io.ReadAll(r.Body)
	r.Body = bytes.NewReader(bytes.ToUpper(raw))
	resp, err := e.Forward(ctx, r)
	if err != nil {
		return
	}
	raw, _ = io.ReadAll(resp.Body)
	resp.Body = bytes.NewReader(bytes.ToUpper(raw))
	_ = e.Respond(ctx, resp)
}

func TestBodiesThatTheHandlerChanges(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{exchange: upper})
	e := s.open(t, "orders")
	e.request(false, ":method", "POST", "content-length", "4")
	e.requestBody("fo", false)
	e.requestBody("ur", true)
	wantMutation(t, e.wantRequestHeaders(), mutation{Remove: []string{"content-length"}})
	e.wantRequestBody("FOUR", true)
	e.responseHeaders(false, ":status", "200", "content-length", "4")
	e.responseBody("five", false)
	e.responseBody("!", true)
	wantMutation(t, e.wantResponseHeaders(), mutation{Remove: []string{"content-length"}})
	e.wantResponseBody("FIVE!", true)
	e.leave()
}

// A body that is shorter than its Content-Length lets the next request on the
// same connection pass for the rest of it.
func TestABodyThatIsPartlyReadHasAnotherLength(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
		_, _ = io.ReadFull(e.Request().Body, make([]byte, 2))
		forward(ctx, e)
	}})
	e := s.open(t, "orders")
	e.request(false, ":method", "POST", "content-length", "4")
	e.requestBody("four", true)
	wantMutation(t, e.wantRequestHeaders(), mutation{Remove: []string{"content-length"}})
	e.wantRequestBody("ur", true)
	e.responseHeaders(true, ":status", "204")
	e.wantResponseHeaders()
	e.leave()
}

func TestTrailersOfAChangedBody(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
		resp, err := e.Forward(ctx, e.Request())
		if err != nil {
			t.Error(err)
			return
		}
		raw, _ := io.ReadAll(resp.Body)
		resp.Trailer.Del("X-Secret")
		resp.Body = bytes.NewReader(bytes.ToUpper(raw))
		_ = e.Respond(ctx, resp)
	}})
	e := s.open(t, "orders")
	e.request(true, ":method", "GET")
	e.wantRequestHeaders()
	e.responseHeaders(false, ":status", "200")
	e.responseBody("body", false)
	e.responseTrailers("grpc-status", "0", "x-secret", "1")
	e.wantResponseHeaders()
	e.wantResponseBody("BODY", false)
	wantMutation(t, e.recv().GetResponseTrailers().GetHeaderMutation(), mutation{Remove: []string{"x-secret"}})
	e.leave()
}

func TestRefusals(t *testing.T) {
	problem, _ := json.Marshal(map[string]string{"rule": "no"})
	header := http.Header{"Content-Type": {"application/problem+json"}}
	refuse := func(e extproc.Exchange) error { return e.Refuse(403, header, problem) }
	t.Run("before anything is forwarded", func(t *testing.T) {
		s := start(t, extproc.Config{}, handlers{exchange: func(_ context.Context, e extproc.Exchange) { _ = refuse(e) }})
		e := s.open(t, "orders")
		e.request(false, ":method", "POST")
		m := e.wantImmediate(403)
		if !bytes.Equal(m.GetBody(), problem) {
			t.Errorf("body %q", m.GetBody())
		}
		wantMutation(t, m.GetHeaders(), mutation{Set: []string{"content-type: application/problem+json"}})
		e.requestBody("late", true)
		e.leave()
	})
	t.Run("instead of the response", func(t *testing.T) {
		s := start(t, extproc.Config{}, handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
			if _, err := e.Forward(ctx, e.Request()); err != nil {
				t.Error(err)
			}
			_ = refuse(e)
			if err := e.Respond(ctx, &extproc.Response{Status: 200}); err == nil {
				t.Error("responded after a refusal")
			}
		}})
		e := s.open(t, "orders")
		e.request(true, ":method", "GET")
		e.wantRequestHeaders()
		e.responseHeaders(false, ":status", "200")
		e.responseBody("secret", false)
		e.wantImmediate(403)
		e.leave()
	})
	t.Run("not after the response began", func(t *testing.T) {
		s := start(t, extproc.Config{}, handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
			forward(ctx, e)
			if err := refuse(e); !errors.Is(err, extproc.ErrPhase) {
				t.Errorf("Refuse: %v", err)
			}
		}})
		e := s.open(t, "orders")
		e.request(true, ":method", "GET")
		e.wantRequestHeaders()
		e.responseHeaders(true, ":status", "200")
		e.wantResponseHeaders()
		e.leave()
	})
}

func TestAnExchangeWithoutAnAnswerGets500(t *testing.T) {
	for name, serve := range map[string]func(context.Context, extproc.Exchange){
		"at all":             func(context.Context, extproc.Exchange) {},
		"after forwarding":   func(ctx context.Context, e extproc.Exchange) { _, _ = e.Forward(ctx, e.Request()) },
		"because of a panic": func(context.Context, extproc.Exchange) { panic("a bug") },
		"because it was late": func(ctx context.Context, e extproc.Exchange) {
			ctx, c := context.WithCancel(ctx)
			c()
			_, _ = e.Forward(ctx, e.Request())
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := start(t, extproc.Config{}, handlers{exchange: serve}).open(t, "orders")
			e.request(true, ":method", "GET")
			e.responseHeaders(true, ":status", "200")
			m := e.recv()
			if m.GetRequestHeaders() != nil {
				m = e.recv()
			}
			if m.GetImmediateResponse().GetStatus().GetCode() != 500 {
				t.Errorf("got %v", m)
			}
			e.leave()
		})
	}
}

// brokenReader fails after its first bytes.
type brokenReader struct{ given bool }

func (r *brokenReader) Read(p []byte) (int, error) {
	if r.given {
		return 0, errors.New("cannot mask this")
	}
	r.given = true
	return copy(p, "half"), nil
}

// Half a body must not pass for a whole one.
func TestABodyThatFailsIsCutOff(t *testing.T) {
	t.Run("response", func(t *testing.T) {
		s := start(t, extproc.Config{}, handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
			resp, err := e.Forward(ctx, e.Request())
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body = new(brokenReader)
			if err := e.Respond(ctx, resp); err == nil {
				t.Error("Respond said nothing")
			}
		}})
		e := s.open(t, "orders")
		e.request(true, ":method", "GET")
		e.wantRequestHeaders()
		e.responseHeaders(false, ":status", "200")
		e.responseBody("all of it", true)
		e.wantResponseHeaders()
		e.wantResponseBody("half", false)
		e.wantError(codes.Aborted)
	})
	t.Run("request", func(t *testing.T) {
		s := start(t, extproc.Config{}, handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
			r := e.Request()
			r.Body = new(brokenReader)
			if _, err := e.Forward(ctx, r); err == nil {
				t.Error("Forward said nothing")
			}
		}})
		e := s.open(t, "orders")
		e.request(false, ":method", "POST")
		e.wantRequestHeaders()
		e.requestBody("all of it", true)
		e.wantError(codes.Aborted)
	})
}

func TestAClientThatResetsInTheMiddle(t *testing.T) {
	read := make(chan error, 2)
	s := start(t, extproc.Config{}, handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
		_, err := io.ReadFull(e.Request().Body, make([]byte, 4))
		read <- err
		_, err = io.ReadAll(e.Request().Body)
		read <- err
		<-ctx.Done()
	}})
	e := s.open(t, "orders")
	e.request(false, ":method", "POST")
	e.requestBody("half", false)
	if err := <-read; err != nil {
		t.Fatal(err)
	}
	e.cancel()
	if err := <-read; !errors.Is(err, extproc.ErrEnded) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("half a body read: %v", err)
	}
}

func TestExchangesAreIndependent(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{exchange: upper})
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			e := s.open(t, "orders")
			e.request(false, ":method", "POST")
			e.requestBody("abc", true)
			e.wantRequestHeaders()
			e.wantRequestBody("ABC", true)
			e.responseHeaders(false, ":status", "200")
			e.responseBody("def", true)
			e.wantResponseHeaders()
			e.wantResponseBody("DEF", true)
			e.leave()
		})
	}
	all.Wait()
}
