package admission

import (
	"keyward/plugins/filter"
	"keyward/plugins/live"
	"keyward/plugins/record"
	"keyward/plugins/refusal"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// A Gate is the gate plugin of one VM.
type Gate struct {
	host   filter.Host
	ids    *ids
	source *live.Source // nil: not configured yet, everything is denied
	state  *state       // of what was in force last; nil: none
	open   openStreams
	spare  readers
	idle   filter.Pool[stream]

	verdict []byte // room for one

	accounts accounts
	sessions sessions
}

var _ filter.Background = (*Gate)(nil)

// New makes a gate that denies everything until it is configured.
func New(host filter.Host) filter.Plugin { return &Gate{host: host, ids: newIDs()} }

// Refuse is the reply to a request whose handling panicked.
func Refuse() filter.Reply { return refusal.New(refusal.Problem, policies.Internal, "") }

// Configure takes an object with the member "snapshot", "manager", or both; see
// package live. All of it is checked before any of it is in force. What a Manager
// has told another VM already is none of it: a VM that comes late and can't use
// that denies, until there is better.
func (g *Gate) Configure(config []byte) error {
	source, err := live.NewSource(g.host, config, snapshot.ForGate, cutTick)
	if err != nil {
		return err
	}
	var s *state
	if entries, reason := source.Entries(g.host.Now()); reason == policies.ReasonNone {
		_, told := entries.(*live.View)
		switch s, err = newState(entries, nil); {
		case err != nil && told:
			g.host.Log(filter.Error, "nothing is allowed: "+err.Error())
		case err != nil:
			return err
		}
		if entries.SessionKey() == nil {
			g.sharedKey() // made before there are requests
		}
	}
	g.source, g.state = source, s
	if to, ok := source.Manager(); ok {
		if host, ok := g.host.(record.Host); ok && g.accounts.outbox == nil {
			g.accounts.outbox = record.NewOutbox(host, g.stored)
		}
		g.accounts.outbox.SendTo(to)
	}
	return nil
}

// inForce is what a request at this time is decided by; nil for the reason
// beside it.
func (g *Gate) inForce(now int64) (*state, policies.Reason) {
	if g.source == nil {
		return nil, policies.NoSnapshot
	}
	entries, reason := g.source.Entries(now)
	if reason != policies.ReasonNone {
		return nil, reason
	}
	if g.state == nil || g.state.view != entries {
		s, err := newState(entries, g.state)
		if err != nil {
			g.host.Log(filter.Error, "nothing is allowed: "+err.Error())
		}
		g.state = s
	}
	if g.state.judge == nil {
		return nil, policies.PolicyFailed
	}
	return g.state, policies.ReasonNone
}

// Tick follows the Manager, and ends streams that are no longer allowed.
func (g *Gate) Tick() {
	if g.source != nil {
		g.source.Tick()
		now := g.host.Now()
		g.lookAfter(now)
		g.account(now)
	}
}

// Release ends following the Manager in this VM.
func (g *Gate) Release() {
	if g.source != nil {
		g.source.Release()
		if g.accounts.outbox != nil {
			g.finishEnded()
			g.accounts.outbox.Flush(g.host.Now())
		}
	}
}

// NewStream returns the handler of a new stream.
func (g *Gate) NewStream(s filter.Stream) filter.Handler {
	x := g.idle.Take()
	if x.room == nil {
		x.room = new(room)
	}
	x.gate, x.s = g, s
	return x
}

// recycle has x serve another stream. Its room is overwritten as it is used, but
// for tokens, which don't stay.
func (g *Gate) recycle(x *stream) {
	x.room.credentials = [len(x.room.credentials)]credential{}
	*x = stream{room: x.room}
	g.idle.Put(x)
}
