package admission

import (
	"bytes"
	"strings"

	"keyward/plugins/filter"
	"keyward/plugins/mcp"
	"keyward/plugins/refusal"
	"keyward/plugins/snapshot"
	"keyward/plugins/token"
	"keyward/plugins/verdict"
	"keyward/policies"
	"keyward/policies/engine"
)

// consumerHeader is where Higress' own plugins look for the consumer.
const consumerHeader = "x-mse-consumer"

// begin finds out who sends the request and what it is for.
func (x *stream) begin() policies.Reason {
	var reason policies.Reason
	if x.state, reason = x.gate.inForce(x.now); reason != policies.ReasonNone {
		return reason
	}
	list, err := x.s.Headers(filter.Request)
	if err != nil {
		return policies.Internal
	}
	var ok bool
	if x.req, ok = readRequest(list, x.room); !ok {
		return policies.TokenAmbiguous
	}
	if x.req.location, ok = locate(x.req.rawPath, x.room.segments[:0]); !ok {
		return policies.PathAmbiguous
	}
	if reason = x.find(); reason != policies.ReasonNone {
		return reason
	}
	if x.req.upgrade {
		return policies.UpgradeRefused
	}
	return x.identify(list)
}

// find finds the target by the path as it was sent, which is what a router goes
// by. An upstream goes by the path that it decodes: that must not be another
// target's.
func (x *stream) find() policies.Reason {
	view, route := x.state.view, x.route()
	var ok bool
	if x.target, ok = view.Target(route, x.req.host, x.req.path); !ok {
		return policies.NoTarget
	}
	if strings.IndexByte(x.req.path, '%') < 0 {
		return policies.ReasonNone
	}
	if decoded, _ := view.Target(route, x.req.host, "/"+strings.Join(x.req.segments, "/")); decoded != x.target {
		return policies.PathAmbiguous
	}
	return policies.ReasonNone
}

func (x *stream) identify(list [][2]string) (reason policies.Reason) {
	if x.token, reason = consumerToken(x.req.credentials); reason != policies.ReasonNone {
		return reason
	}
	if x.consumer, reason = identify(x.state.view, x.token, x.now); reason != policies.ReasonNone {
		return reason
	}
	if reason = urlReason(x.req.rawPath); reason != policies.ReasonNone {
		return reason
	}
	if x.target.Kind == policies.KindMCP {
		var fault *mcp.Fault
		if x.headers, fault = mcp.ReadHeaders(list); fault != nil {
			return fault.Reason
		}
	}
	x.parties = x.state.inputs.of(x.consumer, x.target, x.now)
	return policies.ReasonNone
}

// routeName is a property's path. Written as an argument it would be made for each
// request.
var routeName = []string{"route_name"}

// route is the name of the matched route, "" where no target asks for one: the
// look-up costs a host call.
func (x *stream) route() string {
	if !x.state.view.ByRoute() {
		return ""
	}
	name, err := x.s.Property(routeName...)
	if err != nil {
		return ""
	}
	return string(name)
}

// urlReason refuses a URL with a consumer token in it, where logs and upstreams
// would see it, and one whose escapes can't be read to look for a token.
func urlReason(rawPath string) policies.Reason {
	if strings.Contains(rawPath, token.Prefix) {
		return policies.TokenMisplaced
	}
	decoded, ok := unescape(rawPath, false)
	switch {
	case !ok:
		return policies.PathAmbiguous
	case strings.Contains(decoded, token.Prefix):
		return policies.TokenMisplaced
	default:
		return policies.ReasonNone
	}
}

// renew looks again at what is in force: a body can be long in coming, and what
// is revoked meanwhile must not be allowed any more.
func (x *stream) renew() (policies.Reason, *mcp.Fault) {
	s, reason := x.gate.inForce(x.now)
	if reason != policies.ReasonNone || s == x.state {
		return reason, nil
	}
	if reason = x.begin(); reason != policies.ReasonNone {
		return reason, nil
	}
	if x.target.Kind != policies.KindMCP {
		return policies.NoTarget, nil
	}
	_, fault := mcp.CheckHeaders(x.req.method, false, &x.headers, settings(x.target))
	return policies.ReasonNone, fault
}

// readBody reads the whole MCP message and decides it.
func (x *stream) readBody() filter.Action {
	switch reason, fault := x.renew(); {
	case reason != policies.ReasonNone:
		return x.refuse(reason)
	case fault != nil:
		return x.refuseCall(fault)
	}
	body, err := x.s.Body(filter.Request, policies.MaxBodyBytes+1)
	switch {
	case err == filter.ErrNotFound || err == nil && len(body) == 0:
		return x.refuse(policies.BodyMissing)
	case err != nil:
		return x.refuse(policies.Internal)
	case len(body) > policies.MaxBodyBytes:
		return x.refuse(policies.BodyTooLarge)
	}
	msg, fault := x.read(body)
	if fault != nil {
		return x.refuseCall(fault)
	}
	x.msg = msg
	if carries(body, msg.Arguments, x.token) {
		return x.refuseCall(msg.Refuse(policies.TokenMisplaced))
	}
	return x.decideCall()
}

// carries reports whether a message holds the consumer token: what a hijacked
// agent would pass to a tool of its master's. Escapes are the only way to spell
// it otherwise.
func carries(body []byte, arguments engine.Value, tok string) bool {
	var b [token.Size]byte // not on the heap, as a conversion would be
	if len(tok) > len(b) || bytes.Contains(body, b[:copy(b[:], tok)]) {
		return true // no token is longer
	}
	return bytes.Contains(body, []byte(`\u`)) && holds(arguments, tok)
}

// holds looks through names and strings; a message is at most
// [policies.MaxDepth] deep.
func holds(v engine.Value, tok string) bool {
	if s, ok := v.Str(); ok {
		return strings.Contains(s, tok)
	}
	for key, member := range v.All() {
		if holds(key, tok) || holds(member, tok) {
			return true
		}
	}
	return false
}

// decideCall asks the policy about an MCP message.
func (x *stream) decideCall() filter.Action {
	if reason := x.resume(); reason != policies.ReasonNone {
		return x.refuseCall(x.msg.Refuse(reason))
	}
	x.http, x.call = x.room.input.request(&x.req, engine.Value{}), x.room.input.message(&x.msg)
	d := x.decide()
	if d.Verdict != policies.Allow {
		return x.deny(d, x.msg.Refuse(d.Reason).Reply(d.ID))
	}
	x.answer = &x.room.answer
	x.answer.begin(x.msg.Class == mcp.Listing)
	return x.admit(d)
}

// decidePlain asks the policy about an llm or http request, from its headers.
func (x *stream) decidePlain() filter.Action {
	query, ok := queryInput(x.req.rawQuery)
	if !ok {
		return x.refuse(policies.PathAmbiguous)
	}
	x.http = x.room.input.request(&x.req, query)
	d := x.decide()
	if d.Verdict != policies.Allow {
		return x.deny(d, refusal.New(x.style(), d.Reason, d.ID))
	}
	return x.admit(d)
}

// decide asks the policy about the request. The rules are named for its record alone.
func (x *stream) decide() policies.Decision {
	d := x.state.decide(x.parties.input(&x.room.input, x.target.Kind, x.http, x.call), x.now)
	d.ID = x.gate.ids.next(x.now)
	if x.gate.accounts.outbox != nil {
		d.Rules = x.state.rules()
	}
	return d
}

// admit lets the request go on: without anything that says who sent it but what
// the gateway itself found out.
func (x *stream) admit(d policies.Decision) filter.Action {
	if !x.recordable() {
		return x.refuse(policies.AuditFull)
	}
	for _, name := range x.req.strip {
		if err := x.s.RemoveHeader(filter.Request, name); err != nil {
			return x.refuse(policies.Internal)
		}
	}
	v := verdict.Verdict{
		Consumer: x.consumer.ID, Target: x.target.ID, Credential: snapshot.CredentialFor(x.consumer, x.target),
		Generation: d.Generation, Decision: d.ID,
	}
	if x.s.SetHeader(filter.Request, consumerHeader, x.consumer.ID) != nil ||
		!x.gate.tell(x.s, &v) {
		return x.refuse(policies.Internal)
	}
	x.settle(d, 0)
	x.settled = admitted
	x.gate.open.add(x)
	if x.holds() {
		return x.wait()
	}
	return filter.Continue
}

// tell passes a verdict on to key-swap.
func (g *Gate) tell(s filter.Stream, v *verdict.Verdict) bool {
	g.verdict = v.Append(g.verdict[:0])
	return s.SetProperty(verdict.Property, g.verdict) == nil
}

// cleanTrailers removes from an HTTP/2 request's trailers what would have been
// removed from its headers.
func (x *stream) cleanTrailers() bool {
	list, err := x.s.Headers(filter.RequestTrailers)
	if err != nil {
		return err == filter.ErrNotFound
	}
	for _, h := range list {
		if removedTrailer(h[0], h[1]) && x.s.RemoveHeader(filter.RequestTrailers, h[0]) != nil {
			return false
		}
	}
	return true
}
