package xds

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"
)

func options() Options { return Options{Processor: Processor{Socket: "weir.sock"}} }

func database(name, listen string) Target {
	return Target{Name: name, Kind: Postgres, Listen: listen, Upstream: Upstream{Endpoints: []string{"127.0.0.1:5432"}}}
}

func service(name, listen string) Target {
	return Target{Name: name, Kind: HTTP, Listen: listen, Upstream: Upstream{Endpoints: []string{"127.0.0.1:8000"}}}
}

func TestTranslateRefuses(t *testing.T) {
	cert, key := testCertificate(t, "a.internal")
	tests := []struct {
		name    string
		options Options
		targets []Target
		want    []string
	}{
		{"no processor", Options{}, nil, []string{"a socket or an address"}},
		{"a long socket", Options{Processor: Processor{Socket: "/" + strings.Repeat("x", 110)}}, nil, []string{"shorter data folder"}},
		{"a processor in clear", Options{Processor: Processor{Address: "10.0.0.1:1"}}, nil, []string{"would travel in clear"}},
		{"a processor that nobody vouches for", Options{Processor: Processor{Address: "10.0.0.1:1", TLS: &ProcessorTLS{}}}, nil, []string{"needs a CA and a server name"}},
		{"everything at once", options(), []Target{{Name: "a b", Kind: "ftp", Listen: "here"}},
			[]string{"target a b:", "rename it", `"here" is not host:port`, "no upstream address", `kind "ftp" is not known`}},
		{"every target", options(), []Target{{Name: "a"}, {Name: "b"}}, []string{"target a:", "target b:"}},
		{"a name to listen on", options(), []Target{database("orders", "db.internal:15432")}, []string{"must be an IP address of this machine"}},
		{"port 0", options(), []Target{database("orders", "127.0.0.1:0")}, []string{"is not host:port"}},
		{"an upstream without a port", options(), []Target{{Name: "orders", Kind: Postgres, Listen: ":1", Upstream: Upstream{Endpoints: []string{"db"}}}}, []string{`"db" is not host:port`}},
		{"the same port", options(), []Target{database("a", "127.0.0.1:1"), service("b", "localhost:1")},
			[]string{"target b: 127.0.0.1:1 is taken by target a"}},
		{"all addresses and one of them", options(), []Target{database("a", ":1"), database("b", "127.0.0.1:1")}, []string{"is taken by target"}},
		{"HTTP in clear for all", options(), []Target{service("billing", "0.0.0.0:1")}, []string{"must speak TLS"}},
		{"TLS that PostgreSQL does itself", options(), []Target{{Name: "orders", Kind: Postgres, Listen: ":1", TLS: &ListenerTLS{}, Upstream: Upstream{Endpoints: []string{"a:1"}}}},
			[]string{"not Envoy's business"}},
		{"a certificate without its key", options(), []Target{withTLS(service("b", ":1"), ListenerTLS{Certificate: cert})}, []string{"cannot be used"}},
		{"a client CA that is none", options(), []Target{withTLS(service("b", ":1"), ListenerTLS{Certificate: cert, Key: Secret(key), ClientCA: "x"})}, []string{"is not PEM"}},
		{"clients' certificates by no CA", options(), []Target{withTLS(service("b", ":1"), ListenerTLS{Certificate: cert, Key: Secret(key), RequireClient: true})}, []string{"no CA for clients"}},
		{"nothing to trust", options(), []Target{withUpstreamTLS(service("b", "localhost:1"), UpstreamTLS{})}, []string{"set upstream.ca"}},
		{"an upstream CA that is none", options(), []Target{withUpstreamTLS(service("b", "localhost:1"), UpstreamTLS{CA: "x"})}, []string{"upstream.ca is not PEM"}},
		{"two names in one certificate", options(), []Target{withUpstreamTLS(Target{Name: "b", Kind: HTTP, Listen: "localhost:1", Upstream: Upstream{Endpoints: []string{"a:1", "b:1"}}}, UpstreamTLS{CA: cert})},
			[]string{"upstream.server_name"}},
		{"an unknown way to inspect", options(), []Target{{Name: "b", Kind: HTTP, Listen: "localhost:1", Inspect: "all", Upstream: Upstream{Endpoints: []string{"a:1"}}}}, []string{`inspect "all"`}},
		{"a name that another target's parts have", options(), []Target{database("a", ":1"), database("a-inner", ":2")}, []string{"weir-a-inner", "rename"}},
		{"a relay without a socket", options(), []Target{overRelay(database("a", ":1"))}, []string{"target a: transport relay needs a Unix socket"}},
		{"a relay at the end of a long path", Options{Processor: Processor{Socket: "x"}, Relay: "/" + strings.Repeat("x", 110)}, nil, []string{"shorter data folder"}},
		{"a relay for HTTP", options(), []Target{overRelay(service("b", "localhost:1"))}, []string{"for PostgreSQL only"}},
		{"an unknown transport", options(), []Target{{Name: "b", Kind: Postgres, Listen: ":1", Transport: "pigeon", Upstream: Upstream{Endpoints: []string{"a:1"}}}}, []string{`transport "pigeon"`}},
		{"the same name", options(), []Target{database("a", ":1"), database("a", ":2")}, []string{"rename"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Translate(tt.options, tt.targets)
			if err == nil {
				t.Fatal("it was taken")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not say %q", err, want)
				}
			}
		})
	}
}

func overRelay(t Target) Target { t.Transport = Relay; return t }

func withTLS(t Target, l ListenerTLS) Target { t.TLS = &l; return t }

func withUpstreamTLS(t Target, u UpstreamTLS) Target { t.Upstream.TLS = &u; return t }

func TestAKeyIsNeverPrinted(t *testing.T) {
	cert, key := testCertificate(t, "a.internal")
	l := &ListenerTLS{Certificate: cert, Key: Secret(key)}
	for _, f := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if s := fmt.Sprintf(f, *l); strings.Contains(s, key[30:60]) {
			t.Errorf("%s shows the key", f)
		}
	}
}

// One target's change leaves the resources of all others as they are, whatever
// the order they come in.
func TestTargetsDoNotTouchEachOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 5).Draw(t, "n")
		var targets []Target
		for i := range n {
			kind := rapid.SampledFrom([]func(string, string) Target{database, service}).Draw(t, "kind")
			targets = append(targets, kind(fmt.Sprintf("t%d", i), fmt.Sprintf("127.0.0.1:%d", i+1)))
		}
		before := named(t, targets)
		changed := rapid.IntRange(0, n-1).Draw(t, "changed")
		targets[changed].Upstream.Endpoints = []string{"10.1.2.3:4"}
		targets = rapid.Permutation(targets).Draw(t, "order")
		name := fmt.Sprintf("t%d", changed)
		for key, m := range named(t, targets) {
			if same := cmp.Equal(before[key], m, protocmp.Transform()); same == (key == "cluster upstream-"+name) {
				t.Errorf("%s: unchanged is %v", key, same)
			}
		}
	})
}

func named(t *rapid.T, targets []Target) map[string]proto.Message {
	r, err := Translate(options(), targets)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]proto.Message{}
	for _, c := range r.Clusters {
		out["cluster "+c.GetName()] = c
	}
	for _, l := range r.Listeners {
		out["listener "+l.GetName()] = l
	}
	for _, x := range r.Routes {
		out["route "+x.GetName()] = x
	}
	return out
}

// What rotates or is tuned while connections live is no part of a listener: a
// listener that changes drains its connections.
func TestListenersStayWhenOtherThingsChange(t *testing.T) {
	cert1, key1 := testCertificate(t, "a.internal")
	cert2, key2 := testCertificate(t, "a.internal")
	target := withTLS(service("billing", "0.0.0.0:1"), ListenerTLS{Certificate: cert1, Key: Secret(key1), ClientCA: cert1})
	target = withUpstreamTLS(target, UpstreamTLS{ServerName: "a.internal", CA: cert1})
	before, err := Translate(options(), []Target{target})
	if err != nil {
		t.Fatal(err)
	}
	changes := map[string]func(*Target){
		"certificate":     func(t *Target) { t.TLS.Certificate, t.TLS.Key = cert2, Secret(key2) },
		"client CA":       func(t *Target) { t.TLS.ClientCA = cert2 },
		"upstream CA":     func(t *Target) { t.Upstream.TLS.CA = cert2 },
		"upstream":        func(t *Target) { t.Upstream.Endpoints = []string{"127.0.0.1:9"} },
		"host":            func(t *Target) { t.Host = "other.internal" },
		"timeouts":        func(t *Target) { t.Timeout, t.Idle = 1, 2 },
		"connect timeout": func(t *Target) { t.Upstream.ConnectTimeout = 1 << 30 },
	}
	for name, change := range changes {
		t.Run(name, func(t *testing.T) {
			other := target
			tls, up := *target.TLS, *target.Upstream.TLS
			other.TLS, other.Upstream.TLS = &tls, &up
			change(&other)
			after, err := Translate(options(), []Target{other})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(before.Listeners, after.Listeners, protocmp.Transform()); diff != "" {
				t.Error(diff)
			}
			if cmp.Equal(before, after, protocmp.Transform()) {
				t.Error("nothing changed at all")
			}
		})
	}
}

func FuzzParseListen(f *testing.F) {
	for _, s := range []string{"127.0.0.1:1", "[::]:15432", ":1", "localhost:65535", "a:b:c", "[::1%lo]:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseListen(s)
		if err != nil {
			return
		}
		again, err := parseListen(a.String())
		if err != nil || again != a {
			t.Errorf("%q is %v, but that is %v (%v)", s, a, again, err)
		}
	})
}
