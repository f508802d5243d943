package admission

import (
	"keyward/plugins/filter"
	"keyward/plugins/mcp"
	"keyward/plugins/usage"
	"keyward/policies"
)

// meter is what reads the tokens of an answer; nil: nobody would hear of them, or
// the answer is none of a model's.
func (x *stream) meter(h *answerHeaders) *usage.Scanner {
	if x.gate.accounts.outbox == nil || x.target == nil || x.target.Kind != policies.KindLLM || x.settled != admitted || !h.success || h.encoded {
		return nil
	}
	switch h.media {
	case mcp.JSONMedia:
		return &usage.Scanner{}
	case mcp.StreamMedia:
		return &usage.Scanner{Stream: true}
	default:
		return nil
	}
}

// measure reads a chunk of an answer. What the host does not show makes the tokens
// unknown, and is no reason to keep the answer from the client.
func (x *stream) measure(size int) {
	switch {
	case x.usage == nil:
		return
	case size > policies.MaxAnswerBytes:
		x.usage = nil
		return
	}
	chunk, err := x.s.Body(filter.Response, policies.MaxAnswerBytes)
	switch err {
	case nil:
		x.usage.Write(chunk)
	case filter.ErrNotFound: // an end without more
	default:
		x.usage = nil
	}
}

// noteUsage adds to a record what the answer says of itself.
func (x *stream) noteUsage(r *policies.Record) {
	if x.usage != nil {
		r.Model, r.Tokens = x.usage.Usage()
		r.Model = harmless(r.Model)
	}
}
