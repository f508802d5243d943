package api

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
	"keyward/manager/store"
)

// scrapeTimeout bounds what a scrape asks of the store.
const scrapeTimeout = 2 * time.Second

var (
	generationDesc = prometheus.NewDesc("keyward_generation", "Generation of the store.", nil, nil)
	gatewaysDesc   = prometheus.NewDesc("keyward_gateways", "Gateways by connection.", []string{"connection"}, nil)
	behindDesc     = prometheus.NewDesc("keyward_gateway_behind_generations", "Generations that a connected gateway is behind.", []string{"gateway"}, nil)
)

// A storeCollector shows what the store knows, as of each scrape. A store that
// does not answer shows nothing: absent is not zero.
type storeCollector struct{ store *store.Store }

// Describe implements prometheus.Collector.
func (c storeCollector) Describe(out chan<- *prometheus.Desc) {
	out <- generationDesc
	out <- gatewaysDesc
	out <- behindDesc
}

// Collect implements prometheus.Collector.
func (c storeCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	if st, err := c.store.Generation(ctx); err == nil {
		out <- prometheus.MustNewConstMetric(generationDesc, prometheus.GaugeValue, float64(st.Generation))
	}
	counts := map[string]float64{"connected": 0, "lost": 0, "never": 0}
	for page := (manager.Page{Limit: manager.MaxPage}); ; {
		l, err := c.store.Gateways(ctx, page)
		if err != nil {
			return
		}
		for _, g := range l.Items {
			counts[g.Connection]++
			if g.Connection == "connected" {
				out <- prometheus.MustNewConstMetric(behindDesc, prometheus.GaugeValue, float64(g.Behind), g.ID)
			}
		}
		if page.After = l.After; l.After == "" {
			break
		}
	}
	for connection, n := range counts {
		out <- prometheus.MustNewConstMetric(gatewaysDesc, prometheus.GaugeValue, n, connection)
	}
}
