package mcp

import (
	"bytes"

	"keyward/plugins/internal/text"
	"keyward/policies"
)

// An SSEFilter filters an event stream of MCP messages as it arrives, in chunks
// of any size. Each event is read strictly as one message and written anew in
// one canonical form, so that no client can split the stream otherwise than was
// checked:
//
//   - a response to the request passes, its list of tools filtered;
//   - a response to another request is a fault;
//   - a notification passes;
//   - a request of the server (sampling, elicitation, roots) is dropped;
//   - an event of another type than message is dropped;
//   - an event that has not ended when the stream does is dropped.
//
// Event IDs, as EventID has them, and retry times are kept, also of what is
// dropped, so that a client can resume. Comments are kept without their text, as signs of life.
type SSEFilter struct {
	// EventID appends an event's ID as the client gets it; nil: as it is.
	EventID func(out, id []byte) []byte

	id   []byte
	keep func(name string) bool

	begun  bool   // past the place of a byte order mark
	cr     bool   // the last byte was CR: an LF now is part of the same line end
	line   []byte // the line so far
	data   []byte // data of the event so far, each line ended by LF
	event  []byte // type of the event so far
	lastID []byte // ID of the event so far
	hasID  bool
	retry  []byte
	size   int // bytes of the event so far
	fault  *Fault
}

// NewSSEFilter returns a filter for the stream that answers the request id, as
// in [Message]. A nil id is for the server's own stream, opened by GET, on which
// the answers to earlier requests can be resumed. keep is asked for each tool
// of a list; nil is for an answer that is no list.
func NewSSEFilter(id []byte, keep func(name string) bool) *SSEFilter {
	return &SSEFilter{id: id, keep: keep}
}

var bom = []byte("\xef\xbb\xbf")

// Write takes the next chunk and appends to out what may go to the client now.
// After a fault it gives nothing but that fault: the stream has to be cut.
func (f *SSEFilter) Write(out, chunk []byte) ([]byte, *Fault) {
	for len(chunk) > 0 && f.fault == nil {
		if f.cr && chunk[0] == '\n' {
			f.cr = false
			chunk = chunk[1:]
			continue
		}
		f.cr = false
		n := text.First(chunk, '\n', '\r')
		if f.size += n; f.size > policies.MaxAnswerBytes {
			f.fault = refused(policies.AnswerTooLarge, "event is beyond its bound")
			break
		}
		f.line = append(f.line, chunk[:n]...)
		if n < len(chunk) {
			f.cr = chunk[n] == '\r'
			out = f.endLine(out)
			n++
		}
		chunk = chunk[n:]
	}
	return out, f.fault
}

// endLine interprets a whole line; WHATWG HTML, section 9.2.6.
func (f *SSEFilter) endLine(out []byte) []byte {
	line := f.line
	f.line = f.line[:0]
	if !f.begun {
		f.begun = true
		line = bytes.TrimPrefix(line, bom)
	}
	if len(line) == 0 {
		return f.endEvent(out)
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimPrefix(value, []byte(" "))
	switch string(name) {
	case "": // a comment
		f.size -= len(line)
		return append(out, ":\n"...)
	case "data":
		f.data = append(append(f.data, value...), '\n')
	case "event":
		f.event = append(f.event[:0], value...)
	case "id":
		if bytes.IndexByte(value, 0) < 0 {
			f.lastID = append(f.lastID[:0], value...)
			f.hasID = true
		}
	case "retry":
		if digits(value) {
			f.retry = append(f.retry[:0], value...)
		}
	}
	return out
}

// endEvent writes what is left of the event, and makes ready for the next.
func (f *SSEFilter) endEvent(out []byte) []byte {
	data, ok := f.message()
	if f.fault != nil {
		return out
	}
	before := len(out)
	if f.hasID {
		out = f.appendID(out)
	}
	if len(f.retry) > 0 {
		out = appendField(out, "retry", f.retry)
	}
	if ok {
		if len(f.event) > 0 {
			out = appendField(out, "event", f.event)
		}
		for line := range bytes.SplitSeq(data, []byte("\n")) {
			out = appendField(out, "data", line)
		}
	}
	if len(out) > before {
		out = append(out, '\n')
	}
	f.data, f.event, f.lastID, f.retry = f.data[:0], f.event[:0], f.lastID[:0], f.retry[:0]
	f.hasID, f.size = false, 0
	return out
}

// message returns the data that the client may have, and whether it may have
// any.
func (f *SSEFilter) message() ([]byte, bool) {
	if len(f.data) == 0 || len(f.event) > 0 && string(f.event) != "message" {
		return nil, false
	}
	data := f.data[:len(f.data)-1]
	if len(data) == 0 || string(data) == "{}" {
		return nil, true // only marks a place to resume from; servers that keep those as messages replay {}
	}
	a, err := readAnswer(data, f.keep)
	if err != nil {
		f.fault = refused(policies.AnswerRefused, err.Error())
		return nil, false
	}
	if a.method {
		return data, a.id == nil
	}
	if f.id != nil {
		if err := a.answers(f.id, f.keep != nil); err != nil {
			f.fault = refused(policies.AnswerRefused, err.Error())
			return nil, false
		}
	}
	return a.apply(data), true
}

// appendID writes the event's ID. An empty one stays empty: it says that there is
// nothing to resume from.
func (f *SSEFilter) appendID(out []byte) []byte {
	if f.EventID == nil || len(f.lastID) == 0 {
		return appendField(out, "id", f.lastID)
	}
	return append(f.EventID(append(out, "id: "...), f.lastID), '\n')
}

func appendField(out []byte, name string, value []byte) []byte {
	out = append(append(out, name...), ": "...)
	return append(append(out, value...), '\n')
}

// digits reports whether b consists of ASCII digits only.
func digits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}
