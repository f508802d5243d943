package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"keyward/manager"
	"keyward/manager/store"
)

// converge takes all steps from what there is of a Worker to what is wanted. It
// keeps *w as the store has it.
func (s *Service) converge(ctx context.Context, w *manager.Worker) error {
	if w.Task == manager.TaskDelete {
		return s.remove(ctx, w)
	}
	if w.Task == "" { // its restart is due
		if err := s.mutate(ctx, w, (*store.Tx).RestartWorker); err != nil {
			return err
		}
	}
	task, begun := w.Task, w.Updated
	for _, p := range s.opt.Parts {
		if w.Has(p.Name()) {
			continue
		}
		if err := p.Make(ctx, *w); err != nil {
			return fmt.Errorf("%s: %w", p.Name(), err)
		}
		if err := s.note(ctx, w, append(slices.Clone(w.Done), p.Name())); err != nil {
			return err
		}
	}
	if err := s.contain(ctx, w); err != nil {
		return err
	}
	if err := s.mutate(ctx, w, (*store.Tx).SettleWorker); err != nil {
		return err
	}
	took := s.opt.Now().Sub(begun)
	s.metrics.seconds.WithLabelValues(string(task)).Observe(took.Seconds())
	s.opt.Log.Info("worker: as wanted", slog.String("worker", w.ID), slog.String("task", string(task)), slog.Duration("took", took))
	return nil
}

// contain brings a Worker's container to what is wanted.
func (s *Service) contain(ctx context.Context, w *manager.Worker) error {
	switch {
	case w.Suspended:
		err := s.launcher.Stop(ctx, w.ID)
		if errors.Is(err, manager.ErrNotFound) {
			return nil
		}
		return err
	case !w.Has(manager.DoneContainer):
		return s.launch(ctx, w)
	case w.Previous != nil:
		return s.renew(ctx, w)
	case !w.Has(manager.DoneToken):
		if err := s.replace(ctx, w); err != nil {
			return err
		}
	}
	return s.start(ctx, w) // it may have been suspended
}

// launch gives a Worker a new token and a new container, unless a launch that was
// cut short had already come to its end.
func (s *Service) launch(ctx context.Context, w *manager.Worker) error {
	done := append(without(w.Done, manager.DoneToken, manager.DoneContainer), manager.DoneToken, manager.DoneContainer)
	if w.Run != "" {
		i, err := s.launcher.Instance(ctx, w.ID)
		if err == nil && i.Run == w.Run && i.Phase == manager.PhaseRunning {
			return s.note(ctx, w, done)
		}
		if err != nil && !errors.Is(err, manager.ErrNotFound) {
			return err
		}
	}
	if w.Task == manager.TaskReset { // nothing of the old one stays
		if err := s.launcher.Remove(ctx, w.ID); err != nil {
			return err
		}
	}
	l, secret, err := s.prepare(ctx, w)
	if err != nil {
		return err
	}
	if _, err := s.launcher.Launch(ctx, l); err != nil {
		return redact(err, secret)
	}
	return s.note(ctx, w, done)
}

// renew puts a new container in the place of one that runs on until it is known
// that the new one can be had. If it can't, the old one stays.
func (s *Service) renew(ctx context.Context, w *manager.Worker) error {
	err := s.launcher.Fetch(ctx, w.Image)
	if err == nil {
		if err := s.mutate(ctx, w, (*store.Tx).ReplaceWorker); err != nil {
			return err
		}
		return s.launch(ctx, w)
	}
	if !permanent(err) {
		return err
	}
	s.metrics.failures.WithLabelValues("reverted").Inc()
	s.opt.Log.Warn("worker: update given up, it goes on as before", slog.String("worker", w.ID), slog.Any("error", err))
	why := short(fmt.Errorf("update given up, it goes on as before: %w", err))
	err = s.mutate(ctx, w, func(tx *store.Tx, ctx context.Context, id string, version uint64) (manager.Worker, error) {
		return tx.RevertWorker(ctx, id, version, why)
	})
	if err != nil {
		return err
	}
	return s.start(ctx, w)
}

// replace gives a running Worker a new token in its files.
func (s *Service) replace(ctx context.Context, w *manager.Worker) error {
	l, secret, err := s.prepare(ctx, w)
	if err != nil {
		return err
	}
	err = s.launcher.Replace(ctx, l)
	if errors.Is(err, manager.ErrNotFound) { // somebody removed it
		return s.relaunch(ctx, w)
	}
	if err != nil {
		return redact(err, secret)
	}
	return s.note(ctx, w, append(without(w.Done, manager.DoneToken), manager.DoneToken))
}

// start lets a Worker run on that was stopped.
func (s *Service) start(ctx context.Context, w *manager.Worker) error {
	i, err := s.launcher.Instance(ctx, w.ID)
	switch {
	case errors.Is(err, manager.ErrNotFound), err == nil && i.Run != w.Run:
		return s.relaunch(ctx, w)
	case err != nil || i.Phase == manager.PhaseRunning:
		return err
	default:
		return s.launcher.Start(ctx, w.ID)
	}
}

func (s *Service) relaunch(ctx context.Context, w *manager.Worker) error {
	if err := s.note(ctx, w, without(w.Done, manager.DoneToken, manager.DoneContainer)); err != nil {
		return err
	}
	return s.launch(ctx, w)
}

// prepare issues a token, and says what a Worker is launched with.
func (s *Service) prepare(ctx context.Context, w *manager.Worker) (l manager.Launch, secret string, err error) {
	targets, err := s.targets(ctx, w.Consumer)
	if err != nil {
		return l, "", err
	}
	err = s.mutate(ctx, w, func(tx *store.Tx, ctx context.Context, id string, version uint64) (after manager.Worker, err error) {
		after, secret, err = tx.TokenForWorker(ctx, id, version)
		return after, err
	})
	if err != nil {
		return l, "", err
	}
	env, files, err := s.opt.Environment.of(*w, secret, targets)
	return manager.Launch{Worker: w.ID, Run: w.Run, Spec: w.WorkerSpec, Env: env, Files: files}, secret, err
}

// targets are those that a consumer has grants for.
func (s *Service) targets(ctx context.Context, consumer string) ([]manager.Target, error) {
	var list []manager.Target
	for p := (manager.Page{Limit: manager.MaxPage}); ; {
		l, err := s.store.Grants(ctx, store.GrantFilter{Consumer: consumer}, p)
		if err != nil {
			return nil, err
		}
		for _, g := range l.Items {
			if slices.ContainsFunc(list, func(t manager.Target) bool { return t.ID == g.Target }) {
				continue
			}
			t, err := s.store.Target(ctx, g.Target)
			if errors.Is(err, manager.ErrNotFound) {
				continue // deleted meanwhile, with its grants
			}
			if err != nil {
				return nil, err
			}
			list = append(list, t)
		}
		if p.After = l.After; p.After == "" {
			slices.SortFunc(list, func(a, b manager.Target) int { return strings.Compare(a.ID, b.ID) })
			return list, nil
		}
	}
}

// remove takes away what is left of a Worker that is deleted.
func (s *Service) remove(ctx context.Context, w *manager.Worker) error {
	if err := s.launcher.Remove(ctx, w.ID); err != nil {
		return err
	}
	// Also those that are not known to be made: a crash may have come between.
	for _, p := range slices.Backward(s.opt.Parts) {
		if err := p.Retire(ctx, *w); err != nil {
			return fmt.Errorf("%s: %w", p.Name(), err)
		}
		if err := s.note(ctx, w, without(w.Done, p.Name())); err != nil {
			return err
		}
	}
	_, err := s.store.Mutate(ctx, store.Mutation{By: manager.Self}, func(tx *store.Tx) error {
		return tx.ForgetWorker(ctx, w.ID, w.Version)
	})
	return err
}

// giveUp undoes a task that can't succeed.
func (s *Service) giveUp(ctx context.Context, w manager.Worker, why error) error {
	if err := s.launcher.Remove(ctx, w.ID); err != nil {
		return err
	}
	return s.mutate(ctx, &w, func(tx *store.Tx, ctx context.Context, id string, version uint64) (manager.Worker, error) {
		return tx.GiveUpWorker(ctx, id, version, short(why))
	})
}

// mutate changes *w in the store, provided that nobody else did.
func (s *Service) mutate(ctx context.Context, w *manager.Worker, change func(*store.Tx, context.Context, string, uint64) (manager.Worker, error)) error {
	_, err := s.store.Mutate(ctx, store.Mutation{By: manager.Self}, func(tx *store.Tx) error {
		after, err := change(tx, ctx, w.ID, w.Version)
		if err == nil {
			*w = after
		}
		return err
	})
	return err
}

// note keeps how far *w is.
func (s *Service) note(ctx context.Context, w *manager.Worker, done []string) error {
	w.Done = done
	return s.store.NoteWorker(ctx, w.ID, w.Version, done, problem(*w, nil))
}

// problem is what stands in a Worker's way: why its update was given up, as long
// as it is being brought back, else err.
func problem(w manager.Worker, err error) string {
	switch {
	case w.Task == manager.TaskRevert:
		return w.Problem
	case err != nil:
		return short(err)
	default:
		return ""
	}
}

func without(list []string, gone ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(gone, s) })
}

// redact keeps a token out of what a backend says of its failure.
func redact(err error, secret string) error {
	if !strings.Contains(err.Error(), secret) {
		return err
	}
	return errors.New(strings.ReplaceAll(err.Error(), secret, "REDACTED"))
}
