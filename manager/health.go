package manager

import "time"

// A HealthState is what the heartbeat makes of a Worker.
type HealthState string

// The states, the worst first. Whichever comes first in this list holds.
const (
	Down        HealthState = "down"        // its container does not run
	Misbehaving HealthState = "misbehaving" // it tries what it may not, or takes too much
	Stuck       HealthState = "stuck"       // it is busy and gets nowhere
	IdleHealth  HealthState = "idle"        // it has asked for nothing for a while
	Healthy     HealthState = "healthy"     // nothing speaks against it
)

// HealthStates are all states, the worst first.
var HealthStates = []HealthState{Down, Misbehaving, Stuck, IdleHealth, Healthy}

// HealthVerb begins what is recorded when a Worker comes to another state, such as
// is-stuck.
const HealthVerb = "is-"

// A HealthAction is what the Manager does about a Worker that is not as it should
// be. It tells in any case.
type HealthAction string

// The actions.
const (
	Tell    HealthAction = "tell"    // and nothing else; the default
	Restart HealthAction = "restart" // a fresh container and token, at longer and longer intervals
	Suspend HealthAction = "suspend" // cut off at once, until somebody resumes it
)

// Bounds of when a Worker with nothing to do is stopped.
const (
	MinIdleStop = time.Minute
	MaxIdleStop = 30 * 24 * time.Hour
)

// MaxHourTokens bounds a Worker's budget of model tokens in an hour.
const MaxHourTokens = 1_000_000_000_000

// A WorkerHeartbeat says what is done about a Worker's health. The zero value
// tells.
type WorkerHeartbeat struct {
	Down            HealthAction `json:"down,omitempty" enum:"tell,restart,suspend" doc:"What is done when it is down; absent: tell"`
	Misbehaving     HealthAction `json:"misbehaving,omitempty" enum:"tell,restart,suspend" doc:"When it misbehaves; absent: tell"`
	Stuck           HealthAction `json:"stuck,omitempty" enum:"tell,restart,suspend" doc:"When it is stuck; absent: tell"`
	HourTokens      int64        `json:"hour_tokens,omitempty" minimum:"0" maximum:"1000000000000" doc:"Model tokens, read and written, that it may take in an hour before it misbehaves; absent: what the rules say, 10 million"`
	IdleStopSeconds int64        `json:"idle_stop_seconds,omitempty" minimum:"0" maximum:"2592000" doc:"How long it may ask for nothing before it is put to sleep, at least 60; absent: for ever"`
}

// On is what is done in a state.
func (h WorkerHeartbeat) On(s HealthState) HealthAction {
	a := Tell
	switch s {
	case Down:
		a = h.Down
	case Misbehaving:
		a = h.Misbehaving
	case Stuck:
		a = h.Stuck
	}
	if a == "" {
		return Tell
	}
	return a
}

// IdleStop is after how long without a request a Worker is put to sleep; 0: never.
func (h WorkerHeartbeat) IdleStop() time.Duration {
	return time.Duration(h.IdleStopSeconds) * time.Second
}

func (h WorkerHeartbeat) validate() error {
	for field, a := range map[string]HealthAction{"down": h.Down, "misbehaving": h.Misbehaving, "stuck": h.Stuck} {
		switch a {
		case "", Tell, Restart, Suspend:
		default:
			return invalid("heartbeat."+field, "%q is not tell, restart or suspend", a)
		}
	}
	if n := h.HourTokens; n < 0 || n > MaxHourTokens {
		return invalid("heartbeat.hour_tokens", "must be 0 to %d", int64(MaxHourTokens))
	}
	const least, most = int64(MinIdleStop / time.Second), int64(MaxIdleStop / time.Second)
	if s := h.IdleStopSeconds; s != 0 && (s < least || s > most) {
		return invalid("heartbeat.idle_stop_seconds", "must be 0, or %d to %d", least, most)
	}
	return nil
}

// A WorkerHealth is what the heartbeat made of a Worker when it last changed its
// mind.
type WorkerHealth struct {
	State       HealthState  `json:"state,omitempty" enum:"down,misbehaving,stuck,idle,healthy" doc:"Absent: not looked at yet, or not since it was started anew"`
	Reason      string       `json:"reason,omitempty" doc:"Why, as the rules say it"`
	Since       time.Time    `json:"since,omitzero" doc:"When this state began"`
	CountedFrom time.Time    `json:"counted_from,omitzero" doc:"What was before counts for nothing: it was resumed or started anew then"`
	Restarts    int64        `json:"restarts,omitempty" doc:"How often in a row it was restarted for its health"`
	Restarted   time.Time    `json:"restarted,omitzero" doc:"When it was last"`
	Problem     string       `json:"problem,omitempty" doc:"What is wrong with the rules themselves; the built-in ones were asked instead"`
	Facts       *WorkerFacts `json:"facts,omitempty" doc:"The facts that decided; not in lists"`
}

// A WatchedWorker is a Worker with its health.
type WatchedWorker struct {
	Worker
	Health WorkerHealth `json:"health,omitzero" doc:"What the heartbeat made of it"`
}

// WorkerFacts are what the heartbeat knows of a Worker: the input of its rules.
// They come from the container's backend and from the gateways' records, never
// from the Worker.
type WorkerFacts struct {
	Now           int64          `json:"now" jsonschema:"when the facts were gathered, Unix seconds"`
	Worker        FactsWorker    `json:"worker" jsonschema:"what was chosen of the Worker"`
	Container     FactsContainer `json:"container" jsonschema:"what the backend says"`
	Window        FactsWindow    `json:"window" jsonschema:"its requests of the last ten minutes, or since it was resumed or started anew"`
	Repeated      FactsRepeated  `json:"repeated" jsonschema:"the allowed call that it made most often within the window"`
	Refused       FactsRepeated  `json:"refused" jsonschema:"the refused call that it made most often within the window"`
	Hour          FactsUsage     `json:"hour" jsonschema:"what it took in the last hour, or since it was resumed or started anew"`
	QuietSeconds  int64          `json:"quiet_seconds" jsonschema:"time since its last request, or since its container was started if that is later"`
	StillSeconds  int64          `json:"still_seconds" jsonschema:"time since its last allowed request that differed from all in the ten minutes before, or since its container was started"`
	Restarts      int64          `json:"restarts" jsonschema:"how often in a row it was restarted for its health"`
	LookedSeconds int64          `json:"looked_seconds" jsonschema:"time since which its requests were counted; after a start of the Manager they are counted back for an hour"`
}

// FactsWorker is what was chosen of a Worker, as far as it matters to its health.
type FactsWorker struct {
	ID              string            `json:"id" jsonschema:"stable name of the Worker"`
	Labels          map[string]string `json:"labels" jsonschema:"labels set by an administrator; never nil"`
	Task            string            `json:"task" jsonschema:"what the Manager is doing to it, such as update; empty: nothing"`
	Problem         string            `json:"problem" jsonschema:"why that is not done yet, or was given up; empty: no problem"`
	IdleStopSeconds int64             `json:"idle_stop_seconds" jsonschema:"after how long without a request it is put to sleep; 0: never"`
	HourTokens      int64             `json:"hour_tokens" jsonschema:"model tokens that it may take in an hour; 0: none were chosen for it"`
}

// FactsContainer is what the backend says of a Worker's container.
type FactsContainer struct {
	Phase   string `json:"phase" jsonschema:"starting, running, stopped, failed; none: there is none; unknown: the backend does not answer"`
	Detail  string `json:"detail" jsonschema:"such as out of memory, or exit status 1; may be empty"`
	Seconds int64  `json:"seconds" jsonschema:"time since it was started; 0: it was not"`
}

// FactsWindow counts a Worker's requests. What was refused because the Worker was
// suspended or its token was at its end counts nowhere.
type FactsWindow struct {
	Requests int64 `json:"requests" jsonschema:"all of them"`
	Allowed  int64 `json:"allowed" jsonschema:"let through"`
	Denied   int64 `json:"denied" jsonschema:"refused for what was asked: by the policy, or as malformed"`
	Asked    int64 `json:"asked" jsonschema:"refused until somebody approves"`
	Failed   int64 `json:"failed" jsonschema:"not the Worker's fault: refused because Keyward could not say, or answered by the upstream with status 5xx"`
}

// FactsRepeated is a call that was made again and again: the same target, method,
// name and arguments, or where a record has no digest of these, the same size.
type FactsRepeated struct {
	Count  int64  `json:"count" jsonschema:"how often within the window; 0: no call that can be compared"`
	Target string `json:"target" jsonschema:"of the call"`
	Method string `json:"method" jsonschema:"of the call, such as tools/call"`
	Name   string `json:"name" jsonschema:"of the call: tool, or path; the Worker's own text"`
}

// FactsUsage is what a Worker took. Tokens are what providers say in their answers;
// where one does not, as of a stream without usage, they are not known, and the
// answer is counted as that.
type FactsUsage struct {
	Requests     int64 `json:"requests" jsonschema:"requests that were let through"`
	Bytes        int64 `json:"bytes" jsonschema:"of the bodies of requests and answers"`
	Tokens       int64 `json:"tokens" jsonschema:"model tokens, input and output together"`
	InputTokens  int64 `json:"input_tokens" jsonschema:"those that models read"`
	OutputTokens int64 `json:"output_tokens" jsonschema:"those that models wrote"`
	Unmetered    int64 `json:"unmetered" jsonschema:"answers of models of which nobody knows how many tokens they took"`
}
