package mcp

import (
	"bytes"
	"errors"
	"strings"

	"keyward/policies"
	"keyward/policies/engine"
)

// Media is the form of an answer.
type Media uint8

// The forms.
const (
	OtherMedia  Media = iota // no message
	JSONMedia                // application/json: one message
	StreamMedia              // text/event-stream: messages as events
	MixedMedia               // clients differ on what it is
)

// AnswerMedia tells the form of an answer from its Content-Type. Case doesn't
// matter, as clients ignore it. Nor do parameters: but some clients look for a
// media type anywhere in the value, or at its beginning alone, and where they
// would find another one it is mixed.
func AnswerMedia(contentType string) Media {
	media, parameters, _ := strings.Cut(contentType, ";")
	media = strings.Trim(media, " \t")
	json, stream := strings.EqualFold(media, "application/json"), strings.EqualFold(media, "text/event-stream")
	switch {
	case json && !names(parameters):
		return JSONMedia
	case stream && !names(parameters):
		return StreamMedia
	case names(contentType):
		return MixedMedia
	default:
		return OtherMedia
	}
}

// names reports whether a client could find a message's media type in s.
func names(s string) bool { return containsFold(s, "event-stream") || containsFold(s, "json") }

// FilterList takes the tools that keep refuses out of an answer to tools/list.
// id is the request's, as in [Message]. All else stays byte for byte, but for a
// cacheScope, which becomes private: what is left is this consumer's alone. An
// error response passes. Without a change the result is body itself.
func FilterList(body, id []byte, keep func(name string) bool) ([]byte, *Fault) {
	if len(body) > policies.MaxAnswerBytes {
		return nil, refused(policies.AnswerTooLarge, "answer is beyond its bound")
	}
	a, err := readAnswer(body, keep)
	if err != nil {
		return nil, refused(policies.AnswerRefused, err.Error())
	}
	if err := a.answers(id, true); err != nil {
		return nil, refused(policies.AnswerRefused, err.Error())
	}
	return a.apply(body), nil
}

// An answer is a JSON-RPC message from the server, read once, and what has to
// change in it.
type answer struct {
	id     []byte // nil when there is none; "null" for null
	method bool
	result bool
	failed bool // there is an error member
	tools  bool // the result has a member called tools
	cuts   []cut
}

// A cut is a range of the body that is replaced. Cuts are in order and disjoint.
type cut struct {
	from, to int
	with     string
}

var (
	errTrailing = errors.New("answer is more than one JSON value")
	errShape    = errors.New("answer is no JSON-RPC message")
	errVersion  = errors.New("answer is not JSON-RPC 2.0")
	errVariant  = errors.New("answer has a member that differs from the protocol's only in spelling")
	errAnswerID = errors.New("answer belongs to another request")
	errNoTools  = errors.New("answer is no list of tools")
	errTool     = errors.New("answer lists a tool without a name")
	errTwice    = errors.New("answer lists a tool twice")
)

// readAnswer reads one message strictly. With a keep it also notes the cuts
// that filtering the result's tools takes.
func readAnswer(body []byte, keep func(string) bool) (answer, error) {
	var a answer
	r := reader{engine.NewJSONDecoder(body, engine.JSONLimits{Depth: policies.MaxDepth, Values: maxAnswerValues})}
	if r.PeekKind() != '{' {
		return a, errShape
	}
	version := false
	err := r.object(func(name string) error {
		switch name {
		case "jsonrpc":
			s, err := r.str(errVersion)
			if version = s == "2.0"; err == nil && !version {
				err = errVersion
			}
			return err
		case "id":
			return r.id(&a.id)
		case "method":
			a.method = true
			_, err := r.str(errShape)
			return err
		case "result":
			a.result = true
			return r.result(&a, keep)
		case "error":
			a.failed = true
		case "params":
		default:
			if variant(name, messageMembers) {
				return errVariant
			}
		}
		return r.SkipValue()
	})
	switch {
	case err != nil:
		return a, err
	case r.End() != nil:
		return a, errTrailing
	case !version:
		return a, errVersion
	case a.method && (a.result || a.failed), !a.method && a.result == a.failed:
		return a, errShape
	}
	return a, nil
}

// answers checks that a is the response to the request id; list says that its
// result must be a list of tools.
func (a *answer) answers(id []byte, list bool) error {
	switch {
	case a.method:
		return errShape
	case a.failed && (a.id == nil || string(a.id) == "null"):
		return nil // the server could not read the ID
	case !bytes.Equal(a.id, id):
		return errAnswerID
	case list && a.result && !a.tools:
		return errNoTools
	}
	return nil
}

// apply returns body with the cuts made, and body itself when there are none.
func (a *answer) apply(body []byte) []byte {
	if len(a.cuts) == 0 {
		return body
	}
	out := make([]byte, 0, len(body)+16)
	at := 0
	for _, c := range a.cuts {
		out = append(append(out, body[at:c.from]...), c.with...)
		at = c.to
	}
	return append(out, body[at:]...)
}

// maxAnswerValues bounds the names and values of an answer: a thousand tools
// with two hundred of them each.
const maxAnswerValues = 200_000
