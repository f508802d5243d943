package store

import (
	"context"
	"slices"
	"strings"
	"time"

	"keyward/manager"
	"keyward/plugins/snapshot"
)

var workers = table[manager.Worker]{
	name:    "workers",
	kind:    manager.KindWorker,
	columns: []string{"spec", "consumer", "suspended", "task", "done", "problem", "token", "run", "restart_at", "previous", "asleep"},
	meta:    func(w *manager.Worker) *manager.Meta { return &w.Meta },
	fields: func(w *manager.Worker) []any {
		return []any{
			jsonText{&w.WorkerSpec},
			&w.Consumer, &w.Suspended, &w.Task,
			jsonText{&w.Done},
			&w.Problem,
			&w.TokenID, &w.Run,
			milli{&w.RestartAt},
			jsonText{&w.Previous},
			&w.Asleep,
		}
	},
}

// Worker returns a Worker.
func (r reader) Worker(ctx context.Context, id string) (manager.Worker, error) {
	return workers.get(ctx, r.q, id)
}

// workerOf returns the Worker whose consumer has an id.
func (r reader) workerOf(ctx context.Context, consumer string) (manager.Worker, error) {
	id, _ := strings.CutPrefix(consumer, manager.ConsumerPrefix)
	w, err := r.Worker(ctx, id)
	if err == nil && w.Consumer != consumer {
		err = &manager.Error{Kind: manager.KindWorker, ID: id, Err: manager.ErrNotFound}
	}
	return w, err
}

// Workers returns a page of Workers.
func (r reader) Workers(ctx context.Context, p manager.Page) (manager.List[manager.Worker], error) {
	return workers.page(ctx, r.q, p, "1 = 1")
}

// WorkersToDo returns a page of the Workers that have a task, or a restart that is
// due.
func (r reader) WorkersToDo(ctx context.Context, p manager.Page) (manager.List[manager.Worker], error) {
	return workers.page(ctx, r.q, p, "x.task <> '' OR x.restart_at <> 0 AND x.restart_at <= $1", r.now().UnixMilli())
}

// WorkersToRotate returns a page of the Workers whose token was issued before an
// instant, and that are not about to get another.
func (r reader) WorkersToRotate(ctx context.Context, issued time.Time, p manager.Page) (manager.List[manager.Worker], error) {
	return workers.page(ctx, r.q, p, `x.task = '' AND x.restart_at = 0 AND NOT x.suspended
		AND EXISTS (SELECT 1 FROM tokens t WHERE t.id = x.token AND t.created < $1)`, issued.UnixMilli())
}

// CreateWorker makes a Worker with its consumer and grants. Its container is a
// task.
func (t *Tx) CreateWorker(ctx context.Context, n manager.NewWorker) (manager.Worker, error) {
	w := manager.Worker{
		Meta:       manager.Meta{ID: n.ID},
		WorkerSpec: n.WorkerSpec, Consumer: manager.ConsumerPrefix + n.ID, Task: manager.TaskCreate, Done: []string{},
	}
	if err := n.Validate(); err != nil {
		return w, err
	}
	spec := manager.ConsumerSpec{ID: w.Consumer, Kind: "worker", ConsumerUpdate: manager.ConsumerUpdate{Labels: n.Labels}}
	if _, err := t.CreateConsumer(ctx, spec); err != nil {
		return w, err
	}
	for _, g := range n.Grants {
		if _, err := t.CreateGrant(ctx, manager.NewGrant{Consumer: w.Consumer, Target: g.Target, GrantSpec: g.GrantSpec}); err != nil {
			return w, err
		}
	}
	if err := workers.insert(ctx, t, &w); err != nil {
		return w, err
	}
	return w, t.record(ctx, manager.KindWorker, "create", w.ID, nil, w)
}

// editWorker changes a Worker of a version (0: whichever) that is not being
// deleted.
func (t *Tx) editWorker(ctx context.Context, id string, version uint64, verb string, change func(*manager.Worker) error) (manager.Worker, error) {
	before, after, err := workers.edit(ctx, t, id, version, func(w *manager.Worker) error {
		if w.Task == manager.TaskDelete {
			return &manager.Error{Kind: manager.KindWorker, ID: id, Err: manager.ErrState, Why: "it is being deleted"}
		}
		return change(w)
	})
	if err != nil {
		return after, err
	}
	return after, t.record(ctx, manager.KindWorker, verb, id, before, after)
}

// again has parts of a Worker made anew, under a task.
func again(w *manager.Worker, task manager.Task, parts ...string) {
	w.Task, w.Problem = task, ""
	if slices.Contains(parts, manager.DoneContainer) {
		w.Run, w.Previous = "", nil // with a run, a launch was begun
	}
	w.Done = slices.DeleteFunc(slices.Clone(w.Done), func(s string) bool { return slices.Contains(parts, s) })
}

// SuspendWorker suspends a Worker's consumer, and has its container stopped.
func (t *Tx) SuspendWorker(ctx context.Context, id string, version uint64) (manager.Worker, error) {
	return t.setSuspended(ctx, id, version, snapshot.Suspended, verbs[snapshot.Suspended])
}

// ResumeWorker lets a suspended Worker go on. Its health is looked at afresh.
func (t *Tx) ResumeWorker(ctx context.Context, id string, version uint64) (manager.Worker, error) {
	return t.setSuspended(ctx, id, version, snapshot.Active, verbs[snapshot.Active])
}

// SleepWorker is SuspendWorker for a Worker that has nothing to do, which whoever
// has something for it may wake.
func (t *Tx) SleepWorker(ctx context.Context, id string, version uint64) (manager.Worker, error) {
	return t.setSuspended(ctx, id, version, snapshot.Suspended, verbSleep)
}

// WakeWorker lets a Worker go on that is asleep. One that is suspended for another
// reason is [manager.ErrState]; one that is awake is left as it is.
func (t *Tx) WakeWorker(ctx context.Context, id string, version uint64) (manager.Worker, error) {
	w, err := workers.checked(ctx, t, id, version)
	switch {
	case err != nil:
		return w, err
	case w.Asleep:
		return t.setSuspended(ctx, id, version, snapshot.Active, "wake")
	case w.Suspended:
		return w, &manager.Error{Kind: manager.KindWorker, ID: id, Err: manager.ErrState, Why: "it is suspended, not asleep: resume it"}
	default:
		return w, nil
	}
}

const verbSleep = "sleep"

// setSuspended brings a Worker's consumer to a state, and has its container run
// only if that is active.
func (t *Tx) setSuspended(ctx context.Context, id string, version uint64, state snapshot.State, verb string) (manager.Worker, error) {
	w, err := workers.checked(ctx, t, id, version)
	if err != nil {
		return w, err
	}
	if _, err := t.setConsumerState(ctx, w.Consumer, 0, state); err != nil {
		return w, err
	}
	task := manager.TaskSuspend
	if state == snapshot.Active {
		task = manager.TaskResume
		if err := t.countAfresh(ctx, id); err != nil {
			return w, err
		}
	}
	return t.editWorker(ctx, id, version, verb, func(w *manager.Worker) error {
		w.Suspended, w.Asleep = state != snapshot.Active, verb == verbSleep
		again(w, task)
		return nil
	})
}

// ResetWorker ends a Worker's tokens at once, and has it get another and a fresh
// container.
func (t *Tx) ResetWorker(ctx context.Context, id string, version uint64) (manager.Worker, error) {
	w, err := workers.checked(ctx, t, id, version)
	if err != nil {
		return w, err
	}
	if err := t.revokeTokens(ctx, w.Consumer, ""); err != nil {
		return w, err
	}
	if err := t.countAfresh(ctx, id); err != nil {
		return w, err
	}
	return t.editWorker(ctx, id, version, "reset", func(w *manager.Worker) error {
		w.RestartAt, w.TokenID = time.Time{}, ""
		again(w, manager.TaskReset, manager.DoneToken, manager.DoneContainer)
		return nil
	})
}

// MendWorker has a Worker's container looked after, which is not as it should be.
func (t *Tx) MendWorker(ctx context.Context, id string, version uint64) (manager.Worker, error) {
	return t.editWorker(ctx, id, version, "mend", func(w *manager.Worker) error {
		again(w, manager.TaskResume)
		return nil
	})
}

// RestartWorker has the container of a Worker replaced for a new token, as was
// planned.
func (t *Tx) RestartWorker(ctx context.Context, id string, version uint64) (manager.Worker, error) {
	return t.editWorker(ctx, id, version, "restart", func(w *manager.Worker) error {
		w.RestartAt = time.Time{}
		again(w, manager.TaskRotate, manager.DoneToken, manager.DoneContainer)
		return nil
	})
}

// TokenForWorker issues the token of a Worker's next container, or of its present
// one when that has the same run.
func (t *Tx) TokenForWorker(ctx context.Context, id string, version uint64) (manager.Worker, string, error) {
	w, err := workers.checked(ctx, t, id, version)
	if err != nil {
		return w, "", err
	}
	// The one before was issued for this and is lost, unless it is in use: for a
	// launch there is no run yet then, for a rotation it has an end.
	lost, err := t.Token(ctx, w.TokenID)
	if err == nil && (w.Run == w.TokenID || w.Has(manager.DoneContainer)) && lost.Expires.IsZero() {
		_, err = t.RevokeToken(ctx, lost.ID, 0)
	}
	if err != nil && !isNotFound(err) {
		return w, "", err
	}
	i, err := t.IssueToken(ctx, manager.TokenSpec{Consumer: w.Consumer, Note: "Worker " + w.ID})
	if err != nil {
		return w, "", err
	}
	w, err = t.editWorker(ctx, id, version, "token", func(w *manager.Worker) error {
		w.TokenID = i.Object.ID
		if !w.Has(manager.DoneContainer) {
			w.Run = i.Object.ID
		}
		return nil
	})
	return w, i.Secret, err
}

// SettleWorker ends a Worker's task: it is as wanted. Tokens that it no longer has
// end, but for those that were given an overlap.
func (t *Tx) SettleWorker(ctx context.Context, id string, version uint64) (manager.Worker, error) {
	w, err := workers.checked(ctx, t, id, version)
	if err != nil {
		return w, err
	}
	if err := t.revokeTokens(ctx, w.Consumer, w.TokenID); err != nil {
		return w, err
	}
	return t.editWorker(ctx, id, version, "settle", func(w *manager.Worker) error {
		if w.Task != manager.TaskRevert { // why it was reverted is to be read yet
			w.Problem = ""
		}
		w.Task = ""
		return nil
	})
}

// GiveUpWorker ends a Worker's task without success: its tokens end, and it has no
// container.
func (t *Tx) GiveUpWorker(ctx context.Context, id string, version uint64, why string) (manager.Worker, error) {
	w, err := workers.checked(ctx, t, id, version)
	if err != nil {
		return w, err
	}
	if err := t.revokeTokens(ctx, w.Consumer, ""); err != nil {
		return w, err
	}
	return t.editWorker(ctx, id, version, "give-up", func(w *manager.Worker) error {
		again(w, "", manager.DoneToken, manager.DoneContainer)
		w.Problem, w.TokenID, w.RestartAt = why, "", time.Time{}
		return nil
	})
}

// DeleteWorker deletes a Worker's consumer with its tokens and grants, at once,
// and has the rest taken away.
func (t *Tx) DeleteWorker(ctx context.Context, id string, version uint64) (manager.Worker, error) {
	w, err := workers.checked(ctx, t, id, version)
	if err != nil || w.Task == manager.TaskDelete {
		return w, err
	}
	if err := t.deleteConsumer(ctx, w.Consumer, 0); err != nil && !isNotFound(err) {
		return w, err
	}
	return t.editWorker(ctx, id, version, "delete", func(w *manager.Worker) error {
		w.RestartAt, w.TokenID = time.Time{}, ""
		again(w, manager.TaskDelete)
		return nil
	})
}

// ForgetWorker ends the deletion of a Worker.
func (t *Tx) ForgetWorker(ctx context.Context, id string, version uint64) error {
	w, err := workers.checked(ctx, t, id, version)
	if err != nil {
		return err
	}
	if w.Task != manager.TaskDelete {
		return &manager.Error{Kind: manager.KindWorker, ID: id, Err: manager.ErrState, Why: "it is not being deleted"}
	}
	if err := workers.delete(ctx, t, id); err != nil {
		return err
	}
	if _, err := t.exec(ctx, `DELETE FROM worker_health WHERE worker = $1`, id); err != nil {
		return err
	}
	return t.record(ctx, manager.KindWorker, "forget", id, w, nil)
}
