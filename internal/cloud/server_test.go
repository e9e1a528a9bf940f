package cloud

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// local is a server that speaks the HTTP of a cloud, and notes what it was asked.
type local struct {
	*httptest.Server
	mu    sync.Mutex
	asked []string
}

// serve starts one. With over, it speaks TLS.
func serve(t *testing.T, over bool, mux *http.ServeMux) *local {
	l := &local{}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.mu.Lock()
		l.asked = append(l.asked, r.Method+" "+r.URL.Path)
		l.mu.Unlock()
		mux.ServeHTTP(w, r)
	})
	l.Server = httptest.NewUnstartedServer(h)
	if over {
		l.StartTLS()
	} else {
		l.Start()
	}
	t.Cleanup(l.Close)
	return l
}

func (l *local) requests() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.asked, "\n")
}

// detour sends each request to the local server, wherever it was to go: fixed
// addresses of a cloud's own cannot be had here.
type detour struct {
	to   *url.URL
	base http.RoundTripper
}

func (d *detour) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host = d.to.Scheme, d.to.Host
	return d.base.RoundTrip(r)
}

func (l *local) client(t *testing.T) *http.Client {
	t.Helper()
	to, err := url.Parse(l.URL)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: &detour{to, l.Client().Transport}} // closed with the server
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

// bare takes away what the environment of the machine says of clouds.
func bare(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"AZURE_FEDERATED_TOKEN_FILE", "AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_AUTHORITY_HOST", "IDENTITY_ENDPOINT", "IDENTITY_HEADER",
		"IDENTITY_SERVER_THUMBPRINT", "IMDS_ENDPOINT", "MSI_ENDPOINT", "MSI_SECRET",
		"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ROLE_ARN",
		"AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI",
		"GOOGLE_APPLICATION_CREDENTIALS", "GCE_METADATA_HOST",
	} {
		t.Setenv(name, "")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AWS_CONFIG_FILE", home+"/none")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", home+"/none")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

func open(t *testing.T, cfg Config) *Source {
	t.Helper()
	s, err := New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refused is what Token says where it gives none.
func refused(t *testing.T, s *Source) string {
	t.Helper()
	got, err := s.Token(t.Context())
	if err == nil {
		t.Fatalf("a token was given: %q", got)
	}
	return err.Error()
}

func expects(t *testing.T, r *http.Request, form url.Values, pairs ...string) {
	t.Helper()
	for i := 0; i < len(pairs); i += 2 {
		if got := form.Get(pairs[i]); got != pairs[i+1] {
			t.Errorf("%s: %s is %q, want %q", r.URL.Path, pairs[i], got, pairs[i+1])
		}
	}
}

func inAnHour() string { return fmt.Sprint(time.Now().Add(time.Hour).Unix()) }
