package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/weir-gateway/weir/integration/pki"
)

func TestServesOverTLSUntilTold(t *testing.T) {
	ca, err := pki.New("test")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Issue(pki.Request{})
	if err != nil {
		t.Fatal(err)
	}
	cert, key, err := leaf.WriteFiles(t.TempDir(), "api")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(keyVariable, "secret")
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	r, w := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, []string{"-tls-cert", cert, "-tls-key", key}, w)
		_ = w.CloseWithError(err)
		ended <- err
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}, DisableKeepAlives: true}}
	request, err := http.NewRequest(http.MethodGet, strings.TrimSpace(line)+"/customers/1", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer secret")
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("status %d", response.StatusCode)
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("ended with %v", err)
	}
}

func TestBadStart(t *testing.T) {
	for _, test := range []struct {
		name, secret, want string
		args               []string
	}{
		{"no key", "", keyVariable, nil},
		{"no certificate", "x", "nowhere.crt", []string{"-tls-cert", "nowhere.crt", "-tls-key", "nowhere.key"}},
		{"no such address", "x", "listen", []string{"-listen", "256.0.0.1:1"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Setenv(keyVariable, test.secret)
			if err := run(t.Context(), test.args, io.Discard); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v", err)
			}
		})
	}
}
