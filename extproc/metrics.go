package extproc

import "github.com/prometheus/client_golang/prometheus"

// What a stream carries.
const (
	kindTunnel   = "tunnel"
	kindExchange = "exchange"
	kindCheck    = "check"
)

// Why the gateway ended or refused something of its own accord.
const (
	refusedDraining  = "draining"
	refusedTarget    = "unknown_target"
	refusedProtocol  = "protocol"
	refusedAdmission = "not_admitted"
	refusedUpstream  = "upstream_refused"
	refusedPanic     = "panic"
	refusedOverrun   = "overrun"
	refusedNoAnswer  = "no_answer"
	refusedByHandler = "handler"
)

// metrics counts streams and bytes.
type metrics struct {
	open    *prometheus.GaugeVec
	refused *prometheus.CounterVec
	from    [2]prometheus.Counter
	to      [2]prometheus.Counter
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_extproc_streams_open", Help: "Sessions that Envoy has open, by what they carry.",
		}, []string{"kind"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_extproc_refused_total", Help: "Sessions refused or ended by the gateway, by reason.",
		}, []string{"reason"}),
	}
	bytes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "weir_extproc_bytes_total", Help: "Bytes of bodies received from each end and sent to it.",
	}, []string{"end", "direction"})
	m.from = [2]prometheus.Counter{request: bytes.WithLabelValues("client", "received"), response: bytes.WithLabelValues("target", "received")}
	m.to = [2]prometheus.Counter{request: bytes.WithLabelValues("target", "sent"), response: bytes.WithLabelValues("client", "sent")}
	for _, kind := range []string{kindTunnel, kindExchange, kindCheck} {
		m.open.WithLabelValues(kind) // is there from the start
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.open, m.refused, bytes} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) received(dir direction, n int) { m.from[dir].Add(float64(n)) }
func (m *metrics) sent(dir direction, n int)     { m.to[dir].Add(float64(n)) }
func (m *metrics) refuse(reason string)          { m.refused.WithLabelValues(reason).Inc() }
