package admission

import (
	"strconv"

	"keyward/plugins/filter"
	"keyward/plugins/mcp"
	"keyward/plugins/snapshot"
	"keyward/plugins/usage"
	"keyward/policies"
	"keyward/policies/engine"
)

// A stream is one request and its answer. The verdict falls in exactly one of
// three callbacks, wherever the request ends; until then the headers are held.
type stream struct {
	gate  *Gate
	s     filter.Stream
	state *state // in force when the request came; nil: none was

	now      int64 // when the request came, Unix nanoseconds
	req      request
	token    string
	consumer *snapshot.Consumer // nil: not identified
	target   *snapshot.Target   // nil: not found
	headers  mcp.Headers
	reader   *engine.JSONReader // has msg and call in it; nil: neither is in one that is used again
	msg      mcp.Message
	parties  *parties
	http     engine.Value // the request line, as the policy sees it
	call     engine.Value // the MCP message, likewise; undefined: none

	settled settled
	answer  *answer        // nil: the answer is passed on as it is
	usage   *usage.Scanner // nil: the answer's tokens are of no interest
	refusal filter.Reply   // to give outside of a callback
	account account

	prev, next *stream         // in the list of open streams
	answering  bool            // response headers have come
	tellable   bool            // the answer is an event stream of no announced length
	ending     policies.Reason // why it is to end; ReasonNone: it isn't
	until      int64           // when it ends at the latest, Unix nanoseconds
	said       bool            // the client was told
	cutBy      string          // ID of the decision to cut it; "": none yet
	waited     bool            // it was held for its record
	ended      int64           // when it was done, Unix nanoseconds

	room *room // what it reads is put there
}

// A room is memory of a stream, which another one uses after it.
type room struct {
	answer      answer
	strip       [8]string
	credentials [4]credential
	segments    [8]string
	input       inputRoom
}

// settled says whether the verdict has been given.
type settled uint8

const (
	open     settled = iota
	pending          // the request may go on, or be answered here, once its record is stored
	admitted         // the request went on
	refused          // the request was answered here
	withheld         // the request went on, its answer may not
)

var _ filter.Handler = (*stream)(nil)

// RequestHeaders decides what needs no body, and holds the rest.
func (x *stream) RequestHeaders(end bool) filter.Action {
	x.now = x.gate.host.Now()
	if reason := x.begin(); reason != policies.ReasonNone {
		return x.refuse(reason)
	}
	if x.target.Kind != policies.KindMCP {
		return x.decidePlain()
	}
	msg, fault := mcp.CheckHeaders(x.req.method, end, &x.headers, settings(x.target))
	switch {
	case fault != nil:
		return x.refuseCall(fault)
	case x.req.method != "POST":
		x.msg = msg
		return x.decideCall()
	case tooLarge(x.req.contentLength):
		return x.refuse(policies.BodyTooLarge)
	}
	return filter.Hold
}

// RequestBody decides once the body is whole. A prefix is never decided.
func (x *stream) RequestBody(size int, end bool) filter.Action {
	if x.settled == admitted {
		x.account.in += uint64(size)
	} else {
		x.account.in = uint64(size) // held, with all before
	}
	switch {
	case x.settled != open:
		return x.after()
	case size > policies.MaxBodyBytes:
		return x.refuse(policies.BodyTooLarge)
	case !end:
		return filter.Hold
	}
	return x.readBody()
}

// RequestTrailers is where an HTTP/2 request with trailers ends: its body
// callback never sees the end.
func (x *stream) RequestTrailers() filter.Action {
	if x.settled == open {
		x.readBody()
	}
	if (x.settled == admitted || x.settled == pending && x.refusal.Status == 0) && !x.cleanTrailers() {
		return x.refuse(policies.Internal)
	}
	return x.after()
}

// after answers the callbacks that follow the verdict.
func (x *stream) after() filter.Action {
	if x.settled == refused || x.settled == pending {
		return filter.Hold
	}
	return filter.Continue
}

// Done is called last.
func (x *stream) Done() {
	x.gate.open.remove(x)
	if x.settled == pending {
		x.settled = refused // the client did not wait
	}
	x.finishLater()
}

// tooLarge reports a body whose announced length is beyond what is read, or is
// no length at all.
func tooLarge(contentLength string) bool {
	if contentLength == "" {
		return false
	}
	n, err := strconv.ParseUint(contentLength, 10, 63)
	return err != nil || n > policies.MaxBodyBytes
}

func settings(t *snapshot.Target) mcp.Settings {
	if t.MCP == nil {
		return mcp.Settings{}
	}
	return mcp.Settings(*t.MCP)
}
