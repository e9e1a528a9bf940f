package identity

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts tokens and what issuers answered. One Metrics outlives the
// authenticators of several configurations.
type Metrics struct {
	tokens  *prometheus.CounterVec
	cache   *prometheus.CounterVec
	fetches *prometheus.CounterVec
	ready   *prometheus.GaugeVec

	certificates *prometheus.CounterVec
}

// NewMetrics registers the metrics of this package. A nil registerer counts for
// nobody.
func NewMetrics(r prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		tokens: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_identity_tokens_total", Help: "Tokens judged, by issuer (empty where it is not trusted) and result.",
		}, []string{"issuer", "result"}),
		cache: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_identity_cache_total", Help: "Look-ups of verified tokens, by result.",
		}, []string{"result"}),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_identity_fetches_total", Help: "Requests to issuers for discovery and keys, by issuer and result.",
		}, []string{"issuer", "result"}),
		ready: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "weir_identity_issuer_ready", Help: "Whether the issuer's discovery document is known (1) or not (0).",
		}, []string{"issuer"}),
		certificates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "weir_identity_certificates_total", Help: "Client certificates judged, by trust domain (empty where it is not known) and result.",
		}, []string{"trust_domain", "result"}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.tokens, m.cache, m.fetches, m.ready, m.certificates} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
