package manager

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A RoomKind says what a room is for.
type RoomKind string

// The kinds of a room.
const (
	RoomManager RoomKind = "manager" // the one room for what is done in the Manager
	RoomWorker  RoomKind = "worker"  // a Worker's own room
	RoomShared  RoomKind = "shared"  // a room of several Workers, made by an administrator
)

// ManagerRoom is the ID of the Manager's room.
const ManagerRoom = string(RoomManager)

// RoomIDPattern is the form of a room's ID: what it is for, and whose.
const RoomIDPattern = `^(manager|(worker|shared):[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?)$`

// Bounds of a room.
const (
	MaxRoomMembers = 200
	DefaultDigest  = time.Minute
	MaxDigest      = 24 * time.Hour
)

// A Room is a Matrix room that the Manager keeps.
type Room struct {
	Meta
	Kind   RoomKind `json:"kind" enum:"manager,worker,shared" doc:"What it is for"`
	Matrix string   `json:"matrix,omitempty" doc:"Its ID in Matrix; absent: not made there yet"`
	RoomSpec
}

// A RoomSpec is what is chosen of a room.
type RoomSpec struct {
	Name          string   `json:"name,omitempty" maxLength:"100" doc:"What Matrix clients show; absent: made from its ID"`
	Members       []string `json:"members,omitempty" maxItems:"200" doc:"Of a shared room: Workers that are in it"`
	Calls         bool     `json:"calls,omitempty" doc:"Of a shared room: shows its members' requests too"`
	EachLLM       bool     `json:"each_llm,omitempty" doc:"A line for each LLM request; absent: digests"`
	EachAuth      bool     `json:"each_auth,omitempty" doc:"A line for each request without a valid token; absent: digests"`
	DigestSeconds int64    `json:"digest_seconds,omitempty" minimum:"0" maximum:"86400" doc:"How long a digest gathers; absent: 60"`
}

// A NewRoom is a shared room that is to be made.
type NewRoom struct {
	ID string `json:"id" pattern:"^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$" maxLength:"63" doc:"Stable name; the room's ID is shared: and this"`
	RoomSpec
}

// RoomID is the ID of a room of a kind for a consumer, or with a name.
func RoomID(kind RoomKind, name string) string {
	if kind == RoomManager {
		return ManagerRoom
	}
	return string(kind) + ":" + name
}

// Owner is the consumer whose room an ID names; empty: it is no Worker's room.
func (r Room) Owner() string {
	owner, _ := strings.CutPrefix(r.ID, string(RoomWorker)+":")
	if r.Kind != RoomWorker {
		return ""
	}
	return owner
}

// Digest is how long a digest gathers.
func (s RoomSpec) Digest() time.Duration {
	if s.DigestSeconds == 0 {
		return DefaultDigest
	}
	return time.Duration(s.DigestSeconds) * time.Second
}

// Validate checks n.
func (n NewRoom) Validate() error {
	if !ValidID(n.ID) {
		return invalid("id", "must match %s", IDPattern)
	}
	return n.RoomSpec.Validate(RoomShared)
}

// Validate checks s for a room of a kind.
func (s RoomSpec) Validate(kind RoomKind) error {
	if err := validText("name", s.Name, 0, 100); err != nil {
		return err
	}
	if kind != RoomShared && (len(s.Members) > 0 || s.Calls) {
		return invalid("members", "only a shared room has members of choice, or shows calls")
	}
	if len(s.Members) > MaxRoomMembers {
		return invalid("members", "has more than %d", MaxRoomMembers)
	}
	for i, m := range s.Members {
		if !ValidID(m) || slices.Contains(s.Members[:i], m) {
			return invalid(fmt.Sprintf("members[%d]", i), "is no consumer's ID, or is there twice")
		}
	}
	if s.DigestSeconds < 0 || time.Duration(s.DigestSeconds) > MaxDigest/time.Second {
		return invalid("digest_seconds", "must be 0 to %d", MaxDigest/time.Second)
	}
	return nil
}

// A Lane is one of a room's two queues. Each is in the order of the log.
type Lane string

// The lanes.
const (
	LaneEach   Lane = "each"   // an entry, a line
	LaneDigest Lane = "digest" // entries are counted, and shown now and then
)

// A Posting is that a room shows an entry of the log.
type Posting struct {
	Room     string
	Lane     Lane
	Position uint64    // of the entry
	Due      time.Time // not before; zero: at once
}

// A Queue is what waits for one lane of a room.
type Queue struct {
	Room string
	Lane Lane
}

// A Range is a run of a queue's entries that one message shows, from the first
// on to the last. It is kept before the message is sent, so that the same
// message is sent again when nobody knows what became of it.
type Range struct {
	First, Last uint64
	Since       time.Time // when it was kept
}
