package admission

import (
	"errors"

	"keyward/plugins/live"
	"keyward/plugins/snapshot"
	"keyward/policies"
	"keyward/policies/engine"
)

// A state is what is in force at one generation. A stream keeps the one that it
// was admitted by, so that its call and the list it gets are decided alike.
type state struct {
	view live.Entries
	*judge
}

// A judge is one policy ready to decide with. It stays as long as the policy.
type judge struct {
	of     *snapshot.Policy
	policy string // version shown in decisions
	vm     *engine.VM
	allow  entrypoint
	deny   entrypoint
	ask    entrypoint
	mask   entrypoint
	inputs inputs
	// deciding are the rules that made the last decision; of use until the next.
	deciding []engine.Rule
}

// An entrypoint is a rule that a policy may leave out.
type entrypoint struct {
	engine.Entrypoint
	there bool
}

var errNoPolicy = errors.New("snapshot has no policy")

// newState keeps what it can of the state before; nil: there was none. With an
// error the state has no judge.
func newState(view live.Entries, before *state) (*state, error) {
	policy := view.Policy()
	if policy == nil {
		return &state{view: view}, errNoPolicy
	}
	if before != nil && before.judge != nil && before.of == policy {
		return &state{view, before.judge}, nil
	}
	j, err := newJudge(policy)
	return &state{view, j}, err
}

// newJudge is nil with an error.
func newJudge(policy *snapshot.Policy) (*judge, error) {
	program, err := engine.Load(policy.Program)
	if err != nil {
		return nil, errors.New("policy " + policy.Version + ": " + err.Error())
	}
	j := &judge{
		of:     policy,
		policy: policy.Version,
		vm: program.NewVM(engine.Limits{
			Instructions: policies.MaxInstructions,
			Memory:       policies.MaxPolicyMemory,
			Depth:        policies.MaxPolicyDepth,
		}),
	}
	for name, e := range map[string]*entrypoint{"keyward/allow": &j.allow, "keyward/deny": &j.deny, "keyward/ask": &j.ask, "keyward/log/mask": &j.mask} {
		e.Entrypoint, e.there = program.Entrypoint(name)
	}
	if !j.allow.there {
		return nil, errors.New("policy " + j.policy + " has no rule allow in package keyward")
	}
	return j, nil
}
