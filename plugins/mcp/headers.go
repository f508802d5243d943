package mcp

import (
	"strings"

	"keyward/policies"
)

// Headers are the HTTP request headers that the protocol gives a meaning.
type Headers struct {
	ContentType string
	Origin      string
	Revision    string      // MCP-Protocol-Version
	Session     string      // Mcp-Session-Id; "": none
	LastEvent   string      // Last-Event-ID; "": none
	Method      string      // Mcp-Method
	Name        string      // Mcp-Name, as sent
	Params      [][2]string // Mcp-Param-*: lower-case name without the prefix, value as sent

	encoded bool // there is a Content-Encoding
	upgrade bool // a protocol change is asked for
	has     field
}

// field is a set of headers that were seen, to tell an empty one from none.
type field uint8

const (
	hasContentType field = 1 << iota
	hasOrigin
	hasRevision
	hasSession
	hasMethod
	hasName
	hasLastEvent
)

const paramPrefix = "mcp-param-"

// maxParams bounds Mcp-Param-* headers; each is compared with the arguments.
const maxParams = 32

// ReadHeaders takes what it needs from a request's headers: names in lower
// case, duplicates kept. One of them sent twice or beyond its bound is a fault,
// as two readers could choose differently.
func ReadHeaders(list [][2]string) (Headers, *Fault) {
	var h Headers
	for _, kv := range list {
		if reason := h.add(kv[0], kv[1]); reason != policies.ReasonNone {
			return Headers{}, &Fault{Reason: reason}
		}
	}
	return h, nil
}

func (h *Headers) add(name, value string) policies.Reason {
	switch name {
	case "content-type":
		return h.once(hasContentType, &h.ContentType, value, policies.MediaType)
	case "origin":
		return h.once(hasOrigin, &h.Origin, value, policies.OriginForbidden)
	case "mcp-protocol-version":
		return h.once(hasRevision, &h.Revision, value, policies.HeaderMismatch)
	case "mcp-session-id":
		return h.once(hasSession, &h.Session, value, policies.InvalidRequest)
	case "last-event-id":
		return h.once(hasLastEvent, &h.LastEvent, value, policies.InvalidRequest)
	case "mcp-method":
		return h.once(hasMethod, &h.Method, value, policies.HeaderMismatch)
	case "mcp-name":
		return h.once(hasName, &h.Name, value, policies.HeaderMismatch)
	case "content-encoding":
		h.encoded = true
	case "upgrade", "http2-settings", ":protocol":
		h.upgrade = true
	case "connection":
		h.upgrade = h.upgrade || containsFold(value, "upgrade")
	default:
		if param, ok := strings.CutPrefix(name, paramPrefix); ok {
			return h.addParam(param, value)
		}
	}
	return policies.ReasonNone
}

func (h *Headers) once(f field, to *string, value string, fault policies.Reason) policies.Reason {
	if h.has&f != 0 || len(value) > policies.MaxHeaderBytes {
		return fault
	}
	h.has |= f
	*to = value
	return policies.ReasonNone
}

func (h *Headers) addParam(param, value string) policies.Reason {
	if len(h.Params) == maxParams || len(value) > policies.MaxHeaderBytes {
		return policies.HeaderMismatch
	}
	for _, p := range h.Params {
		if p[0] == param {
			return policies.HeaderMismatch
		}
	}
	h.Params = append(h.Params, [2]string{param, value})
	return policies.ReasonNone
}

// containsFold reports whether s holds the lower-case word, in any ASCII case.
func containsFold(s, word string) bool {
	for i := 0; i+len(word) <= len(s); i++ {
		if strings.EqualFold(s[i:i+len(word)], word) {
			return true
		}
	}
	return false
}
