package mcp

import (
	"keyward/policies"
	"keyward/policies/engine"
)

// negotiate finds the revision that the request is decided under. Where the
// body names one, the header must be there and say the same; Streamable HTTP,
// protocol version header.
func (m *Message) negotiate(p parameters, h *Headers, s Settings) *Fault {
	inBody, hasMeta := p.meta.Get(metaRevision)
	header, hasHeader := Revision(h.Revision), h.has&hasRevision != 0
	switch {
	case hasMeta:
		revision, ok := inBody.Str()
		if !ok {
			return refused(policies.InvalidParams, "the protocol version in _meta is no string")
		}
		if !hasHeader || revision != h.Revision {
			return refused(policies.HeaderMismatch, "MCP-Protocol-Version is missing or differs from _meta")
		}
	case m.Method == "initialize":
		return m.initialize(p.all, h, s)
	case header.Stateless() && Known(header) && m.Kind == policies.MCPRequest:
		return refused(policies.InvalidParams, "_meta has no protocol version")
	}
	// A missing header stands for 2025-03-26, which is not read here.
	if !s.accepts(header) {
		return unsupported(h.Revision, s)
	}
	m.Revision = header
	return nil
}

// initialize takes the revision that the client proposes: clients send the
// header from the next request on only.
func (m *Message) initialize(params engine.Value, h *Headers, s Settings) *Fault {
	if Revision(h.Revision).Stateless() && s.accepts(Revision(h.Revision)) {
		m.Revision = Revision(h.Revision) // in which there is no initialize
		return nil
	}
	proposed, ok := str(params, "protocolVersion")
	if !ok {
		return refused(policies.InvalidParams, "initialize proposes no protocol version")
	}
	if h.has&hasRevision != 0 && h.Revision != proposed {
		return refused(policies.HeaderMismatch, "MCP-Protocol-Version differs from the proposed protocol version")
	}
	if m.Revision, ok = s.negotiated(proposed); !ok {
		return unsupported(proposed, s)
	}
	return nil
}

func unsupported(requested string, s Settings) *Fault {
	return &Fault{
		Reason:    policies.Revision,
		Detail:    "revision is not one that the target takes",
		Supported: s.supported(),
		Requested: clip(requested),
	}
}

// clip shortens what a client named, as it is told back to it.
func clip(s string) string {
	const most = 64
	return s[:min(len(s), most)]
}
