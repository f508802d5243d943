package heartbeat

import (
	"context"
	"errors"
	"log/slog"

	"keyward/manager"
	"keyward/manager/store"
)

// apply keeps an outcome and does what it says, in one transaction. A Worker that
// somebody else changed meanwhile is left to the next look.
func (s *Service) apply(ctx context.Context, w manager.Worker, o outcome, f manager.WorkerFacts) error {
	if o.health.Facts == nil {
		o.health.Facts = &f
	}
	_, err := s.store.Mutate(ctx, store.Mutation{By: manager.Self, Note: o.health.Reason}, func(tx *store.Tx) error {
		o.restartedAt(tx.At())
		if err := tx.SetWorkerHealth(ctx, w.ID, w.Version, o.health, o.news); err != nil {
			return err
		}
		var err error
		switch {
		case o.do == manager.Suspend:
			_, err = tx.SuspendWorker(ctx, w.ID, w.Version)
		case o.do == manager.Restart:
			_, err = tx.RestartWorker(ctx, w.ID, w.Version)
		case o.sleep:
			_, err = tx.SleepWorker(ctx, w.ID, w.Version)
		}
		return err
	})
	if errors.Is(err, manager.ErrVersion) || errors.Is(err, manager.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	did := string(o.do)
	if o.sleep {
		did = "sleep"
	}
	s.metrics.acted(o, did)
	s.opt.Log.Info("heartbeat: a Worker's health", slog.String("worker", w.ID), slog.String("state", string(o.health.State)),
		slog.String("reason", o.health.Reason), slog.String("did", did))
	return nil
}

// same reports whether there is nothing to write.
func same(a, b manager.WorkerHealth) bool {
	a.Facts, b.Facts = nil, nil
	return a == b
}
