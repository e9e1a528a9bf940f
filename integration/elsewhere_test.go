package integration

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weir-gateway/weir/integration/pki"
	"github.com/weir-gateway/weir/integration/process"
	"github.com/weir-gateway/weir/integration/stage"
)

// An Envoy that weir does not start reaches it over TCP, each side with its
// certificate, from the printed bootstrap on.
func TestAnEnvoyElsewhere(t *testing.T) {
	once(t)
	need(t)
	envoys, err := pki.New("Envoys")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	clients, err := envoys.WriteFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := envoys.Issue(pki.Request{CommonName: "edge", Client: true})
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := leaf.WriteFiles(dir, "envoy")
	if err != nil {
		t.Fatal(err)
	}
	serverCA := filepath.Join(dir, "weir.crt")
	w := unstarted(t, stage.Options{Transport: "ext_proc", Edit: func(s *stage.Settings) {
		s.Extra += fmt.Sprintf("envoy: {external: {xds: %s, client_ca: file:%s, tls: {ca: %s, certificate: %s, key: %s}}}\n",
			freeAddress(), clients, serverCA, cert, key)
	}})
	ca := w.weir(t, nil, "ca")
	bootstrap := w.weir(t, nil, "envoy", "bootstrap")
	if ca.code != 0 || bootstrap.code != 0 {
		t.Fatalf("ca: %+v\nbootstrap: %+v", ca, bootstrap)
	}
	file := filepath.Join(dir, "bootstrap.yaml")
	free := strings.Replace(bootstrap.out, "port_value: 9901", "port_value: 0", 1) // of the admin interface
	if err := errors.Join(os.WriteFile(serverCA, []byte(ca.out), 0o600), os.WriteFile(file, []byte(free), 0o600)); err != nil {
		t.Fatal(err)
	}
	output, err := os.Create(filepath.Join(dir, "envoy.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = output.Close() }()
	envoy, err := process.Start(process.Command{
		Path: w.Parts.Envoy, Args: []string{"--config-path", file, "--concurrency", "1", "--use-dynamic-base-id", "--log-level", "warning"}, Output: output,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := envoy.Stop(syscall.SIGTERM, 10*time.Second); err != nil {
			t.Error(err)
		}
	})
	if err := w.raise(t.Context()); err != nil {
		text, _ := os.ReadFile(output.Name())
		t.Fatalf("%v\n%.2000s", err, text)
	}
	expect(t, w.signs(t, w.agent(t)).String(), "exit 0", "in\n")
	expect(t, w.curl(t, w.agent(t), "/customers/1").out, "HTTP/1.1 200")
}
