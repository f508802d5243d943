package matrix

import (
	"context"
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what is counted of a service.
type metrics struct {
	sent, shown, limited, refused prometheus.Counter
	commands                      *prometheus.CounterVec
}

func newMetrics(r prometheus.Registerer, s *Service) (*metrics, error) {
	count := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "keyward_matrix_" + name, Help: help})
	}
	m := &metrics{
		sent:    count("messages_total", "Messages that rooms took."),
		shown:   count("entries_total", "Entries of the audit log that those messages show."),
		limited: count("limited_total", "Times that the homeserver asked to wait."),
		refused: count("commands_refused_total", "Commands of somebody who may not give them."),
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "keyward_matrix_commands_total", Help: "Commands that were run.",
		}, []string{"command"}),
	}
	health := func(name, help string, value func(Health) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "keyward_matrix_" + name, Help: help}, func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			defer cancel()
			return value(s.Health(ctx))
		})
	}
	var errs []error
	for _, c := range []prometheus.Collector{
		m.sent, m.shown, m.limited, m.refused, m.commands,
		health("waiting_entries", "Entries of the audit log that wait for a room.", func(h Health) float64 { return float64(h.Waiting) }),
		health("waiting_seconds", "Age of the oldest of them.", func(h Health) float64 {
			if h.Since.IsZero() {
				return 0
			}
			return time.Since(h.Since).Seconds()
		}),
		health("rooms_amiss", "Rooms that could not be kept as they should be.", func(h Health) float64 { return float64(h.Rooms) }),
	} {
		errs = append(errs, r.Register(c))
	}
	return m, errors.Join(errs...)
}
