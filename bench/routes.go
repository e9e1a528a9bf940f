package main

import (
	"context"
	"fmt"
	"net/url"
	"runtime"
)

// route is one way to PostgreSQL and to the HTTP server.
type route struct {
	id, label string
	port      int // for PostgreSQL; 0: there is none
	password  string
	bearer    string            // token of HTTP requests
	urls      map[string]string // of HTTP, by workload
	parts     []part            // the processes in between
}

// The routes that others are compared with, and the gateway's own.
const (
	routeDirect   = "direct"
	routeRelay    = "relay"
	routeEcho     = "echo"
	routeBuffered = "weir-buffered"
	routeDurable  = "weir-durable"

	routeRelayBuffered = "weir-relay-buffered"
	routeRelayDurable  = "weir-relay-durable"
)

// makeRoutes says where each way begins, once all of them run.
func (r *rig) makeRoutes(context.Context) error {
	p := r.ports
	gateway, err := r.gatewayParts()
	if err != nil {
		return err
	}
	own := func(envoy, processor string) (out []part) {
		for role, name := range map[string]string{roleEnvoy: envoy, roleProcessor: processor} {
			if name != "" {
				out = append(out, part{role, r.pids[name]})
			}
		}
		return out
	}
	http := func(headers, json int) map[string]string {
		return map[string]string{workloadHeaders: "http://" + local(headers), workloadJSON: "http://" + local(json)}
	}
	r.routes = []*route{
		{id: routeDirect, label: "direct", port: r.stage.Postgres.Port(), urls: http(p.upstream, p.upstream)},
		{id: "envoy", label: "Envoy alone", port: p.envoy.postgres, urls: http(p.envoy.json, p.envoy.json), parts: own("envoy", "")},
		{id: routeRelay, label: "Envoy, bare Go relay", port: p.relayEnvoy.postgres, parts: own("relay-envoy", "relay")},
		{id: routeEcho, label: "Envoy, ext_proc echo (grpc-go)", port: p.echoEnvoy.postgres, urls: http(p.echoEnvoy.headers, p.echoEnvoy.json), parts: own("echo-envoy", "echo")},
		{id: "extproc", label: "Envoy, weir's transport as an echo", port: p.procEnvoy.postgres, parts: own("extproc-envoy", "extproc")},
		{id: routeBuffered, label: "weir, buffered", port: p.buffered, bearer: r.token, urls: http(p.headers, p.json), parts: gateway},
		{id: routeDurable, label: "weir, durable", port: p.durable, bearer: r.token, urls: http(p.headersDurable, p.jsonDurable), parts: gateway},
		{id: routeRelayBuffered, label: "weir, relay, buffered", port: p.relayBuffered, bearer: r.token, parts: gateway},
		{id: routeRelayDurable, label: "weir, relay, durable", port: p.relayDurable, bearer: r.token, parts: gateway},
	}
	if p.pgbouncer != 0 {
		bouncer := &route{id: "pgbouncer", label: "pgbouncer", port: p.pgbouncer, parts: own("", "pgbouncer")}
		r.routes = append(r.routes[:1], append([]*route{bouncer}, r.routes[1:]...)...)
	}
	for _, one := range r.routes {
		if one.password = databasePassword; one.bearer != "" {
			one.password = r.token
		}
	}
	return nil
}

// gatewayParts finds the processes of `weir up`.
func (r *rig) gatewayParts() ([]part, error) {
	pid := r.stage.Gateway().Pid()
	out := []part{{roleProcessor, pid}}
	if runtime.GOOS != "linux" {
		return out, nil // there is no /proc to find the others in
	}
	found := false
	for _, child := range descendants(pid) {
		role := roleStore
		if nameOf(child) == "envoy" {
			role, found = roleEnvoy, true
		}
		out = append(out, part{role, child})
	}
	if !found {
		return nil, fmt.Errorf("weir up (process %d) has no Envoy", pid)
	}
	return out, nil
}

// dsn is how libpq is told to connect.
func (t *route) dsn() string {
	return fmt.Sprintf("host=127.0.0.1 port=%d user=%s dbname=%s sslmode=disable gssencmode=disable connect_timeout=10", t.port, databaseUser, databaseName)
}

// connString is dsn for pgconn, with the password.
func (t *route) connString() string {
	u := url.URL{Scheme: "postgres", User: url.UserPassword(databaseUser, t.password), Host: local(t.port), Path: "/" + databaseName, RawQuery: "sslmode=disable&connect_timeout=10"}
	return u.String()
}
