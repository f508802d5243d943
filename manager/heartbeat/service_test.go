package heartbeat_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"keyward/manager"
	"keyward/manager/heartbeat"
	"keyward/manager/rego"
	"keyward/manager/store"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// An engine is a backend that only tells what is there.
type engine struct {
	manager.Launcher
	mu   sync.Mutex
	list []manager.Instance
	away bool
}

func (e *engine) Instances(context.Context) ([]manager.Instance, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.away {
		return nil, errors.New("the engine is away")
	}
	return e.list, nil
}

// A world is a store with one Worker, its container, and a clock.
type world struct {
	*store.Store
	dsn string
	*engine
	*heartbeat.Service
	registry *prometheus.Registry
	now      time.Time
	tick     time.Duration // that passes before the store looks at the clock
	sequence uint64
}

func newWorld(t *testing.T, db database, h manager.WorkerHeartbeat) *world {
	t.Helper()
	w := &world{dsn: db(t), engine: &engine{}, now: time.Date(2026, 1, 5, 12, 0, 0, 0, time.UTC)}
	var err error
	w.Store, err = store.Open(t.Context(), w.dsn, store.Options{Now: func() time.Time {
		w.now = w.now.Add(w.tick)
		return w.now
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	w.change(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.CreateWorker(ctx, manager.NewWorker{ID: "researcher", WorkerSpec: manager.WorkerSpec{Image: "sha256:" + strings.Repeat("a", 64), Heartbeat: h}})
		return err
	})
	w.launched(t)
	w.restartManager(t)
	w.look(t)
	return w
}

// restartManager begins with a service that knows nothing but the store.
func (w *world) restartManager(t *testing.T) {
	t.Helper()
	w.registry = prometheus.NewRegistry()
	var err error
	w.Service, err = heartbeat.New(w.Store, w.engine, heartbeat.Options{
		Now: func() time.Time { return w.now }, Background: []string{"files"}, Metrics: w.registry, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) change(t *testing.T, fn func(context.Context, *store.Tx) error) {
	t.Helper()
	_, err := w.Mutate(t.Context(), store.Mutation{By: manager.Self}, func(tx *store.Tx) error { return fn(t.Context(), tx) })
	if err != nil {
		t.Fatal(err)
	}
}

// launched does what the service of Workers would.
func (w *world) launched(t *testing.T) {
	t.Helper()
	w.change(t, func(ctx context.Context, tx *store.Tx) error {
		_, _, err := tx.TokenForWorker(ctx, "researcher", 0)
		return err
	})
	got := w.worker(t)
	if err := w.NoteWorker(t.Context(), got.ID, got.Version, []string{manager.DoneToken, manager.DoneContainer}, ""); err != nil {
		t.Fatal(err)
	}
	w.settled(t)
	w.phase(manager.PhaseRunning, "")
}

func (w *world) settled(t *testing.T) {
	t.Helper()
	w.change(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SettleWorker(ctx, "researcher", 0)
		return err
	})
}

func (w *world) phase(p manager.Phase, detail string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.list = []manager.Instance{{Worker: "researcher", Run: "r", Phase: p, Detail: detail, Started: w.now}}
}

func (w *world) worker(t *testing.T) manager.Worker {
	t.Helper()
	got, err := w.Worker(t.Context(), "researcher")
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// look lets ten seconds pass, and looks.
func (w *world) look(t *testing.T) manager.WorkerHealth {
	t.Helper()
	w.now = w.now.Add(10 * time.Second)
	return w.lookNow(t)
}

func (w *world) lookNow(t *testing.T) manager.WorkerHealth {
	t.Helper()
	if err := w.Look(t.Context()); err != nil {
		t.Fatal(err)
	}
	return w.health(t)
}

func (w *world) health(t *testing.T) manager.WorkerHealth {
	t.Helper()
	h, err := w.WorkerHealth(t.Context(), "researcher")
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// record has a gateway tell of n requests.
func (w *world) record(t *testing.T, n int, change func(i int, r *policies.Record)) {
	t.Helper()
	var list []policies.Record
	for i := range n {
		w.sequence++
		r := policies.Record{
			Type: policies.RecordDecision, ID: "d", Time: w.now, Sequence: w.sequence, Kind: policies.KindMCP, Consumer: "worker-researcher",
			Target: "github", Method: "tools/call", Name: "search", Digest: "same", Verdict: policies.Allow, Status: 200,
		}
		change(i, &r)
		list = append(list, r)
	}
	if err := w.AppendRecords(t.Context(), "gateway", "vm", list); err != nil {
		t.Fatal(err)
	}
}

func denied(_ int, r *policies.Record) {
	r.Name, r.Verdict, r.Reason, r.Status = "delete_everything", policies.Deny, policies.NotGranted, 403
}

func same(int, *policies.Record) {}

// events are what the log says was done to the Worker, with why.
func (w *world) events(t *testing.T) (list []string) {
	t.Helper()
	l, err := w.Log(t.Context(), 0, 500)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l {
		if e.Event == nil || e.Event.Kind != manager.KindWorker {
			continue
		}
		switch action := strings.TrimPrefix(e.Event.Action, "worker."); action {
		case "create", "token", "settle":
		default:
			if e.Event.Actor != manager.Self {
				t.Errorf("%s was done by %+v", action, e.Event.Actor)
			}
			list = append(list, action+": "+e.Event.Note)
		}
	}
	return list
}

func (w *world) told(t *testing.T, want ...string) {
	t.Helper()
	got := w.events(t)
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the log tells\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func testMisbehavingIsSuspended(t *testing.T, db database) {
	w := newWorld(t, db, manager.WorkerHeartbeat{Misbehaving: manager.Suspend})
	w.record(t, 9, denied)
	if h := w.look(t); h.State != manager.Healthy {
		t.Fatalf("after 9: %+v", h)
	}
	w.record(t, 1, denied)
	h := w.look(t)
	const why = "github tools/call delete_everything was denied 10 times"
	if h.State != manager.Misbehaving || h.Reason != why || h.Facts == nil || h.Facts.Refused.Count != 10 {
		t.Fatalf("after 10: %+v", h)
	}
	got := w.worker(t)
	c, err := w.Consumer(t.Context(), got.Consumer)
	if err != nil || !got.Suspended || got.Asleep || c.State != snapshot.Suspended {
		t.Errorf("it is %+v, its consumer %+v, %v", got, c, err)
	}
	w.restartManager(t)
	w.look(t)
	w.look(t)
	w.told(t, "is-misbehaving: "+why, "suspend: "+why)
	if h := w.health(t); h.State != manager.Misbehaving {
		t.Errorf("while suspended: %+v", h)
	}

	w.settled(t)
	w.change(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.ResumeWorker(ctx, "researcher", 0)
		return err
	})
	w.settled(t)
	w.record(t, 1, denied)
	if h := w.look(t); h.State != manager.Healthy || w.worker(t).Suspended {
		t.Errorf("resumed by a human: %+v; want what was before to count for nothing", h)
	}
}

func testATokenBudgetIsHeld(t *testing.T, db database) {
	w := newWorld(t, db, manager.WorkerHeartbeat{Misbehaving: manager.Suspend, HourTokens: 1000})
	chat := func(in, out uint64) {
		w.record(t, 1, func(_ int, r *policies.Record) {
			r.Kind, r.Target, r.Method, r.Name, r.Digest = policies.KindLLM, "llm", "POST", "/v1/chat/completions", ""
			r.RequestBytes, r.Tokens = w.sequence, &policies.Tokens{Input: in, Output: out}
		})
	}
	chat(900, 100)
	if h := w.look(t); h.State != manager.Healthy {
		t.Fatalf("just within its budget: %+v", h)
	}
	w.restartManager(t) // it counts again from the log
	chat(0, 1)
	h := w.look(t)
	if h.State != manager.Misbehaving || h.Reason != "1001 model tokens in an hour, of 1000" || h.Facts.Hour.OutputTokens != 101 || !w.worker(t).Suspended {
		t.Errorf("beyond its budget: %+v with %+v, suspended %v", h, h.Facts, w.worker(t).Suspended)
	}
}

func testStuckIsTold(t *testing.T, db database) {
	w := newWorld(t, db, manager.WorkerHeartbeat{Misbehaving: manager.Suspend})
	w.record(t, 30, same)
	h := w.look(t)
	const why = "github tools/call search was made 30 times"
	if h.State != manager.Stuck || h.Reason != why {
		t.Fatalf("it is %+v", h)
	}
	w.look(t)
	w.restartManager(t) // as after kill -9
	w.look(t)
	w.told(t, "is-stuck: "+why)
	w.now = w.now.Add(15 * time.Minute)
	w.record(t, 1, same)
	w.look(t)
	w.told(t, "is-stuck: "+why, "is-healthy: ")
	if w.worker(t).Suspended {
		t.Error("it was suspended")
	}
}

// testFilesAreBackground: a Worker that syncs its files again and again, with
// targets that nobody has labelled, is none that makes one call again and again.
func testFilesAreBackground(t *testing.T, db database) {
	w := newWorld(t, db, manager.WorkerHeartbeat{})
	w.record(t, 40, func(_ int, r *policies.Record) {
		r.Kind, r.Target, r.Method, r.Name = policies.KindHTTP, "files", "GET", "/files/workers/researcher/"
	})
	if h := w.look(t); h.State != manager.Healthy {
		t.Fatalf("it is %+v", h)
	}
	w.change(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.CreateTarget(ctx, manager.NewTarget{ID: "files", TargetSpec: manager.TargetSpec{
			Kind: policies.KindHTTP, Match: []snapshot.Match{{Path: "/files"}}, Labels: map[string]string{heartbeat.LabelBackground: "false"},
		}})
		return err
	})
	w.restartManager(t)
	if h := w.look(t); h.State != manager.Stuck {
		t.Errorf("where files are said to be work it is %+v", h)
	}
}

func testDownIsRestartedWithBackoff(t *testing.T, db database) {
	w := newWorld(t, db, manager.WorkerHeartbeat{Down: manager.Restart})
	first := w.worker(t)
	const why = "its container has ended: failed out of memory"
	w.phase(manager.PhaseFailed, "out of memory")
	if h := w.look(t); h.State != manager.Down || h.Restarts != 1 {
		t.Fatalf("it is %+v", h)
	}
	if got := w.worker(t); got.Task != manager.TaskRotate || got.Has(manager.DoneContainer) {
		t.Errorf("it is %+v; want it to get another container", got)
	}
	w.told(t, "is-down: "+why, "restart: "+why)
	w.launched(t)
	if h := w.look(t); h.State != manager.Healthy || w.worker(t).TokenID == first.TokenID {
		t.Errorf("restarted: %+v", h)
	}
	w.phase(manager.PhaseFailed, "out of memory")
	if h := w.look(t); h.State != manager.Down || h.Restarts != 1 || w.worker(t).Task != "" {
		t.Errorf("down again within the backoff: %+v", h)
	}
	w.restartManager(t)
	if h := w.look(t); h.Restarts != 2 || w.worker(t).Task == "" {
		t.Errorf("after the backoff: %+v", h)
	}
	w.told(t, "is-down: "+why, "restart: "+why, "is-healthy: ", "is-down: "+why, "restart: "+why)
}

// testBackoffIsByRecordedTimes: the log shows when the transaction was, which is a
// little after the look; the second restart must not seem to come too early.
func testBackoffIsByRecordedTimes(t *testing.T, db database) {
	w := newWorld(t, db, manager.WorkerHeartbeat{Down: manager.Restart})
	w.phase(manager.PhaseFailed, "out of memory")
	w.tick = 7 * time.Millisecond
	w.look(t)
	w.tick = 0
	w.launched(t)
	w.phase(manager.PhaseFailed, "out of memory")
	for step := time.Duration(0); w.health(t).Restarts < 2; step += time.Millisecond {
		w.now = w.health(t).Restarted.Add(heartbeat.Backoff - 10*time.Millisecond + step)
		w.lookNow(t)
	}
	var at []time.Time
	l, err := w.Log(t.Context(), 0, 500)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range l {
		if e.Event != nil && e.Event.Action == "worker.restart" {
			at = append(at, e.Event.Time)
		}
	}
	if len(at) != 2 || at[1].Sub(at[0]) != heartbeat.Backoff || !w.health(t).Restarted.Equal(at[1]) {
		t.Errorf("the log shows restarts at %v, health the last at %v", at, w.health(t).Restarted)
	}
}

func testIdleSleepsAndWakes(t *testing.T, db database) {
	w := newWorld(t, db, manager.WorkerHeartbeat{IdleStopSeconds: 1800})
	w.record(t, 1, same)
	w.now = w.now.Add(29 * time.Minute)
	if h := w.look(t); h.State != manager.IdleHealth || w.worker(t).Asleep {
		t.Fatalf("it is %+v", h)
	}
	w.restartManager(t) // which must find out when its last request was
	w.now = w.now.Add(time.Minute)
	w.look(t)
	got := w.worker(t)
	c, err := w.Consumer(t.Context(), got.Consumer)
	if err != nil || !got.Asleep || !got.Suspended || c.State != snapshot.Suspended {
		t.Fatalf("it is %+v, its consumer %+v, %v", got, c, err)
	}
	w.settled(t)
	live := func() int {
		l, err := w.Tokens(t.Context(), store.TokenFilter{Consumer: got.Consumer}, manager.Page{})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, token := range l.Items {
			if token.Live(w.now) {
				n++
			}
		}
		return n
	}
	if live() != 1 {
		t.Errorf("%d tokens; want its own to be kept for when it wakes", live())
	}
	w.change(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.WakeWorker(ctx, "researcher", 0)
		return err
	})
	w.settled(t)
	w.phase(manager.PhaseRunning, "")
	if h := w.look(t); h.State != manager.Healthy || w.worker(t).Suspended || w.worker(t).Run != got.Run {
		t.Errorf("awake: %+v, %+v", h, w.worker(t))
	}
	w.told(t, "is-idle: no request for 1750 s", "sleep: no request for 1820 s: put to sleep", "wake: ")
}

func testOnlyTheSleepingAreWoken(t *testing.T, db database) {
	w := newWorld(t, db, manager.WorkerHeartbeat{})
	wake := func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.WakeWorker(ctx, "researcher", 0)
		return err
	}
	w.change(t, wake) // it is awake
	w.change(t, func(ctx context.Context, tx *store.Tx) error {
		_, err := tx.SuspendWorker(ctx, "researcher", 0)
		return err
	})
	_, err := w.Mutate(t.Context(), store.Mutation{By: manager.Self}, func(tx *store.Tx) error { return wake(t.Context(), tx) })
	if !errors.Is(err, manager.ErrState) || !w.worker(t).Suspended {
		t.Errorf("waking one that is suspended: %v", err)
	}
}

func testTheBackendIsAway(t *testing.T, db database) {
	w := newWorld(t, db, manager.WorkerHeartbeat{Down: manager.Restart})
	w.away = true
	if h := w.look(t); h.State != manager.Healthy {
		t.Errorf("it is %+v", h)
	}
	w.record(t, 10, denied) // what does not come from there still counts
	if h := w.look(t); h.State != manager.Misbehaving {
		t.Errorf("it is %+v", h)
	}
	w.away = false
	w.list = nil
	if h := w.look(t); h.State != manager.Down || h.Reason != "it has no container" {
		t.Errorf("it is %+v", h)
	}
}

// publish makes a policy the live one.
func (w *world) publish(t *testing.T, text, data string) {
	t.Helper()
	src := manager.PolicySource{Modules: map[string]string{"policy.rego": "package keyward\n\ndefault allow := false\n"}}
	if text != "" {
		src.Modules["heartbeat.rego"] = "package keyward.heartbeat\n\n" + text
	}
	if data != "" {
		src.Data = json.RawMessage(data)
	}
	program, err := rego.Compiler{}.Compile(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	w.change(t, func(ctx context.Context, tx *store.Tx) error {
		p, err := tx.CreatePolicy(ctx, manager.PolicySpec{PolicySource: src})
		if err != nil {
			return err
		}
		_, err = tx.PublishPolicy(ctx, p.ID, 0, program)
		return err
	})
}

func testRulesOfThePolicy(t *testing.T, db database) {
	for _, tt := range []struct {
		name, rules, data string
		want              manager.HealthState
		reason, problem   string
	}{
		{name: "without any the built-in ones hold", want: manager.Misbehaving, reason: "was denied 12 times"},
		{name: "one of its own is asked instead", rules: `misbehaving contains "it is Friday"`, want: manager.Misbehaving, reason: "it is Friday"},
		{name: "it may say nothing", rules: `misbehaving contains "never" if input.now < 0`, want: manager.Healthy},
		{name: "the others stay", rules: `stuck contains "never" if input.now < 0`, want: manager.Misbehaving, reason: "was denied 12 times"},
		{name: "the worst comes first", rules: `down contains "the label says so" if input.worker.id == "researcher"`, want: manager.Down, reason: "the label says so"},
		{name: "numbers may come from data", data: `{"heartbeat": {"denied_same": 13}}`, want: manager.Healthy},
		{name: "one that is undefined is not asked", rules: `misbehaving := {"x"} if input.now < 0`, want: manager.Misbehaving, reason: "was denied 12 times", problem: "undefined"},
		{name: "nor one that is no set of texts", rules: `misbehaving := false`, want: manager.Misbehaving, reason: "was denied 12 times", problem: "no set of texts"},
		{name: "nor one with a number in it", rules: `misbehaving contains 1`, want: manager.Misbehaving, reason: "was denied 12 times", problem: "no set of texts"},
		{
			name: "nor one that takes too long", rules: `misbehaving contains "x" if count([1 | some a in numbers.range(1, 9999); some b in numbers.range(1, 9999)]) < 0`,
			want: manager.Misbehaving, reason: "was denied 12 times", problem: "rule misbehaving",
		},
		{name: "data that is no object", data: `{"heartbeat": "off"}`, want: manager.Misbehaving, reason: "was denied 12 times"},
		{name: "data in the place of a rule", data: `{"keyward": {"heartbeat": {"down": []}}}`, want: manager.Misbehaving, reason: "was denied 12 times", problem: "data of policy"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, db, manager.WorkerHeartbeat{})
			w.publish(t, tt.rules, tt.data)
			w.record(t, 12, denied)
			h := w.look(t)
			if h.State != tt.want || !strings.Contains(h.Reason, tt.reason) || (tt.problem == "") != (h.Problem == "") || !strings.Contains(h.Problem, tt.problem) {
				t.Errorf("it is %+v; want %q because %q, problem %q", h, tt.want, tt.reason, tt.problem)
			}
		})
	}
}

// testNamesAreHarmless: what a Worker calls its tools ends up in a reason, which
// PostgreSQL, a room and a terminal must be able to show.
func testNamesAreHarmless(t *testing.T, db database) {
	w := newWorld(t, db, manager.WorkerHeartbeat{Misbehaving: manager.Suspend})
	w.record(t, 10, func(_ int, r *policies.Record) {
		denied(0, r)
		r.Name = "a\x00b\x1b[2J\n\xff" + strings.Repeat("é", 2000)
	})
	h := w.look(t)
	if h.State != manager.Misbehaving || !w.worker(t).Suspended {
		t.Fatalf("it is %+v", h)
	}
	if len(h.Reason) > 500 || !utf8.ValidString(h.Reason) || strings.ContainsFunc(h.Reason, unicode.IsControl) {
		t.Errorf("its reason is %q", h.Reason)
	}
}

func testMetrics(t *testing.T, db database) {
	w := newWorld(t, db, manager.WorkerHeartbeat{Misbehaving: manager.Suspend})
	w.record(t, 10, denied)
	w.look(t)
	all, err := w.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range all {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"keyward_workers_health misbehaving": 1, "keyward_workers_health healthy": 0,
		"keyward_worker_health_changes_total misbehaving": 1, "keyward_worker_health_actions_total suspend": 1,
		"keyward_heartbeat_last_timestamp_seconds": float64(w.now.Unix()),
	} {
		if got[name] != want {
			t.Errorf("%s = %v, want %v", name, got[name], want)
		}
	}
}
