package envoy_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/weir-gateway/weir/envoy"
)

var update = flag.Bool("update", false, "write the golden files anew")

func bootstraps() map[string]envoy.BootstrapConfig {
	return map[string]envoy.BootstrapConfig{
		"supervised": {
			NodeID: "host", Admin: "unix:/run/weir/admin.sock",
			XDS: envoy.Server{Socket: "/run/weir/weir.sock"},
		},
		"loopback": {
			NodeID: "host", Admin: "127.0.0.1:0", MaxConnections: 100,
			XDS: envoy.Server{Address: "127.0.0.1:18000"},
		},
		"external": {
			NodeID: "edge-1",
			XDS: envoy.Server{Address: "weir.internal:18000", TLS: &envoy.ClientTLS{
				CA: "/etc/envoy/ca.pem", ServerName: "weir.internal", Certificate: "/etc/envoy/tls.crt", Key: "/etc/envoy/tls.key",
			}},
		},
	}
}

func TestBootstrapGolden(t *testing.T) {
	for name, c := range bootstraps() {
		t.Run(name, func(t *testing.T) {
			got, err := envoy.Bootstrap(c)
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".golden.yaml")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)); diff != "" {
				t.Errorf("differs from %s (go test ./envoy -update writes it anew)\n%s", file, diff)
			}
		})
	}
}

func TestEnvoyTakesTheBootstraps(t *testing.T) {
	b := realEnvoy(t)
	for name, c := range bootstraps() {
		if c.XDS.TLS != nil {
			c.XDS.TLS = filesFor(t)
		}
		config, err := envoy.Bootstrap(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Validate(t.Context(), config); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBootstrapRefuses(t *testing.T) {
	here := envoy.Server{Socket: "/run/weir.sock"}
	long := "/" + strings.Repeat("x", 110)
	tests := []struct {
		name   string
		config envoy.BootstrapConfig
		want   string
	}{
		{"no xDS", envoy.BootstrapConfig{}, "either a socket or an address"},
		{"two ways to xDS", envoy.BootstrapConfig{XDS: envoy.Server{Socket: "/a", Address: "b:1"}}, "either a socket or an address"},
		{"keys in clear over the network", envoy.BootstrapConfig{XDS: envoy.Server{Address: "10.0.0.1:18000"}}, "would travel in clear"},
		{"TLS that trusts nobody", envoy.BootstrapConfig{XDS: envoy.Server{Address: "10.0.0.1:18000", TLS: &envoy.ClientTLS{}}}, "needs a CA and a server name"},
		{"not an address", envoy.BootstrapConfig{XDS: envoy.Server{Address: "weir"}}, `"weir" is not host:port`},
		{"a long socket", envoy.BootstrapConfig{XDS: envoy.Server{Socket: long}}, "shorter data folder"},
		{"a long admin socket", envoy.BootstrapConfig{XDS: here, Admin: "unix:" + long}, "shorter data folder"},
		{"admin for all", envoy.BootstrapConfig{XDS: here, Admin: "0.0.0.0:9901"}, "not a loopback address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := envoy.Bootstrap(tt.config)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want it to say %q", err, tt.want)
			}
		})
	}
}
