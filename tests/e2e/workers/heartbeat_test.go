package workers_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/heartbeat"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
	"keyward/tests/testenv"
)

// TestUnwellWorkers runs three Workers that are not well, on an engine and through
// a gateway, and leaves it to the Manager to notice.
func TestUnwellWorkers(t *testing.T) {
	needE2E(t)
	w := newWorld(t, setting{})
	image := w.Image(t, "unwell", testenv.GoBuildStatic(t, "./tests/e2e/workers/unwell"))
	h, err := heartbeat.New(w.Store, w.backend, heartbeat.Options{Every: time.Second, Log: w.logger(), Metrics: w.registry})
	if err != nil {
		t.Fatal(err)
	}
	run(t, h.Run)
	create := func(id, how string, on manager.WorkerHeartbeat) {
		w.change(t, func(tx *store.Tx, ctx context.Context) error {
			_, err := tx.CreateWorker(ctx, manager.NewWorker{
				ID: id, Grants: []manager.WorkerGrant{{Target: "github", GrantSpec: manager.GrantSpec{Tools: []string{"issues.read"}}}},
				WorkerSpec: manager.WorkerSpec{Image: image, Command: []string{how}, Heartbeat: on, Limits: manager.WorkerLimits{MemoryMB: 64}},
			})
			return err
		})
	}
	create("stubborn", "denied", manager.WorkerHeartbeat{Misbehaving: manager.Suspend})
	create("looping", "same", manager.WorkerHeartbeat{Misbehaving: manager.Suspend})
	create("greedy", "memory", manager.WorkerHeartbeat{Down: manager.Restart})

	t.Run("one that does not take no for an answer is suspended", func(t *testing.T) {
		got := w.becomes(t, "stubborn", manager.Misbehaving)
		c, err := w.Consumer(t.Context(), got.Consumer)
		if err != nil || !got.Suspended || c.State != snapshot.Suspended || !strings.Contains(got.Health.Reason, "repository.delete") {
			t.Errorf("it is %+v, its consumer %+v, %v", got, c, err)
		}
		t.Logf("from the first of its refusals in the log to its suspension: %v", w.since(t, got.Consumer, got.Health.Since))
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
			i, err := w.backend.Instance(t.Context(), "stubborn")
			if err == nil && i.Phase == manager.PhaseStopped {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("its container is %+v, %v", i, err)
			}
		}
	})
	t.Run("one that makes the same call again and again is stuck", func(t *testing.T) {
		got := w.becomes(t, "looping", manager.Stuck)
		if got.Suspended || !strings.Contains(got.Health.Reason, "issues.read was made") {
			t.Errorf("it is %+v", got)
		}
	})
	t.Run("one that is killed for its memory is restarted, and later again", func(t *testing.T) {
		got := w.becomes(t, "greedy", manager.Down)
		if !strings.Contains(got.Health.Reason, "out of memory") {
			t.Errorf("it is %+v", got)
		}
		restarts := w.restarts(t, "greedy", 2)
		if d := restarts[1].Sub(restarts[0]); d < 30*time.Second {
			t.Errorf("the second restart came %v after the first", d)
		}
	})
}

// becomes waits until a Worker is in a state.
func (w *world) becomes(t *testing.T, id string, state manager.HealthState) manager.WatchedWorker {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		got, err := w.WatchedWorker(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if got.Health.State == state {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is %+v\n%s", got, w.log.String())
		}
	}
}

// since is how long before an instant a consumer was first recorded.
func (w *world) since(t *testing.T, consumer string, at time.Time) time.Duration {
	t.Helper()
	l, err := w.QueryLog(t.Context(), store.LogFilter{Consumer: consumer, Kind: manager.EntryDecision}, manager.Page{Limit: 1})
	if err != nil || len(l.Items) == 0 {
		t.Fatalf("%d entries, %v", len(l.Items), err)
	}
	return at.Sub(l.Items[0].Time)
}

// restarts waits until the log has so many restarts of a Worker, and returns when
// they were.
func (w *world) restarts(t *testing.T, id string, n int) []time.Time {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		var list []time.Time
		l, err := w.QueryLog(t.Context(), store.LogFilter{Kind: manager.EntryAction}, manager.Page{Limit: manager.MaxPage})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range l.Items {
			if e.Event.Action == "worker.restart" && e.Event.Object == id {
				list = append(list, e.Event.Time)
			}
		}
		if len(list) >= n {
			return list
		}
		if time.Now().After(deadline) {
			t.Fatalf("it was restarted at %v\n%s", list, w.log.String())
		}
	}
}
