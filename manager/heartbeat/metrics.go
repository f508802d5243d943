package heartbeat

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
	"keyward/manager/store"
)

type metrics struct {
	ruleFailures, failed prometheus.Counter
	last                 prometheus.Gauge
	seconds              prometheus.Histogram
	changes, actions     *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, s *store.Store) (*metrics, error) {
	m := &metrics{
		ruleFailures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_heartbeat_rule_failures_total", Help: "Looks at a Worker at which a rule failed, and policies whose rules can't be used.",
		}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_heartbeat_failures_total", Help: "Rounds in which the store or the backend did not answer.",
		}),
		last: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "keyward_heartbeat_last_timestamp_seconds", Help: "When all Workers were last looked at.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "keyward_heartbeat_seconds", Help: "How long it took to look at all Workers.", Buckets: prometheus.ExponentialBuckets(.001, 4, 9),
		}),
		changes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_worker_health_changes_total", Help: "Workers that came to a state.",
		}, []string{"state"}),
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_worker_health_actions_total", Help: "What was done about Workers' health.",
		}, []string{"action"}),
	}
	for _, c := range []prometheus.Collector{m.ruleFailures, m.failed, m.last, m.seconds, m.changes, m.actions, &states{s}} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) looked(start, now time.Time) {
	m.seconds.Observe(time.Since(start).Seconds())
	m.last.Set(float64(now.Unix()))
}

func (m *metrics) acted(o outcome, did string) {
	if o.news {
		m.changes.WithLabelValues(string(o.health.State)).Inc()
	}
	if did != "" {
		m.actions.WithLabelValues(did).Inc()
	}
}

// states counts Workers by health.
type states struct{ store *store.Store }

var healthDesc = prometheus.NewDesc("keyward_workers_health", "Workers by what the heartbeat makes of them.", []string{"state"}, nil)

// Describe implements [prometheus.Collector].
func (c *states) Describe(ch chan<- *prometheus.Desc) { ch <- healthDesc }

// Collect implements [prometheus.Collector]. What can't be read is left out.
func (c *states) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts, err := c.store.HealthCounts(ctx)
	if err != nil {
		return
	}
	for _, state := range manager.HealthStates {
		ch <- prometheus.MustNewConstMetric(healthDesc, prometheus.GaugeValue, float64(counts[state]), string(state))
	}
}
