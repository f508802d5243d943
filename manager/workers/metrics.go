package workers

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
)

type metrics struct {
	failures *prometheus.CounterVec
	orphans  prometheus.Counter
	seconds  *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer, s *Service) (*metrics, error) {
	m := &metrics{
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_worker_task_failures_total", Help: "Tasks of Workers that failed, by what came of it.",
		}, []string{"outcome"}),
		orphans: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_worker_orphans_removed_total", Help: "Containers removed that belonged to no Worker.",
		}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "keyward_worker_task_seconds", Help: "Time from a wish to its fulfilment, by task.",
			Buckets: []float64{.1, .25, .5, 1, 1.5, 2.5, 5, 10, 30, 60, 300},
		}, []string{"task"}),
	}
	for _, c := range []prometheus.Collector{m.failures, m.orphans, m.seconds, &states{s}} {
		if err := r.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// states counts Workers, and tokens that are older than they should be.
type states struct{ s *Service }

var (
	stateDesc   = prometheus.NewDesc("keyward_workers", "Workers by state.", []string{"state"}, nil)
	overdueDesc = prometheus.NewDesc("keyward_worker_tokens_overdue", "Workers with a token older than the rotation allows.", nil, nil)
)

// Describe implements [prometheus.Collector].
func (c *states) Describe(ch chan<- *prometheus.Desc) {
	ch <- stateDesc
	ch <- overdueDesc
}

// Collect implements [prometheus.Collector]. What can't be read is left out.
func (c *states) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts := map[string]int{"running": 0, "suspended": 0, "asleep": 0, "working": 0, "failed": 0}
	err := c.s.each(ctx, c.s.store.Workers, func(w manager.Worker) error {
		counts[stateOf(w)]++
		return nil
	})
	if err == nil {
		for state, n := range counts {
			ch <- prometheus.MustNewConstMetric(stateDesc, prometheus.GaugeValue, float64(n), state)
		}
	}
	if c.s.opt.Rotation.Every == 0 {
		return
	}
	before, overdue := c.s.opt.Now().Add(-c.s.opt.Rotation.Every), 0
	page := func(ctx context.Context, p manager.Page) (manager.List[manager.Worker], error) {
		return c.s.store.WorkersToRotate(ctx, before, p)
	}
	if c.s.each(ctx, page, func(manager.Worker) error { overdue++; return nil }) == nil {
		ch <- prometheus.MustNewConstMetric(overdueDesc, prometheus.GaugeValue, float64(overdue))
	}
}

func stateOf(w manager.Worker) string {
	switch {
	case w.Task != "":
		return "working"
	case w.Problem != "" && !w.Has(manager.DoneContainer):
		return "failed"
	case w.Asleep:
		return "asleep"
	case w.Suspended:
		return "suspended"
	default:
		return "running"
	}
}
