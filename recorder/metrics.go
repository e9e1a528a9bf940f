package recorder

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics count what the recorder does.
type metrics struct {
	events   prometheus.Counter
	failures *prometheus.CounterVec
	batch    prometheus.Histogram
	seconds  prometheus.Histogram
	payload  *prometheus.CounterVec

	kept, capped, packed prometheus.Counter // of payload
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		events: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "weir_recorder_events_total", Help: "Events that are on disk."}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_recorder_failures_total", Help: "Writes to the spool that failed."}, []string{"what"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weir_recorder_batch_events", Help: "Events that shared one write to the disk.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11)}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "weir_recorder_commit_seconds", Help: "Time of one write of events to the disk.",
			Buckets: prometheus.ExponentialBuckets(100e-6, 2, 16)}),
		payload: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_recorder_payload_bytes_total", Help: "Bytes of the protocol: kept, left out past the cap, and as packed for the spool."}, []string{"what"}),
	}
	m.kept, m.capped, m.packed = m.payload.WithLabelValues("kept"), m.payload.WithLabelValues("capped"), m.payload.WithLabelValues("packed")
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.events, m.failures, m.batch, m.seconds, m.payload} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) committed(events int, took time.Duration, err error) {
	if err != nil {
		m.failures.WithLabelValues("events").Inc()
		return
	}
	m.events.Add(float64(events))
	m.batch.Observe(float64(events))
	m.seconds.Observe(took.Seconds())
}
