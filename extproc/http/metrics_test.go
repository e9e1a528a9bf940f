package http

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// A target that is set up again goes on counting.
func TestMetricsGoOn(t *testing.T) {
	r := prometheus.NewRegistry()
	for range 2 {
		m, err := newMetrics(r)
		if err != nil {
			t.Fatal(err)
		}
		m.note(map[string]int{"email": 2})
		m.note(nil)
	}
	families, err := r.Gather()
	if err != nil || len(families) != 1 || families[0].GetName() != "weir_http_detected_passages_total" {
		t.Fatalf("%v, %v", families, err)
	}
	if got := families[0].GetMetric(); len(got) != 1 || got[0].GetCounter().GetValue() != 4 || got[0].GetLabel()[0].GetValue() != "email" {
		t.Errorf("counted %v", got)
	}
}
