package manager

import (
	"context"
	"log/slog"
	"time"

	"keyward/manager/store"
)

// retainEvery is how often records are looked for that are too old.
const retainEvery = time.Hour

// retain drops the text of records older than keep, once receivers and rooms have
// it, until ctx is done.
func retain(ctx context.Context, s *store.Store, keep time.Duration, receivers []string, rooms bool, log *slog.Logger) {
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	for {
		needed, err := neededFrom(ctx, s, receivers, rooms)
		var before uint64
		if err == nil {
			before, err = s.Retain(ctx, time.Now().Add(-keep), needed)
		}
		switch {
		case ctx.Err() != nil:
		case err != nil:
			log.Error("can't drop old records", slog.Any("error", err))
		case before > 0:
			log.Info("the text of old records was dropped", slog.Uint64("before", before))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// neededFrom is the position of the first entry that somebody does not have yet.
func neededFrom(ctx context.Context, s *store.Store, receivers []string, rooms bool) (uint64, error) {
	needed, err := s.LogSize(ctx)
	for _, name := range receivers {
		n, err := s.Forwarded(ctx, name)
		if err != nil {
			return 0, err
		}
		needed = min(needed, n)
	}
	if rooms {
		n, err := s.Shown(ctx)
		if err != nil {
			return 0, err
		}
		needed = min(needed, n)
	}
	return needed, err
}
