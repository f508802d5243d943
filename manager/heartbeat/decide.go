package heartbeat

import (
	"fmt"
	"strings"
	"time"

	"keyward/manager"
)

// Restarts of a Worker for its health.
const (
	MaxRestarts = 5                // in a row; then it is left as it is
	Backoff     = 30 * time.Second // between the first and the second, unless an option says otherwise; doubled each time
	lastBackoff = 30 * time.Minute //
	recovered   = 10 * time.Minute // well for so long, the next is the first again
)

// givenUp ends the reason of a Worker that was restarted often enough.
var givenUp = fmt.Sprintf("; after %d restarts in a row it is left as it is", MaxRestarts)

// Phases of a container that no backend reports.
const (
	phaseNone    = "none"
	phaseUnknown = "unknown" // the backend does not answer
)

// backoff is how long to wait after the n-th restart in a row, where it is first
// after the first; n is 1 at least.
func backoff(first time.Duration, n int64) time.Duration {
	return min(first<<min(n-1, 10), lastBackoff)
}

// An outcome is what one look at a Worker came to.
type outcome struct {
	health manager.WorkerHealth
	news   bool                 // the state is another, which is to be recorded
	do     manager.HealthAction // empty: nothing
	sleep  bool                 // it is to be put to sleep
}

// restartedAt keeps when a Worker was restarted, if it was: at the time of the
// transaction, which is the time that the log shows. The look was a little before.
func (o *outcome) restartedAt(t time.Time) {
	if o.do == manager.Restart {
		o.health.Restarted, o.health.CountedFrom = t, t
	}
}

// decide says what a Worker's health is, after what it was, and what to do. w is
// neither suspended nor being deleted. first is the [Backoff].
func decide(w manager.Worker, was manager.WorkerHealth, v verdict, f manager.WorkerFacts, first time.Duration, now time.Time) outcome {
	o := outcome{health: was}
	h := &o.health
	h.Problem = v.problem
	well := v.state == manager.Healthy || v.state == manager.IdleHealth
	if v.state == "" || well && unclear(w, f) { // what is not known is not better than before
		return o
	}
	if v.state != was.State {
		h.State, h.Reason, h.Since, h.Facts = v.state, v.reason, now, &f
		o.news = !well || was.State != ""
	}
	if w.Task != "" {
		return o
	}
	switch h.State {
	case manager.Healthy, manager.IdleHealth:
		if h.Restarts > 0 && now.Sub(later(h.Since, h.Restarted)) >= recovered {
			h.Restarts = 0
		}
		if stop := w.Heartbeat.IdleStop(); stop > 0 && f.Container.Phase == string(manager.PhaseRunning) && f.QuietSeconds >= int64(stop/time.Second) {
			o.sleep = true
			o.news = o.news && h.State == manager.IdleHealth // the other is no news any more
			h.State, h.Facts = manager.IdleHealth, &f
			h.Reason = fmt.Sprintf("no request for %d s: put to sleep", f.QuietSeconds)
			if was.State != manager.IdleHealth {
				h.Since = now
			}
		}
	default:
		o.act(w, first, now)
	}
	return o
}

// unclear reports whether a Worker may not be well, though nothing speaks against
// it: it is being worked on, or its container is not to be seen.
func unclear(w manager.Worker, f manager.WorkerFacts) bool {
	return w.Task != "" || f.Container.Phase == phaseUnknown || f.Container.Phase == string(manager.PhaseStarting)
}

// act decides what is done about a Worker that is not well.
func (o *outcome) act(w manager.Worker, first time.Duration, now time.Time) {
	h := &o.health
	switch w.Heartbeat.On(h.State) {
	case manager.Suspend:
		o.do = manager.Suspend
	case manager.Restart:
		if h.Restarts > 0 && now.Sub(h.Restarted) < backoff(first, h.Restarts) {
			return
		}
		if h.Restarts >= MaxRestarts {
			if !strings.HasSuffix(h.Reason, givenUp) {
				h.Reason += givenUp
				o.news = true
			}
			return
		}
		o.do = manager.Restart
		h.Restarts++
		o.restartedAt(now)
	}
}
