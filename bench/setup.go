package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"time"

	"github.com/weir-gateway/weir/integration/issuer"
	"github.com/weir-gateway/weir/integration/parts"
	"github.com/weir-gateway/weir/integration/postgres"
	"github.com/weir-gateway/weir/integration/stage"
)

// The user who owns the database that is measured: on the direct way he signs
// in himself, through the gateway only the gateway knows his password.
const (
	databaseName     = "bench"
	databaseUser     = "weir_bench"
	databasePassword = "measured and thrown away"
)

// ports are those of 127.0.0.1 that the parts listen on.
type ports struct {
	upstream, relay, pgbouncer              int
	envoy, relayEnvoy, echoEnvoy, procEnvoy envoyPorts
	buffered, durable                       int // of the gateway: PostgreSQL
	relayBuffered, relayDurable             int // the same over transport: relay
	headers, headersDurable                 int
	json, jsonDurable                       int
}

// envoyPorts are those of one Envoy.
type envoyPorts struct{ postgres, json, headers int }

// findPorts finds free ports, all at once so that they differ.
func (r *rig) findPorts(ctx context.Context) error {
	p := &r.ports
	all := []*int{
		&p.upstream, &p.relay, &p.pgbouncer, &p.buffered, &p.durable, &p.relayBuffered, &p.relayDurable, &p.headers, &p.headersDurable, &p.json, &p.jsonDurable,
	}
	for _, e := range []*envoyPorts{&p.envoy, &p.relayEnvoy, &p.echoEnvoy, &p.procEnvoy} {
		all = append(all, &e.postgres, &e.json, &e.headers)
	}
	for _, port := range all {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer func() { _ = l.Close() }()
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return nil
}

func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

// startStage starts PostgreSQL and the issuer, and configures the gateway.
func (r *rig) startStage(ctx context.Context) error {
	root, err := parts.Root()
	if err != nil {
		return err
	}
	here := filepath.Join(filepath.Dir(root), "bench")
	r.stage, err = stage.Start(ctx, stage.Options{
		Dir: filepath.Join(r.options.dir, "stage"), Weir: r.options.weir, Progress: r.out,
		Postgres: func(o *postgres.Options) {
			o.TLS = nil // PostgreSQL speaks TLS with whoever asks for it
			o.Durable = true
			o.Settings = map[string]string{
				"shared_buffers": "512MB", "max_connections": "1200", "jit": "off",
				// Nothing of its own that would fall into one round and not into another.
				"autovacuum": "off", "checkpoint_timeout": "1h", "max_wal_size": "16GB",
			}
			o.Databases = append(o.Databases, databaseName)
			o.SQL = append(o.SQL,
				"CREATE ROLE "+databaseUser+" LOGIN PASSWORD '"+databasePassword+"'",
				"ALTER DATABASE "+databaseName+" OWNER TO "+databaseUser)
		},
		Edit: func(s *stage.Settings) {
			s.Policy, s.Classification = filepath.Join(here, "policy"), filepath.Join(here, "classification.yaml")
			s.Targets = r.targets(s.Database)
		},
	})
	if err != nil {
		return err
	}
	// A session ends when its token expires; this one outlives the run.
	r.token, err = r.stage.Issuer.Mint("bench-agent", map[string]any{"idtyp": "app", "groups": []string{"support"}}, issuer.ExpiresIn(24*time.Hour))
	return err
}

// targets are the gateway's, in its file's words.
func (r *rig) targets(database string) string {
	var b strings.Builder
	for _, t := range []struct {
		name, evidence, transport string
		port                      int
	}{
		{"bench-buffered", "buffered", "ext_proc", r.ports.buffered}, {"bench-durable", "durable", "ext_proc", r.ports.durable},
		{"bench-relay-buffered", "buffered", "relay", r.ports.relayBuffered}, {"bench-relay-durable", "durable", "relay", r.ports.relayDurable},
	} {
		fmt.Fprintf(&b, `  %s:
    kind: postgres
    listen: %s
    tls: off
    evidence: %s
    transport: %s
    upstream: {address: %s, user: %s, password: secret:bench, database: %s, tls: disable}
`, t.name, local(t.port), t.evidence, t.transport, database, databaseUser, databaseName)
	}
	for _, t := range []struct {
		name, inspect, evidence string
		port                    int
	}{
		{"bench-headers", "headers", "buffered", r.ports.headers}, {"bench-headers-durable", "headers", "durable", r.ports.headersDurable},
		{"bench-json", "body", "buffered", r.ports.json}, {"bench-json-durable", "body", "durable", r.ports.jsonDurable},
	} {
		fmt.Fprintf(&b, `  %s:
    kind: http
    listen: %s
    tls: off
    inspect: %s
    evidence: %s
    labels: {inspect: %[3]s}
    upstream: {url: "http://%[5]s"}
`, t.name, local(t.port), t.inspect, t.evidence, local(r.ports.upstream))
	}
	return b.String()
}

// checkMasks makes sure that what is measured as masked is masked.
func (r *rig) checkMasks(ctx context.Context) error {
	for _, t := range r.routes {
		conn, err := t.dial(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", t.label, err)
		}
		got := conn.ExecParams(ctx, "SELECT c1, c2 FROM wide_masked LIMIT 1", nil, nil, nil, nil).Read()
		_ = conn.Close(ctx)
		if got.Err != nil {
			return fmt.Errorf("%s: %w", t.label, got.Err)
		}
		masked := [2]bool{}
		for i, value := range got.Rows[0] {
			masked[i] = strings.HasPrefix(string(value), "***")
		}
		if masked != [2]bool{false, t.bearer != ""} {
			return fmt.Errorf("%s: of two columns these are masked: %v", t.label, masked)
		}
	}
	return nil
}

// startGateway gives the gateway the database's password and starts it.
func (r *rig) startGateway(ctx context.Context) error {
	if out, err := r.stage.Weir(ctx, strings.NewReader(databasePassword), "secret", "set", "bench"); err != nil {
		return fmt.Errorf("weir secret set: %w\n%s", err, out)
	}
	return r.stage.StartGateway(ctx)
}
