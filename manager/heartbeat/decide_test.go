package heartbeat

import (
	"strings"
	"testing"
	"time"

	"keyward/manager"
)

func facts(phase manager.Phase, quiet int64) manager.WorkerFacts {
	return manager.WorkerFacts{Container: manager.FactsContainer{Phase: string(phase)}, QuietSeconds: quiet}
}

func TestDecide(t *testing.T) {
	tell := manager.WorkerHeartbeat{}
	tests := []struct {
		name  string
		w     manager.Worker
		was   manager.HealthState
		v     verdict
		f     manager.WorkerFacts
		want  manager.HealthState
		news  bool
		do    manager.HealthAction
		sleep bool
	}{
		{name: "that a new one is well is no news", v: verdict{state: manager.Healthy}, want: manager.Healthy},
		{name: "that it is stuck is", was: manager.Healthy, v: verdict{state: manager.Stuck, reason: "x"}, want: manager.Stuck, news: true},
		{name: "that a new one is stuck too", v: verdict{state: manager.Stuck, reason: "x"}, want: manager.Stuck, news: true},
		{name: "once", was: manager.Stuck, v: verdict{state: manager.Stuck, reason: "y"}, want: manager.Stuck},
		{name: "and that it is well again", was: manager.Stuck, v: verdict{state: manager.Healthy}, want: manager.Healthy, news: true},
		{
			name: "misbehaving, to be suspended", w: manager.Worker{WorkerSpec: manager.WorkerSpec{Heartbeat: manager.WorkerHeartbeat{Misbehaving: manager.Suspend}}},
			was: manager.Healthy, v: verdict{state: manager.Misbehaving, reason: "x"}, want: manager.Misbehaving, news: true, do: manager.Suspend,
		},
		{
			name: "stuck, where only misbehaving is suspended", w: manager.Worker{WorkerSpec: manager.WorkerSpec{Heartbeat: manager.WorkerHeartbeat{Misbehaving: manager.Suspend}}},
			was: manager.Healthy, v: verdict{state: manager.Stuck, reason: "x"}, want: manager.Stuck, news: true,
		},
		{
			name: "nothing is done while it is worked on", w: manager.Worker{Task: manager.TaskUpdate, WorkerSpec: manager.WorkerSpec{Heartbeat: manager.WorkerHeartbeat{Down: manager.Restart}}},
			was: manager.Healthy, v: verdict{state: manager.Down, reason: "x"}, want: manager.Down, news: true,
		},
		{name: "nor is it well then", w: manager.Worker{Task: manager.TaskRotate}, was: manager.Down, v: verdict{state: manager.Healthy}, want: manager.Down},
		{name: "nor while the backend does not answer", was: manager.Down, v: verdict{state: manager.Healthy}, f: facts(phaseUnknown, 0), want: manager.Down},
		{name: "nor while it starts", was: manager.Down, v: verdict{state: manager.IdleHealth}, f: facts(manager.PhaseStarting, 0), want: manager.Down},
		{name: "nor if no rule can say", was: manager.Misbehaving, v: verdict{problem: "x"}, want: manager.Misbehaving},
		{
			name: "nothing to do for long enough", w: manager.Worker{WorkerSpec: manager.WorkerSpec{Heartbeat: manager.WorkerHeartbeat{IdleStopSeconds: 600}}},
			was: manager.Healthy, v: verdict{state: manager.Healthy}, f: facts(manager.PhaseRunning, 600), want: manager.IdleHealth, sleep: true,
		},
		{
			name: "nothing to do, but not for long enough", w: manager.Worker{WorkerSpec: manager.WorkerSpec{Heartbeat: manager.WorkerHeartbeat{IdleStopSeconds: 600}}},
			was: manager.Healthy, v: verdict{state: manager.IdleHealth, reason: "x"}, f: facts(manager.PhaseRunning, 599), want: manager.IdleHealth, news: true,
		},
		{
			name: "stuck is not put to sleep", w: manager.Worker{WorkerSpec: manager.WorkerSpec{Heartbeat: manager.WorkerHeartbeat{IdleStopSeconds: 600}}},
			was: manager.Stuck, v: verdict{state: manager.Stuck, reason: "x"}, f: facts(manager.PhaseRunning, 600), want: manager.Stuck,
		},
		{name: "one that never is to sleep", w: manager.Worker{WorkerSpec: manager.WorkerSpec{Heartbeat: tell}}, was: manager.IdleHealth, v: verdict{state: manager.IdleHealth}, f: facts(manager.PhaseRunning, 1<<40), want: manager.IdleHealth},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.f.Container.Phase == "" {
				tt.f.Container.Phase = string(manager.PhaseRunning)
			}
			o := decide(tt.w, manager.WorkerHealth{State: tt.was}, tt.v, tt.f, Backoff, noon)
			if o.health.State != tt.want || o.news != tt.news || o.do != tt.do || o.sleep != tt.sleep {
				t.Errorf("%+v, news %v, do %q, sleep %v; want %q, %v, %q, %v", o.health, o.news, o.do, o.sleep, tt.want, tt.news, tt.do, tt.sleep)
			}
		})
	}
}

// TestRestarts: they come at longer and longer intervals, end, and begin anew once
// a Worker was well for long enough.
func TestRestarts(t *testing.T) {
	w := manager.Worker{WorkerSpec: manager.WorkerSpec{Heartbeat: manager.WorkerHeartbeat{Down: manager.Restart}}}
	dead := verdict{state: manager.Down, reason: "its container has ended"}
	h := manager.WorkerHealth{State: manager.Healthy}
	var at []time.Duration
	news := 0
	for d := time.Duration(0); d < 2*time.Hour; d += 10 * time.Second {
		o := decide(w, h, dead, facts(manager.PhaseFailed, 0), Backoff, noon.Add(d))
		if o.do == manager.Restart {
			at = append(at, d)
		}
		if o.news {
			news++
		}
		h = o.health
	}
	want := []time.Duration{0, 30 * time.Second, 90 * time.Second, 210 * time.Second, 450 * time.Second}
	if len(at) != MaxRestarts {
		t.Fatalf("restarts at %v", at)
	}
	for i := range want {
		if at[i] != want[i] {
			t.Errorf("restarts at %v, want %v", at, want)
			break
		}
	}
	if news != 2 || !strings.HasSuffix(h.Reason, givenUp) {
		t.Errorf("told %d times, at last that %q; want that it is down, and that it is left so", news, h.Reason)
	}
	well := verdict{state: manager.Healthy}
	for d := time.Duration(0); d <= recovered; d += time.Minute {
		h = decide(w, h, well, facts(manager.PhaseRunning, 0), Backoff, noon.Add(3*time.Hour+d)).health
	}
	if o := decide(w, h, dead, facts(manager.PhaseFailed, 0), Backoff, noon.Add(4*time.Hour)); h.Restarts != 0 || o.do != manager.Restart {
		t.Errorf("well again: %+v, then %q", h, o.do)
	}
}
