package mcp

import (
	"keyward/policies"
	"keyward/policies/engine"
)

// A Message is what a client asks, in the only way it can be read.
type Message struct {
	Revision  Revision
	Kind      policies.MCPKind
	Class     Class
	Method    string       // "" for a stream and an end
	Name      string       // what the method names; "" when it names nothing
	Arguments engine.Value // of a call: an object; undefined when there are none
	ID        []byte       // the request's ID as JSON; nil unless Kind is request
}

// Read reads the whole body of a POST. Every fault means that nothing of the
// request may go on. The message shares memory with body, which nobody may change
// from here on, and its arguments are valid until r reads again.
func Read(r *engine.JSONReader, body []byte, h *Headers, s Settings) (Message, *Fault) {
	switch {
	case len(body) == 0:
		return Message{}, refused(policies.BodyMissing, "body is empty")
	case len(body) > policies.MaxBodyBytes:
		return Message{}, refused(policies.BodyTooLarge, "body is beyond its bound")
	}
	v, err := r.Read(body, engine.JSONLimits{Depth: policies.MaxDepth, Values: policies.MaxMembers, Doubles: true})
	if err != nil {
		return Message{}, refused(policies.Malformed, err.Error())
	}
	if v.Kind() == engine.KindArray {
		return Message{}, refused(policies.BatchRefused, "body is an array")
	}
	var m Message
	p, f := m.envelope(v)
	if f == nil {
		f = m.negotiate(p, h, s)
	}
	if f == nil {
		f = m.content(p.all, h)
	}
	if f != nil {
		f.ID, f.Revision = m.ID, m.Revision
		return Message{}, f
	}
	return m, nil
}

// parameters are the params of a message; both are undefined when absent.
type parameters struct{ all, meta engine.Value }

// envelope reads what JSON-RPC says of a message; JSON-RPC 2.0 section 4. The ID
// is set only when nothing else could be taken for one.
func (m *Message) envelope(v engine.Value) (parameters, *Fault) {
	var none parameters
	if v.Kind() != engine.KindObject {
		return none, refused(policies.InvalidRequest, "message is no object")
	}
	var version, id, method, params engine.Value
	for name, member := range v.Members() {
		switch name {
		case "jsonrpc":
			version = member
		case "id":
			id = member
		case "method":
			method = member
		case "params":
			params = member
		case "result", "error":
			return none, refused(policies.InvalidRequest, "message is a response")
		default:
			return none, refused(policies.InvalidRequest, "message has an unknown member")
		}
	}
	var ok bool
	m.Kind = policies.MCPNotification
	if !id.IsUndefined() {
		m.Kind = policies.MCPRequest
		if m.ID, ok = appendID(id); !ok {
			return none, refused(policies.InvalidRequest, "id is neither a string nor an integer, or too long")
		}
	}
	if s, _ := version.Str(); s != "2.0" {
		return none, refused(policies.InvalidRequest, "jsonrpc is not 2.0")
	}
	if m.Method, ok = method.Str(); !ok {
		return none, refused(policies.InvalidRequest, "method is no string")
	}
	return readParams(params)
}

// maxIDBytes bounds a request ID, which is sent back in a refusal.
const maxIDBytes = 256

// appendID returns id in the form that [Message] has it in; false when it is
// none that both sides certainly write alike.
func appendID(id engine.Value) ([]byte, bool) {
	if s, ok := id.Str(); ok {
		if len(s) > maxIDBytes {
			return nil, false
		}
		return quote(nil, s), true
	}
	text := id.Text()
	if i, ok := id.Int(); !ok || len(text) > len("-9223372036854775808") || text == "-0" || i == 0 && text != "0" {
		return nil, false
	}
	for i := range len(text) {
		if c := text[i]; (c < '0' || c > '9') && c != '-' {
			return nil, false
		}
	}
	return []byte(text), true
}

// readParams checks the shape of params and _meta, at the levels where the
// protocol gives names a meaning.
func readParams(params engine.Value) (parameters, *Fault) {
	p := parameters{all: params}
	if params.IsUndefined() {
		return p, nil
	}
	if params.Kind() != engine.KindObject {
		return p, refused(policies.InvalidRequest, "params is no object")
	}
	for name, member := range params.Members() {
		if name == "_meta" {
			p.meta = member
		} else if variant(name, paramsMembers) {
			return p, refused(policies.InvalidRequest, "params has a member that differs from the protocol's only in spelling")
		}
	}
	if p.meta.IsUndefined() {
		return p, nil
	}
	if p.meta.Kind() != engine.KindObject {
		return p, refused(policies.InvalidRequest, "_meta is no object")
	}
	for name := range p.meta.Members() {
		if variant(name, metaMembers) {
			return p, refused(policies.InvalidRequest, "_meta has a member that differs from the protocol's only in spelling")
		}
	}
	return p, nil
}

// content reads what the method says, and holds the headers against it.
func (m *Message) content(params engine.Value, h *Headers) *Fault {
	if f := m.agreeMethod(h); f != nil {
		return f
	}
	known, ok := lookup(m.Method, m.Revision)
	if !ok {
		return refused(policies.UnknownMethod, "method is not one of the revision")
	}
	if known.notification != (m.Kind == policies.MCPNotification) {
		return refused(policies.InvalidRequest, "a request without an id, or a notification with one")
	}
	m.Class = known.class
	if m.Class == ByName {
		if f := m.call(params); f != nil {
			return f
		}
	}
	return m.agreeName(h)
}

// call reads the params of tools/call.
func (m *Message) call(params engine.Value) *Fault {
	name, ok := str(params, "name")
	if !ok || !validName(name) {
		return refused(policies.InvalidParams, "name is missing, too long or has control characters")
	}
	m.Name = name
	if args, ok := params.Get("arguments"); ok {
		if args.Kind() != engine.KindObject {
			return refused(policies.InvalidParams, "arguments is no object")
		}
		m.Arguments = args
	}
	return nil
}

// str returns the member of v that is a string.
func str(v engine.Value, name string) (string, bool) {
	member, _ := v.Get(name)
	return member.Str()
}

// validName reports whether a tool of this name can be called at all: not empty,
// within its bound and free of control characters.
func validName(name string) bool {
	if name == "" || len(name) > policies.MaxNameBytes {
		return false
	}
	for _, c := range name {
		if c < 0x20 || c >= 0x7f && c <= 0x9f || c == 0xfffd {
			return false
		}
	}
	return true
}
