package compile

import (
	"errors"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"

	"keyward/policies/engine"
)

// OPA plans a rule that is chosen by name as a block of its own. A `not` around
// it that took the block's early end for success never held, and a deny that
// rests on one never fired.
func TestNotHoldsWhereARuleChosenByNameIsAnother(t *testing.T) {
	src := Source{Data: map[string]any{}, Modules: map[string]string{
		"u.rego": "package u\nr1 := 7\nr2 := 8 if input.nothing",
		"t.rego": `package t
d1 if not 1 = data.u[input.k]
d2 if not data.u[input.k] == 1
d3 if { v := input.n; not v = data.u[input.k] }
d4 if not data.u[input.k] == 7
d5 if not data.u[input.absent] == 7
d6 if not data.u[input.k]
d7 if not data.u[input.k] == data.u[input.j]
d8 if not data.u[input.k] == {data.u}
d9 if every x in ["r1", "r2"] { not data.u[x] == 1 }
d10 if every x in ["r1", "r3"] { data.u[x] == 7 }
d11 if { not data.u[input.k] == 1 with input.n as 2; input.n == 1 }
d12 if { some x in ["r1", "r2"]; data.u[x] != 8; not data.u[x] == 8 }
d13 := [y | some x in ["r1", "r2", "r3"]; y := data.u[x]; not data.u[x] > 9]
d14 if not count({x | x := data.u[input.k]; x == 7}) == 0
`,
	}}
	var rules []string
	for _, r := range []string{"d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8", "d9", "d10", "d11", "d12", "d13", "d14"} {
		rules = append(rules, "t/"+r)
	}
	result, err := Compile(src, Options{Entrypoints: rules, Wide: true})
	if err != nil {
		t.Fatal(err)
	}
	prog, err := engine.Load(result.Program)
	if err != nil {
		t.Fatal(err)
	}
	o, err := newOracle(src, oracleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	vm := prog.NewVM(engine.Limits{})
	for _, text := range []string{
		`{"k": "r1", "n": 1, "j": "r1"}`, `{"k": "r2", "n": 1, "j": "r1"}`, `{"k": "r2", "nothing": true, "n": 1, "j": "r1"}`,
		`{"k": "r3", "n": 7}`, `{"n": 1}`, `{"k": "absent", "n": 1}`, `{"k": 1, "n": 1, "j": null}`,
	} {
		input, err := engine.ParseJSON([]byte(text), engine.JSONLimits{})
		if err != nil {
			t.Fatal(err)
		}
		for _, rule := range rules {
			want, err := o.eval(rule, ast.MustParseTerm(text).Value, false)
			if err != nil {
				t.Fatal(err)
			}
			e, ok := prog.Entrypoint(rule)
			if !ok {
				t.Fatalf("%s is not there", rule)
			}
			vm.Begin(input, decisionTime)
			if got, _ := outcomeOf(vm.Eval(e)); got != want {
				t.Errorf("%s of %s = %v, OPA gives %v", rule, text, got, want)
			}
		}
	}
}

// What the planner gets wrong, and a lowering can't mend, is refused.
func TestNotOfARuleChosenAmongDepthsIsRefused(t *testing.T) {
	for _, body := range []string{`not data.u[input.k]`, `not data.u[input.k] == 1`, `not data.u[input.k].a`} {
		src := Source{Modules: map[string]string{
			"u.rego": "package u\nr1 := 7\nr4.a := 1",
			"t.rego": "package t\nd if " + body,
		}}
		_, err := Compile(src, Options{Entrypoints: []string{"t/d"}, Wide: true})
		var errs Errors
		if !errors.As(err, &errs) || errs[0].File != "t.rego" || errs[0].Row != 2 {
			t.Errorf("%s: error = %v, want one of t.rego:2", body, err)
		}
	}
}
