package admission

import (
	"keyward/plugins/filter"
	"keyward/plugins/refusal"
	"keyward/plugins/snapshot"
	"keyward/policies"
)

// A Gate is the gate plugin of one VM.
type Gate struct {
	host  filter.Host
	ids   *ids
	state *state // nil: nothing is in force, everything is denied
}

// New makes a gate that denies everything until it is configured.
func New(host filter.Host) filter.Plugin { return &Gate{host: host, ids: newIDs()} }

// Refuse is the reply to a request whose handling panicked.
func Refuse() filter.Reply { return refusal.New(refusal.Problem, policies.Internal, "") }

// Configure takes an object with the one member "snapshot"; see package
// snapshot. All of it is checked before any of it is in force.
func (g *Gate) Configure(config []byte) error {
	snap, err := snapshot.DecodeConfig(config, nil)
	if err != nil {
		return err
	}
	s, err := newState(snap)
	if err != nil {
		return err
	}
	g.state = s
	return nil
}

// NewStream returns the handler of a new stream. The stream keeps the state it
// began with, so that its call and the list it gets are decided alike.
func (g *Gate) NewStream(s filter.Stream) filter.Handler {
	return &stream{gate: g, s: s, state: g.state}
}
