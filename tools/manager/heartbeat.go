package manager

import (
	"context"
	"errors"
	"sync"
	"time"

	"keyward/manager"
	"keyward/manager/heartbeat"
	"keyward/manager/workers"
)

// A HeartbeatConfig says how Workers are watched.
type HeartbeatConfig struct {
	Every time.Duration `yaml:"every"` // between looks; 0: 10s
}

func (c HeartbeatConfig) check() error {
	if c.Every != 0 && (c.Every < time.Second || c.Every > time.Hour) {
		return errors.New("workers: heartbeat: every must be 1s to 1h")
	}
	return nil
}

// A watched service looks after Workers and watches them.
type watched struct {
	*workers.Service
	heartbeat *heartbeat.Service
}

// Run does both until ctx is done.
func (w *watched) Run(ctx context.Context) {
	var wg sync.WaitGroup
	wg.Go(func() { w.heartbeat.Run(ctx) })
	w.Service.Run(ctx)
	wg.Wait()
}

// Status adds to what is known of a Worker what the heartbeat saw last.
func (w *watched) Status(ctx context.Context, id string) (manager.WorkerStatus, error) {
	st, err := w.Service.Status(ctx, id)
	st.Facts = w.heartbeat.Facts(id)
	return st, err
}
