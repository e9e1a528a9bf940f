package postgres

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weir-gateway/weir/internal/gate"
)

// metrics are what one target counts.
type metrics struct {
	sessions       prometheus.Gauge
	signingIn      prometheus.Gauge
	waiting        prometheus.Gauge
	notAdmitted    prometheus.Counter
	refusedSignIns prometheus.Counter
	operations     *prometheus.CounterVec // by effect
	rows           prometheus.Counter
	masked         *prometheus.CounterVec // by class
	detected       *prometheus.CounterVec // by detector
	cancels        *prometheus.CounterVec // by result
	stale          prometheus.Counter
	renamed        *prometheus.CounterVec // classified columns, by what became of them
	bytesIn        prometheus.Counter
	bytesOut       prometheus.Counter
	judging        prometheus.Histogram

	judged [gate.Allow + 1]prometheus.Counter // of operations, by effect
}

// newMetrics registers the metrics of a target, which the registerer labels. A
// target that is set up again goes on counting in the metrics that it has.
func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "weir", Subsystem: "postgres", Name: name, Help: help})
	}
	counters := func(name, help, by string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "weir", Subsystem: "postgres", Name: name, Help: help}, []string{by})
	}
	m := &metrics{
		sessions: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "weir", Subsystem: "postgres", Name: "sessions", Help: "Sessions that are open.",
		}),
		signingIn: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "weir", Subsystem: "postgres", Name: "signing_in", Help: "Connections that have not signed in.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "weir", Subsystem: "postgres", Name: "waiting", Help: "Connections that wait until they may sign in.",
		}),
		notAdmitted:    counter("not_admitted_total", "Connections for which no place to sign in became free."),
		refusedSignIns: counter("refused_sign_ins_total", "Connections that did not become a session."),
		operations:     counters("operations_total", "Statements that were judged.", "effect"),
		rows:           counter("rows_total", "Rows that were delivered."),
		masked:         counters("masked_values_total", "Values that a mask replaced.", "class"),
		detected:       counters("detected_passages_total", "Passages of texts that a detector found and a mask replaced.", "detector"),
		cancels:        counters("cancel_requests_total", "Cancel requests of clients.", "result"),
		stale:          counter("catalog_changed_total", "Statements whose result was withheld because the catalog had changed since they were judged."),
		renamed:        counters("classified_columns_changed_total", "Classified columns that were renamed or are gone.", "change"),
		bytesIn:        counter("received_bytes_total", "Bytes from clients."),
		bytesOut:       counter("delivered_bytes_total", "Bytes to clients."),
		judging: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "weir", Subsystem: "postgres", Name: "judging_seconds",
			Help:    "Time from a statement's arrival to its verdict, evidence included.",
			Buckets: []float64{.00005, .0001, .0002, .0005, .001, .002, .005, .01, .05, .25, 1, 10, 60, 600},
		}),
	}
	err := m.register(r)
	for effect := range m.judged {
		m.judged[effect] = m.operations.WithLabelValues(gate.Effect(effect).String())
	}
	return m, err
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	return errors.Join(
		register(r, &m.sessions), register(r, &m.signingIn), register(r, &m.waiting), register(r, &m.notAdmitted),
		register(r, &m.refusedSignIns), register(r, &m.operations), register(r, &m.rows), register(r, &m.masked),
		register(r, &m.detected), register(r, &m.cancels), register(r, &m.stale), register(r, &m.renamed), register(r, &m.bytesIn), register(r, &m.bytesOut), register(r, &m.judging),
	)
}

// judge counts a statement. What is no effect denies.
func (m *metrics) judge(effect gate.Effect) {
	if int(effect) >= len(m.judged) {
		effect = gate.Deny
	}
	m.judged[effect].Inc()
}

func register[C prometheus.Collector](r prometheus.Registerer, c *C) error {
	err := r.Register(*c)
	var already prometheus.AlreadyRegisteredError
	if errors.As(err, &already) {
		if have, ok := already.ExistingCollector.(C); ok {
			*c = have
			return nil
		}
	}
	return err
}
