package manager

import (
	"keyward/plugins/snapshot"
)

// Bounds of one consumer, so that its entry in a gateway stays small.
const (
	MaxLabels            = 32
	MaxTokensPerConsumer = 32
	MaxGrantsPerConsumer = 1000
)

// A Consumer is an identity that the gateway knows.
type Consumer struct {
	Meta
	Kind        string            `json:"kind" enum:"worker,human,service" doc:"What it is"`
	Labels      map[string]string `json:"labels" doc:"Free labels; a policy sees them"`
	State       snapshot.State    `json:"state" enum:"active,suspended,revoked" doc:"Only an active consumer may do anything; revoked is final"`
	Credentials map[string]string `json:"credentials" doc:"Target id to credential id, where this consumer has a credential of its own"`
}

// A ConsumerSpec is what is chosen of a new consumer.
type ConsumerSpec struct {
	ID   string `json:"id" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63" doc:"Stable name, such as worker-researcher"`
	Kind string `json:"kind" enum:"worker,human,service" doc:"What it is"`
	ConsumerUpdate
}

// A ConsumerUpdate is what can be changed of a consumer.
type ConsumerUpdate struct {
	Labels map[string]string `json:"labels,omitempty" maxProperties:"32" doc:"Free labels; a policy sees them"`
}

// Validate checks s.
func (s ConsumerSpec) Validate() error {
	if !ValidID(s.ID) {
		return invalid("id", "must match %s", IDPattern)
	}
	switch s.Kind {
	case "worker", "human", "service":
	default:
		return invalid("kind", "%q is not worker, human or service", s.Kind)
	}
	return s.ConsumerUpdate.Validate()
}

// Validate checks u.
func (u ConsumerUpdate) Validate() error { return validLabels(u.Labels) }
