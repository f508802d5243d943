package mcp

import (
	"bytes"

	"keyward/plugins/internal/text"
	"keyward/policies"
	"keyward/policies/engine"
)

// A ResponseScanner reads the one JSON document that answers a request while it
// passes, in chunks of any size. It finds what a client would take for something
// else than the response: a batch, a request of the server's own, a response to
// another request. A document that is cut before its last byte is no document,
// so nothing needs to be held for that, and none is too long.
//
// What members hold is not looked at: the client alone reads that.
type ResponseScanner struct {
	id    []byte
	state scanState
	name  []byte // of the member under way
	value []byte // of the ID under way
	hasID bool

	depth           int  // brackets open in the member's value
	quoted, escaped bool // in a string, behind a backslash
	fault           *Fault
}

// scanState is what comes next in the document.
type scanState uint8

const (
	scanStart scanState = iota // the document's opening bracket
	scanFirst                  // a name, or the closing bracket
	scanNext                   // a name
	scanName                   // the rest of a name
	scanColon                  // the colon behind a name
	scanValue                  // a value, or the rest of one
	scanEnd                    // nothing but white space
)

const (
	// maxScanName bounds the name of a member, in bytes: the protocol's are short.
	maxScanName = 64
	// maxScanID bounds the text of an ID, all of it in escapes.
	maxScanID = 6*maxIDBytes + 64
)

// Begin begins with the answer to the request id, as in [Message]; nil is for a
// notification, which has no response. What was read before is forgotten.
func (s *ResponseScanner) Begin(id []byte) {
	*s = ResponseScanner{id: id, name: s.name[:0], value: s.value[:0]}
}

// Write reads the next chunk. After a fault there is nothing but that fault: the
// answer has to be cut.
func (s *ResponseScanner) Write(chunk []byte) *Fault {
	for i := 0; i < len(chunk) && s.fault == nil; i++ {
		switch c := chunk[i]; s.state {
		case scanValue:
			i += s.skip(chunk[i:])
		case scanName:
			s.nameByte(c)
		default:
			if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
				s.token(c)
			}
		}
	}
	return s.fault
}

func (s *ResponseScanner) refuse(err error) {
	s.fault = refused(policies.AnswerRefused, err.Error())
}

// token takes a byte between names and values.
func (s *ResponseScanner) token(c byte) {
	switch {
	case s.state == scanStart && c == '{':
		s.state = scanFirst
	case s.state == scanFirst && c == '}':
		s.state = scanEnd
	case (s.state == scanFirst || s.state == scanNext) && c == '"':
		s.state, s.name = scanName, s.name[:0]
	case s.state == scanColon && c == ':':
		s.state, s.value = scanValue, s.value[:0]
	case s.state == scanEnd:
		s.refuse(errTrailing)
	default:
		s.refuse(errShape)
	}
}

func (s *ResponseScanner) nameByte(c byte) {
	switch {
	case c == '"':
		s.state = scanColon
		s.member()
	case c == '\\' || len(s.name) == maxScanName:
		s.refuse(errVariant) // nobody needs that for a name of the protocol
	default:
		s.name = append(s.name, c)
	}
}

// member looks at a whole name.
func (s *ResponseScanner) member() {
	switch name := string(s.name); {
	case name == "id" && s.hasID, name == "method":
		s.refuse(errShape)
	case name == "id":
		s.hasID = true
	case variant(name, messageMembers):
		s.refuse(errVariant)
	}
}

// skip passes over a value, or what of one is in b, and returns at which byte it
// stopped: the last that it took.
func (s *ResponseScanner) skip(b []byte) int {
	for i := 0; i < len(b); i++ {
		c := b[i]
		switch {
		case s.escaped:
			s.escaped = false
		case s.quoted:
			if i += text.First(b[i:], '"', '\\'); i == len(b) {
				continue
			}
			c = b[i]
			s.escaped, s.quoted = c == '\\', c != '"'
		case c == '"':
			s.quoted = true
		case c == '{' || c == '[':
			s.depth++
		case s.depth > 0:
			if c == '}' || c == ']' {
				s.depth--
			}
		case c == ',':
			s.end(b[:i], scanNext)
			return i
		case c == '}':
			s.end(b[:i], scanEnd)
			return i
		case c == ']':
			s.refuse(errShape)
			return i
		}
	}
	s.keep(b)
	return len(b) - 1
}

// end takes the rest of a value, and says what comes behind it.
func (s *ResponseScanner) end(rest []byte, next scanState) {
	s.state = next
	if s.keep(rest); string(s.name) == "id" && s.fault == nil && !s.answers() {
		s.refuse(errAnswerID)
	}
}

// keep adds to the text of an ID.
func (s *ResponseScanner) keep(b []byte) {
	switch {
	case string(s.name) != "id":
	case len(s.value)+len(b) > maxScanID:
		s.refuse(errAnswerID)
	default:
		s.value = append(s.value, b...)
	}
}

// answers reports whether the ID is the request's, or null, which is no client's.
func (s *ResponseScanner) answers() bool {
	if len(s.id) > 0 && bytes.Equal(s.value, s.id) {
		return true
	}
	v, err := engine.ParseJSON(s.value, engine.JSONLimits{Depth: 1})
	if err != nil {
		return false
	}
	if v.Kind() == engine.KindNull {
		return true
	}
	id, ok := appendID(v)
	return ok && bytes.Equal(id, s.id)
}
