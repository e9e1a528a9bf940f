package app

import (
	"strings"
	"testing"

	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/xds"
)

func external(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse([]byte(`identity: {issuers: [{url: https://login.example}]}
targets: {a: {kind: http, listen: 127.0.0.1:18081, upstream: {url: http://127.0.0.1:1}}}
envoy: {external: {`+text+"}}\n"), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// An Envoy elsewhere is told of files on its own machine, the same for both of
// its connections.
func TestAnEnvoyElsewhereIsToldOfItsFiles(t *testing.T) {
	cfg := external(t, "xds: 0.0.0.0:18000, advertise: weir.internal:18000, client_ca: file:/ca.crt, tls: {key: /run/envoy.key}")
	o := xdsOptions(cfg)
	want := xds.ProcessorTLS{CA: "/etc/weir/ca.crt", ServerName: "weir.internal", Certificate: "/etc/weir/envoy.crt", Key: "/run/envoy.key"}
	if p := o.Processor; p.TLS == nil || *p.TLS != want || p.Address != "weir.internal:18000" || o.Fallback != "" {
		t.Errorf("got %+v, %+v", o, o.Processor.TLS)
	}
	text, err := Bootstrap(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"filename: /etc/weir/ca.crt", "filename: /run/envoy.key", "sni: weir.internal", "port_value: 18000"} {
		if !strings.Contains(string(text), part) {
			t.Errorf("the bootstrap lacks %q:\n%s", part, text)
		}
	}
	if names := certifiedNames(cfg); !strings.Contains(strings.Join(names, " "), "weir.internal") {
		t.Errorf("the certificate is for %v", names)
	}
}

func TestAnEnvoyOnLoopbackNeedsNoTLS(t *testing.T) {
	cfg := external(t, "xds: 127.0.0.1:18000")
	if o := xdsOptions(cfg); o.Processor.TLS != nil || o.Fallback == "" {
		t.Errorf("got %+v", o)
	}
	if text, err := Bootstrap(cfg); err != nil || strings.Contains(string(text), "transport_socket") {
		t.Errorf("got %v:\n%s", err, text)
	}
}
