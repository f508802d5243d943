package admission

import (
	"errors"

	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/policies/engine"
)

// A state is one snapshot ready to decide with.
type state struct {
	view   *snapshot.View
	policy string // version shown in decisions
	vm     *engine.VM
	allow  entrypoint
	deny   entrypoint
	ask    entrypoint
	inputs inputs
}

// An entrypoint is a rule that a policy may leave out.
type entrypoint struct {
	engine.Entrypoint
	there bool
}

var errNoPolicy = errors.New("snapshot has no policy")

func newState(snap *snapshot.Snapshot) (*state, error) {
	view, err := snapshot.NewView(snap)
	if err != nil {
		return nil, err
	}
	if snap.Policy == nil {
		return nil, errNoPolicy
	}
	program, err := engine.Load(snap.Policy.Program)
	if err != nil {
		return nil, errors.New("policy " + snap.Policy.Version + ": " + err.Error())
	}
	s := &state{
		view:   view,
		policy: snap.Policy.Version,
		vm: program.NewVM(engine.Limits{
			Instructions: policies.MaxInstructions,
			Memory:       policies.MaxPolicyMemory,
			Depth:        policies.MaxPolicyDepth,
		}),
	}
	for name, e := range map[string]*entrypoint{"keyward/allow": &s.allow, "keyward/deny": &s.deny, "keyward/ask": &s.ask} {
		e.Entrypoint, e.there = program.Entrypoint(name)
	}
	if !s.allow.there {
		return nil, errors.New("policy " + s.policy + " has no rule allow in package keyward")
	}
	return s, nil
}
