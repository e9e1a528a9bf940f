package extproc_test

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"text/template"
	"time"

	"google.golang.org/grpc"

	"github.com/weir-gateway/weir/extproc"
	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/pki"
	"github.com/weir-gateway/weir/integration/process"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

//go:embed testdata/envoy.yaml
var envoyConfig string

// world is a real Envoy in front of a Server, with a listener for each way that
// a target can be reached.
type world struct {
	t         *testing.T
	service   *extproc.Server
	grpc      *grpc.Server
	addresses map[string]string // of the listeners
	ca        *pki.CA           // of their certificates and of clients'
	envoy     *process.Process
}

// places is what the configuration of Envoy needs to know.
type places struct {
	Dir      string
	Upstream int // port of the TCP or HTTP server behind
	Refusing int // port where nobody listens
}

// startWorld starts Envoy in front of h and of an upstream.
func startWorld(t *testing.T, upstream net.Listener, h extproc.Handlers) *world {
	t.Helper()
	found, err := parts.Find(parts.Envoy)
	if errors.Is(err, parts.ErrMissing) {
		t.Skipf("needs Envoy: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "weir") // t.TempDir's path is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	w := &world{t: t, ca: authority(t, dir)}
	w.serve(dir, h)
	w.startEnvoy(found.Envoy, places{dir, port(upstream), freePort(t)})
	return w
}

// authority makes the certificates that Envoy's TLS listeners need.
func authority(t *testing.T, dir string) *pki.CA {
	t.Helper()
	ca, err := pki.New("test")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(pki.Request{CommonName: "api.example", Names: []string{"api.example"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"ca.crt": ca.PEM, "server.crt": leaf.CertPEM, "server.key": leaf.KeyPEM} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return ca
}

// serve starts the gRPC server, as the gateway does.
func (w *world) serve(dir string, h extproc.Handlers) {
	w.t.Helper()
	fallback := filepath.Join(dir, "fallback.sock")
	log := slog.New(slog.NewTextHandler(w.t.Output(), nil))
	srv, err := extproc.New(extproc.Config{Fallback: fallback}, h, log)
	if err != nil {
		w.t.Fatal(err)
	}
	w.service, w.grpc = srv, grpc.NewServer(extproc.ServerOptions()...)
	srv.Register(w.grpc)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	l, f := listen(w.t, "unix", filepath.Join(dir, "weir.sock")), listen(w.t, "unix", fallback)
	running.Go(func() { _ = w.grpc.Serve(l) })
	running.Go(func() {
		if err := srv.ServeFallback(ctx, f); err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(func() {
		cancel()
		w.grpc.Stop()
		running.Wait()
	})
}

func (w *world) startEnvoy(binary string, p places) {
	w.t.Helper()
	var config bytes.Buffer
	if err := template.Must(template.New("envoy").Parse(envoyConfig)).Execute(&config, p); err != nil {
		w.t.Fatal(err)
	}
	file, log := filepath.Join(p.Dir, "envoy.yaml"), filepath.Join(p.Dir, "envoy.log")
	if err := os.WriteFile(file, config.Bytes(), 0o600); err != nil {
		w.t.Fatal(err)
	}
	output, err := os.Create(log)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = output.Close() }()
	w.envoy, err = process.Start(process.Command{
		Path: binary, Output: output,
		Args: []string{"-c", file, "--concurrency", "1", "--disable-hot-restart", "--log-level", "warning"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := w.killEnvoy(); err != nil {
			w.t.Error(err)
		}
		if said, err := os.ReadFile(log); err == nil && w.t.Failed() {
			w.t.Logf("Envoy said:\n%s", said)
		}
	})
	w.awaitListeners(filepath.Join(p.Dir, "admin.sock"))
}

func (w *world) killEnvoy() error { return w.envoy.Stop(syscall.SIGKILL, patience) }

// awaitListeners asks Envoy's admin interface for the ports that it took.
func (w *world) awaitListeners(admin string) {
	w.t.Helper()
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", admin)
		},
	}
	client := &http.Client{Transport: transport, Timeout: patience}
	var err error
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		select {
		case <-w.envoy.Done():
			w.t.Fatalf("Envoy ended: %v", w.envoy.Err())
		case <-time.After(20 * time.Millisecond):
		}
		if w.addresses, err = listeners(client); err == nil && len(w.addresses) > 0 {
			return
		}
	}
	w.t.Fatalf("Envoy does not listen: %v", err)
}

func listeners(client *http.Client) (map[string]string, error) {
	resp, err := client.Get("http://admin/listeners?format=json")
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct {
		Statuses []struct {
			Name    string `json:"name"`
			Address struct {
				Socket struct {
					Address string `json:"address"`
					Port    int    `json:"port_value"`
				} `json:"socket_address"`
			} `json:"local_address"`
		} `json:"listener_statuses"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, s := range answer.Statuses {
		if s.Address.Socket.Port != 0 {
			out[s.Name] = fmt.Sprintf("%s:%d", s.Address.Socket.Address, s.Address.Socket.Port)
		}
	}
	return out, nil
}

// dial connects to a listener of Envoy as a client.
func (w *world) dial(t *testing.T, listener string) *net.TCPConn {
	t.Helper()
	c, err := net.DialTimeout("tcp", w.addresses[listener], patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// freePort is one that nobody listens on.
func freePort(t *testing.T) int {
	t.Helper()
	l := listen(t, "tcp", "127.0.0.1:0")
	_ = l.Close()
	return port(l)
}

// tcpServer is a server behind Envoy.
type tcpServer struct {
	net.Listener
	sessions sync.WaitGroup
}

// serveTCP serves each connection with serve.
func serveTCP(t *testing.T, serve func(*net.TCPConn)) *tcpServer {
	t.Helper()
	s := &tcpServer{Listener: listen(t, "tcp", "127.0.0.1:0")}
	ctx, cancel := context.WithCancel(context.Background())
	s.sessions.Go(func() {
		for {
			c, err := s.Accept()
			if err != nil {
				return
			}
			s.sessions.Go(func() {
				stop := context.AfterFunc(ctx, func() { _ = c.Close() })
				defer stop()
				defer func() { _ = c.Close() }()
				serve(c.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		cancel()
		s.wait()
	})
	return s
}

// wait returns when all connections have ended.
func (s *tcpServer) wait() {
	_ = s.Close()
	s.sessions.Wait()
}
