package chain

import (
	"errors"
	"slices"
	"strings"

	"keyward/plugins/filter"
)

var (
	// ErrMisuse reports a call that no host would serve; a [Fault] says more.
	ErrMisuse = errors.New("misuse of the host")

	errOver = errors.New("the stream is over")
)

// A View is one stream as one of its filters sees it.
type View struct {
	s          *Stream
	i          int
	handler    filter.Handler
	sawRequest bool
	reply      *filter.Reply // to be given when the callback returns
	replied    bool
	reset      bool    // to be cut when the callback returns
	resume     [2]bool // by side, likewise
	failed     bool    // has a fault that is still to be answered
}

var _ filter.Stream = (*View)(nil)

func (v *View) handle() filter.Handler {
	if v.handler == nil {
		v.handler = v.s.opt.Filters[v.i].NewHandler(v)
	}
	return v.handler
}

// Fault records misuse and denies the stream as soon as the callback that runs
// has returned.
func (v *View) Fault(text string) {
	f := Fault{Filter: v.s.opt.Filters[v.i].Name(), At: v.s.at, Text: text}
	if v.s.opt.Fault != nil {
		v.s.opt.Fault(f)
	}
	v.failed = true
	if v.s.running == nil {
		v.settle()
	}
}

// Fail denies the stream with status 503, for a filter that can't go on.
func (v *View) Fail(detail string) {
	v.reply = &filter.Reply{Status: 503, Detail: detail}
	if v.s.running == nil {
		v.settle()
	}
}

// settle does what the callback that just returned asked for.
func (v *View) settle() {
	reply, reset, resume := v.reply, v.reset, v.resume
	if v.failed {
		reply = &filter.Reply{Status: 503, Detail: "filter_fault"}
	}
	v.reply, v.reset, v.failed, v.resume = nil, false, false, [2]bool{}
	switch {
	case reset:
		v.s.Reset()
	case reply != nil:
		v.s.reply(*reply)
	default:
		for side, asked := range resume {
			if p := v.pipe(filter.Side(side)); asked && !p.stopped {
				p.resume(v.i)
			}
		}
	}
}

// Begin lets a filter act on the stream outside of the stream's callbacks, from
// a tick say. What it asks for is done by End; until then it may not change.
func (v *View) Begin() { v.s.enter(v, "") }

// End does what the filter asked for since Begin.
func (v *View) End() {
	v.s.leave()
	v.settle()
}

// Running reports whether a callback of this filter runs, or lies between Begin
// and End.
func (v *View) Running() bool { return v.s.running == v }

func (v *View) misuse(text string) error {
	v.Fault(text)
	return ErrMisuse
}

// Map returns the headers of a side, nil while there are none: trailers are
// there only in their callback. Changes through it bypass all checks.
func (v *View) Map(side filter.Side) *Headers {
	s := v.s
	switch side {
	case filter.Request:
		return s.request.headers
	case filter.Response:
		return s.response.headers
	case filter.RequestTrailers:
		if s.running == v && s.at == trailersAt[filter.Request] {
			return s.request.trailers
		}
	case filter.ResponseTrailers:
		if s.running == v && s.at == trailersAt[filter.Response] {
			return s.response.trailers
		}
	}
	return nil
}

// Readable returns the headers of a side for reading. Those that can't be there
// yet, or are no more, are a fault; at the end of a stream they are just absent.
func (v *View) Readable(side filter.Side) (*Headers, error) {
	m := v.Map(side)
	switch {
	case m != nil:
		return m, nil
	case v.s.at == doneAt:
		return nil, filter.ErrNotFound
	}
	return nil, v.misuse("reads " + sideName(side) + " headers that are not there")
}

// Headers implements [filter.Stream].
func (v *View) Headers(side filter.Side) ([][2]string, error) {
	m, err := v.Readable(side)
	if err != nil {
		return nil, err
	}
	return slices.Clone(m.Pairs()), nil
}

// editable returns the headers of a side if a change still has an effect.
func (v *View) editable(side filter.Side, name, value string) (*Headers, error) {
	m := v.Map(side)
	switch {
	case v.s.over:
		return nil, errOver
	case m == nil:
		return nil, v.misuse("changes " + sideName(side) + " headers that are not there")
	case !validName(name):
		return nil, v.misuse("header name is no lower-case token")
	case !validValue(value):
		return nil, v.misuse("value of header " + name + " holds a line end or NUL")
	case side == filter.Request && (v.s.request.seats[v.i].passed || v.s.request.stopped),
		side == filter.Response && v.s.response.seats[v.i].passed:
		return nil, v.misuse("changes " + sideName(side) + " headers that have gone on")
	}
	return m, nil
}

// SetHeader implements [filter.Stream].
func (v *View) SetHeader(side filter.Side, name, value string) error {
	m, err := v.editable(side, name, value)
	if err != nil {
		return err
	}
	m.Set(name, value)
	return nil
}

// AddHeader implements [filter.Stream].
func (v *View) AddHeader(side filter.Side, name, value string) error {
	m, err := v.editable(side, name, value)
	if err != nil {
		return err
	}
	if strings.HasPrefix(name, ":") {
		return v.misuse("adds a second pseudo-header " + name)
	}
	m.Add(name, value)
	return nil
}

// RemoveHeader implements [filter.Stream].
func (v *View) RemoveHeader(side filter.Side, name string) error {
	m, err := v.editable(side, name, "")
	if err != nil {
		return err
	}
	if strings.HasPrefix(name, ":") {
		return v.misuse("removes pseudo-header " + name)
	}
	m.Remove(name)
	return nil
}

// SetHeaders puts list in place of all headers of a side.
func (v *View) SetHeaders(side filter.Side, list [][2]string) error {
	for _, h := range list {
		if _, err := v.editable(side, h[0], h[1]); err != nil {
			return err
		}
	}
	m := v.Map(side)
	if m == nil {
		return filter.ErrNotFound
	}
	m.Replace(list)
	return nil
}

func (v *View) pipe(side filter.Side) *pipe {
	if side == filter.Request {
		return &v.s.request
	}
	return &v.s.response
}

// Bytes is what the host holds of a side's body in this callback, as a view.
// ok is false when there is none.
func (v *View) Bytes(side filter.Side) (b []byte, ok bool) {
	seat := &v.pipe(side).seats[v.i]
	switch {
	case seat.showing != nil:
		return *seat.showing, true
	case seat.buffering:
		return seat.held, true
	}
	return nil, false
}

// Body implements [filter.Stream].
func (v *View) Body(side filter.Side, limit int) ([]byte, error) {
	if side > filter.Response || limit < 0 {
		return nil, v.misuse("reads a body with a bad side or limit")
	}
	b, _ := v.Bytes(side)
	if len(b) == 0 {
		return nil, filter.ErrNotFound
	}
	return slices.Clone(b[:min(limit, len(b))]), nil
}

// ReplaceBody implements [filter.Stream].
func (v *View) ReplaceBody(side filter.Side, body []byte) error {
	if side > filter.Response {
		return v.misuse("replaces the body of trailers")
	}
	p := v.pipe(side)
	seat := &p.seats[v.i]
	switch {
	case seat.showing != nil:
		*seat.showing = slices.Clone(body)
	case seat.buffering:
		seat.held = slices.Clone(body)
	default:
		return v.misuse("replaces a " + sideName(side) + " body that it is not shown")
	}
	p.replaced = v
	return nil
}

// Reply implements [filter.Stream].
func (v *View) Reply(r filter.Reply) error {
	if v.s.over {
		return errOver
	}
	if v.replied {
		return v.misuse("replies twice")
	}
	if r.Status < 200 || r.Status > 599 {
		return v.misuse("replies with a status that is none")
	}
	for _, h := range r.Headers {
		if !validName(h[0]) || h[0][0] == ':' || !validValue(h[1]) {
			return v.misuse("replies with a header that is none")
		}
	}
	v.replied = true
	v.reply = &filter.Reply{Status: r.Status, Headers: slices.Clone(r.Headers), Body: slices.Clone(r.Body), Detail: r.Detail}
	if v.s.running == nil {
		v.settle()
	}
	return nil
}

// Replied reports whether this filter has answered the stream.
func (v *View) Replied() bool { return v.replied || v.reply != nil || v.failed }

// Cut resets the stream as soon as the callback that runs has returned.
func (v *View) Cut() {
	v.reset = true
	if v.s.running == nil {
		v.settle()
	}
}

// Resume lets go of what this filter holds of a side. It must not be called
// from a callback of the stream, which answers Continue instead.
func (v *View) Resume(side filter.Side) error {
	if v.s.over {
		return errOver
	}
	if side > filter.Response {
		return v.misuse("resumes trailers")
	}
	if v.replied {
		return v.misuse("resumes after a reply")
	}
	if !v.pipe(side).seats[v.i].holds || v.s.at != "" {
		return v.misuse("resumes a " + sideName(side) + " that it does not hold")
	}
	v.resume[side] = true
	if v.s.running == nil {
		v.settle()
	}
	return nil
}
