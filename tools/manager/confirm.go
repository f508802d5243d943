package manager

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
	"keyward/manager/client"
	"keyward/manager/store"
)

// confirmEvery is how often gateways are looked at after a publication.
const confirmEvery = time.Second

// A confirmation waits, after each publication, until every connected gateway has
// called since and has the present generation in force on all its threads.
type confirmation struct {
	store     *store.Store
	log       *slog.Logger
	published chan struct{} // a publication that nobody has looked at yet
	at        atomic.Int64  // of the last confirmation, Unix milliseconds; 0: none since the last publication
}

func newConfirmation(s *store.Store, log *slog.Logger, r prometheus.Registerer) *confirmation {
	c := &confirmation{store: s, log: log, published: make(chan struct{}, 1)}
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "keyward_publish_confirmed_timestamp_seconds",
		Help: "When all connected gateways had called after the last publication, with the present generation in force; 0: not yet.",
	}, func() float64 { return float64(c.at.Load()) / 1000 }))
	return c
}

// note says that something was published.
func (c *confirmation) note() {
	c.at.Store(0)
	select {
	case c.published <- struct{}{}:
	default: // one look is enough for all
	}
}

// run looks at gateways after each publication, until ctx is done.
func (c *confirmation) run(ctx context.Context) {
	tick := time.NewTicker(confirmEvery)
	defer tick.Stop()
	var since time.Time // of the publication that is looked after; zero: none
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.published:
			since = time.Now()
		case now := <-tick.C:
			if since.IsZero() {
				continue
			}
			n, err := c.confirmed(ctx, since)
			switch {
			case err != nil:
				c.log.WarnContext(ctx, "can't see what gateways confirm", slog.Any("error", err))
			case n > 0:
				since = time.Time{}
				c.at.Store(now.UnixMilli())
				c.log.InfoContext(ctx, "gateways are in force after publishing", slog.Int("gateways", n))
			}
		}
	}
}

// confirmed is how many gateways are connected, if all of them have confirmed the
// present generation since a time; otherwise 0.
func (c *confirmation) confirmed(ctx context.Context, since time.Time) (int, error) {
	st, err := c.store.Status(ctx)
	if err != nil {
		return 0, err
	}
	all, err := client.All(ctx, c.store.Gateways)
	if err != nil {
		return 0, err
	}
	n := 0
	for _, g := range all {
		if g.Connection != "connected" {
			continue
		}
		if g.Lags(st, st.Generation) || !calledSince(g, since) {
			return 0, nil
		}
		n++
	}
	return n, nil
}

// calledSince reports whether every instance that is not lost has called since a
// time.
func calledSince(g manager.Gateway, since time.Time) bool {
	for _, i := range g.Instances {
		if time.Since(i.LastSeen) <= manager.GatewayLost && i.LastSeen.Before(since) {
			return false
		}
	}
	return true
}
