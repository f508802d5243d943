package manager

import "time"

// An Event is what the audit log keeps of one change. Digests are SHA-256 in
// hex over the object as the API shows it, which holds no secret.
type Event struct {
	Generation uint64    `json:"generation" doc:"Generation that the change made"`
	Part       int       `json:"part" doc:"Counts the events of one generation from 0"`
	Time       time.Time `json:"time"`
	Actor      Actor     `json:"actor"`
	Action     string    `json:"action" doc:"What was done, such as consumer.suspend"`
	Kind       Kind      `json:"kind" doc:"To what kind of object"`
	Object     string    `json:"object" doc:"To which one"`
	Before     string    `json:"before,omitempty" doc:"Digest of the object before; absent: it did not exist"`
	After      string    `json:"after,omitempty" doc:"Digest of the object after; absent: it does not exist"`
	Request    string    `json:"request,omitempty" doc:"Id of the API request"`
	Note       string    `json:"note,omitempty" doc:"Why, of what the Manager did by itself; may quote a Worker"`
}
