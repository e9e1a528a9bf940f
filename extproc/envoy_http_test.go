package extproc_test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/integration/pki"
)

// upstreamHTTP serves behind Envoy, HTTP/1.1 and HTTP/2 in clear.
func upstreamHTTP(t *testing.T, h http.HandlerFunc) net.Listener {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.Listener
}

func clientHTTP(t *testing.T) *http.Client {
	transport := &http.Transport{DisableKeepAlives: true, DisableCompression: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

// ask sends a request through a listener of Envoy and reads the whole answer.
func (w *world) ask(t *testing.T, listener, method, path, body string) (*http.Response, string) {
	t.Helper()
	resp, got, err := w.try(t, listener, method, path, strings.NewReader(body))
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp, got
}

func (w *world) try(t *testing.T, listener, method, path string, body io.Reader) (*http.Response, string, error) {
	t.Helper()
	if r, ok := body.(interface{ Len() int }); ok && r.Len() == 0 {
		body = nil
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+w.addresses[listener]+path, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer agent")
	req.Header.Set("X-Forwarded-For", "203.0.113.1") // who believes it
	resp, err := clientHTTP(t).Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	return resp, string(got), err
}

// mirror answers with what it was asked.
func mirror(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("X-Length", fmt.Sprint(r.ContentLength))
	w.Header().Set("X-Key", r.Header.Get("X-Key"))
	w.Header().Set("X-Authorization", r.Header.Get("Authorization"))
	w.Header().Set("Content-Type", "application/json")
	switch {
	case r.URL.Path == "/204":
		w.WriteHeader(http.StatusNoContent)
	case r.URL.Path == "/304":
		w.WriteHeader(http.StatusNotModified)
	case r.Method == http.MethodHead:
		w.Header().Set("Content-Length", "1000")
	case r.URL.Path == "/hints":
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "after the hints")
	default:
		_, _ = fmt.Fprintf(w, `{"path": %q, "body": %q}`, r.URL.String(), body)
	}
}

func TestEnvoyExchanges(t *testing.T) {
	peer := make(chan extproc.Peer, 100)
	w := startWorld(t, upstreamHTTP(t, mirror), handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
		peer <- e.Peer()
		r := e.Request()
		r.Header.Del("Authorization")
		r.Header.Set("X-Key", "secret")
		switch r.Path {
		case "/upper":
			raw, _ := io.ReadAll(r.Body)
			r.Body = bytes.NewReader(bytes.ToUpper(raw))
		case "/elsewhere":
			r.Path = "/here?really=1"
		case "/refused":
			_ = e.Refuse(403, http.Header{"Content-Type": {"application/problem+json"}}, []byte(`{"rule": "no"}`))
			return
		case "/none":
			return
		case "/panic":
			panic("a bug")
		}
		resp, err := e.Forward(ctx, r)
		if err != nil {
			return
		}
		resp.Header.Del("X-Key")
		switch r.Path {
		case "/upper":
			raw, _ := io.ReadAll(resp.Body)
			resp.Body = bytes.NewReader(bytes.ReplaceAll(raw, []byte("BODY"), []byte("a masked body")))
		case "/refused-late":
			_ = e.Refuse(502, nil, []byte("cannot be masked"))
			return
		case "/status":
			resp.Status = http.StatusTeapot
			resp.Body = strings.NewReader("short and stout")
		}
		_ = e.Respond(ctx, resp)
	}})
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		want                     string
		header                   http.Header
	}{
		{"unchanged", "POST", "/same", "body", 200, `{"path": "/same", "body": "body"}`, http.Header{"X-Authorization": {""}, "X-Length": {"4"}}},
		{"no body", "GET", "/same?a=b", "", 200, `{"path": "/same?a=b", "body": ""}`, http.Header{"X-Length": {"0"}}},
		{"both bodies changed", "POST", "/upper", "body", 200, `{"path": "/upper", "body": "a masked body"}`, http.Header{"X-Length": {"-1"}}},
		{"another path", "GET", "/elsewhere", "", 200, `{"path": "/here?really=1", "body": ""}`, nil},
		{"refused", "POST", "/refused", "body", 403, `{"rule": "no"}`, http.Header{"Content-Type": {"application/problem+json"}}},
		{"refused after the response came", "POST", "/refused-late", "body", 502, "cannot be masked", nil},
		{"another status and body", "GET", "/status", "", 418, "short and stout", nil},
		{"no answer", "POST", "/none", "body", 500, "weir: the gateway has no answer\n", nil},
		{"a panic", "GET", "/panic", "", 500, "weir: the gateway has no answer\n", nil},
		{"HEAD", "HEAD", "/head", "", 200, "", nil},
		{"204", "GET", "/204", "", 204, "", nil},
		{"304", "GET", "/304", "", 304, "", nil},
		{"103, then 200", "GET", "/hints", "", 200, "after the hints", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			resp, got := w.ask(t, "http", c.method, c.path, c.body)
			if resp.StatusCode != c.status || got != c.want {
				t.Errorf("got %d %q", resp.StatusCode, got)
			}
			for name := range c.header {
				if diff := cmp.Diff(c.header[name], resp.Header[name]); diff != "" {
					t.Errorf("%s: %s", name, diff)
				}
			}
			if resp.Header.Get("X-Key") != "" {
				t.Error("a header that the handler removed is there")
			}
			if p := <-peer; !strings.HasPrefix(p.Address, "127.0.0.1:") || p.TLS != "" {
				t.Errorf("peer %+v", p)
			}
		})
	}
}

// What Envoy verified of a client must arrive, and nothing that a client only says.
func TestEnvoyTellsThePeer(t *testing.T) {
	peers := make(chan extproc.Peer, 1)
	w := startWorld(t, upstreamHTTP(t, mirror), handlers{
		exchange: func(ctx context.Context, e extproc.Exchange) {
			peers <- e.Peer()
			forward(ctx, e)
		},
		headers: func(_ context.Context, _ string, p extproc.Peer, r *extproc.Request) (*extproc.Request, *extproc.Refusal) {
			peers <- p
			return r, nil
		},
	})
	leaf, err := w.ca.Issue(pki.Request{CommonName: "agent", URI: "spiffe://example/agent", Client: true})
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := leaf.TLS()
	if err != nil {
		t.Fatal(err)
	}
	secured := extproc.Peer{ServerName: "api.example", TLS: "TLSv1.3"}
	verified := extproc.Peer{ServerName: "api.example", TLS: "TLSv1.3", URISAN: "spiffe://example/agent"}
	for _, c := range []struct {
		name, listener string
		certificates   []tls.Certificate
		want           extproc.Peer
	}{
		{"ext_proc, in clear", "http", nil, extproc.Peer{}},
		{"ext_proc, TLS", "https", nil, secured},
		{"ext_proc, mutual TLS", "https", []tls.Certificate{certificate}, verified},
		{"ext_authz, in clear", "checked", nil, extproc.Peer{}},
		{"ext_authz, TLS", "checkeds", nil, secured},
		{"ext_authz, mutual TLS", "checkeds", []tls.Certificate{certificate}, verified},
	} {
		t.Run(c.name, func(t *testing.T) {
			var conn net.Conn = w.dial(t, c.listener)
			c.want.Address = conn.LocalAddr().String()
			if c.want.TLS != "" {
				conn = tls.Client(conn, &tls.Config{ServerName: "api.example", RootCAs: w.ca.Pool(), Certificates: c.certificates})
			}
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.1\r\nWeir-Client-Tls: TLSv1.2\r\nWeir-Peer-Uri-San: spiffe://example/root\r\n\r\n")
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if diff := cmp.Diff(c.want, <-peers); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestEnvoyUnknownTarget(t *testing.T) {
	var reached atomic.Int64
	w := startWorld(t, upstreamHTTP(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) }), handlers{})
	for _, listener := range []string{"http", "checked"} {
		if resp, _ := w.ask(t, listener, "GET", "/", ""); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: got %d", listener, resp.StatusCode)
		}
	}
	if reached.Load() != 0 {
		t.Error("a request reached the upstream")
	}
}

// What Envoy refuses itself reaches the client as it is.
func TestEnvoyRefusesItself(t *testing.T) {
	var reached atomic.Int64
	w := startWorld(t, upstreamHTTP(t, func(http.ResponseWriter, *http.Request) { reached.Add(1) }), handlers{})
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\n\r\n":                  "HTTP/1.1 400 Bad Request",
		"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n": "HTTP/1.1 403 Forbidden",
	} {
		conn := w.dial(t, "http")
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		if line, err := bufio.NewReader(conn).ReadString('\n'); strings.TrimSpace(line) != want {
			t.Errorf("%.40q: %q, %v; want %s", request, line, err, want)
		}
	}
	if reached.Load() != 0 {
		t.Error("a request reached the upstream")
	}
}

func TestEnvoyTrailers(t *testing.T) {
	w := startWorld(t, upstreamHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "Checksum, X-Secret")
		_, _ = io.Copy(w, r.Body)
		w.Header().Set("Checksum", r.Trailer.Get("Checksum"))
		w.Header().Set("X-Secret", "1")
	}), handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
		resp, err := e.Forward(ctx, e.Request())
		if err != nil {
			t.Error(err)
			return
		}
		raw, _ := io.ReadAll(resp.Body)
		resp.Trailer.Del("X-Secret")
		resp.Body = bytes.NewReader(raw)
		if err := e.Respond(ctx, resp); err != nil {
			t.Error(err)
		}
	}})
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.addresses["http"]+"/h2/", io.MultiReader(strings.NewReader("body")))
	if err != nil {
		t.Fatal(err)
	}
	req.Trailer = http.Header{"Checksum": {"42"}}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if string(got) != "body" || err != nil || resp.Trailer.Get("Checksum") != "42" || resp.Trailer.Get("X-Secret") != "" {
		t.Errorf("got %q, %v, %v", got, err, resp.Trailer)
	}
}

func TestEnvoyCutsOffAResponseThatFails(t *testing.T) {
	w := startWorld(t, upstreamHTTP(t, mirror), handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
		resp, err := e.Forward(ctx, e.Request())
		if err != nil {
			return
		}
		resp.Body = io.MultiReader(random(5, 1<<20), new(brokenReader))
		_ = e.Respond(ctx, resp)
	}})
	_, got, err := w.try(t, "http", "GET", "/", nil)
	if err == nil {
		t.Errorf("%d bytes passed for the whole", len(got))
	}
}

// Where the target does not answer, Envoy does. That is no response of the
// target's, and the handler answers the client in its place.
func TestEnvoyAnswersForATargetThatDoesNot(t *testing.T) {
	upstream := upstreamHTTP(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	w := startWorld(t, upstream, handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
		_, err := e.Forward(ctx, e.Request())
		if !errors.Is(err, extproc.ErrUpstreamRefused) {
			t.Errorf("got %v", err)
		}
		if err := e.Refuse(http.StatusBadGateway, http.Header{"Content-Type": {"text/plain"}}, []byte("orders does not answer")); err != nil {
			t.Error(err)
		}
	}})
	if resp, got := w.ask(t, "http", "GET", "/", ""); resp.StatusCode != http.StatusBadGateway || got != "orders does not answer" {
		t.Errorf("it closes: %d %q", resp.StatusCode, got)
	}
	_ = upstream.Close()
	if resp, got := w.ask(t, "http", "POST", "/", "a body"); resp.StatusCode != http.StatusBadGateway || got != "orders does not answer" {
		t.Errorf("it does not listen: %d %q", resp.StatusCode, got)
	}
}

// A server may answer before it has read the request. What the client still
// sends must then not reach it past the handler.
func TestEnvoyEarlyResponse(t *testing.T) {
	early := make(chan struct{})
	var reached atomic.Int64
	server := serveTCP(t, func(c *net.TCPConn) {
		if _, err := http.ReadRequest(bufio.NewReader(c)); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 9\r\n\r\ntoo large")
		close(early)
		n, _ := io.Copy(io.Discard, c)
		reached.Add(n)
	})
	var passed atomic.Int64
	w := startWorld(t, server, handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
		r := e.Request()
		r.Body = &counting{r.Body, &passed}
		resp, err := e.Forward(ctx, r)
		if err != nil {
			t.Error(err)
			return
		}
		if err := e.Respond(ctx, resp); err != nil {
			t.Error(err)
		}
	}})
	c := w.dial(t, "http")
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n")
	<-early
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusRequestEntityTooLarge || string(got) != "too large" {
		t.Errorf("got %d %q", resp.StatusCode, got)
	}
	for {
		if _, err := io.WriteString(c, "6\r\nsecret\r\n"); err != nil {
			break
		}
	}
	if reached.Load() > passed.Load()*3 { // chunked: a few bytes more around each
		t.Errorf("%d bytes reached the server, the handler passed %d", reached.Load(), passed.Load())
	}
}

type counting struct {
	io.Reader
	n *atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

func TestEnvoyClientResetsInTheMiddle(t *testing.T) {
	ended := make(chan error, 1)
	begun := make(chan struct{})
	w := startWorld(t, upstreamHTTP(t, mirror), handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
		_, _ = e.Request().Body.Read(make([]byte, 1))
		close(begun)
		<-ctx.Done()
		_, err := io.Copy(io.Discard, e.Request().Body)
		ended <- err
	}})
	c := w.dial(t, "http")
	_, _ = io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
	<-begun
	_ = c.SetLinger(0)
	_ = c.Close()
	if err := <-ended; !errors.Is(err, extproc.ErrEnded) {
		t.Errorf("got %v", err)
	}
}

func TestEnvoyWebSocket(t *testing.T) {
	server := serveTCP(t, func(c *net.TCPConn) {
		in := bufio.NewReader(c)
		if _, err := http.ReadRequest(in); err != nil {
			return
		}
		_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(c, in)
	})
	w := startWorld(t, server, handlers{exchange: forward})
	c := w.dial(t, "http")
	_, _ = io.WriteString(c, "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v", resp, err)
	}
	for i := range 10 {
		want := fmt.Sprintf("frame %d", i)
		_, _ = io.WriteString(c, want)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(in, got); err != nil || string(got) != want {
			t.Fatalf("got %q, %v, want %q", got, err, want)
		}
	}
}

func TestEnvoyBigBodies(t *testing.T) {
	const size = 100 << 20
	w := startWorld(t, upstreamHTTP(t, func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		_, _ = io.Copy(w, r.Body)
	}), handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
		r := e.Request()
		r.Body = struct{ io.Reader }{r.Body} // as one that masks: not the original
		resp, err := e.Forward(ctx, r)
		if err != nil {
			return
		}
		resp.Body = struct{ io.Reader }{resp.Body}
		if err := e.Respond(ctx, resp); err != nil {
			t.Error(err)
		}
	}})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+w.addresses["http"]+"/", random(6, size))
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	client := clientHTTP(t)
	client.Timeout = 4 * patience
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	peak := &peakMemory{Reader: resp.Body}
	if got, want := sum(t, peak), sum(t, random(6, size)); !bytes.Equal(got, want) {
		t.Error("what came back is something else")
	}
	if peak.most > before.HeapInuse+64<<20 {
		t.Errorf("%d MiB were in use, %d before", peak.most>>20, before.HeapInuse>>20)
	}
}

// peakMemory notes the most memory in use while it is read.
type peakMemory struct {
	io.Reader
	read int
	most uint64
}

func (p *peakMemory) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if p.read += n; p.read > 8<<20 {
		p.read = 0
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		p.most = max(p.most, now.HeapInuse)
	}
	return n, err
}

// A response whose body the handler replaces need not be read to its end.
func TestEnvoyResponseThatIsNotRead(t *testing.T) {
	w := startWorld(t, upstreamHTTP(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.Copy(w, random(7, 64<<20))
	}), handlers{exchange: func(ctx context.Context, e extproc.Exchange) {
		resp, err := e.Forward(ctx, e.Request())
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body = strings.NewReader("instead")
		if err := e.Respond(ctx, resp); err != nil {
			t.Error(err)
		}
	}})
	if resp, got := w.ask(t, "http", "GET", "/", ""); resp.StatusCode != http.StatusOK || got != "instead" {
		t.Errorf("got %d %q", resp.StatusCode, got)
	}
}

func TestEnvoyCheck(t *testing.T) {
	w := startWorld(t, upstreamHTTP(t, mirror), handlers{headers: func(_ context.Context, target string, p extproc.Peer, r *extproc.Request) (*extproc.Request, *extproc.Refusal) {
		if target != "orders" || !strings.HasPrefix(p.Address, "127.0.0.1:") || p.TLS != "" {
			t.Errorf("%s from %+v", target, p)
		}
		switch r.Path {
		case "/refused":
			return nil, &extproc.Refusal{Status: 403, Header: http.Header{"Content-Type": {"application/problem+json"}, "X-A": {"1"}}, Body: []byte(`{"rule": "no"}`)}
		case "/elsewhere":
			r.Path = "/here?really=1"
		}
		r.Header.Del("Authorization")
		r.Header["X-Key"] = []string{"secret", "more"}
		return r, nil
	}})
	resp, got := w.ask(t, "checked", "POST", "/same?a=b", "body")
	if resp.StatusCode != http.StatusOK || got != `{"path": "/same?a=b", "body": "body"}` || resp.Header.Get("X-Key") != "secret, more" || resp.Header.Get("X-Authorization") != "" {
		t.Errorf("got %d %q %v", resp.StatusCode, got, resp.Header)
	}
	if resp, got := w.ask(t, "checked", "GET", "/elsewhere", ""); resp.StatusCode != http.StatusOK || got != `{"path": "/here?really=1", "body": ""}` {
		t.Errorf("got %d %q", resp.StatusCode, got)
	}
	resp, got = w.ask(t, "checked", "POST", "/refused", "body")
	if resp.StatusCode != http.StatusForbidden || got != `{"rule": "no"}` || resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get("X-A") != "1" {
		t.Errorf("got %d %q %v", resp.StatusCode, got, resp.Header)
	}
}
