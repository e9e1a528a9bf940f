package clickhouse

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-gateway/weir/recorder/spool"
)

type sinkMetrics struct {
	bytes   *prometheus.CounterVec
	pieces  *prometheus.HistogramVec
	errors  prometheus.Counter
	backlog *backlog
}

func newSinkMetrics(r prometheus.Registerer, queues map[string]Queue) (*sinkMetrics, error) {
	m := &sinkMetrics{
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_clickhouse_bytes_total", Help: "Bytes of the spool that were brought to ClickHouse.",
		}, []string{"queue"}),
		pieces: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "weir_clickhouse_write_seconds", Help: "How long one piece took to be written.",
			Buckets: []float64{.01, .025, .05, .1, .25, .5, 1, 5, 30},
		}, []string{"queue"}),
		errors:  prometheus.NewCounter(prometheus.CounterOpts{Name: "weir_clickhouse_errors_total", Help: "Attempts to write that failed."}),
		backlog: &backlog{queues: queues},
	}
	if r == nil {
		return m, nil
	}
	return m, errors.Join(r.Register(m.bytes), r.Register(m.pieces), r.Register(m.errors), r.Register(m.backlog))
}

func (m *sinkMetrics) wrote(queue string, messages []spool.Message, took time.Duration) {
	bytes := 0
	for i := range messages {
		bytes += len(messages[i].Data)
	}
	m.bytes.WithLabelValues(queue).Add(float64(bytes))
	m.pieces.WithLabelValues(queue).Observe(took.Seconds())
}

// backlog tells how much waits in the spool, when it is asked.
type backlog struct{ queues map[string]Queue }

var (
	spoolBytes = prometheus.NewDesc("weir_spool_bytes", "Bytes in the spool that ClickHouse does not have yet.", []string{"queue"}, nil)
	spoolAge   = prometheus.NewDesc("weir_spool_age_seconds", "Age of the oldest of them.", []string{"queue"}, nil)
)

// Describe implements prometheus.Collector.
func (b *backlog) Describe(c chan<- *prometheus.Desc) { c <- spoolBytes; c <- spoolAge }

// Collect implements prometheus.Collector.
func (b *backlog) Collect(c chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for name, q := range b.queues {
		state, err := q.Backlog(ctx)
		if err != nil {
			continue // what cannot be told is left out
		}
		age := 0.0
		if !state.Oldest.IsZero() {
			age = time.Since(state.Oldest).Seconds()
		}
		c <- prometheus.MustNewConstMetric(spoolBytes, prometheus.GaugeValue, float64(state.Bytes), name)
		c <- prometheus.MustNewConstMetric(spoolAge, prometheus.GaugeValue, age, name)
	}
}
