package cli

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/weir-gateway/weir/internal/app"
	"github.com/weir-gateway/weir/internal/config"
	"github.com/weir-gateway/weir/internal/web"
)

// remote says which gateway a command talks to: one on this machine by the
// socket in its data folder, or another by its URL.
type remote struct {
	URL string `name:"url" env:"WEIR_URL" placeholder:"URL" help:"Gateway on another machine, https://host:8080. Without it, the one that runs with the configuration file."`
	CA  string `name:"ca" env:"WEIR_CA" type:"existingfile" placeholder:"FILE" help:"CA in PEM that signed that gateway's certificate."`
}

// client calls the gateway's API.
type client struct {
	http  *http.Client
	base  string
	token string
	where string
}

// dial makes a client. token may be empty where the socket needs none.
func (r *remote) dial(e *env, token string) (*client, error) {
	if r.URL != "" {
		return r.dialURL(token)
	}
	path, err := adminSocket(e.config)
	if err != nil {
		return nil, fmt.Errorf("which gateway? Name one with --url, or its configuration file with -c:\n%w", err)
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	return &client{http: &http.Client{Transport: transport}, base: "http://weir", token: token, where: "the gateway of " + e.config}, nil
}

// adminSocket is where the gateway answers that runs with a configuration file.
// While the file is wrong, one that runs with what it was before still does.
func adminSocket(file string) (string, error) {
	cfg, err := config.Load(file)
	if err == nil {
		return app.AdminSocket(cfg), nil
	}
	path := app.AdminSocket(&config.Config{Data: config.Path(config.DataFolder(file))})
	if _, missing := os.Stat(path); missing != nil {
		return "", err
	}
	return path, nil
}

func (r *remote) dialURL(token string) (*client, error) {
	u, err := url.Parse(r.URL)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return nil, errors.New("--url: write https://host:port")
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, errors.New("--url: a token is sent over https only; http is for loopback")
	}
	settings := &tls.Config{MinVersion: tls.VersionTLS12}
	if r.CA != "" {
		text, err := os.ReadFile(r.CA)
		if err != nil {
			return nil, err
		}
		settings.RootCAs = x509.NewCertPool()
		if !settings.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("--ca: %s holds no certificate in PEM", r.CA)
		}
	}
	return &client{http: &http.Client{Transport: &http.Transport{TLSClientConfig: settings}}, base: strings.TrimRight(r.URL, "/"), token: token, where: r.URL}, nil
}

// get reads a JSON answer into v.
func (c *client) get(ctx context.Context, path string, v any) error {
	body, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	return json.NewDecoder(body).Decode(v)
}

// post sends and reads JSON.
func (c *client) post(ctx context.Context, path string, in, out any) error {
	raw, err := json.Marshal(in)
	if err != nil {
		return err
	}
	body, err := c.do(ctx, http.MethodPost, path, raw)
	if err != nil {
		return err
	}
	defer body.Close()
	return json.NewDecoder(body).Decode(out)
}

// do gives the body of a good answer, and any other as an error.
func (c *client) do(ctx context.Context, method, path string, body []byte) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) && op.Op == "dial" {
			return nil, fmt.Errorf("%s does not answer (%w): is it running? Start it with `weir up`", c.where, op.Err)
		}
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var p web.Problem
	if err := json.NewDecoder(io.LimitReader(resp.Body, 64<<10)).Decode(&p); err != nil || p.Detail == "" {
		return nil, fmt.Errorf("%s answered %s", c.where, resp.Status)
	}
	return nil, errors.New(p.Detail)
}
