package mcp

import (
	"slices"
	"strings"

	"keyward/policies"
)

// CheckHeaders checks what the headers of a request can tell alone; end says
// that no body follows them. For a POST the Message is empty: its body is still
// to be read, with [Read]. A GET or DELETE is whole, and its Message is ready to
// be decided.
func CheckHeaders(method string, end bool, h *Headers, s Settings) (Message, *Fault) {
	if reason := checkTransport(method, end, h, s); reason != policies.ReasonNone {
		return Message{}, &Fault{Reason: reason, Allow: s.allow(reason)}
	}
	if method == "POST" {
		return Message{}, nil
	}
	return streamOrEnd(method, h, s)
}

func checkTransport(method string, end bool, h *Headers, s Settings) policies.Reason {
	post := method == "POST"
	switch {
	case h.upgrade || method == "CONNECT":
		return policies.UpgradeRefused
	case !post && !(s.sessions() && (method == "GET" || method == "DELETE")):
		return policies.MethodForbidden
	case h.has&hasOrigin != 0 && !slices.Contains(s.Origins, h.Origin):
		return policies.OriginForbidden
	case h.encoded:
		return policies.Encoding
	case post && !jsonMedia(h.ContentType):
		return policies.MediaType
	case post && end:
		return policies.BodyMissing
	case !post && !end:
		return policies.InvalidRequest // RFC 9110 section 9.3.1 gives such a body no meaning
	case h.has&hasSession != 0 && !ValidSession(h.Session):
		return policies.InvalidRequest
	}
	return policies.ReasonNone
}

// streamOrEnd reads a request that has no body: GET opens the server's own
// stream, DELETE ends a session. Neither exists from 2026-07-28 on.
func streamOrEnd(method string, h *Headers, s Settings) (Message, *Fault) {
	rev := Revision(h.Revision)
	switch {
	case h.has&hasRevision == 0 || !s.accepts(rev):
		return Message{}, unsupported(h.Revision, s)
	case rev.Stateless():
		return Message{}, &Fault{Reason: policies.MethodForbidden, Allow: "POST", Revision: rev}
	case method == "DELETE" && h.has&hasSession == 0:
		return Message{}, &Fault{Reason: policies.InvalidRequest, Revision: rev}
	}
	m := Message{Revision: rev, Kind: policies.MCPStream, Class: ByRule}
	if method == "DELETE" {
		m.Kind = policies.MCPEnd
	}
	return m, nil
}

// allow is the Allow header of a 405; RFC 9110 section 15.5.6 demands one.
func (s Settings) allow(reason policies.Reason) string {
	switch {
	case reason != policies.MethodForbidden:
		return ""
	case s.sessions():
		return "GET, POST, DELETE"
	default:
		return "POST"
	}
}

// jsonMedia accepts application/json, alone or with the charset that RFC 8259
// section 8.1 demands anyway. Any other spelling is one that some server reads
// and another does not.
func jsonMedia(contentType string) bool {
	rest, ok := strings.CutPrefix(contentType, "application/json")
	if !ok {
		return false
	}
	if rest == "" {
		return true
	}
	rest, ok = strings.CutPrefix(rest, ";")
	return ok && strings.EqualFold(strings.TrimPrefix(rest, " "), "charset=utf-8")
}

// maxSessionBytes bounds a session ID; servers use UUIDs and the like.
const maxSessionBytes = 1024

// ValidSession reports whether s is a session ID: visible ASCII (Transports,
// session management).
func ValidSession(s string) bool {
	if s == "" || len(s) > maxSessionBytes {
		return false
	}
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
