package xds

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	rejections *prometheus.CounterVec
	publishes  *prometheus.CounterVec
}

func newMetrics() *metrics {
	return &metrics{
		rejections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_xds_rejections_total", Help: "Responses that an Envoy refused (NACK), by type of resources.",
		}, []string{"type"}),
		publishes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_xds_publishes_total", Help: "Configurations that were to be served to Envoy, by result.",
		}, []string{"result"}),
	}
}

// register adds the metrics to reg, with the numbers of Envoys in t.
func (m *metrics) register(reg prometheus.Registerer, t *tracker) error {
	if reg == nil {
		return nil
	}
	gauge := func(name, help string, is func(EnvoyStatus) bool) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return t.count(is) })
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.rejections, m.publishes,
		gauge("weir_xds_envoys_connected", "Envoys that are connected.", func(EnvoyStatus) bool { return true }),
		gauge("weir_xds_envoys_current", "Envoys that hold all that is served.", func(s EnvoyStatus) bool { return s.Current }),
	} {
		errs = append(errs, reg.Register(c))
	}
	return errors.Join(errs...)
}
