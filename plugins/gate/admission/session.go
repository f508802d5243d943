package admission

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"

	"keyward/plugins/filter"
	"keyward/plugins/gate/session"
	"keyward/plugins/live"
	"keyward/plugins/mcp"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

const (
	sessionHeader = "mcp-session-id"
	eventHeader   = "last-event-id"
)

// resumingHeaders name what a request goes on with.
var resumingHeaders = map[string]bool{sessionHeader: true, eventHeader: true}

// sessions has what binds IDs to consumers in one VM.
type sessions struct {
	key    []byte          // of binder
	binder *session.Binder // nil: none was needed yet
	own    []byte          // nil: none was needed yet
}

// ownKey is the shared entry that VMs of one process have their key in, while
// nobody gives them one.
const ownKey = "keyward.sessions"

// binder binds with the key in force; without one, with a key of this process,
// with which sessions end.
func (g *Gate) binder(view live.Entries) *session.Binder {
	key := view.SessionKey()
	if key == nil {
		key = g.sharedKey()
	}
	if s := &g.sessions; s.binder == nil || !bytes.Equal(key, s.key) {
		s.key, s.binder = bytes.Clone(key), session.New(key)
	}
	return g.sessions.binder
}

// sharedKey is looked up again each time: of VMs that make one at the same time,
// as they start, the last one's stays.
func (g *Gate) sharedKey() []byte {
	shared, ok := g.host.(filter.Sharer)
	if ok {
		if key, _, err := shared.Shared(ownKey); err == nil && len(key) == snapshot.SessionKeyBytes {
			return key
		}
	}
	if g.sessions.own == nil {
		// The runtime's generator is ChaCha8 with a seed of the host's; see ids.
		for range snapshot.SessionKeyBytes / 8 {
			g.sessions.own = binary.BigEndian.AppendUint64(g.sessions.own, rand.Uint64())
		}
	}
	if ok && shared.Share(ownKey, g.sessions.own, 0) != nil {
		g.host.Log(filter.Warn, "sessions of this VM are its own: the host takes no shared data")
	}
	return g.sessions.own
}

// resume holds what an MCP request goes on with against its consumer, and puts the
// server's own IDs in. Where there are no sessions the server must not see any.
func (x *stream) resume() policies.Reason {
	h := &x.headers
	if h.Session == "" && h.LastEvent == "" {
		return policies.ReasonNone
	}
	if x.msg.Revision.Stateless() {
		x.req.strip = append(x.req.strip, sessionHeader, eventHeader)
		return policies.ReasonNone
	}
	b := x.gate.binder(x.state.view)
	if reason := x.unbind(b, session.Session, sessionHeader, h.Session, policies.UnknownSession); reason != policies.ReasonNone {
		return reason
	}
	return x.unbind(b, session.Event, eventHeader, h.LastEvent, policies.UnknownEvent)
}

func (x *stream) unbind(b *session.Binder, k session.Kind, header, bound string, unknown policies.Reason) policies.Reason {
	if bound == "" {
		return policies.ReasonNone
	}
	id, ok := b.Open(k, x.consumer.ID, x.target.ID, bound)
	if !ok {
		return unknown
	}
	if x.s.SetHeader(filter.Request, header, id) != nil {
		return policies.Internal
	}
	return policies.ReasonNone
}

// bindSession gives the client the session of an answer as its own alone.
func (x *stream) bindSession(h *answerHeaders) bool {
	if h.sessions != 1 || !mcp.ValidSession(h.session) {
		return false
	}
	bound := string(x.gate.binder(x.state.view).Append(nil, session.Session, x.consumer.ID, x.target.ID, []byte(h.session)))
	return mcp.ValidSession(bound) && x.s.SetHeader(filter.Response, sessionHeader, bound) == nil
}

// bindEvent is the ID of an event in an answer, likewise.
func (x *stream) bindEvent(out, id []byte) []byte {
	return x.gate.binder(x.state.view).Append(out, session.Event, x.consumer.ID, x.target.ID, id)
}
