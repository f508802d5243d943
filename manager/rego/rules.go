package rego

import (
	"errors"
	"fmt"
	"time"

	"keyward/manager"
	"keyward/policies/compile"
	"keyward/policies/engine"
)

// Rules are rules of a policy that the Manager itself asks. The zero value has
// none. They may be used by several goroutines at once.
type Rules struct {
	program *engine.Program
	entry   map[string]engine.Entrypoint
}

// CompileRules compiles those of the named rules, such as keyward/heartbeat/down,
// that a policy has. The error is a [manager.PolicyError] where the policy is at
// fault.
func CompileRules(src manager.PolicySource, names ...string) (*Rules, error) {
	s, err := source(src)
	if err != nil {
		return nil, err
	}
	out, err := compile.Compile(s, compile.Options{Entrypoints: names})
	if errors.Is(err, compile.ErrNoEntrypoint) {
		return &Rules{}, nil
	}
	if err != nil {
		return nil, asPolicyError(err)
	}
	r := &Rules{entry: map[string]engine.Entrypoint{}}
	if r.program, err = engine.Load(out.Program); err != nil {
		return nil, err
	}
	for _, name := range out.Entrypoints {
		r.entry[name], _ = r.program.Entrypoint(name) // it is one of those
	}
	return r, nil
}

// Has reports whether there is a rule of this name.
func (r *Rules) Has(name string) bool { _, ok := r.entry[name]; return ok }

// An Asking is one input, about which several rules may be asked.
type Asking struct {
	rules *Rules
	vm    *engine.VM
}

// About begins an asking about an input, which is JSON, at a time.
func (r *Rules) About(input []byte, now time.Time) (*Asking, error) {
	if r.program == nil {
		return &Asking{rules: r}, nil
	}
	v, err := engine.ParseJSON(input, engine.JSONLimits{})
	if err != nil {
		return nil, fmt.Errorf("rules: input: %w", err)
	}
	a := &Asking{r, r.program.NewVM(engine.Limits{})}
	a.vm.Begin(v, now.UnixNano())
	return a, nil
}

// Texts are the members of a rule that is a set of texts. A rule that fails, that
// is undefined, or that is anything else is an error.
func (a *Asking) Texts(name string) ([]string, error) {
	e, ok := a.rules.entry[name]
	if !ok {
		return nil, errors.New("there is no such rule")
	}
	v, err := a.vm.Eval(e)
	if err != nil {
		return nil, err
	}
	if v.IsUndefined() {
		return nil, errors.New("it is undefined")
	}
	if v.Kind() != engine.KindSet {
		return nil, errors.New("it is no set of texts")
	}
	list := []string{}
	for e := range v.Elems() {
		s, ok := e.Str()
		if !ok {
			return nil, errors.New("it is no set of texts")
		}
		list = append(list, s)
	}
	return list, nil
}
