package compile

import (
	"cmp"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/util"

	"keyward/policies/engine"
)

// TestWhereOPAContradictsItself keeps where OPA's answer depends on what should
// not matter: on an index, on how it reads the base document, on how a set is
// written. The engine gives the answer of the plain evaluation, which is also what
// OPA's own plan says. If OPA mends one, its row here fails, and the
// comparison with OPA needs that option no more.
func TestWhereOPAContradictsItself(t *testing.T) {
	tests := []struct {
		name, policy, data, input string
		strict                    bool
		odd                       oracleOptions // where OPA gives something else
		oddly, want               string
		right                     oracleOptions // where it gives what is wanted; zero: plain
		only                      string        // who gives what is wanted; "" is OPA too
	}{
		{
			name:   "with changes the base document, where a lazy object is replaced and then added to",
			policy: "p := [before, x, after] if { before := data.o.s; x := input with input as data.o with input.s as 1; after := data.o.s }",
			data:   `{"o":{"s":"a"}}`, input: `{}`,
			odd: oracleOptions{lazy: true}, oddly: `["a", {"s": 1}, 1]`, want: `["a", {"s": 1}, "a"]`,
		},
		{
			name:   "the index of an object comprehension hides that one key has two values",
			policy: "p := x if { some k; v := data.o[k]; x := {\"c\": y | some y in input.l; data.o[input.k] = v } }",
			data:   `{"o":{"a":1}}`, input: `{"k":"a","l":[1,2]}`,
			oddly: `{"c": 2}`, want: "eval_conflict_error",
		},
		{
			name:   "walk changes a path that it has handed out, so that an object has a key twice",
			policy: "p := {k: 1 | some x in [1, 2]; walk(input, [k, _])}",
			data:   `{}`, input: `{"a":["x","y"]}`,
			odd: oracleOptions{raw: true}, oddly: `{[]: 1, ["a"]: 1, ["a", 0]: 1, ["a", 0]: 1, ["a", 1]: 1}`, want: `{[]: 1, ["a"]: 1, ["a", 0]: 1, ["a", 1]: 1}`,
		},
		{
			name:   "a set that is not known as a whole yet is iterated too early",
			policy: "p := [1 | some v in {1, y}; v != 0; input.o == y] if y := input.n",
			data:   `{}`, input: `{"n":7,"o":7}`,
			odd: oracleOptions{raw: true}, oddly: "eval_internal_error", want: "[1, 1]",
		},
		{
			name:   "a set written with an element that is not known is never sorted again",
			policy: "p := [v | some v in {\"a\", input.n}]",
			data:   `{}`, input: `{"n":7}`,
			odd: oracleOptions{plain: true}, oddly: `["a", 7]`, want: `[7, "a"]`, right: oracleOptions{united: true},
		},
		{
			name:   "the index of rules hides an error in front of what it looks at",
			policy: "p if { 1 / input.n == 1; input.k == \"a\" }",
			data:   `{}`, input: `{"k":"b","n":0}`, strict: true,
			oddly: "", want: "eval_builtin_error",
		},
		{
			name:   "the first of two errors is told, but rules whose key is a variable come first",
			policy: "p[10] := input.l[_] if input.n == 0\np[x] := 1 if { x := input.k; 1 / input.n == 1 }",
			data:   `{}`, input: `{"k":"b","n":0,"l":[1,2]}`, strict: true,
			oddly: "eval_builtin_error", want: "eval_conflict_error", only: "the engine",
		},
		{
			name:   "so that the same rules with variables in both tell the other",
			policy: "p[y] := input.l[_] if { y := 10; input.n == 0 }\np[x] := 1 if { x := input.k; 1 / input.n == 1 }",
			data:   `{}`, input: `{"k":"b","n":0,"l":[1,2]}`, strict: true,
			oddly: "eval_conflict_error", want: "eval_conflict_error",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := Source{Modules: map[string]string{"t.rego": "package t\n\n" + tt.policy + "\n"}, Data: map[string]any{}}
			var x any
			if err := util.UnmarshalJSON([]byte(tt.data), &src.Data); err != nil {
				t.Fatal(err)
			}
			if err := util.UnmarshalJSON([]byte(tt.input), &x); err != nil {
				t.Fatal(err)
			}
			right := cmp.Or(tt.right, oracleOptions{plain: true})
			answers := map[oracleOptions]string{tt.odd: tt.oddly, right: tt.want}
			if tt.odd.raw && strings.HasPrefix(tt.oddly, "eval_") {
				delete(answers, right) // it fails so or so
			}
			if tt.only != "" {
				answers[right] = tt.oddly
			}
			for opt, want := range answers {
				o, err := newOracle(src, opt)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := o.eval("t/p", ast.MustInterfaceToValue(x), tt.strict); err != nil || got != (vector{Want: want}).outcome() {
					t.Errorf("OPA with %+v: got %v, %v; want %s", opt, got, err, want)
				}
			}
			r, err := Compile(src, Options{Entrypoints: []string{"t/p"}, Wide: true})
			if err != nil {
				t.Fatal(err)
			}
			input, err := engine.ParseJSON([]byte(tt.input), engine.JSONLimits{})
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := outcomeOf(caseProgram{r.Program, input}.eval(tt.strict, decisionTime)); got != (vector{Want: tt.want}).outcome() {
				t.Errorf("the engine: got %v, want %s", got, tt.want)
			}
		})
	}
}
