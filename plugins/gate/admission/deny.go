package admission

import (
	"strconv"
	"strings"

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
// headers are still held; Hold stands even where the host can't answer.
func (x *stream) deny(d policies.Decision, r filter.Reply) filter.Action {
	x.settled = refused
	x.answer = nil
	x.settle(d, r.Status)
	x.gate.host.Log(filter.Info, "deny"+x.line(d))
	_ = x.s.Reply(r)
	return filter.Hold
}

// line says what was refused, from IDs and codes alone, and where a policy broke:
// nothing of what a client sent can get into the log through it.
func (x *stream) line(d policies.Decision) string {
	var b strings.Builder
	b.WriteString(" reason=")
	b.WriteString(string(d.Reason))
	b.WriteString(" decision=")
	b.WriteString(d.ID)
	if x.target != nil {
		b.WriteString(" target=")
		b.WriteString(x.target.ID)
	}
	if x.consumer != nil {
		b.WriteString(" consumer=")
		b.WriteString(x.consumer.ID)
	}
	if d.Reason == policies.PolicyFailed && len(d.Details) > 0 {
		b.WriteString(" error=")
		b.WriteString(strconv.Quote(d.Details[0]))
	}
	return b.String()
}
