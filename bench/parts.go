package main

import (
	"bytes"
	"context"
	"embed"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"text/template"

	"github.com/weir-gateway/weir/integration/process"
)

//go:embed envoy/*.tmpl
var envoyTemplates embed.FS

// How ext_proc is asked about HTTP: the least, one message for the request's
// headers, and what masks need.
const (
	headersAlone = "{request_header_mode: SEND, response_header_mode: SKIP, request_body_mode: NONE, response_body_mode: NONE}"
	withBodies   = "{request_header_mode: SEND, response_header_mode: SEND, request_body_mode: FULL_DUPLEX_STREAMED, " +
		"response_body_mode: FULL_DUPLEX_STREAMED, request_trailer_mode: SEND, response_trailer_mode: SEND}"
)

// envoyConfig fills a template.
type envoyConfig struct {
	Postgres, JSON     int // ports that are listened on
	HTTP               []envoyHTTP
	ToPostgres, ToHTTP int
	Processor          string // path of a socket
	name, template     string
}

type envoyHTTP struct {
	Port int
	Mode string
}

// text is the configuration as Envoy reads it.
func (c envoyConfig) text() ([]byte, error) {
	t, err := template.ParseFS(envoyTemplates, "envoy/"+c.template+".yaml.tmpl")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, c)
	return b.Bytes(), err
}

// startUpstream starts the HTTP server behind all ways.
func (r *rig) startUpstream(ctx context.Context) error {
	return r.serve(ctx, "http", local(r.ports.upstream), "")
}

// startEnvoys starts what stands beside weir, each with an Envoy of its own: so
// what a process uses belongs to one way.
func (r *rig) startEnvoys(ctx context.Context) error {
	r.say("  … starting Envoy alone, with an echo, with a relay")
	p, database := r.ports, r.stage.Postgres.Port()
	if err := r.serve(ctx, "relay", local(p.relay), r.stage.Postgres.Addr()); err != nil {
		return err
	}
	for _, what := range []string{"echo", "extproc"} {
		if err := r.serve(ctx, what, filepath.Join(r.sockets, what), ""); err != nil {
			return err
		}
	}
	for _, e := range []envoyConfig{
		{name: "envoy", template: "proxy", Postgres: p.envoy.postgres, JSON: p.envoy.json, ToPostgres: database},
		{name: "relay-envoy", template: "proxy", Postgres: p.relayEnvoy.postgres, JSON: p.relayEnvoy.json, ToPostgres: p.relay},
		{name: "echo-envoy", template: "processor", Postgres: p.echoEnvoy.postgres, ToPostgres: database, Processor: filepath.Join(r.sockets, "echo"),
			HTTP: []envoyHTTP{{p.echoEnvoy.headers, headersAlone}, {p.echoEnvoy.json, withBodies}}},
		{name: "extproc-envoy", template: "processor", Postgres: p.procEnvoy.postgres, ToPostgres: database, Processor: filepath.Join(r.sockets, "extproc")},
	} {
		e.ToHTTP = p.upstream
		if err := r.startEnvoy(ctx, e); err != nil {
			return err
		}
	}
	return nil
}

func (r *rig) startEnvoy(ctx context.Context, c envoyConfig) error {
	text, err := c.text()
	if err != nil {
		return err
	}
	file := filepath.Join(r.options.dir, c.name+".yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	p, err := r.start(c.name, process.Command{Path: r.stage.Parts.Envoy, Args: []string{
		"--config-path", file, "--disable-hot-restart", "--log-level", "error", "--concurrency", strconv.Itoa(runtime.NumCPU()),
	}})
	if err != nil {
		return err
	}
	return r.await(ctx, c.name, local(c.Postgres), p)
}
