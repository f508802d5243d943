package workers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"keyward/manager"
	"keyward/manager/store"
)

// look compares what the backend has with what the store says, and reports
// whether it could. What belongs to no Worker is removed; a Worker whose container
// is gone gets another. At first also those are started that do not run, as after
// the machine's restart; later it is known of them only that they ended.
func (s *Service) look(ctx context.Context, first bool) bool {
	instances, err := s.launcher.Instances(ctx)
	if err != nil {
		s.opt.Log.Error("workers: the backend can't be read", slog.Any("error", err))
		return false
	}
	there := map[string]manager.Instance{}
	for _, i := range instances {
		there[i.Worker] = i
		if _, err := s.store.Worker(ctx, i.Worker); errors.Is(err, manager.ErrNotFound) {
			s.orphan(ctx, i.Worker)
		}
	}
	err = s.each(ctx, s.store.Workers, func(w manager.Worker) error {
		i, ok := there[w.ID]
		lost := !ok || i.Run == ""
		if w.Task != "" || w.Suspended || !w.Has(manager.DoneContainer) || !lost && (!first || i.Phase == manager.PhaseRunning) {
			return nil
		}
		s.opt.Log.Warn("worker: its container does not run", slog.String("worker", w.ID), slog.Bool("gone", lost), slog.String("detail", i.Detail))
		return s.mutate(ctx, &w, (*store.Tx).MendWorker)
	})
	if err != nil {
		s.opt.Log.Error("workers: not all were looked at", slog.Any("error", err))
	}
	return err == nil
}

func (s *Service) orphan(ctx context.Context, worker string) {
	if err := s.launcher.Remove(ctx, worker); err != nil {
		s.opt.Log.Error("worker: an orphan can't be removed", slog.String("worker", worker), slog.Any("error", err))
		return
	}
	s.metrics.orphans.Inc()
	s.opt.Log.Warn("worker: an orphan was removed", slog.String("worker", worker))
}

// rotate begins rotations that are due.
func (s *Service) rotate(ctx context.Context) {
	if s.opt.Rotation.Every == 0 {
		return
	}
	before := s.opt.Now().Add(-s.opt.Rotation.Every)
	page := func(ctx context.Context, p manager.Page) (manager.List[manager.Worker], error) {
		return s.store.WorkersToRotate(ctx, before, p)
	}
	how := manager.WorkerRotation{OverlapSeconds: int64(s.opt.Rotation.Overlap / time.Second)}
	err := s.each(ctx, page, func(w manager.Worker) error {
		return s.mutate(ctx, &w, func(tx *store.Tx, ctx context.Context, id string, version uint64) (manager.Worker, error) {
			return tx.RotateWorker(ctx, id, version, how)
		})
	})
	if err != nil {
		s.opt.Log.Error("workers: not all due tokens are being rotated", slog.Any("error", err))
	}
}

// each goes through all pages. A Worker that was changed meanwhile, or is gone, is
// left to the next time.
func (s *Service) each(ctx context.Context, page func(context.Context, manager.Page) (manager.List[manager.Worker], error), fn func(manager.Worker) error) error {
	for p := (manager.Page{Limit: manager.MaxPage}); ; {
		l, err := page(ctx, p)
		if err != nil {
			return err
		}
		for _, w := range l.Items {
			if err := fn(w); err != nil && !errors.Is(err, manager.ErrVersion) && !errors.Is(err, manager.ErrNotFound) {
				return err
			}
		}
		if p.After = l.After; p.After == "" {
			return nil
		}
	}
}

// Status returns a Worker with the facts of its container.
func (s *Service) Status(ctx context.Context, id string) (manager.WorkerStatus, error) {
	var st manager.WorkerStatus
	var err error
	if st.Worker, err = s.store.Worker(ctx, id); err != nil {
		return st, err
	}
	if st.Worker.TokenID != "" {
		t, err := s.store.Token(ctx, st.Worker.TokenID)
		if err != nil && !errors.Is(err, manager.ErrNotFound) {
			return st, err
		}
		if err == nil {
			st.Token = &t
		}
	}
	i, err := s.launcher.Instance(ctx, id)
	if errors.Is(err, manager.ErrNotFound) {
		return st, nil
	}
	if err != nil {
		return st, err
	}
	st.Instance = &i
	return st, nil
}

// Logs returns the end of what a Worker wrote, bounded as [manager.Launcher] says.
func (s *Service) Logs(ctx context.Context, id string, lines int) ([]byte, error) {
	if _, err := s.store.Worker(ctx, id); err != nil {
		return nil, err
	}
	return s.launcher.Logs(ctx, id, lines)
}
