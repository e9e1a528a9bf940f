package xds

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weir-gateway/weir/envoy"
)

// resource is an HTTP upstream that tells what it was sent.
type resource struct {
	*httptest.Server
	requests chan *http.Request
}

func startResource(t *testing.T) resource {
	t.Helper()
	r := resource{requests: make(chan *http.Request, 16)}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.requests <- req
		w.Header().Set("Server", "resource/1")
		w.Header().Set("Weir-Forged", "by the upstream")
		_, _ = io.Copy(w, req.Body)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r resource) target(t *testing.T, listen string) Target {
	t.Helper()
	u, err := url.Parse(r.URL)
	if err != nil {
		t.Fatal(err)
	}
	return Target{Name: "billing", Kind: HTTP, Listen: listen, Upstream: Upstream{Endpoints: []string{u.Host}}}
}

// tlsClient trusts one certificate and opens a connection for each request.
func tlsClient(t *testing.T, cert string) *http.Client {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(cert))
	return &http.Client{Timeout: waitTime, Transport: &http.Transport{
		DisableKeepAlives: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots, ServerName: "billing.internal"},
	}}
}

func request(t *testing.T, c *http.Client, url, body string, headers map[string]string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range headers {
		req.Header.Set(k, v)
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(resp.Body)
	return resp, string(got), err
}

func TestAnExchangeTellsWhoseItIs(t *testing.T) {
	cert, key := testCertificate(t, "billing.internal")
	for _, inspect := range []Inspect{Body, Headers} {
		t.Run(string(inspect), func(t *testing.T) {
			p := new(processor)
			g := startGateway(t, p.register)
			r := startResource(t)
			target := withTLS(r.target(t, freeAddress(t)), ListenerTLS{Certificate: cert, Key: Secret(key)})
			target.Inspect, target.Host = inspect, "inside.internal"
			g.publish(t, target)
			if err := g.taken(t); err != nil {
				t.Fatal(err)
			}
			resp, body, err := request(t, tlsClient(t, cert), "https://"+target.Listen+"/a//b?q=1", "hello", map[string]string{
				"Weir-Client": "6.6.6.6:6", "WEIR-anything": "x", "X-Envoy-Retry-On": "5xx", "X-Forwarded-Client-Cert": "me",
			})
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != http.StatusOK || body != "hello" {
				t.Errorf("got %s %q", resp.Status, body)
			}
			if resp.Header.Get("Server") != "resource/1" || resp.Header.Get("Weir-Forged") != "" {
				t.Errorf("the client was sent %v", resp.Header)
			}
			checkTold(t, inspect, p.last())
			checkUpstream(t, <-r.requests)
		})
	}
}

// checkTold is what weir was told by Envoy, and not by the client.
func checkTold(t *testing.T, inspect Inspect, got seen) {
	t.Helper()
	if got.target != "billing" {
		t.Errorf("the target is %q", got.target)
	}
	if path := got.headers[":path"]; path != "/a/b?q=1" && got.headers["path"] != path {
		t.Errorf("the path is %q", path)
	}
	var want []string
	if inspect == Headers {
		want = []string{"weir-client", "weir-client-tls", "weir-sni"}
		if h := got.headers; h["weir-client-tls"] != "TLSv1.3" || h["weir-sni"] != "billing.internal" || !strings.HasPrefix(h["weir-client"], "127.0.0.1:") {
			t.Errorf("it was told %v", h)
		}
	} else if a := got.attributes; a["connection.tls_version"] != "TLSv1.3" || a["connection.requested_server_name"] != "billing.internal" || !strings.HasPrefix(a["source.address"], "127.0.0.1:") {
		t.Errorf("the attributes are %v", a)
	}
	if names := with("weir-", got.headers); !slices.Equal(names, want) {
		t.Errorf("it was told %v, not %v", names, want)
	}
	if names := with("x-envoy-", got.headers); len(names) > 0 {
		t.Errorf("the client could say %v", names)
	}
}

func checkUpstream(t *testing.T, r *http.Request) {
	t.Helper()
	if r.Host != "inside.internal" {
		t.Errorf("the upstream was asked for %s", r.Host)
	}
	for name := range r.Header {
		if n := strings.ToLower(name); strings.HasPrefix(n, "weir-") || strings.HasPrefix(n, "x-envoy-") || n == "x-forwarded-client-cert" {
			t.Errorf("the upstream was sent %s: %s", name, r.Header.Get(name))
		}
	}
}

func TestAPathHasOneSpelling(t *testing.T) {
	g := startGateway(t, new(processor).register)
	r := startResource(t)
	target := r.target(t, freeAddress(t))
	g.publish(t, target)
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Timeout: waitTime, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, bad := range []string{"/a%2fb", "/a%5Cb"} {
		resp, _, err := request(t, c, "http://"+target.Listen+bad, "", nil)
		if err != nil || resp.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %v, %v", bad, resp, err)
		}
	}
	// Envoy closes the connection on this one: its answer would have to pass the
	// processor, for which there is no time.
	if resp, _, err := request(t, c, "http://"+target.Listen+"/", "", map[string]string{"a_b": "1"}); err == nil {
		t.Errorf("a header with an underscore: %v", resp)
	}
	if len(r.requests) > 0 {
		t.Error("the upstream was asked")
	}
	if _, _, err := request(t, c, "http://"+target.Listen+"/x/../y/./z", "", nil); err != nil {
		t.Fatal(err)
	}
	if path := (<-r.requests).URL.Path; path != "/y/z" {
		t.Errorf("the upstream was asked for %s", path)
	}
}

// A request may be held far longer than Envoy waits for messages.
func TestAHeldRequestIsNotTimedOut(t *testing.T) {
	release := make(chan struct{})
	p := &processor{hold: release}
	g := startGateway(t, p.register, func(c *Config, _ *envoy.Config) { c.Options.MessageTimeout = 50 * time.Millisecond })
	r := startResource(t)
	target := r.target(t, freeAddress(t))
	g.publish(t, target)
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	go func() {
		for p.last().target == "" {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(500 * time.Millisecond)
		close(release)
	}()
	resp, body, err := request(t, http.DefaultClient, "http://"+target.Listen+"/", "hello", nil)
	if err != nil || resp.StatusCode != http.StatusOK || body != "hello" {
		t.Errorf("%v %q %v", resp, body, err)
	}
}

func TestARefusedRequestDoesNotReachTheUpstream(t *testing.T) {
	tests := []struct {
		name    string
		inspect Inspect
		p       *processor // nil: there is none
		status  int
	}{
		{"refused by headers", Headers, &processor{deny: true}, http.StatusForbidden},
		{"nobody to ask about headers", Headers, nil, http.StatusServiceUnavailable},
		{"nobody to ask about bodies", Body, nil, http.StatusInternalServerError},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := startGateway(t, nil)
			if tt.p != nil {
				g = startGateway(t, tt.p.register)
			}
			r := startResource(t)
			target := r.target(t, freeAddress(t))
			target.Inspect = tt.inspect
			g.publish(t, target)
			if err := g.taken(t); err != nil {
				t.Fatal(err)
			}
			resp, _, err := request(t, http.DefaultClient, "http://"+target.Listen+"/", "", nil)
			if err != nil || resp.StatusCode != tt.status {
				t.Errorf("got %v, %v", resp, err)
			}
			if len(r.requests) > 0 {
				t.Error("the upstream was asked")
			}
		})
	}
}

func TestACertificateRotatesWithoutEndingConnections(t *testing.T) {
	g := startGateway(t, new(processor).register)
	r := startResource(t)
	target := r.target(t, freeAddress(t))
	publish := func() string {
		cert, key := testCertificate(t, "billing.internal")
		g.publish(t, withTLS(target, ListenerTLS{Certificate: cert, Key: Secret(key)}))
		if err := g.taken(t); err != nil {
			t.Fatal(err)
		}
		return cert
	}
	old := publish()
	kept := tlsClient(t, old)
	kept.Transport.(*http.Transport).DisableKeepAlives = false
	defer kept.CloseIdleConnections()
	ask := func() {
		if _, body, err := request(t, kept, "https://"+target.Listen+"/", "hello", nil); err != nil || body != "hello" {
			t.Errorf("got %q, %v", body, err)
		}
	}
	ask()
	renewed := publish()
	ask() // the new certificate is not one that this client trusts
	if _, _, err := request(t, tlsClient(t, renewed), "https://"+target.Listen+"/", "hello", nil); err != nil {
		t.Errorf("a new connection: %v", err)
	}
	if _, _, err := request(t, tlsClient(t, old), "https://"+target.Listen+"/", "hello", nil); err == nil {
		t.Error("the old certificate is still shown")
	}
}

func TestUpstreamsMustProveThemselves(t *testing.T) {
	cert, key := testCertificate(t, "resource.internal")
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	other, _ := testCertificate(t, "resource.internal")
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	up.Config.ErrorLog = log.New(t.Output(), "", 0)
	up.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	up.StartTLS()
	defer up.Close()
	g := startGateway(t, new(processor).register)
	_, port, err := net.SplitHostPort(up.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, host string
		tls        UpstreamTLS
		ok         bool
	}{
		{"its name", "127.0.0.1", UpstreamTLS{ServerName: "resource.internal", CA: cert}, true},
		{"its address", "127.0.0.1", UpstreamTLS{CA: cert}, true},
		{"another name", "127.0.0.1", UpstreamTLS{ServerName: "other.internal", CA: cert}, false},
		{"another host", "localhost", UpstreamTLS{CA: cert}, false},
		{"another CA", "127.0.0.1", UpstreamTLS{ServerName: "resource.internal", CA: other}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			target := withUpstreamTLS(service("up", freeAddress(t)), tt.tls)
			target.Upstream.Endpoints = []string{net.JoinHostPort(tt.host, port)}
			g.publish(t, target)
			if err := g.taken(t); err != nil {
				t.Fatal(err)
			}
			resp, _, err := request(t, http.DefaultClient, "http://"+target.Listen+"/", "hello", nil)
			if err != nil || (resp.StatusCode == http.StatusOK) != tt.ok {
				t.Errorf("got %v, %v", resp, err)
			}
		})
	}
}

// A token that is far too long is refused by weir, in its words, and not by
// Envoy, which would just close the connection.
func TestAHugeHeaderReachesTheProcessor(t *testing.T) {
	p := new(processor)
	g := startGateway(t, p.register)
	cert, key := testCertificate(t, "billing.internal")
	target := withTLS(startResource(t).target(t, freeAddress(t)), ListenerTLS{Certificate: cert, Key: Secret(key)})
	g.publish(t, target)
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	token := "Bearer " + strings.Repeat("x", 100<<10)
	for _, http2 := range []bool{false, true} {
		c := tlsClient(t, cert)
		c.Transport.(*http.Transport).ForceAttemptHTTP2 = http2
		resp, _, err := request(t, c, "https://"+target.Listen+"/", "", map[string]string{"Authorization": token})
		if err != nil {
			t.Errorf("HTTP/2 %v: %v", http2, err)
			continue
		}
		if got := p.last().headers["authorization"]; resp.ProtoMajor == 2 != http2 || got != token {
			t.Errorf("HTTP/2 %v: %s, %d bytes", http2, resp.Proto, len(got))
		}
		c.CloseIdleConnections()
	}
}

func TestWebSocketsPass(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(conn, buf)
	}))
	defer up.Close()
	p := new(processor)
	g := startGateway(t, p.register)
	target := resource{Server: up}.target(t, freeAddress(t))
	g.publish(t, target)
	if err := g.taken(t); err != nil {
		t.Fatal(err)
	}
	c := dial(t, target.Listen)
	_, _ = io.WriteString(c, "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v", resp, err)
	}
	_, _ = io.WriteString(c, "frame")
	got := make([]byte, 5)
	if _, err := io.ReadFull(in, got); err != nil || string(got) != "frame" {
		t.Errorf("got %q, %v", got, err)
	}
}

// A connection that stays open while its listener drains reaches nothing.
func TestARemovedTargetIsOutOfReach(t *testing.T) {
	g := startGateway(t, new(processor).register)
	r := startResource(t)
	cert, key := testCertificate(t, "billing.internal")
	target := withTLS(r.target(t, freeAddress(t)), ListenerTLS{Certificate: cert, Key: Secret(key)})
	kept := tlsClient(t, cert)
	kept.Transport.(*http.Transport).DisableKeepAlives = false
	defer kept.CloseIdleConnections()
	for i, targets := range [][]Target{{target}, nil, {target}} {
		g.publish(t, targets...)
		if err := g.taken(t); err != nil {
			t.Fatal(err)
		}
		resp, _, err := request(t, kept, "https://"+target.Listen+"/", "hello", nil)
		if reached := err == nil && resp.StatusCode == http.StatusOK; reached != (targets != nil) {
			t.Errorf("step %d: %v, %v", i, resp, err)
		}
	}
}

// A length stays with the body that it is the length of. What is changed loses it
// by the processor's word, and none that is wrong gets through.
func TestABodyKeepsItsLength(t *testing.T) {
	for _, twice := range []bool{false, true} {
		t.Run(fmt.Sprintf("twice %v", twice), func(t *testing.T) {
			p := &processor{twice: twice}
			g := startGateway(t, p.register)
			upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				answer := fmt.Sprintf("%d %s", r.ContentLength, body)
				w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
				_, _ = io.WriteString(w, answer)
			}))
			t.Cleanup(upstream.Close)
			target := service("billing", freeAddress(t))
			target.Upstream.Endpoints = []string{upstream.Listener.Addr().String()}
			g.publish(t, target)
			if err := g.taken(t); err != nil {
				t.Fatal(err)
			}
			client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: waitTime}
			resp, err := client.Post("http://"+target.Listen, "text/plain", strings.NewReader("hello"))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = resp.Body.Close() }()
			got, err := io.ReadAll(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			want, length := "5 hello", int64(7)
			if twice {
				want, length = "-1 hellohello-1 hellohello", -1
			}
			if string(got) != want || resp.ContentLength != length {
				t.Errorf("got %q of length %d, want %q of %d", got, resp.ContentLength, want, length)
			}
		})
	}
}
