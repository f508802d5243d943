package api

import (
	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager/store"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	denied   *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, s *store.Store) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_api_requests_total", Help: "API requests by operation and status.",
		}, []string{"operation", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "keyward_api_request_seconds", Help: "Time that API requests took.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, 30},
		}, []string{"operation"}),
		denied: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_api_denied_total", Help: "API requests refused for their token, its role, or the rate of such failures.",
		}, []string{"reason"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.denied, storeCollector{s}} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}
