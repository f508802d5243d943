package chain

import (
	"strconv"

	"keyward/plugins/filter"
)

// A pipe takes one side of a stream through the filters.
type pipe struct {
	s        *Stream
	side     filter.Side // Request or Response
	seats    []seat      // by filter
	sink     Sink
	headers  *Headers
	trailers *Headers
	complete bool // its source has sent everything
	started  bool // headers went to the sink
	ended    bool // the end went to the sink
	stopped  bool // nothing more may pass
	local    bool // a local reply, not an upstream's response
	sent     int  // body bytes that went to the sink
	replaced *View
}

// A seat is the place of one filter on one side.
type seat struct {
	holds     bool   // iteration stopped here
	passed    bool   // headers went on from here
	ended     bool   // the filter has seen the end of the body
	buffering bool   // a body callback answered Hold: the next sees all of it
	held      []byte // what is buffered
	has       bool   // held counts, even if empty
	showing   *[]byte
}

func (p *pipe) first() int {
	if p.side == filter.Request {
		return 0
	}
	return len(p.seats) - 1
}

func (p *pipe) next(i int) int {
	if p.side == filter.Request {
		return i + 1
	}
	return i - 1
}

func (p *pipe) in(i int) bool { return i >= 0 && i < len(p.seats) }

func (p *pipe) stop() { p.stopped = true }

// skips reports whether filter i takes no part: a filter that never saw the
// request does not see the response either.
func (p *pipe) skips(i int) bool {
	return p.side == filter.Response && !p.s.views[i].sawRequest
}

// call runs one callback of filter i and what it asked for. ok is false when
// the side goes no further.
func (p *pipe) call(i int, at string, f func(h filter.Handler) filter.Action) (a filter.Action, ok bool) {
	v := &p.s.views[i]
	v.sawRequest = true
	p.s.enter(v, at)
	a = f(v.handle())
	if v.reply != nil && a == filter.Continue {
		v.Fault("continue after a reply")
	}
	p.s.leave()
	v.settle()
	return a, !p.stopped
}

func (p *pipe) passHeaders(i int, end bool) {
	for ; p.in(i); i = p.next(i) {
		seat := &p.seats[i]
		seat.ended = end
		seat.passed = true
		if p.skips(i) {
			continue
		}
		seat.passed = false
		a, ok := p.call(i, headersAt[p.side], func(h filter.Handler) filter.Action {
			if p.side == filter.Request {
				return h.RequestHeaders(end)
			}
			return h.ResponseHeaders(end)
		})
		if !ok {
			return
		}
		if a == filter.Hold {
			seat.holds = true
			return
		}
		seat.passed = true
	}
	p.started = true
	p.ended = end
	if end {
		p.checkLength()
	}
	if !p.stopped {
		p.sink.Headers(p.headers, end)
	}
}

func (p *pipe) feedBody(b []byte, end bool) {
	if p.stopped || p.complete || p.headers == nil {
		return
	}
	p.complete = end
	p.passBody(p.first(), b, end)
}

func (p *pipe) passBody(i int, b []byte, end bool) {
	for ; p.in(i); i = p.next(i) {
		seat := &p.seats[i]
		if seat.ended || p.stopped {
			return
		}
		seat.ended = end
		if p.skips(i) {
			continue
		}
		seat.showing = &b
		if seat.buffering {
			seat.held = append(seat.held, b...)
			b = nil
			seat.showing = &seat.held
			if p.overLimit(seat) {
				return
			}
		}
		size := len(*seat.showing)
		a, ok := p.call(i, bodyAt[p.side], func(h filter.Handler) filter.Action {
			if p.side == filter.Request {
				return h.RequestBody(size, end)
			}
			return h.ResponseBody(size, end)
		})
		seat.showing = nil
		if !ok {
			return
		}
		if a == filter.Hold {
			seat.holds = true
			p.hold(i, b)
			p.overLimit(seat)
			return
		}
		if seat.holds {
			p.hold(i, b)
			p.resume(i)
			return
		}
	}
	p.emitBody(b, end)
}

// hold moves b into the buffer of filter i.
func (p *pipe) hold(i int, b []byte) {
	seat := &p.seats[i]
	if !seat.buffering {
		seat.held, seat.has, seat.buffering = b, true, true
	}
	// Envoy has one buffer a side: two filters that hold would read, and send,
	// each other's bytes.
	for j := range p.seats {
		if j != i && p.seats[j].buffering && len(p.seats[j].held) > 0 {
			p.s.views[i].Fault("holds a body of which another filter holds a part")
			p.s.views[i].settle()
			return
		}
	}
}

func (p *pipe) overLimit(seat *seat) bool {
	if p.stopped {
		return true
	}
	if len(seat.held) <= p.s.limit {
		return false
	}
	if p.side == filter.Request {
		p.s.reply(filter.Reply{Status: 413, Body: []byte("Payload Too Large"), Detail: "request_payload_too_large"})
	} else {
		p.s.reply(filter.Reply{Status: 500, Body: []byte("Internal Server Error"), Detail: "response_payload_too_large"})
	}
	return true
}

func (p *pipe) feedTrailers(h *Headers) {
	if p.stopped || p.complete || p.headers == nil {
		return
	}
	p.complete = true
	p.trailers = h
	p.passTrailers(p.first())
}

func (p *pipe) passTrailers(i int) {
	for ; p.in(i) && !p.stopped; i = p.next(i) {
		seat := &p.seats[i]
		seat.ended = true
		if p.skips(i) {
			continue
		}
		if seat.buffering {
			seat.showing = &seat.held
		}
		a, ok := p.call(i, trailersAt[p.side], func(h filter.Handler) filter.Action {
			if p.side == filter.Request {
				return h.RequestTrailers()
			}
			return h.ResponseTrailers()
		})
		seat.showing = nil
		if !ok {
			return
		}
		if a == filter.Hold {
			seat.holds = true
			return
		}
		if seat.holds {
			p.resume(i)
			return
		}
	}
	if p.stopped {
		return
	}
	p.ended = true
	p.checkLength()
	if !p.stopped {
		p.sink.Trailers(p.trailers)
	}
}

// resume lets go of what filter i holds: headers, then body, then trailers.
func (p *pipe) resume(i int) {
	seat := &p.seats[i]
	held, has := seat.held, seat.has
	seat.holds, seat.buffering, seat.held, seat.has = false, false, nil, false
	end := seat.ended && p.trailers == nil
	if end && !p.heldLengthFits(i, len(held)) {
		return
	}
	if !seat.passed {
		seat.passed = true
		p.passHeaders(p.next(i), end && !has)
	}
	if has && !p.stopped {
		p.passBody(p.next(i), held, end)
	}
	if p.trailers != nil && seat.ended && !p.stopped {
		p.passTrailers(p.next(i))
	}
}

func (p *pipe) emitBody(b []byte, end bool) {
	p.sent += len(b)
	p.ended = end
	if end {
		p.checkLength()
	}
	if !p.stopped && (end || len(b) > 0) {
		p.sink.Body(b, end)
	}
}

// heldLengthFits checks a body that filter i replaced against the announced
// length while nothing has gone out: a host does not mend content-length, and
// on a kept connection the difference is a smuggled request.
func (p *pipe) heldLengthFits(i, n int) bool {
	want, announced := contentLength(p.headers)
	if p.replaced != &p.s.views[i] || p.seats[i].passed || !announced || want == n {
		return true
	}
	p.faultLength()
	return false
}

// checkLength compares what went out with the announced length at the end.
func (p *pipe) checkLength() {
	want, announced := contentLength(p.headers)
	if p.replaced == nil || !announced || want == p.sent {
		return
	}
	p.faultLength()
}

func (p *pipe) faultLength() {
	v := p.replaced
	p.replaced = nil
	p.ended = false
	v.Fault("replaced the " + sideName(p.side) + " body and left another content-length")
	v.settle()
}

func contentLength(h *Headers) (n int, ok bool) {
	text, ok := h.Get("content-length")
	if !ok {
		return 0, false
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1, true
	}
	return n, true
}

// The names of the callbacks, by side.
var (
	headersAt  = [...]string{"request headers", "response headers"}
	bodyAt     = [...]string{"request body", "response body"}
	trailersAt = [...]string{"request trailers", "response trailers"}
	doneAt     = "done"
)

func sideName(side filter.Side) string {
	return [...]string{"request", "response", "request trailers", "response trailers"}[side]
}
