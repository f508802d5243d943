package mcp

import (
	"strconv"

	"keyward/plugins/filter"
	"keyward/plugins/refusal"
	"keyward/policies"
	"keyward/policies/engine"
)

// A Fault is why a request is refused, with what the refusal must tell.
type Fault struct {
	Reason   policies.Reason
	ID       []byte   // JSON of the request's ID; nil when there is none or it could not be read safely
	Revision Revision // "" until the request's revision is known
	Detail   string   // for the log: our own words, nothing of the request

	Supported []Revision // with policies.Revision: what the target takes
	Requested string     // with policies.Revision: what was asked for
	Allow     string     // with policies.MethodForbidden: the Allow header
}

// refused is a fault with the reader's own words for the log.
func refused(reason policies.Reason, detail string) *Fault {
	return &Fault{Reason: reason, Detail: detail}
}

// Refuse returns a fault for a message that was read and then denied. A stream
// or an end that is not permitted looks like one that is not offered, which is
// what clients expect of a server without it.
func (m *Message) Refuse(reason policies.Reason) *Fault {
	f := &Fault{Reason: reason, ID: m.ID, Revision: m.Revision}
	if permission(reason) && (m.Kind == policies.MCPStream || m.Kind == policies.MCPEnd) {
		f.Allow = "POST"
	}
	return f
}

// permission reports whether reason is about this one request, which another of
// the same client need not share.
func permission(reason policies.Reason) bool {
	return reason == policies.NotGranted || reason == policies.DeniedByRule || reason == policies.AskFirst
}

// Reply is what the client gets: a JSON-RPC error with the request's ID. The
// decision may be empty where nothing was decided.
func (f *Fault) Reply(decision string) filter.Reply {
	r := f.Reason.Refusal()
	status := f.Status()
	headers := [][2]string{{"content-type", "application/json"}, {"cache-control", "no-store"}}
	if status == 405 {
		headers = append(headers, [2]string{"allow", f.Allow})
	}
	if status == 401 {
		headers = append(headers, [2]string{"www-authenticate", refusal.Bearer(f.Reason)})
	}
	return filter.Reply{
		Status:  status,
		Headers: headers,
		Body:    AppendError(make([]byte, 0, 256), f.ID, r, f.Reason, decision, f.extra()),
		Detail:  refusal.Detail(f.Reason),
	}
}

// Status is the HTTP status of the refusal. A denied request is answered with
// 200, as the JSON-RPC error that it is: this alone reaches the user of every
// client. docs/denials.md says what clients do with the other statuses.
func (f *Fault) Status() int {
	switch {
	case f.Allow != "":
		return 405
	case f.ID == nil:
	case permission(f.Reason):
		return 200
	case f.Reason == policies.UnknownMethod && !f.Revision.Stateless():
		return 200 // in a session, 404 says that the session is gone
	}
	return f.Reason.Refusal().Status
}

// extra are the members of the error's data that only this fault has:
// UnsupportedProtocolVersionError names the revisions to try.
func (f *Fault) extra() []byte {
	if f.Reason != policies.Revision {
		return nil
	}
	b := append([]byte(nil), `"supported":[`...)
	for i, r := range f.Supported {
		if i > 0 {
			b = append(b, ',')
		}
		b = quote(b, string(r))
	}
	b = append(b, `],"requested":`...)
	return quote(b, f.Requested)
}

// AppendError appends a JSON-RPC error response; JSON-RPC 2.0 section 5.1. A
// nil id becomes null. extra holds further members of data, as JSON without
// braces.
func AppendError(b, id []byte, r policies.Refusal, reason policies.Reason, decision string, extra []byte) []byte {
	b = append(b, `{"jsonrpc":"2.0","id":`...)
	if id == nil {
		b = append(b, "null"...)
	}
	b = append(b, id...)
	b = append(b, `,"error":{"code":`...)
	b = strconv.AppendInt(b, int64(r.RPCCode), 10)
	b = append(b, `,"message":`...)
	b = quote(b, r.Title)
	b = append(b, `,"data":{"reason":`...)
	b = quote(b, string(reason))
	if decision != "" {
		b = append(b, `,"decision":`...)
		b = quote(b, decision)
	}
	if len(extra) > 0 {
		b = append(append(b, ','), extra...)
	}
	return append(b, "}}}"...)
}

// quote appends a JSON string. Invalid UTF-8 in s becomes U+FFFD.
func quote(b []byte, s string) []byte {
	return engine.AppendJSONString(b, s)
}
