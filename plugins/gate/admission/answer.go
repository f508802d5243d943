package admission

import (
	"errors"
	"strconv"
	"strings"

	"keyward/plugins/filter"
	"keyward/plugins/mcp"
	"keyward/policies"
)

// An answer is what is done to the answer of an admitted MCP message. Lists are
// filtered entry by entry, by the policy and at the generation that admitted the
// request; event streams are read event by event, as a server can put a list, or
// a request of its own, into any of them; of any other document it is made sure
// that it is a response.
type answer struct {
	list    bool // tools/list: a single document has to be filtered too
	form    form
	sse     *mcp.SSEFilter
	scanner mcp.ResponseScanner // of a response; kept for the next one
}

// begin makes an answer of what was another one.
func (a *answer) begin(list bool) { *a = answer{list: list, scanner: a.scanner} }

// form is how the answer is encoded, known from its headers.
type form uint8

const (
	untouched  form = iota // passed on as it is
	unreadable             // not to be passed on
	document               // one JSON document, held until it is whole
	response               // one JSON document, read as it flows
	events                 // an event stream, filtered as it flows
)

// keep decides whether a tool is listed.
func (x *stream) keep(tool string) bool {
	in := x.parties.input(&x.room.input, policies.KindMCP, x.http, entryInput(x.msg.Revision, tool))
	return x.state.decide(in, x.now).Verdict == policies.Allow
}

// eventKeep is [stream.keep] where an event stream may hold a list: in the
// answer to one, and on the server's own stream, which can resume one. It is nil
// where a list would be no answer.
func (x *stream) eventKeep() func(string) bool {
	if x.answer.list || x.msg.ID == nil {
		return x.keep
	}
	return nil
}

// ResponseHeaders finds out what kind of answer it is.
func (x *stream) ResponseHeaders(end bool) filter.Action {
	x.answering = true
	switch {
	case x.settled == withheld, x.ends():
		return filter.Hold
	case x.settled == refused: // the refusal itself passes through here
		return filter.Continue
	case end && x.answer == nil && x.gate.accounts.outbox == nil:
		return filter.Continue
	}
	list, err := x.s.Headers(filter.Response)
	h := readAnswerHeaders(list)
	x.account.status = h.status
	switch {
	case x.answer == nil: // not MCP's: hosts show an answer's headers here alone
		x.tellable, x.usage = h.events(), x.meter(&h)
		return filter.Continue
	case err != nil:
		return x.withhold(policies.Internal)
	case h.sessions > 0 && !x.bindSession(&h):
		return x.withhold(policies.AnswerRefused)
	case end:
		return filter.Continue
	}
	switch x.answer.form = h.form(&x.msg); x.answer.form {
	case untouched:
		x.answer = nil
		return filter.Continue
	case unreadable:
		return x.withhold(policies.AnswerRefused)
	case response:
		x.answer.scanner.Begin(x.msg.ID)
		return filter.Hold // until its beginning is there: most need no more for an error in its place
	}
	if h.length && x.s.RemoveHeader(filter.Response, "content-length") != nil {
		return x.withhold(policies.Internal)
	}
	if x.answer.form == events {
		x.answer.sse, x.tellable = mcp.NewSSEFilter(x.msg.ID, x.eventKeep()), true
		x.answer.sse.EventID = x.bindEvent
		return filter.Continue
	}
	return filter.Hold
}

// answerHeaders are what of an answer's headers matters here.
type answerHeaders struct {
	media           mcp.Media
	hasMedia        bool
	status          int
	success         bool
	encoded, length bool
	session         string
	sessions        int // how often there is one
}

func readAnswerHeaders(list [][2]string) (h answerHeaders) {
	for _, kv := range list {
		switch kv[0] {
		case ":status":
			h.success = len(kv[1]) == 3 && kv[1][0] == '2'
			h.status, _ = strconv.Atoi(kv[1]) // 0: no status
		case "content-type":
			if h.media = mcp.AnswerMedia(kv[1]); h.hasMedia {
				h.media = mcp.MixedMedia // two of them
			}
			h.hasMedia = true
		case "content-encoding":
			v := strings.TrimSpace(kv[1])
			h.encoded = h.encoded || v != "" && !strings.EqualFold(v, "identity")
		case "content-length":
			h.length = true
		case sessionHeader:
			h.session = kv[1]
			h.sessions++
		}
	}
	return h
}

// events reports whether the answer is an event stream of no announced length.
func (h answerHeaders) events() bool {
	return !h.encoded && !h.length && h.media == mcp.StreamMedia
}

// form is how the answer to m has to be read. Errors carry no message, and what
// answers a notification or ends a session is none unless it says so. A client
// that opens the server's stream reads events, whatever it is told to get.
func (h answerHeaders) form(m *mcp.Message) form {
	reads := m.Kind == policies.MCPRequest || m.Kind == policies.MCPStream
	switch {
	case !h.success, h.media == mcp.OtherMedia && !reads:
		return untouched
	case h.encoded:
		return unreadable
	case h.media == mcp.StreamMedia:
		return events
	case h.media != mcp.JSONMedia, m.Kind == policies.MCPStream:
		return unreadable
	case m.Class == mcp.Listing:
		return document
	default:
		return response
	}
}

// ResponseBody filters an answer, and counts what came of it.
func (x *stream) ResponseBody(size int, end bool) filter.Action {
	a := x.responseBody(size, end)
	if a == filter.Continue {
		x.account.out += uint64(size)
	}
	return a
}

func (x *stream) responseBody(size int, end bool) filter.Action {
	switch {
	case x.settled == withheld:
		return filter.Hold
	case x.ends():
		return x.lastChunk()
	case x.answer == nil:
		x.measure(size)
		return filter.Continue
	case x.answer.form == events:
		return x.filterEvents()
	case x.answer.form == response:
		return x.scanResponse(size)
	case size > policies.MaxAnswerBytes:
		return x.withhold(policies.AnswerTooLarge)
	case !end:
		return filter.Hold
	}
	return x.filterDocument()
}

// ResponseTrailers comes after an answer whose body callback saw no end. A
// document that is still held can't be replaced any more.
func (x *stream) ResponseTrailers() filter.Action {
	switch {
	case x.settled == withheld, x.ends():
		return filter.Hold
	case x.answer == nil || x.answer.form != document:
		return filter.Continue
	}
	return x.withhold(policies.AnswerRefused)
}

func (x *stream) filterDocument() filter.Action {
	body, err := x.s.Body(filter.Response, policies.MaxAnswerBytes+1)
	if err != nil {
		return x.withhold(policies.AnswerRefused)
	}
	out, fault := mcp.FilterList(body, x.msg.ID, x.keep)
	if fault != nil {
		return x.withhold(fault.Reason)
	}
	if x.s.ReplaceBody(filter.Response, out) != nil {
		return x.withhold(policies.Internal)
	}
	x.answer = nil
	return filter.Continue
}

func (x *stream) scanResponse(size int) filter.Action {
	if size == 0 {
		return filter.Continue
	}
	chunk, err := x.s.Body(filter.Response, size)
	switch {
	case errors.Is(err, filter.ErrNotFound):
		return filter.Continue
	case err != nil:
		return x.withhold(policies.Internal)
	}
	if fault := x.answer.scanner.Write(chunk); fault != nil {
		return x.withhold(fault.Reason)
	}
	return filter.Continue
}

func (x *stream) filterEvents() filter.Action {
	chunk, err := x.s.Body(filter.Response, policies.MaxAnswerBytes)
	if errors.Is(err, filter.ErrNotFound) {
		return filter.Continue
	}
	if err != nil {
		return x.withhold(policies.Internal)
	}
	out, fault := x.answer.sse.Write(nil, chunk)
	if fault != nil {
		return x.withhold(fault.Reason)
	}
	if x.s.ReplaceBody(filter.Response, out) != nil {
		return x.withhold(policies.Internal)
	}
	return filter.Continue
}

// withhold keeps an answer that can't be checked from the client. Before the
// answer's headers have gone out the client gets an error; later the stream is
// reset.
func (x *stream) withhold(reason policies.Reason) filter.Action {
	x.settled = withheld
	x.gate.open.remove(x)
	d := policies.Decision{ID: x.gate.ids.next(x.now), Reason: reason}
	x.gate.host.Log(filter.Warn, "deny"+x.line(d))
	x.noteCut(d)
	_ = x.s.Reply(x.msg.Refuse(reason).Reply(d.ID))
	return filter.Hold
}
