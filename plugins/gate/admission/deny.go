package admission

import (
	"strconv"

	"keyward/plugins/filter"
	"keyward/plugins/mcp"
	"keyward/plugins/refusal"
	"keyward/policies"
)

// refuse answers a request that never got to the policy.
func (x *stream) refuse(reason policies.Reason) filter.Action {
	d := policies.Decision{ID: x.gate.ids.next(x.now), Reason: reason}
	return x.deny(d, x.reply(d))
}

// reply is a refusal as the request's client understands it.
func (x *stream) reply(d policies.Decision) filter.Reply {
	if x.target != nil && x.target.Kind == policies.KindMCP {
		fault := mcp.Fault{Reason: d.Reason, ID: x.msg.ID, Revision: x.msg.Revision}
		return fault.Reply(d.ID)
	}
	return refusal.New(x.style(), d.Reason, d.ID)
}

// refuseCall answers an MCP message that can't be read or is not accepted.
func (x *stream) refuseCall(fault *mcp.Fault) filter.Action {
	d := policies.Decision{ID: x.gate.ids.next(x.now), Reason: fault.Reason}
	return x.deny(d, fault.Reply(d.ID))
}

func (x *stream) style() refusal.Style {
	if x.target != nil && x.target.Kind == policies.KindLLM {
		return refusal.LLM
	}
	return refusal.Problem
}

// deny is the one place that refuses. Nothing has left for an upstream, as the
// headers are still held; Hold stands even where the host can't answer. The answer
// too waits for its record, where the target asks for that.
func (x *stream) deny(d policies.Decision, r filter.Reply) filter.Action {
	x.answer = nil
	x.settle(d, r.Status)
	x.gate.host.Log(filter.Info, "deny"+x.line(d))
	if x.holds() {
		x.refusal = r
		return x.wait()
	}
	x.settled = refused
	_ = x.s.Reply(r)
	return filter.Hold
}

// line says what was refused, from IDs and codes alone, and where a policy broke:
// nothing of what a client sent can get into the log through it.
func (x *stream) line(d policies.Decision) string {
	s := " reason=" + string(d.Reason) + " decision=" + d.ID
	if x.target != nil {
		s += " target=" + x.target.ID
	}
	if x.consumer != nil {
		s += " consumer=" + x.consumer.ID
	}
	if d.Reason == policies.PolicyFailed && len(d.Details) > 0 {
		s += " error=" + strconv.Quote(d.Details[0])
	}
	return s
}
