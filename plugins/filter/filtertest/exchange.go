package filtertest

import (
	"fmt"
	"strconv"
	"strings"

	"keyward/plugins/filter"
)

// A Message is a request or a response. Body is in the pieces in which it
// arrives or was let go; nil trailers are none.
type Message struct {
	Headers  [][2]string
	Body     []string
	Trailers [][2]string
}

// Header returns the values of every header of this name, joined with a comma
// as a server reads them; "" when there is none.
func (m *Message) Header(name string) string {
	var values []string
	for _, h := range m.Headers {
		if h[0] == name {
			values = append(values, h[1])
		}
	}
	return strings.Join(values, ",")
}

// Text is the whole body.
func (m *Message) Text() string { return strings.Join(m.Body, "") }

// String is all of the message, for a search for secrets.
func (m *Message) String() string {
	return fmt.Sprintf("%q %q %q", m.Headers, m.Text(), m.Trailers)
}

// An Exchange is one request through one plugin to an upstream.
type Exchange struct {
	Request    Message
	Properties map[string]string       // as in [Stream]
	Fail       map[string]error        // as in [Stream]
	Upstream   func(r Message) Message // nil: 200 without a body
}

// A Result is what became of an exchange.
type Result struct {
	// Upstream is what the upstream got; nil: not one byte.
	Upstream *Message
	// Client is what the client got, from the upstream or from the plugin; nil
	// when it is still waiting.
	Client *Message
	// Reply is the plugin's local reply; nil when it gave none.
	Reply *filter.Reply
	// Reset tells that the reply came too late to be sent and cut the stream.
	Reset bool
	// Faults is what the plugin did that no host puts up with: a hold with
	// nothing left to wait for, a second reply, a Continue after a reply.
	Faults []string
	Stream *Stream
}

// Run sends e through p. Each side's end is announced as Envoy does it: with
// headers when there is neither body nor trailers; with trailers when there are
// some; else by one more body callback after the last piece. A reply to a
// request passes through the response callbacks of the plugin that gave it.
func Run(p filter.Plugin, e Exchange) *Result {
	s := &Stream{Properties: e.Properties, Fail: e.Fail}
	r := &run{Result: &Result{Stream: s}}
	r.handler = p.NewStream(s)
	defer r.handler.Done()

	var up, client Message
	passed := r.pass(filter.Request, e.Request, &up)
	if up.Headers != nil {
		r.Upstream = &up
	}
	answer := Message{Headers: [][2]string{{":status", "200"}}}
	switch {
	case r.Reply != nil:
		answer = local(*r.Reply)
	case !passed:
		return r.Result
	case e.Upstream != nil:
		answer = e.Upstream(up)
	}
	before := len(s.Replies)
	r.pass(filter.Response, answer, &client)
	late := len(s.Replies) > before
	switch {
	case client.Headers != nil:
		r.Client, r.Reset = &client, late
	case late: // a reply to a response passes through no callback
		m := local(*r.Reply)
		r.Client = &m
	}
	return r.Result
}

type run struct {
	*Result
	handler filter.Handler
	replies int // that were noted
}

func local(r filter.Reply) Message {
	m := Message{Headers: append([][2]string{{":status", strconv.Itoa(r.Status)}}, r.Headers...)}
	if len(r.Body) > 0 {
		m.Body = []string{string(r.Body)}
	}
	return m
}

// pass shows in to the plugin and adds to out what it lets go. It reports
// whether all of it went.
func (r *run) pass(side filter.Side, in Message, out *Message) bool {
	h, s := r.handler, r.Stream
	headers, body, trailers := h.RequestHeaders, h.RequestBody, h.RequestTrailers
	if side == filter.Response {
		headers, body, trailers = h.ResponseHeaders, h.ResponseBody, h.ResponseTrailers
	}
	s.headers[side] = append([][2]string{}, in.Headers...)
	held := []byte{}
	release := func(end bool) {
		if out.Headers == nil {
			out.Headers = s.headers[side]
		}
		if len(held) > 0 {
			out.Body = append(out.Body, string(held))
			held = []byte{}
		}
		if end && s.headers[side+2] != nil {
			out.Trailers = s.headers[side+2]
		}
	}
	// step reports whether the exchange goes on.
	step := func(at string, end bool, call func() filter.Action) bool {
		at, a := sides[side]+" "+at, call()
		if r.replied(at, a) {
			return false
		}
		if a == filter.Continue {
			release(end)
			return true
		}
		if end {
			r.fault("%s: held for ever", at)
		}
		return !end
	}

	end := len(in.Body) == 0 && in.Trailers == nil
	if !step("headers", end, func() filter.Action { return headers(end) }) || end {
		return end && out.Headers != nil
	}
	s.bodies[side] = &held
	defer func() { s.bodies[side] = nil }()
	for _, piece := range in.Body {
		held = append(held, piece...)
		if !step("body", false, func() filter.Action { return body(len(held), false) }) {
			return false
		}
	}
	if in.Trailers == nil {
		return step("end of body", true, func() filter.Action { return body(len(held), true) })
	}
	if len(held) == 0 {
		s.bodies[side] = nil // nothing is held that could be replaced
	}
	s.headers[side+2] = in.Trailers
	return step("trailers", true, trailers)
}

// replied notes a reply given in the callback that just answered a.
func (r *run) replied(at string, a filter.Action) bool {
	n := len(r.Stream.Replies)
	if n == r.replies {
		return false
	}
	r.replies = n
	if n > 1 {
		r.fault("%s: a second reply", at)
	}
	if a == filter.Continue {
		r.fault("%s: continue after a reply", at)
	}
	r.Reply = &r.Stream.Replies[n-1]
	return true
}

func (r *run) fault(format string, args ...any) {
	r.Faults = append(r.Faults, fmt.Sprintf(format, args...))
}
