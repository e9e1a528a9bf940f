package http

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what one target counts.
type metrics struct {
	detected *prometheus.CounterVec // by detector
}

// newMetrics registers the metrics of a target, which the registerer labels. A
// target that is set up again goes on counting in the metrics that it has. Without a
// registerer nobody reads them.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{detected: prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: "weir", Subsystem: "http", Name: "detected_passages_total",
		Help: "Passages of texts that a detector found and a mask replaced.",
	}, []string{"detector"})}
	if r == nil {
		return m, nil
	}
	err := r.Register(m.detected)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if have, ok := already.ExistingCollector.(*prometheus.CounterVec); ok {
			m.detected, err = have, nil
		}
	}
	return m, err
}

// note counts what was found in a response.
func (m *metrics) note(detected map[string]int) {
	for detector, n := range detected {
		m.detected.WithLabelValues(detector).Add(float64(n))
	}
}
