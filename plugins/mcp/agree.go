package mcp

import (
	"encoding/base64"
	"strings"

	"keyward/policies"
	"keyward/policies/engine"
)

// agreeMethod holds Mcp-Method against the body. The header is required from
// 2026-07-28 on; before, one that is there must agree all the same, as an
// upstream could believe it.
func (m *Message) agreeMethod(h *Headers) *Fault {
	if h.has&hasMethod == 0 {
		if m.Revision.Stateless() {
			return refused(policies.HeaderMismatch, "Mcp-Method is missing")
		}
		return nil
	}
	if h.Method != m.Method {
		return refused(policies.HeaderMismatch, "Mcp-Method differs from method")
	}
	return nil
}

// agreeName holds Mcp-Name and Mcp-Param-* against the body, by the same rule.
func (m *Message) agreeName(h *Headers) *Fault {
	switch {
	case h.has&hasName != 0:
		if name, ok := decodeValue(h.Name); !ok || m.Name == "" || name != m.Name {
			return refused(policies.HeaderMismatch, "Mcp-Name differs from what the body names")
		}
	case m.Class == ByName && m.Revision.Stateless():
		return refused(policies.HeaderMismatch, "Mcp-Name is missing")
	}
	for _, p := range h.Params {
		if value, ok := decodeValue(p[1]); !ok || !agreeParam(p[0], value, m.Arguments) {
			return refused(policies.HeaderMismatch, "Mcp-Param differs from the arguments")
		}
	}
	return nil
}

// Sentinels around a header value that had to be encoded; Streamable HTTP,
// value encoding.
const (
	sentinelStart = "=?base64?"
	sentinelEnd   = "?="
)

// decodeValue undoes the encoding of a header value.
func decodeValue(s string) (string, bool) {
	inner, ok := strings.CutPrefix(s, sentinelStart)
	if !ok {
		return s, true
	}
	if inner, ok = strings.CutSuffix(inner, sentinelEnd); !ok {
		return s, true
	}
	b, err := base64.StdEncoding.Strict().DecodeString(inner)
	return string(b), err == nil
}

// agreeParam reports whether an Mcp-Param header repeats an argument. Which one
// it is bound to stands in the tool's schema, which is not known here: it is the
// one of the same name, if there is one, else it must be some argument. No value
// that the policy did not see gets past it.
func agreeParam(name, value string, args engine.Value) bool {
	p := param{text: value}
	if n, err := engine.Number(value); err == nil {
		p.number = n
	}
	named := false
	for arg, v := range args.Members() {
		if strings.EqualFold(arg, name) {
			if !p.repeats(v) {
				return false
			}
			named = true
		}
	}
	return named || p.repeatsAny(args)
}

// A param is the value of a header, decoded.
type param struct {
	text   string
	number engine.Value // undefined unless text is a number
}

// repeatsAny looks through objects only, as deep as the body was allowed to be:
// what is in an array has no header.
func (p param) repeatsAny(v engine.Value) bool {
	for _, member := range v.Members() {
		if p.repeats(member) || p.repeatsAny(member) {
			return true
		}
	}
	return false
}

// repeats reports whether p is the text of v: a string, a boolean or a number.
func (p param) repeats(v engine.Value) bool {
	switch v.Kind() {
	case engine.KindString:
		s, _ := v.Str()
		return s == p.text
	case engine.KindBool:
		b, _ := v.Bool()
		return b && p.text == "true" || !b && p.text == "false"
	case engine.KindNumber:
		return p.number.Kind() == engine.KindNumber && p.number.Equal(v)
	default:
		return false
	}
}
