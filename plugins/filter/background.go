package filter

import (
	"errors"
	"time"
)

// A Host may offer more than every plugin needs. A plugin asks for it by
// asserting its Host to one of [Sharer], [Caller] and [Ticker].

// A Sharer keeps data for every VM of one process that has the same vm_id,
// whichever plugin runs in it: what is read from it is as trustworthy as all of
// those together. It outlives a VM, not the process.
type Sharer interface {
	// Shared returns a value and its version, which changes with every Share.
	// ErrNotFound when there is none.
	Shared(key string) (value []byte, version uint32, err error)
	// Share stores a copy of value. A version of 0 stores in any case; any other
	// one stores if it is still the value's, and else fails with ErrChanged.
	Share(key string, value []byte, version uint32) error
}

// ErrChanged reports shared data that another VM has changed meanwhile.
var ErrChanged = errors.New("changed meanwhile")

// A Call is an HTTP request of a plugin's own to one of the host's clusters.
type Call struct {
	Cluster string
	Headers [][2]string // with :method, :path and :authority
	Body    []byte
	Timeout time.Duration
}

// An Answer is what came of a [Call]. A host answers a call that failed with
// status 503 or 504; Status is 0 for an answer that can't be read.
type Answer struct {
	Status  int
	Headers [][2]string
	Body    []byte
}

// A Caller makes calls.
type Caller interface {
	// Call begins a call. done is called later, once, on the VM's thread, unless
	// the plugin's context ends first; limit bounds the body it gets: a longer
	// one is an answer that can't be read.
	Call(c Call, limit int, done func(Answer)) error
}

// A Ticker calls a plugin that is [Background] again and again.
type Ticker interface {
	// SetTick sets the time between two calls of Tick, by whole milliseconds.
	SetTick(period time.Duration) error
}

// Background is a plugin that acts without a stream.
type Background interface {
	// Tick is called every period, and in every VM of the plugin.
	Tick()
	// Release gives back what only one VM may hold. It is called when a newer
	// configuration has taken over and when the plugin ends; streams, and ticks
	// for them, may still follow.
	Release()
}

// A Resumer is a Stream that can let go of what it holds outside of its own
// callbacks, from Tick or when a [Call] was answered, until its handler's Done.
type Resumer interface {
	Resume(side Side) error
}

// A Cutter is a Stream that can be ended from Tick, until its handler's Done.
type Cutter interface {
	// Cut answers the client if no response headers have gone out, and resets
	// the stream otherwise.
	Cut(r Reply) error
}
