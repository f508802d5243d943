// Package chaintest takes single exchanges through a chain of filters without a
// network, and records what each end saw and when.
package chaintest

import (
	"time"

	"keyward/plugins/filter/filtertest"
	"keyward/tools/gateway/chain"
)

// An Exchange is one request through filters to an upstream.
type Exchange struct {
	Filters []chain.Filter
	Request filtertest.Message
	// Joined lets the last piece of the request's body carry the end, as an
	// HTTP/2 DATA frame can. Otherwise the end comes in a piece of its own.
	Joined bool
	// Upstream answers what it got, once that is whole; nil answers 200 without
	// a body.
	Upstream    func(r filtertest.Message) filtertest.Message
	BufferLimit int                                     // as in [chain.Options]
	Property    func(path []string) (b []byte, ok bool) // as in [chain.Options]
	// Do runs a step where the filters may run; nil runs it at once.
	Do func(step func())
	// Patience is how long to wait for filters that act on their own, such as
	// those that wait for a callout. Zero: none does.
	Patience time.Duration
}

// A Result is what became of an exchange.
type Result struct {
	Upstream *filtertest.Message // what it got; nil: not one byte
	// Whole tells that the upstream got the end of the request.
	Whole bool
	// UpstreamReset tells that the request to the upstream was cut.
	UpstreamReset bool
	// SentBefore is how much the client had sent when the upstream got its
	// first byte: 1 for the headers, one more for each piece, the end of a body
	// and trailers.
	SentBefore int
	Client     *filtertest.Message // what it got; nil: not one byte
	// Answered tells that the client got the end of its answer.
	Answered bool
	Reset    bool // the client's stream was cut
	Faults   []chain.Fault
	Detail   string // of a local reply
	// Property reads a stream property as filters left it; nil: not set.
	Property func(name string) []byte
}

// Run takes e through its filters. What is neither answered nor cut in the end
// hangs, as it would in Envoy.
func (e Exchange) Run() *Result {
	r := &run{Exchange: e, Result: &Result{}, changed: make(chan struct{}, 1)}
	if r.Do == nil {
		r.Do = func(step func()) { step() }
	}
	r.stream = chain.New(chain.Options{
		Filters:     e.Filters,
		Upstream:    &sink{run: r, message: &r.Result.Upstream, whole: &r.Whole, reset: &r.UpstreamReset},
		Client:      &sink{run: r, message: &r.Client, whole: &r.Answered, reset: &r.Reset},
		BufferLimit: e.BufferLimit,
		Property:    e.Property,
		Fault:       func(f chain.Fault) { r.Faults = append(r.Faults, f) },
	})
	r.Result.Property = r.stream.Property
	r.send()
	r.settle()
	r.Do(r.stream.Close)
	r.Detail = r.stream.Detail()
	return r.Result
}

type run struct {
	Exchange
	*Result
	stream   *chain.Stream
	sent     int
	answered bool
	changed  chan struct{}
}

// step runs one step of the client, and what the upstream answers to it.
func (r *run) step(f func()) {
	r.sent++
	r.Do(f)
	r.answer()
}

// send is the client.
func (r *run) send() {
	m := r.Request
	end := len(m.Body) == 0 && m.Trailers == nil
	r.step(func() { r.stream.RequestHeaders(chain.NewHeaders(m.Headers...), end) })
	if end {
		return
	}
	for i, piece := range m.Body {
		last := r.Joined && m.Trailers == nil && i == len(m.Body)-1
		r.step(func() { r.stream.RequestBody([]byte(piece), last) })
	}
	switch {
	case m.Trailers != nil:
		r.step(func() { r.stream.RequestTrailers(chain.NewHeaders(m.Trailers...)) })
	case !r.Joined || len(m.Body) == 0:
		r.step(func() { r.stream.RequestBody(nil, true) })
	}
}

// answer is the upstream.
func (r *run) answer() {
	var got *filtertest.Message
	r.Do(func() {
		if r.Whole && !r.answered {
			got, r.answered = r.Result.Upstream, true
		}
	})
	if got == nil {
		return
	}
	m := filtertest.Message{Headers: [][2]string{{":status", "200"}}}
	if r.Exchange.Upstream != nil {
		m = r.Exchange.Upstream(*got)
	}
	end := len(m.Body) == 0 && m.Trailers == nil
	r.Do(func() { r.stream.ResponseHeaders(chain.NewHeaders(m.Headers...), end) })
	if end {
		return
	}
	for _, piece := range m.Body {
		r.Do(func() { r.stream.ResponseBody([]byte(piece), false) })
	}
	if m.Trailers != nil {
		r.Do(func() { r.stream.ResponseTrailers(chain.NewHeaders(m.Trailers...)) })
		return
	}
	r.Do(func() { r.stream.ResponseBody(nil, true) })
}

// settle waits for filters that act on their own.
func (r *run) settle() {
	deadline := time.After(r.Patience)
	for r.Patience > 0 {
		r.answer()
		var done bool
		r.Do(func() { done = r.stream.Done() })
		if done {
			return
		}
		select {
		case <-r.changed:
		case <-deadline:
			return
		}
	}
}

// A sink records one end.
type sink struct {
	run     *run
	message **filtertest.Message
	whole   *bool
	reset   *bool
}

var _ chain.Sink = (*sink)(nil)

func (s *sink) change(end bool) {
	*s.whole = *s.whole || end
	select {
	case s.run.changed <- struct{}{}:
	default:
	}
}

func (s *sink) Headers(h *chain.Headers, end bool) {
	*s.message = &filtertest.Message{Headers: h.Pairs()}
	if s.message == &s.run.Result.Upstream {
		s.run.SentBefore = s.run.sent
	}
	s.change(end)
}

func (s *sink) Body(b []byte, end bool) {
	if len(b) > 0 {
		(*s.message).Body = append((*s.message).Body, string(b))
	}
	s.change(end)
}

func (s *sink) Trailers(h *chain.Headers) {
	(*s.message).Trailers = h.Pairs()
	s.change(true)
}

func (s *sink) Reset() {
	*s.reset = true
	s.change(false)
}
