package compile

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"keyward/policies/engine"
)

// TestLimitsEndWhatWouldNotEnd runs policies written to exhaust their host, here
// and in WebAssembly.
func TestLimitsEndWhatWouldNotEnd(t *testing.T) {
	many := `{"n":[` + strings.Repeat("1,", 999) + `1],"s":"` + strings.Repeat("a", 1000) + `"}`
	chain := "f0(x) := x\n"
	for i := range 200 {
		chain += fmt.Sprintf("f%d(x) := f%d(x) if x != %d\n", i+1, i, i)
	}
	tests := []struct {
		name, rule string
		want       engine.ErrorCode
	}{
		{name: "calls in calls", rule: chain + "allow := f200(input.n)", want: engine.ErrDepth},
		{name: "a result that is long", rule: `allow := [s | some x in numbers.range(1, 1100); s := input.s]`, want: engine.ErrOutput},
		{name: "loops in loops", rule: `allow if { some i, j, k; input.n[i]; input.n[j]; input.n[k]; i + j + k == -1 }`, want: engine.ErrInstructions},
		{name: "a range without end", rule: `allow if { count(numbers.range(1, 1000000000000)) > 0 }`, want: engine.ErrInstructions},
		{name: "a string that doubles", rule: `a := concat("", [s | some x in input.n; s := input.s])
b := concat("", [s | some x in input.n; s := a])
allow if { count(b) > 0 }`, want: engine.ErrMemory},
		{name: "a replacement that grows", rule: `a := replace(input.s, "", input.s)
b := replace(a, "", a)
allow if { count(b) > 0 }`, want: engine.ErrMemory},
		{name: "a format with a huge width", rule: `allow if { count(concat("", [s | some x in input.n; s := sprintf("%100000d", [x])])) > 0 }`, want: engine.ErrInstructions},
		{name: "a network of all addresses", rule: `allow if { count(net.cidr_expand("::/0")) > 0 }`, want: engine.ErrInstructions},
		{name: "an array of arrays", rule: `a := [[input.n, i] | some i; input.n[i]]
b := [[a, input, i] | some i; input.n[i]]
allow if { some i, j; b[i] == b[j]; i != j }`, want: engine.ErrMemory},
		{name: "documents of documents", rule: `a := json.marshal([input | some x in input.n])
allow if { count([json.unmarshal(a) | some x in input.n]) < 0 }`, want: engine.ErrInstructions},
		{name: "every way through a graph", rule: `g := {i: numbers.range(1, 40) | some i in numbers.range(1, 40)}
allow if { count(graph.reachable_paths(g, [1])) > 0 }`, want: engine.ErrInstructions},
		{name: "every path of a value of values", rule: `a := [input | some x in input.n]
allow if { count([1 | some x in input.n; walk(a, [_, "no"])]) > 0 }`, want: engine.ErrMemory},
		{name: "stars against stars", rule: `allow if { regex.globs_match(concat("", ["a*b*" | some i in numbers.range(1, 20); p := i]), concat("", ["b*a*" | some i in numbers.range(1, 20); p := i])) }
allow if { regex.globs_match("a*b*c*d*e*f*a*b*c*d*e*f*a*b*c*d*e*f*a*b*c*d*e*f*", "f*e*d*c*b*a*f*e*d*c*b*a*f*e*d*c*b*a*f*e*d*c*b*a*") }`, want: engine.ErrInstructions},
		{name: "a range of all characters", rule: `allow if { regex.globs_match("[\u0001-\ufff0][\u0001-\ufff0][\u0001-\ufff0][\u0001-\ufff0]", "a") }`, want: engine.ErrInstructions},
		{name: "aliases of aliases", rule: `line(i) := sprintf("a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", [i, i, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1, i-1])
allow if { yaml.unmarshal(concat("", array.concat(["a0: &a0 [lol]\n"], [line(i) | some i in numbers.range(1, 9)]))) }`, want: engine.ErrInstructions},
		{name: "patches of a large document", rule: `ops := [{"op": "add", "path": "/n/0", "value": x} | some x in input.n]
allow if { json.patch(input, ops) == 1 }`, want: engine.ErrMemory},
		{name: "one deep indent after another", rule: `allow if { json.marshal_with_options([[[[input.n]]]], {"indent": concat("", [input.s | some x in input.n; x == 1])}) }`, want: engine.ErrMemory},
	}
	wasm := newWasmEngine(t)
	input, err := engine.ParseJSON([]byte(many), engine.JSONLimits{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := Compile(Source{Modules: map[string]string{"p.rego": "package keyward\n" + tt.rule}}, Options{Entrypoints: []string{"keyward/allow"}, Wide: true})
			if err != nil {
				t.Fatal(err)
			}
			prog, err := engine.Load(r.Program)
			if err != nil {
				t.Fatal(err)
			}
			allow, _ := prog.Entrypoint("keyward/allow")
			vm := prog.NewVM(engine.Limits{})
			vm.Begin(input, 0)
			for where, eval := range map[string]func() (engine.Value, error){
				"natively": func() (engine.Value, error) { return vm.Eval(allow) },
				"in wasm":  func() (engine.Value, error) { return wasm.within(engine.Limits{}, r.Program, input, false, 0) },
			} {
				v, err := eval()
				if got, _ := outcomeOf(v, err); got.code != string(tt.want) {
					t.Errorf("%s: got %v, want %s", where, got, tt.want)
				}
			}
		})
	}
}

// TestNumbersTooLargeAreUndefined shows arithmetic that would fill the memory.
func TestNumbersTooLargeAreUndefined(t *testing.T) {
	for _, rule := range []string{
		`allow if { x := 1e25000 * 1e25000; y := x * x; z := y * y; z * z > 0 }`,
		`allow if bits.lsh(1, 1000000000) > 0`,
		`allow if units.parse("1e999999Ei") > 0`,
		`allow if units.parse_bytes("1e999999") > 0`,
		`allow if product([1e25000 | some i in numbers.range(1, 1000)]) > 0`,
	} {
		v, _, err := run(t, Source{Modules: map[string]string{"p.rego": "package keyward\n" + rule}}, "keyward/allow", `{}`)
		var e *engine.Error
		if err != nil && !errors.As(err, &e) || !v.IsUndefined() {
			t.Errorf("%s: got %v, %v", rule, v, err)
		}
	}
}

func TestOneErrorEndsTheDecision(t *testing.T) {
	r, err := Compile(Source{Modules: map[string]string{"p.rego": "package keyward\nallow := x if { x := input.a }\nallow := x if { x := input.b }\ndeny contains 1"}}, Options{Wide: true})
	if err != nil {
		t.Fatal(err)
	}
	p, err := engine.Load(r.Program)
	if err != nil {
		t.Fatal(err)
	}
	allow, _ := p.Entrypoint("keyward/allow")
	deny, _ := p.Entrypoint("keyward/deny")
	vm := p.NewVM(engine.Limits{})
	var e *engine.Error
	in, _ := engine.ParseJSON([]byte(`{"a":1,"b":2}`), engine.JSONLimits{})
	vm.Begin(in, 0)
	if v, err := vm.Eval(allow); !errors.As(err, &e) || e.Code != engine.ErrConflict {
		t.Fatalf("two values: %v, %v", v, err)
	}
	if v, err := vm.Eval(deny); err == nil {
		t.Errorf("after an error: %v", v)
	}
	in, _ = engine.ParseJSON([]byte(`{"a":1,"b":1}`), engine.JSONLimits{})
	vm.Begin(in, 0)
	if v, err := vm.Eval(allow); err != nil || v.String() != "1" {
		t.Errorf("the next decision: %v, %v", v, err)
	}
	if v, err := vm.Eval(engine.Entrypoint{}); err == nil {
		t.Errorf("no entrypoint at all: %v", v)
	}
}

// TestAnEvaluationIsCancelled cancels one that would take long, from outside.
func TestAnEvaluationIsCancelled(t *testing.T) {
	vm, allow, input := endless(t, engine.Limits{Instructions: 1 << 40})
	vm.Begin(input, 0)
	time.AfterFunc(10*time.Millisecond, vm.Cancel)
	var e *engine.Error
	if v, err := vm.Eval(allow); !errors.As(err, &e) || e.Code != engine.ErrCancelled {
		t.Fatalf("got %v, %v", v, err)
	}
	if v, err := vm.Eval(allow); !errors.As(err, &e) || e.Code != engine.ErrCancelled {
		t.Errorf("in the same decision: got %v, %v", v, err)
	}
	small, _ := engine.ParseJSON([]byte(`{"n":[]}`), engine.JSONLimits{})
	vm.Begin(small, 0)
	if v, err := vm.Eval(allow); err != nil || !v.IsUndefined() {
		t.Errorf("the next decision: got %v, %v", v, err)
	}
}

// endless is a policy that looks at a cube of its input, of a thousand numbers.
func endless(t *testing.T, l engine.Limits) (*engine.VM, engine.Entrypoint, engine.Value) {
	t.Helper()
	r, err := Compile(Source{Modules: map[string]string{"p.rego": "package keyward\nallow if { some i, j, k; input.n[i]; input.n[j]; input.n[k]; i + j + k == -1 }"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := engine.Load(r.Program)
	if err != nil {
		t.Fatal(err)
	}
	allow, _ := p.Entrypoint("keyward/allow")
	input, err := engine.ParseJSON([]byte(`{"n":[`+strings.Repeat("1,", 999)+`1]}`), engine.JSONLimits{})
	if err != nil {
		t.Fatal(err)
	}
	return p.NewVM(l), allow, input
}

// TestResultsAreBounded asks for results that are long or just not.
func TestResultsAreBounded(t *testing.T) {
	r, err := Compile(Source{Modules: map[string]string{"p.rego": "package keyward\nallow := input"}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := engine.Load(r.Program)
	if err != nil {
		t.Fatal(err)
	}
	allow, _ := p.Entrypoint("keyward/allow")
	vm := p.NewVM(engine.Limits{Output: 1000})
	for _, tt := range []struct {
		input string
		ok    bool
	}{
		{`true`, true},
		{`"` + strings.Repeat("a", 900) + `"`, true},
		{`"` + strings.Repeat("a", 1001) + `"`, false},
		{`{"a":[{"` + strings.Repeat("a", 1001) + `":1}]}`, false},
		{`[` + strings.Repeat("1,", 1000) + `1]`, false},
		{`1` + strings.Repeat("0", 1001), false},
	} {
		in, err := engine.ParseJSON([]byte(tt.input), engine.JSONLimits{})
		if err != nil {
			t.Fatal(err)
		}
		vm.Begin(in, 0)
		var e *engine.Error
		_, err = vm.Eval(allow)
		if ok := err == nil; ok != tt.ok || !ok && (!errors.As(err, &e) || e.Code != engine.ErrOutput) {
			t.Errorf("%.20s: got %v", tt.input, err)
		}
	}
}
