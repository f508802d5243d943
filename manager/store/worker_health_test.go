package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/store"
	"keyward/policies"
)

func testWorkerHealth(t *testing.T, f *fixture) {
	w := f.launched(t, manager.ByEnv)
	if h, err := f.WorkerHealth(t.Context(), w.ID); err != nil || h != (manager.WorkerHealth{}) {
		t.Errorf("before a look: %+v, %v", h, err)
	}
	stuck := manager.WorkerHealth{
		State: manager.Stuck, Reason: "it is", Since: f.clock(), Restarts: 2, Restarted: f.clock(), Facts: &manager.WorkerFacts{Now: 7},
	}
	f.fails(t, manager.ErrVersion, func(ctx context.Context, tx *store.Tx) error {
		return tx.SetWorkerHealth(ctx, w.ID, w.Version+1, stuck, true)
	})
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		return tx.SetWorkerHealth(ctx, w.ID, w.Version, stuck, true)
	})
	got, err := f.WatchedWorker(t.Context(), w.ID)
	if err != nil || got.Health.Facts == nil || got.Health.Facts.Now != 7 || got.Version != w.Version {
		t.Errorf("after: %+v, %v", got, err)
	}
	got.Health.Facts, stuck.Facts = nil, nil
	if got.Health != stuck {
		t.Errorf("health = %+v, want %+v", got.Health, stuck)
	}
	list := func(state manager.HealthState) int {
		l, err := f.WatchedWorkers(t.Context(), state, manager.Page{})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range l.Items {
			if w.Health.Facts != nil {
				t.Error("a list has facts")
			}
		}
		return len(l.Items)
	}
	if list("") != 1 || list(manager.Stuck) != 1 || list(manager.Down) != 0 {
		t.Errorf("lists have %d, %d, %d", list(""), list(manager.Stuck), list(manager.Down))
	}
	if n, err := f.HealthCounts(t.Context()); err != nil || len(n) != 1 || n[manager.Stuck] != 1 {
		t.Errorf("counts = %v, %v", n, err)
	}
	f.advance(time.Minute)
	f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.SuspendWorker(ctx, w.ID, 0) })
	if h, err := f.WorkerHealth(t.Context(), w.ID); err != nil || h.State != manager.Stuck {
		t.Errorf("suspended: %+v, %v; want it to say why", h, err)
	}
	f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.ResumeWorker(ctx, w.ID, 0) })
	if h, err := f.WorkerHealth(t.Context(), w.ID); err != nil || h.State != "" || h.Restarts != 0 || !h.CountedFrom.Equal(f.clock()) {
		t.Errorf("resumed: %+v, %v; want it looked at afresh", h, err)
	}
	f.must(t, func(ctx context.Context, tx *store.Tx) error {
		if _, err := tx.DeleteWorker(ctx, w.ID, 0); err != nil {
			return err
		}
		return tx.ForgetWorker(ctx, w.ID, 0)
	})
	if n, err := f.HealthCounts(t.Context()); err != nil || len(n) != 0 {
		t.Errorf("after its end: counts = %v, %v", n, err)
	}
}

func testWorkerSleep(t *testing.T, f *fixture) {
	w := f.launched(t, manager.ByEnv)
	asleep := f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.SleepWorker(ctx, w.ID, 0) })
	if !asleep.Asleep || !asleep.Suspended || asleep.TokenID != w.TokenID {
		t.Errorf("asleep: %+v", asleep)
	}
	suspended := f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.SuspendWorker(ctx, w.ID, 0) })
	if suspended.Asleep || !suspended.Suspended {
		t.Errorf("suspended in its sleep: %+v", suspended)
	}
	f.fails(t, manager.ErrState, func(ctx context.Context, tx *store.Tx) error { _, err := tx.WakeWorker(ctx, w.ID, 0); return err })
	f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.ResumeWorker(ctx, w.ID, 0) })
	f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.SleepWorker(ctx, w.ID, 0) })
	awake := f.worker(t, func(tx *store.Tx, ctx context.Context) (manager.Worker, error) { return tx.WakeWorker(ctx, w.ID, 0) })
	if awake.Asleep || awake.Suspended || awake.Task != manager.TaskResume {
		t.Errorf("awake: %+v", awake)
	}
}

func testLogSince(t *testing.T, f *fixture) {
	size, err := f.LogSize(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	start := f.clock()
	for i := range 5 {
		f.advance(time.Minute)
		r := policies.Record{Type: policies.RecordDecision, ID: fmt.Sprint(i), Sequence: uint64(i + 1), Consumer: "worker-a", Time: f.clock()}
		if err := f.AppendRecords(t.Context(), "g", "vm", []policies.Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	for minutes, want := range map[int]uint64{1: size, 2: size + 1, 5: size + 4, 6: size + 5} {
		if got, err := f.LogSince(t.Context(), start.Add(time.Duration(minutes)*time.Minute)); err != nil || got != want {
			t.Errorf("%d minutes on: position %d, %v; want %d", minutes, got, err, want)
		}
	}
	if at, err := f.LastRequest(t.Context(), "worker-a"); err != nil || !at.Equal(f.clock()) {
		t.Errorf("its last request was at %v, %v", at, err)
	}
	if at, err := f.LastRequest(t.Context(), "worker-b"); err != nil || !at.IsZero() {
		t.Errorf("another's was at %v, %v", at, err)
	}
}
