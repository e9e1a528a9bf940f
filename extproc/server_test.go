package extproc_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"github.com/weir-gateway/weir/extproc"
)

func TestDrain(t *testing.T) {
	s := start(t, extproc.Config{}, handlers{tunnel: func(ctx context.Context, t *extproc.Tunnel) {
		_, _ = t.Server.Read(make([]byte, 1))
		<-ctx.Done()
		_, _ = io.WriteString(t.Client, "FATAL: the gateway shuts down")
	}})
	e := s.tunnel(t)
	e.responseBody("x", false)

	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Drain(over); !errors.Is(err, context.Canceled) {
		t.Errorf("with a session left: %v", err)
	}
	e.wantResponseBody("FATAL: the gateway shuts down", true)
	late := s.open(t, "orders")
	late.connect()
	late.wantError(codes.Unavailable)
	e.leave()
	if err := s.Drain(t.Context()); err != nil {
		t.Errorf("with no session left: %v", err)
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	s := start(t, extproc.Config{Registerer: registry}, handlers{tunnel: echo})
	unknown := s.open(t, "billing")
	unknown.connect()
	unknown.wantImmediate(403)
	unknown.leave()
	e := s.tunnel(t)
	e.requestBody("hello", false)
	e.wantRequestBody("hello", false)
	e.requestBody("", true) // sent bytes are counted after they were sent: the end comes after that
	e.wantRequestBody("", true)
	want := []string{
		"weir_extproc_bytes_total received client 5",
		"weir_extproc_bytes_total received target 0",
		"weir_extproc_bytes_total sent client 0",
		"weir_extproc_bytes_total sent target 5",
		"weir_extproc_refused_total unknown_target 1",
		"weir_extproc_streams_open check 0",
		"weir_extproc_streams_open exchange 0",
		"weir_extproc_streams_open tunnel 1",
	}
	if diff := cmp.Diff(want, gather(t, registry)); diff != "" {
		t.Error(diff)
	}
	e.cancel()
}

// gather lists the metrics: name, labels' values, value.
func gather(t *testing.T, g prometheus.Gatherer) []string {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			line := f.GetName()
			for _, l := range m.GetLabel() {
				line += " " + l.GetValue()
			}
			out = append(out, fmt.Sprintf("%s %v", line, m.GetCounter().GetValue()+m.GetGauge().GetValue()))
		}
	}
	return out
}

func TestNewRefusesWhatCannotWork(t *testing.T) {
	for name, cfg := range map[string]extproc.Config{
		"buffer smaller than the window": {Window: 1 << 20, MaxBuffered: 1 << 10},
		"a chunk too big":                {ChunkSize: 1 << 22},
		"a negative linger":              {Linger: -1},
	} {
		if _, err := extproc.New(cfg, handlers{}, nil); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := extproc.New(cfg, handlers{}, discard()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
