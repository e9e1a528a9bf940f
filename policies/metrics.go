package policies

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-gateway/weir/internal/gate"
)

// engineMetrics counts what an Engine does.
type engineMetrics struct {
	decisions map[gate.Effect]prometheus.Counter
	hits      prometheus.Counter
	seconds   prometheus.Histogram
	errors    *prometheus.CounterVec
	reloads   *prometheus.CounterVec
	active    *prometheus.GaugeVec
}

// newMetrics makes the metrics and registers them, where there is a registerer.
func newMetrics(r prometheus.Registerer) (*engineMetrics, error) {
	decisions := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_policy_decisions_total", Help: "Decisions by effect, cached or evaluated.",
	}, []string{"effect"})
	m := &engineMetrics{
		decisions: map[gate.Effect]prometheus.Counter{},
		hits: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_policy_cache_hits_total", Help: "Decisions that were taken from the cache.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weir_policy_evaluation_seconds", Help: "Time of one evaluation of Rego, from input to decision.",
			Buckets: prometheus.ExponentialBuckets(0.00002, 2, 15),
		}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_policy_errors_total", Help: "Evaluations that gave no decision, and so denied.",
		}, []string{"reason"}),
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_policy_reloads_total", Help: "Loads of the bundle by result.",
		}, []string{"result"}),
		active: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_policy_active", Help: "1 for the revision that decides.",
		}, []string{"revision"}),
	}
	for _, effect := range []gate.Effect{gate.Deny, gate.Hold, gate.Allow} {
		m.decisions[effect] = decisions.WithLabelValues(effect.String())
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{decisions, m.hits, m.seconds, m.errors, m.reloads, m.active} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *engineMetrics) decided(effect gate.Effect) { m.decisions[effect].Inc() }

func (m *engineMetrics) evaluated(d time.Duration) { m.seconds.Observe(d.Seconds()) }

func (m *engineMetrics) failed(err error) {
	reason := "evaluation"
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		reason = "timeout"
	case errors.Is(err, context.Canceled):
		reason = "canceled"
	}
	m.errors.WithLabelValues(reason).Inc()
}

func (m *engineMetrics) reloaded(err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	m.reloads.WithLabelValues(result).Inc()
}

func (m *engineMetrics) activated(id string) {
	m.active.Reset()
	m.active.WithLabelValues(id).Set(1)
}
