package chain

import (
	"strconv"
	"strings"

	"keyward/plugins/filter"
)

// DefaultBufferLimit is how many bytes of a body a filter may hold unless
// configured otherwise; Envoy's default.
const DefaultBufferLimit = 1 << 20

// A Filter takes part in the streams of a chain.
type Filter interface {
	// Name tells the filter apart in faults; plugins read it as their root ID.
	Name() string
	// NewHandler returns the handler of the stream that v views.
	NewHandler(v *View) filter.Handler
}

// A Sink takes what leaves a stream on one side. Its methods are called from
// within the stream's own and must not block or call back.
type Sink interface {
	// Headers comes first, once. h is the sink's to keep.
	Headers(h *Headers, end bool)
	// Body comes per piece; an empty one only carries the end. b is the sink's.
	Body(b []byte, end bool)
	// Trailers end the side in place of a Body with end.
	Trailers(h *Headers)
	// Reset cuts the side; nothing follows but another Reset. It may come first.
	Reset()
}

// Options are what a stream is made of.
type Options struct {
	Filters  []Filter // in the order in which a request passes them
	Upstream Sink
	Client   Sink
	// BufferLimit bounds the bytes that filters hold of a body; 0 means
	// DefaultBufferLimit.
	BufferLimit int
	// Property answers what the host knows of the exchange ("route_name",
	// "request", "path"); nil knows nothing.
	Property func(path []string) ([]byte, bool)
	// Fault is told each fault when it happens; nil ignores them.
	Fault func(Fault)
}

// A Stream is one HTTP exchange on its way through the filters. It is not safe
// for concurrent use: whoever drives it holds the lock of its worker.
type Stream struct {
	opt        Options
	limit      int
	request    pipe
	response   pipe
	views      []View
	properties map[string][]byte // what filters set; nil until one does
	at         string            // the callback that runs; "" outside
	running    *View             // whose callback runs; nil outside
	detail     string
	refused    bool // before any filter
	over       bool // reset or closed
}

// New returns a stream before its first byte.
func New(opt Options) *Stream {
	s := &Stream{opt: opt, limit: opt.BufferLimit}
	if s.limit == 0 {
		s.limit = DefaultBufferLimit
	}
	n := len(opt.Filters)
	seats := make([]seat, 2*n)
	s.request = pipe{s: s, side: filter.Request, seats: seats[:n], sink: opt.Upstream}
	s.response = pipe{s: s, side: filter.Response, seats: seats[n:], sink: opt.Client}
	s.views = make([]View, n)
	for i := range s.views {
		s.views[i] = View{s: s, i: i}
	}
	return s
}

// RequestHeaders starts the exchange. The stream keeps h. A request to switch
// protocols is refused before any filter sees it, as Envoy does unless told
// otherwise.
func (s *Stream) RequestHeaders(h *Headers, end bool) {
	s.request.headers = h
	if isUpgrade(h) {
		s.refused = true
		s.direct(filter.Reply{Status: 403, Detail: "upgrade_failed"})
		return
	}
	s.request.complete = end
	s.request.passHeaders(s.request.first(), end)
}

// RequestBody adds a piece of the request's body. The stream keeps b.
func (s *Stream) RequestBody(b []byte, end bool) { s.request.feedBody(b, end) }

// RequestTrailers ends a request that has trailers.
func (s *Stream) RequestTrailers(h *Headers) { s.request.feedTrailers(h) }

// ResponseHeaders starts the upstream's response. It is dropped when the stream
// has been answered already.
func (s *Stream) ResponseHeaders(h *Headers, end bool) {
	if s.over || s.response.headers != nil {
		return
	}
	s.response.headers = h
	s.response.complete = end
	s.response.passHeaders(s.response.first(), end)
}

// ResponseBody adds a piece of the upstream's response.
func (s *Stream) ResponseBody(b []byte, end bool) {
	if !s.response.local {
		s.response.feedBody(b, end)
	}
}

// ResponseTrailers ends an upstream's response that has trailers.
func (s *Stream) ResponseTrailers(h *Headers) {
	if !s.response.local {
		s.response.feedTrailers(h)
	}
}

// Reply answers in the upstream's place, through the filters that saw the
// request; it resets the stream once a response is on its way to the client.
func (s *Stream) Reply(r filter.Reply) { s.reply(r) }

// Reset cuts both sides.
func (s *Stream) Reset() {
	if s.over {
		return
	}
	s.over = true
	s.request.stop()
	s.response.stop()
	if s.request.started && !(s.request.ended && s.response.complete) {
		s.opt.Upstream.Reset()
	}
	if !s.response.ended {
		s.opt.Client.Reset()
	}
}

// Done reports whether the client has got all that it will get.
func (s *Stream) Done() bool { return s.over || s.response.ended }

// Close ends the stream and tells every filter, also those that never saw it:
// Envoy does, for their access logs. It must be called once, last.
func (s *Stream) Close() {
	if !s.Done() {
		s.Reset()
	}
	s.over = true
	s.request.stop()
	s.response.stop()
	if s.refused {
		return
	}
	for i := range s.views {
		v := &s.views[i]
		s.enter(v, doneAt)
		v.handle().Done()
		s.leave()
	}
}

// Detail says why the stream was answered locally; "" when it was not.
func (s *Stream) Detail() string { return s.detail }

// Property returns what a filter set under this name; nil when none did.
func (s *Stream) Property(name string) []byte { return s.properties[name] }

func (s *Stream) enter(v *View, at string) { s.running, s.at = v, at }
func (s *Stream) leave()                   { s.running, s.at = nil, "" }

// isUpgrade reports whether a request asks for another protocol: the Upgrade
// header together with Connection (RFC 9110, section 7.8), or CONNECT.
func isUpgrade(h *Headers) bool {
	if method, _ := h.Get(":method"); method == "CONNECT" {
		return true
	}
	if _, ok := h.Get("upgrade"); !ok {
		return false
	}
	connection, _ := h.Get("connection")
	for token := range strings.SplitSeq(connection, ",") {
		if strings.EqualFold(strings.TrimSpace(token), "upgrade") {
			return true
		}
	}
	return false
}

// reply answers as Envoy does, which depends on how far the response has come.
func (s *Stream) reply(r filter.Reply) {
	switch {
	case s.over || s.response.ended:
	case s.response.started:
		s.detail = r.Detail
		s.Reset()
	case s.response.headers != nil:
		s.direct(r)
	default:
		s.detail = r.Detail
		s.abandonRequest()
		s.response.local = true
		s.response.complete = true
		s.response.headers = replyHeaders(r)
		s.response.passHeaders(s.response.first(), len(r.Body) == 0)
		if len(r.Body) > 0 {
			s.response.passBody(s.response.first(), r.Body, true)
		}
	}
}

// direct answers past all filters.
func (s *Stream) direct(r filter.Reply) {
	s.detail = r.Detail
	s.abandonRequest()
	p := &s.response
	p.stop()
	p.local, p.started, p.ended = true, true, true
	p.headers = replyHeaders(r)
	p.sink.Headers(p.headers, len(r.Body) == 0)
	if len(r.Body) > 0 {
		p.sink.Body(r.Body, true)
	}
}

func (s *Stream) abandonRequest() {
	s.request.stop()
	if s.request.started && !s.response.complete {
		s.opt.Upstream.Reset()
	}
}

// replyHeaders adds what Envoy adds to a local reply: its content-length, and
// text/plain when the body has no type.
func replyHeaders(r filter.Reply) *Headers {
	h := NewHeaders([2]string{":status", strconv.Itoa(r.Status)})
	h.list = append(h.list, r.Headers...)
	if len(r.Body) == 0 {
		return h
	}
	h.Set("content-length", strconv.Itoa(len(r.Body)))
	if _, ok := h.Get("content-type"); !ok {
		h.Set("content-type", "text/plain")
	}
	return h
}
