package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

var workerImage = "sha256:" + strings.Repeat("a", 64)

// liveTokens are the ids of a consumer's tokens that open something.
func (f *fixture) liveTokens(t *testing.T, consumer string) []string {
	t.Helper()
	l, err := f.Tokens(t.Context(), store.TokenFilter{Consumer: consumer}, manager.Page{})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, token := range l.Items {
		if token.Live(f.clock()) {
			ids = append(ids, token.ID)
		}
	}
	return ids
}

// worker changes a Worker as one mutation and returns it.
func (f *fixture) worker(t *testing.T, change func(*store.Tx, context.Context) (manager.Worker, error)) manager.Worker {
	t.Helper()
	var w manager.Worker
	f.must(t, func(ctx context.Context, tx *store.Tx) (err error) {
		w, err = change(tx, ctx)
		return err
	})
	return w
}

// launched makes a Worker and takes it through a launch.
func (f *fixture) launched(t *testing.T, passing manager.TokenPassing) manager.Worker {
	t.Helper()
	f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) {
		return tx.CreateWorker(ctx, manager.NewWorker{ID: "researcher", WorkerSpec: manager.WorkerSpec{Image: workerImage, Token: passing}})
	})
	return f.launch(t)
}

func (f *fixture) launch(t *testing.T) manager.Worker {
	t.Helper()
	w := f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) {
		w, secret, err := tx.TokenForWorker(ctx, "researcher", 0)
		if !strings.HasPrefix(secret, "kwt_") {
			t.Errorf("the token begins with %.4q", secret)
		}
		return w, err
	})
	if err := f.NoteWorker(t.Context(), w.ID, w.Version, []string{"files", manager.DoneToken, manager.DoneContainer}, ""); err != nil {
		t.Fatal(err)
	}
	return f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) {
		return tx.SettleWorker(ctx, "researcher", 0)
	})
}

func testWorkers(t *testing.T, f *fixture) {
	w := f.launched(t, manager.ByEnv)
	if w.Task != "" || w.Run == "" || w.Run != w.TokenID || !w.Has("files") || w.Consumer != "worker-researcher" {
		t.Errorf("launched: %+v", w)
	}
	if live := f.liveTokens(t, w.Consumer); !slices.Equal(live, []string{w.TokenID}) {
		t.Errorf("live tokens %q, want its own", live)
	}
	labelled := f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) {
		return tx.UpdateWorker(ctx, w.ID, w.Version, manager.WorkerSpec{Image: workerImage, Labels: map[string]string{"team": "search"}})
	})
	if c, err := f.Consumer(t.Context(), w.Consumer); err != nil || labelled.Task != "" || c.Labels["team"] != "search" {
		t.Errorf("new labels: task %q, consumer %+v, %v; want no task", labelled.Task, c, err)
	}
	f.fails(t, manager.ErrVersion, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.UpdateWorker(ctx, w.ID, w.Version, manager.WorkerSpec{Image: workerImage})
		return err
	})
	updated := f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) {
		return tx.UpdateWorker(ctx, w.ID, 0, manager.WorkerSpec{Image: "sha256:" + strings.Repeat("b", 64)})
	})
	if updated.Task != manager.TaskUpdate || updated.Previous == nil || updated.Previous.Image != workerImage || updated.Run != w.Run || len(f.liveTokens(t, w.Consumer)) != 1 {
		t.Errorf("updated: %+v; want the old container and token until the new image is there", updated)
	}
	replaced := f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.ReplaceWorker(ctx, w.ID, 0) })
	if replaced.Task != manager.TaskUpdate || replaced.Previous != nil || replaced.Has(manager.DoneContainer) || !replaced.Has("files") || len(f.liveTokens(t, w.Consumer)) != 1 {
		t.Errorf("replaced: %+v; want a new container, the same files, and the token alive until then", replaced)
	}
	again := f.launch(t)
	if live := f.liveTokens(t, w.Consumer); again.TokenID == w.TokenID || !slices.Equal(live, []string{again.TokenID}) {
		t.Errorf("launched again: live tokens %q, want %q alone", live, again.TokenID)
	}
	f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.SuspendWorker(ctx, w.ID, 0) })
	if c, err := f.Consumer(t.Context(), w.Consumer); err != nil || c.State != snapshot.Suspended {
		t.Errorf("its consumer is %+v, %v; want it suspended", c, err)
	}
	resumed := f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.ResumeWorker(ctx, w.ID, 0) })
	if resumed.Suspended || resumed.Task != manager.TaskResume || !resumed.Has(manager.DoneContainer) {
		t.Errorf("resumed: %+v", resumed)
	}
	reset := f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.ResetWorker(ctx, w.ID, 0) })
	if live := f.liveTokens(t, w.Consumer); len(live) != 0 || reset.Has(manager.DoneContainer) || !reset.Has("files") {
		t.Errorf("reset: %+v, live tokens %q; want none at once", reset, live)
	}
}

// testWorkerConsumers: what is done to a Worker's consumer is done to the Worker.
func testWorkerConsumers(t *testing.T, f *fixture) {
	w := f.launched(t, manager.ByEnv)
	set := func(s snapshot.State) manager.Worker {
		t.Helper()
		f.must(t, func(ctx context.Context, tx *store.Tx) error {
			c, err := tx.SetConsumerState(ctx, w.Consumer, 0, s)
			if err == nil && c.State != s {
				t.Errorf("its consumer is %+v, want it %s", c, s)
			}
			return err
		})
		got, err := f.Worker(t.Context(), w.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	suspended := set(snapshot.Suspended)
	if !suspended.Suspended || suspended.Task != manager.TaskSuspend {
		t.Errorf("its consumer suspended: %+v", suspended)
	}
	if again := set(snapshot.Suspended); again.Version != suspended.Version {
		t.Errorf("suspended twice: %+v, then %+v", suspended, again)
	}
	if got := set(snapshot.Active); got.Suspended || got.Task != manager.TaskResume {
		t.Errorf("its consumer resumed: %+v", got)
	}
	f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.SleepWorker(ctx, w.ID, 0) })
	if got := set(snapshot.Suspended); !got.Suspended || got.Asleep {
		t.Errorf("its consumer suspended while it was asleep: %+v; want it not to be woken", got)
	}
	revoked := set(snapshot.Revoked)
	if !revoked.Suspended || revoked.Task != manager.TaskSuspend {
		t.Errorf("its consumer revoked: %+v; want its container stopped", revoked)
	}
	f.fails(t, manager.ErrState, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ResumeWorker(ctx, w.ID, 0)
		return err
	})
	f.fails(t, manager.ErrState, func(ctx context.Context, tx *store.Tx) error {
		return tx.DeleteConsumer(ctx, w.Consumer, 0)
	})
	f.fails(t, manager.ErrVersion, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SetConsumerState(ctx, w.Consumer, 1, snapshot.Suspended)
		return err
	})
	f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.DeleteWorker(ctx, w.ID, 0) })
	if _, err := f.Consumer(t.Context(), w.Consumer); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("the consumer of a Worker that is being deleted: %v", err)
	}
}

func testWorkerLostTokens(t *testing.T, f *fixture) {
	w := f.launched(t, manager.ByEnv)
	f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) {
		return tx.UpdateWorker(ctx, w.ID, 0, manager.WorkerSpec{Image: "sha256:" + strings.Repeat("b", 64)})
	})
	f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.ReplaceWorker(ctx, w.ID, 0) })
	var last manager.Worker
	for range 40 { // more launches that fail than one may have live tokens
		last = f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) {
			w, _, err := tx.TokenForWorker(ctx, w.ID, 0)
			return w, err
		})
	}
	if live := f.liveTokens(t, w.Consumer); len(live) != 2 || !slices.Contains(live, w.TokenID) || !slices.Contains(live, last.TokenID) {
		t.Errorf("live tokens %q, want the one in use and the last", live)
	}
	gave := f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) {
		return tx.GiveUpWorker(ctx, w.ID, 0, "no such image")
	})
	if live := f.liveTokens(t, w.Consumer); len(live) != 0 || gave.Task != "" || gave.Problem == "" {
		t.Errorf("given up: %+v, live tokens %q", gave, live)
	}
}

func testWorkerRotation(t *testing.T, f *fixture) {
	w := f.launched(t, manager.ByEnv)
	rotate := func(seconds int64) manager.Worker {
		return f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) {
			return tx.RotateWorker(ctx, w.ID, 0, manager.WorkerRotation{OverlapSeconds: seconds})
		})
	}
	todo := func() int {
		l, err := f.WorkersToDo(t.Context(), manager.Page{})
		if err != nil {
			t.Fatal(err)
		}
		return len(l.Items)
	}
	f.advance(time.Hour)
	due, err := f.WorkersToRotate(t.Context(), f.clock().Add(-time.Minute), manager.Page{})
	if err != nil || len(due.Items) != 1 {
		t.Errorf("to rotate: %d, %v; want it", len(due.Items), err)
	}
	planned := rotate(600)
	if planned.Task != "" || !planned.RestartAt.Equal(f.clock().Add(570*time.Second)) || todo() != 0 {
		t.Errorf("with its token by env: %+v; want a restart shortly before the end", planned)
	}
	if due, err := f.WorkersToRotate(t.Context(), f.clock(), manager.Page{}); err != nil || len(due.Items) != 0 {
		t.Errorf("to rotate again: %d, %v; want none", len(due.Items), err)
	}
	f.advance(571 * time.Second)
	if todo() != 1 {
		t.Error("the restart is not due")
	}
	f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.RestartWorker(ctx, w.ID, 0) })
	restarted := f.launch(t)
	if live := f.liveTokens(t, w.Consumer); restarted.TokenID == w.TokenID || !slices.Equal(live, []string{w.TokenID, restarted.TokenID}) {
		t.Errorf("live tokens %q, want the old one until its end, and the new", live)
	}
	f.advance(time.Minute)
	if live := f.liveTokens(t, w.Consumer); !slices.Equal(live, []string{restarted.TokenID}) {
		t.Errorf("after the overlap: live tokens %q", live)
	}
	if at := rotate(0); at.Task != manager.TaskRotate || at.Has(manager.DoneContainer) || len(f.liveTokens(t, w.Consumer)) != 0 {
		t.Errorf("without overlap: %+v; want the token dead at once", at)
	}
}

func testWorkerFileRotation(t *testing.T, f *fixture) {
	w := f.launched(t, manager.ByFile)
	rotated := f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) {
		return tx.RotateWorker(ctx, w.ID, 0, manager.WorkerRotation{OverlapSeconds: 600})
	})
	if rotated.Task != manager.TaskRotate || !rotated.Has(manager.DoneContainer) || rotated.Has(manager.DoneToken) {
		t.Errorf("rotated: %+v; want the same container and another token", rotated)
	}
	again := f.launch(t)
	if again.Run != w.Run || again.TokenID == w.TokenID || len(f.liveTokens(t, w.Consumer)) != 2 {
		t.Errorf("rotated: %+v, live %q", again, f.liveTokens(t, w.Consumer))
	}
}

func testDeleteWorker(t *testing.T, f *fixture) {
	w := f.launched(t, manager.ByEnv)
	gone := f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.DeleteWorker(ctx, w.ID, 0) })
	if _, err := f.Consumer(t.Context(), w.Consumer); !errors.Is(err, manager.ErrNotFound) || gone.Task != manager.TaskDelete {
		t.Errorf("its consumer: %v; %+v", err, gone)
	}
	f.fails(t, manager.ErrState, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ResetWorker(ctx, w.ID, 0)
		return err
	})
	f.must(t, func(ctx context.Context, tx *store.Tx) error { return tx.ForgetWorker(ctx, w.ID, 0) })
	if _, err := f.Worker(t.Context(), w.ID); !errors.Is(err, manager.ErrNotFound) {
		t.Errorf("forgotten: %v", err)
	}
	f.fails(t, manager.ErrDeleted, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.CreateWorker(ctx, manager.NewWorker{ID: w.ID, WorkerSpec: w.WorkerSpec})
		return err
	})
}

// testWorkerUpdate changes grants and spec as one: both or none.
func testWorkerUpdate(t *testing.T, f *fixture) {
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		for _, id := range []string{"github", "llm"} {
			if _, err := tx.CreateTarget(ctx, manager.NewTarget{ID: id, TargetSpec: manager.TargetSpec{Kind: policies.KindHTTP, Match: []snapshot.Match{{Path: "/" + id}}}}); err != nil {
				return err
			}
		}
		_, err := tx.CreateWorker(ctx, manager.NewWorker{ID: "researcher", WorkerSpec: manager.WorkerSpec{Image: workerImage}, Grants: []manager.WorkerGrant{{Target: "github"}}})
		return err
	})
	targets := func() (list []string) {
		l, err := f.Grants(t.Context(), store.GrantFilter{Consumer: "worker-researcher"}, manager.Page{})
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range l.Items {
			list = append(list, g.Target)
		}
		slices.Sort(list)
		return list
	}
	update := func(u manager.WorkerUpdate) func(context.Context, *store.Tx) error {
		return func(ctx context.Context, tx *store.Tx) error {
			if err := tx.RegrantWorker(ctx, "researcher", 0, u.Grant, u.Revoke); err != nil {
				return err
			}
			_, err := tx.UpdateWorker(ctx, "researcher", 0, u.WorkerSpec)
			return err
		}
	}
	swap := manager.WorkerUpdate{Grant: []manager.WorkerGrant{{Target: "llm"}}, Revoke: []string{"github"}}
	f.fails(t, manager.ErrInvalid, update(swap)) // it has no image
	f.fails(t, manager.ErrNotFound, update(manager.WorkerUpdate{Grant: swap.Grant, Revoke: []string{"llm"}, WorkerSpec: manager.WorkerSpec{Image: workerImage}}))
	if got := targets(); !slices.Equal(got, []string{"github"}) {
		t.Errorf("after updates that failed it has grants for %q", got)
	}
	swap.WorkerSpec = manager.WorkerSpec{Image: workerImage}
	f.must(t, update(swap))
	if got := targets(); !slices.Equal(got, []string{"llm"}) {
		t.Errorf("it has grants for %q", got)
	}
}
