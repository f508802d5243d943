package admission

import (
	"strings"
	"time"

	"keyward/plugins/filter"
	"keyward/plugins/refusal"
	"keyward/policies"
)

const (
	// cutTick is how often open streams are looked at.
	cutTick = 20 * time.Millisecond
	// lastWords is how long a stream that is to end may wait for a chunk in whose
	// place the client is told why. A silent one ends without a word: hosts take
	// no body of a plugin's own.
	lastWords = int64(40 * time.Millisecond)
	// expiryLook is how often open streams are held against the clock: tokens and
	// grants end without a change.
	expiryLook = int64(5 * time.Second)
)

// An openStreams is the list of streams that were admitted and are not done. What is
// no longer allowed is cut.
type openStreams struct {
	first  *stream
	looked *state // that all of them were held against last
	expiry int64  // when to hold them against the clock, Unix nanoseconds
}

func (o *openStreams) add(x *stream) {
	if x.next = o.first; x.next != nil {
		x.next.prev = x
	}
	o.first = x
}

// remove takes out x, which need not be in.
func (o *openStreams) remove(x *stream) {
	switch {
	case x.prev != nil:
		x.prev.next = x.next
	case o.first == x:
		o.first = x.next
	}
	if x.next != nil {
		x.next.prev = x.prev
	}
	x.next, x.prev = nil, nil
}

// ends reports whether nothing more of the answer may go out.
func (x *stream) ends() bool { return x.ending != policies.ReasonNone && x.settled != refused }

// lookAfter ends the streams that what is in force now does not allow.
func (g *Gate) lookAfter(now int64) {
	if g.open.first == nil {
		return
	}
	s, reason := g.inForce(now)
	expired := now >= g.open.expiry || now < g.open.expiry-expiryLook // the clock was put back
	if expired {
		g.open.expiry = now + expiryLook
	}
	look := s == nil || s != g.open.looked || expired
	g.open.looked = s
	var next *stream
	for x := g.open.first; x != nil; x = next {
		next = x.next
		if look && x.ending == policies.ReasonNone {
			if x.ending = x.review(s, reason, now, expired); x.ending != policies.ReasonNone {
				x.until = now + lastWords
			}
		}
		if x.ending != policies.ReasonNone && (x.said || !x.answering || now >= x.until) {
			x.cut()
		}
	}
}

// review says why a stream may not go on; [policies.ReasonNone]: it may. What
// nothing has changed for is not decided again, unless something may have
// expired.
func (x *stream) review(s *state, reason policies.Reason, now int64, expired bool) (why policies.Reason) {
	defer func() {
		if recover() != nil {
			why = policies.Internal
		}
	}()
	if reason != policies.ReasonNone {
		return reason
	}
	target, ok := s.view.TargetByID(x.target.ID)
	if !ok || target.Kind != x.target.Kind {
		return policies.NoTarget
	}
	consumer, ok := s.view.ConsumerByID(x.consumer.ID)
	if ok && !expired && consumer == x.consumer && target == x.target && s.judge == x.state.judge {
		return policies.ReasonNone
	}
	if consumer, reason = identify(s.view, x.token, now); reason != policies.ReasonNone {
		return reason
	}
	if consumer.ID != x.consumer.ID {
		return policies.TokenRevoked
	}
	x.state, x.consumer, x.target, x.parties = s, consumer, target, s.inputs.of(consumer, target, now)
	d := s.decide(x.parties.input(&x.room.input, target.Kind, x.http, x.call), now)
	if d.Verdict != policies.Allow {
		return d.Reason
	}
	return policies.ReasonNone
}

// cut ends the stream: with a reply where none has begun, else by a reset.
func (x *stream) cut() {
	x.gate.open.remove(x)
	d := policies.Decision{ID: x.cutID(), Reason: x.ending}
	x.settled, x.answer = refused, nil
	x.cutOff(d)
	x.refusal = x.reply(d)
	x.end()
}

// end gives the client the refusal outside of the stream's callbacks, or resets
// what has an answer already.
func (x *stream) end() {
	c, ok := x.s.(filter.Cutter)
	if !ok {
		return // it hears no more of the answer, as it is refused
	}
	if err := c.Cut(x.refusal); err != nil {
		x.gate.host.Log(filter.Warn, "the host can't cut a stream: "+err.Error())
	}
}

// cutID is the decision that a stream is cut by, the same in its last event and
// in the record.
func (x *stream) cutID() string {
	if x.cutBy == "" {
		x.cutBy = x.gate.ids.next(x.gate.host.Now())
	}
	return x.cutBy
}

// cutOff tells that a stream was cut. It is a record of its own, beside the
// stream's admission.
func (x *stream) cutOff(d policies.Decision) {
	x.gate.host.Log(filter.Info, "cut"+x.line(d))
	x.noteCut(d)
}

// lastChunk is the body callback of a stream that is to end: nothing more of the
// upstream's goes out. An event stream's client is told why, once.
func (x *stream) lastChunk() filter.Action {
	if x.said || !x.tellable {
		return filter.Hold // until the tick
	}
	x.said = true
	if x.s.ReplaceBody(filter.Response, x.lastEvent()) != nil {
		return filter.Hold
	}
	return filter.Continue
}

// lastEvent is why a stream ends, for its client: a JSON-RPC error where a
// request of MCP waits for its response, else an event of type error, which
// clients of LLM providers know and others pass over. The lines before it end
// whatever event was under way.
func (x *stream) lastEvent() []byte {
	b := []byte("\n\nevent: error\ndata: ")
	var body []byte
	switch {
	case x.target.Kind == policies.KindMCP && x.msg.ID != nil:
		b = []byte("event: message\ndata: ") // only whole events have gone out
		body = x.msg.Refuse(x.ending).Reply(x.cutID()).Body
	default:
		body = refusal.New(x.style(), x.ending, x.cutID()).Body
	}
	b = append(b, strings.ReplaceAll(string(body), "\n", " ")...)
	return append(b, "\n\n"...)
}
