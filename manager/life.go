package manager

import (
	"slices"
	"time"
)

// ConsumerPrefix is before a Worker's id in the id of its consumer.
const ConsumerPrefix = "worker-"

// MaxWorkerID is the length of the longest id of a Worker, with which its
// consumer's fits.
const MaxWorkerID = MaxID - len(ConsumerPrefix)

// A Worker is a consumer in a container. Its spec says what is wanted; the rest,
// how far it is.
type Worker struct {
	Meta
	WorkerSpec
	Consumer  string   `json:"consumer" doc:"Id of its consumer, which has its grants"`
	Suspended bool     `json:"suspended" doc:"Its container is stopped and its consumer suspended"`
	Asleep    bool     `json:"asleep,omitempty" doc:"It is suspended because it had nothing to do; waking it is enough"`
	Task      Task     `json:"task,omitempty" enum:"create,update,revert,reset,rotate,suspend,resume,delete" doc:"What is being done to it; absent: it is as wanted, unless there is a problem"`
	Done      []string `json:"done,omitempty" doc:"What there is of it, in the order in which it was made"`
	Problem   string   `json:"problem,omitempty" doc:"Why the task is not done yet, or was given up"`
	// Previous is set from an update until its container is replaced.
	Previous  *WorkerSpec `json:"previous,omitempty" doc:"What its container still runs with, until what it is updated to is there; absent: what is above"`
	TokenID   string      `json:"token_id,omitempty" doc:"Id of the token that it has"`
	Run       string      `json:"run,omitempty" doc:"Names its present container among those that it had"`
	RestartAt time.Time   `json:"restart_at,omitzero" doc:"When its container is replaced, for a new token"`
}

// A Task is what is being done to a Worker.
type Task string

// The tasks.
const (
	TaskCreate  Task = "create"
	TaskUpdate  Task = "update"
	TaskRevert  Task = "revert" // an update that was given up: on with what there was
	TaskReset   Task = "reset"
	TaskRotate  Task = "rotate"
	TaskSuspend Task = "suspend"
	TaskResume  Task = "resume"
	TaskDelete  Task = "delete"
)

// What there is of a Worker, beside the parts that are called by their own names.
const (
	DoneToken     = "token"     // TokenID is in its files
	DoneContainer = "container" // Run was launched
)

// Has reports whether there is something of w, by its name in Done.
func (w Worker) Has(what string) bool { return slices.Contains(w.Done, what) }

// A NewWorker is a Worker that is to be made.
type NewWorker struct {
	ID     string        `json:"id" pattern:"^[a-z0-9]([a-z0-9._-]{0,54}[a-z0-9])?$" maxLength:"56" doc:"Stable name, such as researcher; its consumer is called worker-ID"`
	Grants []WorkerGrant `json:"grants,omitempty" maxItems:"100" doc:"What it may use from the start; more with POST /v1/grants"`
	WorkerSpec
}

// A WorkerUpdate changes a Worker, all of it or nothing.
type WorkerUpdate struct {
	Grant  []WorkerGrant `json:"grant,omitempty" maxItems:"100" doc:"What it may use beside what it may already"`
	Revoke []string      `json:"revoke,omitempty" maxItems:"100" doc:"Targets whose grants it loses, before it is given those of grant"`
	WorkerSpec
}

// A WorkerGrant is a grant of a Worker that is to be made.
type WorkerGrant struct {
	Target string `json:"target" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63" doc:"What"`
	GrantSpec
}

// Validate checks n. Its grants are checked as they are made.
func (n NewWorker) Validate() error {
	if !ValidID(n.ID) || len(n.ID) > MaxWorkerID {
		return invalid("id", "must match %s and have at most %d characters", IDPattern, MaxWorkerID)
	}
	return n.WorkerSpec.Validate()
}

// A WorkerRotation says how a Worker gets a new token.
type WorkerRotation struct {
	OverlapSeconds int64 `json:"overlap_seconds,omitzero" minimum:"0" maximum:"7776000" doc:"How long the old token lives on; a Worker with its token by env is restarted towards the end; 0: at once"`
}

// Validate checks r.
func (r WorkerRotation) Validate() error { return validOverlap(r.OverlapSeconds) }

// A WorkerStatus is a Worker with the facts of its container.
type WorkerStatus struct {
	Worker   Worker       `json:"worker"`
	Instance *Instance    `json:"instance,omitempty" doc:"Absent: there is no container"`
	Token    *Token       `json:"token,omitempty" doc:"The token that it has; absent: none"`
	Facts    *WorkerFacts `json:"facts,omitempty" doc:"What the heartbeat saw of it last; absent: nothing since this Manager started"`
}
