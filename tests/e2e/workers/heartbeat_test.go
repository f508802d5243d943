package workers_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"keyward/manager"
	"keyward/manager/heartbeat"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/tests/testenv"
)

// TestUnwellWorkers runs three Workers that are not well, on an engine and through
// a gateway, and leaves it to the Manager to notice, to act and to tell.
func TestUnwellWorkers(t *testing.T) {
	needE2E(t)
	w := newWorld(t, setting{matrix: true})
	image := w.Image(t, "unwell", testenv.GoBuildStatic(t, "./tests/e2e/workers/unwell"))
	const backoff = 3 * time.Second
	h, err := heartbeat.New(w.Store, w.backend, heartbeat.Options{Every: time.Second, Backoff: backoff, Log: w.logger(), Metrics: w.registry})
	if err != nil {
		t.Fatal(err)
	}
	run(t, h.Run)
	w.createUnwell(t, "stubborn", image, "denied", manager.WorkerHeartbeat{Misbehaving: manager.Suspend})
	w.createUnwell(t, "looping", image, "same", manager.WorkerHeartbeat{Misbehaving: manager.Suspend})
	w.createUnwell(t, "greedy", image, "memory", manager.WorkerHeartbeat{Down: manager.Restart})

	t.Run("one that does not take no for an answer is suspended", func(t *testing.T) {
		got := w.becomes(t, "stubborn", manager.Misbehaving)
		c, err := w.Consumer(t.Context(), got.Consumer)
		if err != nil || !got.Suspended || c.State != snapshot.Suspended || !strings.Contains(got.Health.Reason, "repository.delete") {
			t.Errorf("it is %+v, its consumer %+v, %v", got, c, err)
		}
		first, enough := w.noticed(t, got)
		t.Logf("suspended %v after its first refusal was stored, %v after the tenth", first, enough)
		for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
			i, err := w.backend.Instance(t.Context(), "stubborn")
			if err == nil && i.Phase == manager.PhaseStopped {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("its container is %+v, %v", i, err)
			}
		}
	})
	t.Run("its room is told, and the Manager's", func(t *testing.T) {
		home, err := w.Room(t.Context(), manager.ManagerRoom)
		if err != nil {
			t.Fatal(err)
		}
		w.matrix.join(t, home.Matrix)
		for _, place := range []string{w.room(t, "stubborn"), home.Matrix} {
			w.until(t, "a room shows it", func() error {
				for _, want := range []string{"is-misbehaving", "was denied", "worker suspend"} {
					if text := string(w.shown(t, place)); !strings.Contains(text, want) {
						return fmt.Errorf("%q is not in %s", want, text)
					}
				}
				return nil
			})
		}
	})
	t.Run("one that makes the same call again and again is stuck", func(t *testing.T) {
		got := w.becomes(t, "looping", manager.Stuck)
		if got.Suspended || !strings.Contains(got.Health.Reason, "issues.read was made") {
			t.Errorf("it is %+v", got)
		}
	})
	t.Run("an update to an image that is not there leaves it as it was", func(t *testing.T) { w.updateToNothing(t, "looping") })
	t.Run("one that sleeps is stopped and cut off, and wakes as it was", func(t *testing.T) { w.sleep(t, "looping") })
	t.Run("one that takes its token by file gets another without a restart", func(t *testing.T) { w.rotateByFile(t, image) })
	t.Run("one is suspended and resumed by a word in the Manager's room", func(t *testing.T) { w.command(t, "looping") })
	t.Run("one that is killed for its memory is restarted, and later again", func(t *testing.T) {
		got := w.becomes(t, "greedy", manager.Down)
		if !strings.Contains(got.Health.Reason, "out of memory") {
			t.Errorf("it is %+v", got)
		}
		restarts := w.restarts(t, "greedy", 2)
		if d := restarts[1].Sub(restarts[0]); d < backoff {
			t.Errorf("the second restart came %v after the first", d)
		}
	})
}

// updateToNothing updates a Worker to an image that nobody has.
func (w *world) updateToNothing(t *testing.T, id string) {
	t.Helper()
	before, err := w.backend.Instance(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	was := w.settled(t, id)
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		spec := was.WorkerSpec
		spec.Image = "sha256:" + strings.Repeat("0", 64)
		_, err := tx.UpdateWorker(ctx, id, 0, spec)
		return err
	})
	got := w.settled(t, id)
	after, err := w.backend.Instance(t.Context(), id)
	if err != nil || after != before || got.TokenID != was.TokenID || got.Image != was.Image || !strings.Contains(got.Problem, "has no image") {
		t.Errorf("it was %+v in %+v,\nis %+v in %+v, %v", was, before, got, after, err)
	}
	if token, err := w.Token(t.Context(), got.TokenID); err != nil || !token.Live(time.Now()) {
		t.Errorf("its token is %+v, %v", token, err)
	}
	if l, err := w.Grants(t.Context(), store.GrantFilter{Consumer: got.Consumer}, manager.Page{}); err != nil || len(l.Items) != 1 {
		t.Errorf("its grants are %+v, %v", l.Items, err)
	}
}

// sleep puts a Worker to sleep and wakes it.
func (w *world) sleep(t *testing.T, id string) {
	t.Helper()
	was := w.settled(t, id)
	do := func(change func(*store.Tx, context.Context, string, uint64) (manager.Worker, error)) {
		w.change(t, func(tx *store.Tx, ctx context.Context) error { _, err := change(tx, ctx, id, 0); return err })
	}
	do((*store.Tx).SleepWorker)
	asleep := w.settled(t, id)
	i, err := w.backend.Instance(t.Context(), id)
	c, cErr := w.Consumer(t.Context(), asleep.Consumer)
	if err != nil || cErr != nil || i.Phase != manager.PhaseStopped || c.State != snapshot.Suspended || !asleep.Asleep {
		t.Errorf("asleep: %+v, %v; %+v, %v; %+v", i, err, c, cErr, asleep)
	}
	do((*store.Tx).WakeWorker)
	start := time.Now()
	awake := w.settled(t, id)
	t.Logf("awake after %v", time.Since(start))
	if i, err := w.backend.Instance(t.Context(), id); err != nil || i.Phase != manager.PhaseRunning || i.Run != was.Run || awake.TokenID != was.TokenID {
		t.Errorf("awake: %+v, %v; %+v", i, err, awake)
	}
}

// rotateByFile gives a Worker another token while it runs, and another while it is
// suspended.
func (w *world) rotateByFile(t *testing.T, image string) {
	t.Helper()
	const id = "filer"
	do := func(change func(*store.Tx, context.Context) error) manager.Worker {
		w.change(t, change)
		return w.settled(t, id)
	}
	rotate := func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.RotateWorker(ctx, id, 0, manager.WorkerRotation{})
		return err
	}
	files := func() string {
		return string(w.Get(t, "/v1.41/containers/keyward-worker-"+id+"/archive?path="+manager.WorkerFiles))
	}
	instance := func() manager.Instance {
		i, err := w.backend.Instance(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	was := do(func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.CreateWorker(ctx, manager.NewWorker{
			ID: id, WorkerSpec: manager.WorkerSpec{Image: image, Command: []string{"same"}, Token: manager.ByFile},
		})
		return err
	})
	before, first := instance(), files()
	rotated := do(rotate)
	second := files()
	if instance() != before || second == first || rotated.TokenID == was.TokenID {
		t.Errorf("rotated: it was %+v in %+v, is %+v in %+v", was, before, rotated, instance())
	}
	do(func(tx *store.Tx, ctx context.Context) error { _, err := tx.SuspendWorker(ctx, id, 0); return err })
	do(rotate)
	do(func(tx *store.Tx, ctx context.Context) error { _, err := tx.ResumeWorker(ctx, id, 0); return err })
	if i := instance(); i.Phase != manager.PhaseRunning || i.Run != before.Run || files() == second {
		t.Errorf("rotated while it was suspended, and resumed: %+v", i)
	}
}

// command has alice suspend a Worker and resume it.
func (w *world) command(t *testing.T, id string) {
	t.Helper()
	was := w.settled(t, id)
	home, err := w.Room(t.Context(), manager.ManagerRoom)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		verb  string
		state snapshot.State
		phase manager.Phase
	}{{"suspend", snapshot.Suspended, manager.PhaseStopped}, {"resume", snapshot.Active, manager.PhaseRunning}} {
		say := map[string]string{"msgtype": "m.text", "body": "!keyward " + c.verb + " " + was.Consumer}
		w.matrix.Call(t, http.MethodPut, "/_matrix/client/v3/rooms/"+url.PathEscape(home.Matrix)+"/send/m.room.message/"+c.verb, w.matrix.alice.Token, say, nil)
		w.until(t, c.verb, func() error {
			i, err := w.backend.Instance(t.Context(), id)
			k, kErr := w.Consumer(t.Context(), was.Consumer)
			if err = errors.Join(err, kErr); err != nil || i.Phase != c.phase || k.State != c.state {
				return fmt.Errorf("%+v, %+v, %w", i, k, err)
			}
			return nil
		})
	}
	if got := w.settled(t, id); got.TokenID != was.TokenID || got.Run != was.Run {
		t.Errorf("it was %+v, is %+v", was, got)
	}
}

// settled waits until nothing is to be done to a Worker.
func (w *world) settled(t *testing.T, id string) manager.Worker {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		got, err := w.Worker(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if got.Task == "" {
			return got
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is %+v\n%s", got, w.log.String())
		}
	}
}

// becomes waits until a Worker is in a state.
func (w *world) becomes(t *testing.T, id string, state manager.HealthState) manager.WatchedWorker {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
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

// noticed is how long before its suspension a Worker's first refusal was stored,
// and the tenth, for which the rules wait.
func (w *world) noticed(t *testing.T, got manager.WatchedWorker) (first, enough time.Duration) {
	t.Helper()
	f := store.LogFilter{Consumer: got.Consumer, Kind: manager.EntryDecision, Reason: string(policies.NotGranted)}
	l, err := w.QueryLog(t.Context(), f, manager.Page{Limit: 10})
	if err != nil || len(l.Items) < 10 {
		t.Fatalf("%d refusals, %v", len(l.Items), err)
	}
	return got.Health.Since.Sub(l.Items[0].Time), got.Health.Since.Sub(l.Items[9].Time)
}

// detect has n Workers try what they may not, and measures how soon each is
// suspended, with the heartbeat as it is unless set otherwise.
func (w *world) detect(t *testing.T, image string, n int) (first, enough []time.Duration) {
	t.Helper()
	h, err := heartbeat.New(w.Store, w.backend, heartbeat.Options{Log: w.logger()})
	if err != nil {
		t.Fatal(err)
	}
	run(t, h.Run)
	for i := range n {
		w.createUnwell(t, fmt.Sprint("stubborn-", i), image, "denied", manager.WorkerHeartbeat{Misbehaving: manager.Suspend})
	}
	for i := range n {
		f, e := w.noticed(t, w.becomes(t, fmt.Sprint("stubborn-", i), manager.Misbehaving))
		first, enough = append(first, f), append(enough, e)
	}
	return first, enough
}

// createUnwell creates a Worker that is not well in some way.
func (w *world) createUnwell(t *testing.T, id, image, how string, on manager.WorkerHeartbeat) {
	t.Helper()
	w.change(t, func(tx *store.Tx, ctx context.Context) error {
		_, err := tx.CreateWorker(ctx, manager.NewWorker{
			ID: id, Grants: []manager.WorkerGrant{{Target: "github", GrantSpec: manager.GrantSpec{Tools: []string{"issues.read"}}}},
			WorkerSpec: manager.WorkerSpec{Image: image, Command: []string{how}, Heartbeat: on, Limits: manager.WorkerLimits{MemoryMB: 64}},
		})
		return err
	})
}

// restarts waits until the log has so many restarts of a Worker, and returns when
// they were.
func (w *world) restarts(t *testing.T, id string, n int) []time.Time {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
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
