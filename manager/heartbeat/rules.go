package heartbeat

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"keyward/manager"
	"keyward/manager/rego"
)

// builtIn are the rules that hold where the live policy has none.
//
//go:embed heartbeat.rego
var builtIn string

// asks are the states that there are rules for, in the order in which they are
// asked.
var asks = []manager.HealthState{manager.Down, manager.Misbehaving, manager.Stuck, manager.IdleHealth}

func nameOf(s manager.HealthState) string { return "keyward/heartbeat/" + string(s) }

func names() (list []string) {
	for _, s := range asks {
		list = append(list, nameOf(s))
	}
	return list
}

// rules are the built-in ones, and those of the live policy, which go first.
type rules struct {
	policy  string // id; empty: none is live
	own     *rego.Rules
	live    *rego.Rules
	problem string // with the policy's; empty: none
}

// newRules compiles the rules of a policy. A policy that is at fault leaves the
// built-in ones; the error is of these alone.
func newRules(policy string, src manager.PolicySource) (*rules, error) {
	r := &rules{policy: policy, live: &rego.Rules{}}
	if policy != "" {
		live, err := rego.CompileRules(src, names()...)
		if err != nil {
			r.problem = fmt.Sprintf("policy %s: %v", policy, err)
		} else {
			r.live = live
		}
	}
	module := map[string]string{"heartbeat.rego": builtIn}
	var err error
	if r.own, err = rego.CompileRules(manager.PolicySource{Modules: module, Data: src.Data}, names()...); err == nil || src.Data == nil {
		return r, err
	}
	r.problem = fmt.Sprintf("data of policy %s: %v", policy, err)
	r.own, err = rego.CompileRules(manager.PolicySource{Modules: module}, names()...)
	return r, err
}

// overrides are the states whose rules the live policy has.
func (r *rules) overrides() (list []string) {
	for _, s := range asks {
		if r.live.Has(nameOf(s)) {
			list = append(list, string(s))
		}
	}
	return list
}

// A verdict is what the rules say of a Worker.
type verdict struct {
	state   manager.HealthState // empty: not even the built-in rules could say
	reason  string
	problem string // with the rules; empty: none
}

// maxReason bounds a reason, in bytes. It may quote a Worker.
const maxReason = 500

// verdict asks the rules about facts. Where a rule of the live policy fails the
// built-in one is asked.
func (r *rules) verdict(f manager.WorkerFacts, now time.Time) verdict {
	v := verdict{state: manager.Healthy, problem: r.problem}
	input, err := json.Marshal(f)
	if err != nil {
		return verdict{problem: err.Error()}
	}
	live, err := r.live.About(input, now)
	if err != nil {
		return verdict{problem: err.Error()}
	}
	own, err := r.own.About(input, now)
	if err != nil {
		return verdict{problem: err.Error()}
	}
	for _, s := range asks {
		reasons, err := ask(live, own, r, s, &v.problem)
		if err != nil {
			return verdict{problem: cut(fmt.Sprintf("built-in rule %s: %v", s, err))}
		}
		if len(reasons) > 0 && v.state == manager.Healthy {
			v.state, v.reason = s, cut(strings.Join(reasons, "; "))
		}
	}
	v.problem = cut(v.problem)
	return v
}

func ask(live, own *rego.Asking, r *rules, s manager.HealthState, problem *string) ([]string, error) {
	if r.live.Has(nameOf(s)) {
		reasons, err := live.Texts(nameOf(s))
		if err == nil {
			slices.Sort(reasons)
			return reasons, nil
		}
		if *problem != "" {
			*problem += "; "
		}
		*problem += fmt.Sprintf("rule %s of policy %s: %v", s, r.policy, err)
	}
	reasons, err := own.Texts(nameOf(s))
	slices.Sort(reasons)
	return reasons, err
}

// cut is s as it is kept: within maxReason, valid UTF-8, and without control
// characters, of which a database may refuse some. It may quote a Worker, who must
// not be able to end the watch with a name.
func cut(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return unicode.ReplacementChar
		}
		return r
	}, s)
	return strings.ToValidUTF8(s[:min(len(s), maxReason)], "")
}
