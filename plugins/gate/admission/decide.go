package admission

import (
	"errors"

	"keyward/policies"
	"keyward/policies/engine"
)

// decide asks the policy about one input. Any one deny reason wins; without allow
// there is no more to ask; then ask decides. What is undefined, of another type
// or in error never allows.
func (s *state) decide(input engine.Value, now int64) policies.Decision {
	d := policies.Decision{Policy: s.policy, Generation: s.view.Generation()}
	s.vm.Begin(input, now)
	s.deciding = s.deciding[:0]

	reasons, err := s.eval(s.deny)
	if err == nil && !reasons.IsUndefined() && reasons.Kind() != engine.KindSet {
		err = errNotSet
	}
	if err != nil {
		return failed(d, err)
	}
	if reasons.Len() > 0 {
		s.deciding = s.vm.AppendRules(s.deciding)
		d.Reason = policies.DeniedByRule
		d.Details = texts(reasons)
		return d
	}
	allow, err := s.isTrue(s.allow)
	s.deciding = s.vm.AppendRules(s.deciding)
	ask, askErr := s.isTrue(s.ask)
	if allow && ask {
		s.deciding = s.vm.AppendRules(s.deciding)
	}
	switch {
	case err != nil:
		return failed(d, err)
	case askErr != nil:
		return failed(d, askErr)
	case !allow:
		d.Reason = policies.NotGranted
	case ask:
		d.Verdict, d.Reason = policies.Ask, policies.AskFirst
	default:
		d.Verdict, d.Reason = policies.Allow, policies.ReasonNone
	}
	return d
}

// rules are the names of those that made the last decision, for its record.
func (s *state) rules() []string {
	n := min(len(s.deciding), policies.MaxRecordList)
	if n == 0 {
		return nil
	}
	names := make([]string, n)
	for i := range names {
		names[i] = s.deciding[i].Name
	}
	return names
}

// eval is undefined for a rule that the policy leaves out.
func (s *state) eval(e entrypoint) (engine.Value, error) {
	if !e.there {
		return engine.Value{}, nil
	}
	return s.vm.Eval(e.Entrypoint)
}

var (
	errNotBoolean = errors.New("rule is not a boolean")
	errNotSet     = errors.New("rule deny is not a set")
)

// failed is d when the policy could not be evaluated. The error names a place of
// the policy, and nothing of the input.
func failed(d policies.Decision, err error) policies.Decision {
	d.Reason, d.Details = policies.PolicyFailed, []string{err.Error()}
	return d
}

func (s *state) isTrue(e entrypoint) (bool, error) {
	v, err := s.eval(e)
	if err != nil || v.IsUndefined() {
		return false, err
	}
	b, ok := v.Bool()
	if !ok {
		return false, errNotBoolean
	}
	return b, nil
}

// texts are the strings of a set, for the record.
func texts(set engine.Value) []string {
	out := make([]string, 0, set.Len())
	for v := range set.Elems() {
		if t, ok := v.Str(); ok {
			out = append(out, t)
		}
	}
	return out
}
