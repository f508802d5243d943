package store

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"time"

	"keyward/manager"
)

// UpdateWorker changes what is chosen of a Worker. Its container is replaced
// unless only what it is not launched with differs; until then it runs on with
// what it has.
func (t *Tx) UpdateWorker(ctx context.Context, id string, version uint64, spec manager.WorkerSpec) (manager.Worker, error) {
	if err := spec.Validate(); err != nil {
		return manager.Worker{}, err
	}
	w, err := workers.checked(ctx, t, id, version)
	if err != nil {
		return w, err
	}
	if err := t.relabel(ctx, w.Consumer, spec.Labels); err != nil {
		return w, err
	}
	return t.editWorker(ctx, id, version, "update", func(w *manager.Worker) error {
		runs := w.WorkerSpec
		if w.Previous != nil {
			runs = *w.Previous
		}
		w.WorkerSpec = spec
		switch {
		case !w.Has(manager.DoneContainer):
			w.RestartAt = time.Time{}
			again(w, manager.TaskUpdate, manager.DoneToken, manager.DoneContainer)
		case !reflect.DeepEqual(launched(runs), launched(spec)):
			w.Previous = &runs
			again(w, manager.TaskUpdate)
		case w.Task == "" || w.Previous != nil: // nothing to do, or no more
			w.Previous, w.Problem = nil, ""
		}
		return nil
	})
}

// launched is the part of a spec that a container is launched with.
func launched(s manager.WorkerSpec) manager.WorkerSpec {
	s = s.WithDefaults()
	s.Labels, s.Heartbeat = nil, manager.WorkerHeartbeat{}
	return s
}

func (t *Tx) relabel(ctx context.Context, consumer string, labels map[string]string) error {
	c, err := t.Consumer(ctx, consumer)
	if err != nil {
		return err
	}
	if reflect.DeepEqual(orEmpty(c.Labels), orEmpty(labels)) {
		return nil
	}
	_, err = t.UpdateConsumer(ctx, consumer, 0, manager.ConsumerUpdate{Labels: labels})
	return err
}

// RegrantWorker takes all of a Worker's grants for some targets away, and gives
// it others. A target that it has no grant for is [manager.ErrNotFound].
func (t *Tx) RegrantWorker(ctx context.Context, id string, version uint64, grants []manager.WorkerGrant, revoke []string) error {
	w, err := workers.checked(ctx, t, id, version)
	if err != nil {
		return err
	}
	for _, target := range revoke {
		if err := t.revokeGrants(ctx, w.Consumer, target); err != nil {
			return err
		}
	}
	for _, g := range grants {
		if _, err := t.CreateGrant(ctx, manager.NewGrant{Consumer: w.Consumer, Target: g.Target, GrantSpec: g.GrantSpec}); err != nil {
			return err
		}
	}
	return nil
}

func (t *Tx) revokeGrants(ctx context.Context, consumer, target string) error {
	for n := 0; ; {
		l, err := t.Grants(ctx, GrantFilter{Consumer: consumer, Target: target}, manager.Page{Limit: manager.MaxPage})
		switch {
		case err != nil:
			return err
		case len(l.Items) == 0 && n == 0:
			return &manager.Error{Kind: manager.KindGrant, Err: manager.ErrNotFound, Why: fmt.Sprintf("%q has none for %q", consumer, target)}
		case len(l.Items) == 0:
			return nil
		}
		for _, g := range l.Items {
			if err := t.RevokeGrant(ctx, g.ID, 0); err != nil {
				return err
			}
			n++
		}
	}
}

// ReplaceWorker has a Worker's container made anew, now that what it was updated
// to is known to be there.
func (t *Tx) ReplaceWorker(ctx context.Context, id string, version uint64) (manager.Worker, error) {
	return t.editWorker(ctx, id, version, "replace", func(w *manager.Worker) error {
		w.RestartAt = time.Time{}
		again(w, w.Task, manager.DoneToken, manager.DoneContainer)
		return nil
	})
}

// RevertWorker gives an update up before its container was touched: the Worker
// goes on with what that was launched with. Grants and all else stay as updated.
func (t *Tx) RevertWorker(ctx context.Context, id string, version uint64, why string) (manager.Worker, error) {
	return t.editWorker(ctx, id, version, "revert", func(w *manager.Worker) error {
		if w.Previous == nil {
			return &manager.Error{Kind: manager.KindWorker, ID: id, Err: manager.ErrState, Why: "no update of it waits"}
		}
		labels, heartbeat := w.Labels, w.Heartbeat
		w.WorkerSpec = *w.Previous
		w.Labels, w.Heartbeat = labels, heartbeat
		w.Previous = nil
		again(w, manager.TaskRevert)
		w.Problem = why
		return nil
	})
}

// NoteWorker keeps how far the task of a Worker of a version is. It is no
// mutation: what was seen has no generation.
func (s *Store) NoteWorker(ctx context.Context, id string, version uint64, done []string, problem string) error {
	b, err := json.Marshal(done)
	if err != nil {
		return err
	}
	return s.observe(ctx, func(exec execFunc) error {
		return exec(`UPDATE workers SET done = $1, problem = $2 WHERE id = $3 AND version = $4`, string(b), problem, id, version)
	})
}
