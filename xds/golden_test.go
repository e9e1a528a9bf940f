package xds

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

var update = flag.Bool("update", false, "write the golden files anew")

// scenario is a file in testdata. Its keys are the fields' names in lower case.
// Where TLS wants a certificate, the test puts one in.
type scenario struct {
	Options Options
	Targets []Target
}

// scenarios reads all of testdata by name.
func scenarios(t *testing.T) map[string]scenario {
	t.Helper()
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	out := map[string]scenario{}
	for _, f := range files {
		if strings.HasSuffix(f, ".golden.yaml") {
			continue
		}
		out[strings.TrimSuffix(filepath.Base(f), ".yaml")] = readScenario(t, f)
	}
	return out
}

func readScenario(t *testing.T, file string) scenario {
	t.Helper()
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dec := yaml.NewDecoder(bytes.NewReader(raw))
	dec.KnownFields(true)
	var s scenario
	if err := dec.Decode(&s); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if s.Options.Processor == (Processor{}) {
		s.Options.Processor.Socket = "weir.sock"
	}
	cert, key := testCertificate(t, "test.internal")
	for i := range s.Targets {
		if tls := s.Targets[i].TLS; tls != nil {
			tls.Certificate, tls.Key = cert, Secret(key)
			if tls.ClientCA != "" {
				tls.ClientCA = cert
			}
		}
		if tls := s.Targets[i].Upstream.TLS; tls != nil && tls.CA != "" {
			tls.CA = cert
		}
	}
	return s
}

func TestTranslateGolden(t *testing.T) {
	for name, s := range scenarios(t) {
		t.Run(name, func(t *testing.T) {
			r, err := Translate(s.Options, s.Targets)
			if err != nil {
				t.Fatal(err)
			}
			got := toYAML(t, r)
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
				t.Errorf("differs from %s (go test ./xds -update writes it anew)\n%s", file, diff)
			}
		})
	}
}

func toYAML(t *testing.T, r *Resources) []byte {
	t.Helper()
	out := map[string][]any{
		"clusters":  toMaps(t, r.Clusters),
		"listeners": toMaps(t, r.Listeners),
		"routes":    toMaps(t, r.Routes),
		"secrets":   toMaps(t, withoutPEM(r.Secrets)),
	}
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := enc.Encode(out); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func toMaps[M proto.Message](t *testing.T, ms []M) []any {
	t.Helper()
	out := []any{}
	for _, m := range ms {
		raw, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		var v any
		if err := yaml.Unmarshal(raw, &v); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// withoutPEM blanks certificates, which are new in every run.
func withoutPEM(secrets []*tlsv3.Secret) []*tlsv3.Secret {
	var out []*tlsv3.Secret
	for _, s := range secrets {
		s = proto.CloneOf(s)
		if c := s.GetTlsCertificate(); c != nil {
			c.CertificateChain, c.PrivateKey = inlineText("PEM"), inlineText("PEM")
		}
		if v := s.GetValidationContext(); v != nil {
			v.TrustedCa = inlineText("PEM")
		}
		out = append(out, s)
	}
	return out
}
