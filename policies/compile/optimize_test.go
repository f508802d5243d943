package compile

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/util"

	"keyward/policies/engine"
)

// optimized are policies that one optimisation or the other must leave alone, or
// must see through.
var optimized = []struct {
	name, policy string
	inputs       []string
}{
	{
		"bodies that give different constants conflict",
		"allow := true if input.a\nallow := false if input.b",
		[]string{`{}`, `{"a":1}`, `{"b":1}`, `{"a":1,"b":1}`},
	},
	{
		"bodies that give the same constant don't conflict with the default",
		"default allow := false\nallow if input.a\nallow if input.b",
		[]string{`{}`, `{"a":1}`, `{"b":1}`, `{"a":1,"b":1}`, `{"a":false}`},
	},
	{
		"else gives another constant",
		"allow if { input.a } else := false if { input.b } else := null",
		[]string{`{}`, `{"a":1}`, `{"b":1}`, `{"a":1,"b":1}`},
	},
	{
		"a constant found under with",
		"allow if { inner with input as input.x; input.b }\nallow if { not inner; input.c }\ninner if input.a\ninner if { input.d with input as {\"d\": 1} }",
		[]string{`{}`, `{"x":{"a":1},"b":1}`, `{"x":{"a":1}}`, `{"c":1}`, `{"a":1,"c":1}`},
	},
	{
		"a set is not the array with its elements",
		`allow := [{1, 2}, [1, 2], {"a": {1}}, {"a": [1]}, [[], {}, set()], {{}, []}] if input.a`,
		[]string{`{}`, `{"a":1}`},
	},
	{
		"a literal of constants that also has an input",
		`allow := [1, [2, input.a], {"x": input.a, "y": 1}, {input.a, 1}]`,
		[]string{`{}`, `{"a":1}`, `{"a":[2]}`},
	},
	{
		"comprehensions start from empty collections each time",
		"allow := [y | some x in input.a; y := [z | some z in x]]\ndeny contains k if { some k, v in {k: s | some k, v in input.a; s := {e | some e in v}}; count(v) > 1 }",
		[]string{`{"a":[[1,2],[],[3]]}`, `{"a":[]}`, `{}`},
	},
	{
		"every element counts, and the loop ends at the first that fails",
		"allow if { every x in input.a { x > 1 } }\ndeny contains y if { some y in input.b; every x in input.a { x > y } }",
		[]string{`{}`, `{"a":[]}`, `{"a":[2,3]}`, `{"a":[1,2]}`, `{"a":[3,1],"b":[0,1,2]}`, `{"a":1}`, `{"a":{"x":2}}`},
	},
	{
		"nested every",
		"allow if { every x in input.a { every k, v in x { k != \"q2\"; v in input.b } } }",
		[]string{`{"a":[{"p":1},{"q":2}],"b":[1,2]}`, `{"a":[{"p":1},{"q":3}],"b":[1,2]}`, `{"a":[],"b":[]}`, `{"a":[[1]]}`},
	},
	{
		"a comparison that is false or undefined under not",
		"allow if not input.a < 2\nallow if not input.b == 1\ndeny contains 1 if not input.a in input.b\ndeny contains 2 if not input.a >= input.b\ndeny contains 3 if not input.a != input.b",
		[]string{`{}`, `{"a":1}`, `{"a":2,"b":1}`, `{"a":2,"b":[2]}`, `{"b":[]}`, `{"a":null,"b":null}`},
	},
	{
		"the truth of a comparison as a value",
		"allow := [input.a < 2, input.a in [1, 2], input.a == input.b, startswith(input.s, \"x\")]",
		[]string{`{"a":1,"b":1,"s":"xy"}`, `{"a":3,"b":1,"s":"y"}`, `{"a":3,"b":1}`, `{}`},
	},
	{
		"a function that is false, undefined or neither",
		"allow if f(input.a)\ndeny contains x if { some x in input.l; f(x) }\nf(1) := true\nf(2) := false\nf(3) := 0\nf(\"x\") := null",
		[]string{`{"a":1}`, `{"a":2}`, `{"a":3}`, `{"a":4}`, `{"l":[1,2,3,4,"x"]}`, `{"a":1.0}`},
	},
	{
		"rules chosen by one constant, some of them twice",
		"deny contains \"a\" if input.k == \"x\"\ndeny contains \"b\" if input.k == \"y\"\ndeny contains \"c\" if input.k == \"x\"\ndeny contains \"d\" if { input.k == \"z\"; input.l }\ndeny contains \"e\" if input.k == 1\ndeny contains \"f\" if input.k == true\ndeny contains \"g\" if input.k == \"x\"",
		[]string{`{}`, `{"k":"x"}`, `{"k":"y"}`, `{"k":"z"}`, `{"k":"z","l":1}`, `{"k":1}`, `{"k":1.0}`, `{"k":true}`, `{"k":null}`, `{"k":["x"]}`, `{"k":{}}`},
	},
	{
		"complete rules chosen by one constant, with another in between",
		"default allow := \"none\"\nallow := 1 if input.a.b.k == \"a\"\nallow := 2 if input.a.b.k == \"b\"\nallow := 3 if input.other\nallow := 4 if input.a.b.k == \"c\"\nallow := 5 if input.a.b.k == \"d\"\nallow := 6 if input.a.b.k == \"e\"\nallow := 7 if input.a.b.k == \"f\"",
		[]string{`{}`, `{"a":{"b":{"k":"a"}}}`, `{"a":{"b":{"k":"f"}}}`, `{"a":{"b":{"k":"d"}},"other":1}`, `{"other":1}`, `{"a":{"b":{"k":"none"}}}`, `{"a":{"b":[]}}`},
	},
	{
		"a boolean rule of many alternatives",
		"default allow := false\nallow if { input.k == \"a\"; input.n > 1 }\nallow if { input.k == \"b\"; input.n > 2 }\nallow if { input.k == \"a\"; input.n < 0 }\nallow if { input.k == \"d\"; input.n > 4 }\nallow if { input.k == \"e\" }",
		[]string{`{}`, `{"k":"a","n":2}`, `{"k":"a","n":1}`, `{"k":"a","n":-1}`, `{"k":"b","n":3}`, `{"k":"d","n":4}`, `{"k":"e"}`},
	},
	{
		"the same lookup before and after the input is replaced",
		"allow := [input.a.b, y, input.a.b] if { input.a.b; y := z with input.a.b as 7; y != input.a.b }\nz := input.a.b",
		[]string{`{"a":{"b":1}}`, `{"a":{"b":7}}`, `{}`},
	},
	{
		"lookups in strings, arrays and sets",
		"allow := [x | some x in [data.s.a, input.l[1], input.l[input.i], {\"a\", \"b\"}[input.k]]]",
		[]string{`{"l":[1,2],"i":0,"k":"a"}`, `{"l":[1,2],"i":9,"k":"a"}`, `{"l":"ab","i":0,"k":"a"}`},
	},
	{
		"constant rules, under with and without",
		"words := {\"a\", \"b\"}\nallow if input.w in words\ndeny contains 1 if { x := y with data.keyward.words as {\"c\"}; x }\ny if input.w in words",
		[]string{`{"w":"a"}`, `{"w":"c"}`, `{}`},
	},
	{
		"nested partial objects grow in place",
		"p[x].y contains z if { some x, z in input }\nallow := p\ndeny contains k if { some k; p[k].y[\"1\"] }",
		[]string{`{"a":"1","b":"2"}`, `{}`},
	},
}

// TestOptimizedMeansTheSame compares what the engine and OPA give for them.
func TestOptimizedMeansTheSame(t *testing.T) {
	for _, tt := range optimized {
		t.Run(tt.name, func(t *testing.T) {
			module := "package keyward\n" + tt.policy
			data := map[string]any{"s": map[string]any{"a": "b"}}
			r, err := Compile(Source{Modules: map[string]string{"p.rego": module}, Data: data}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			prog, err := engine.Load(r.Program)
			if err != nil {
				t.Fatal(err)
			}
			vm := prog.NewVM(engine.Limits{})
			for _, name := range r.Entrypoints {
				q, err := rego.New(rego.Query("x = data."+strings.ReplaceAll(name, "/", ".")), rego.Module("p.rego", module), rego.Store(inmem.NewFromObject(data))).PrepareForEval(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				e, _ := prog.Entrypoint(name)
				for _, in := range tt.inputs {
					want := askOPA(t, q, in)
					if got := askEngine(t, vm, e, in); got != want {
						t.Errorf("%s of %s: got %s, want %s", name, in, got, want)
					}
				}
			}
		})
	}
}

func askOPA(t *testing.T, q rego.PreparedEvalQuery, in string) string {
	t.Helper()
	var x any
	if err := util.UnmarshalJSON([]byte(in), &x); err != nil {
		t.Fatal(err)
	}
	rs, err := q.Eval(t.Context(), rego.EvalInput(x))
	switch {
	case err != nil:
		return "error"
	case len(rs) == 0:
		return "undefined"
	}
	return fmt.Sprint(ast.MustInterfaceToValue(rs[0].Bindings["x"]))
}

func askEngine(t *testing.T, vm *engine.VM, e engine.Entrypoint, in string) string {
	t.Helper()
	input, err := engine.ParseJSON([]byte(in), engine.JSONLimits{})
	if err != nil {
		t.Fatal(err)
	}
	vm.Begin(input, 0)
	v, err := vm.Eval(e)
	var failed *engine.Error
	switch {
	case errors.As(err, &failed):
		return "error"
	case v.IsUndefined():
		return "undefined"
	}
	var x any
	if err := util.UnmarshalJSON(v.AppendJSON(nil), &x); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(ast.MustInterfaceToValue(x))
}
