package relay

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Why a connection was refused, or ended by the gateway.
const (
	refusedUser      = "user"
	refusedHeader    = "header"
	refusedTarget    = "unknown_target"
	refusedAdmission = "not_admitted"
	refusedDraining  = "draining"
	refusedPanic     = "panic"
)

type metrics struct {
	open    prometheus.Gauge
	refused *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		open: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "weir_relay_connections_open", Help: "Connections that Envoy has handed over and that have not ended.",
		}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_relay_refused_total", Help: "Connections refused or ended by the gateway, by reason.",
		}, []string{"reason"}),
	}
	if r == nil {
		return m, nil
	}
	return m, errors.Join(r.Register(m.open), r.Register(m.refused))
}

func (m *metrics) refuse(reason string) { m.refused.WithLabelValues(reason).Inc() }
