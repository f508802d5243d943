package engine_test

import (
	"fmt"

	"keyward/policies/compile"
	"keyward/policies/engine"
)

const policy = `package shop

# METADATA
# title: Who may read an order?
# entrypoint: true
default allow := false

allow if input.user == data.orders[input.order].owner

allow if "clerk" in input.roles
`

// program is what a compiler hands out, which need not be where the engine is.
func program() []byte { return compiled(false) }

func compiled(trace bool) []byte {
	r, err := compile.Compile(compile.Source{
		Modules: map[string]string{"shop.rego": policy},
		Data:    map[string]any{"orders": map[string]any{"o1": map[string]any{"owner": "ann"}}},
	}, compile.Options{Entrypoints: []string{"shop/allow"}, Trace: trace})
	if err != nil {
		panic(err)
	}
	return r.Program
}

// A program is loaded once, and a VM of it decides again and again.
func Example() {
	prog, err := engine.Load(program())
	if err != nil {
		panic(err)
	}
	allow, ok := prog.Entrypoint("shop/allow")
	if !ok {
		panic("no rule allow")
	}
	vm := prog.NewVM(engine.Limits{Instructions: 10_000, Memory: 1 << 20})
	var reader engine.JSONReader
	for _, text := range []string{
		`{"user": "ann", "order": "o1"}`,
		`{"user": "bob", "order": "o1", "roles": ["clerk"]}`,
		`{"user": "bob", "order": "o1"}`,
		`{"user": "bob", "user": "ann", "order": "o1"}`,
	} {
		input, err := reader.Read([]byte(text), engine.JSONLimits{})
		if err != nil {
			fmt.Println("denied:", err)
			continue
		}
		vm.Begin(input, 0)
		v, err := vm.Eval(allow)
		if err != nil {
			fmt.Println("denied:", err)
			continue
		}
		yes, _ := v.Bool() // undefined is not true either
		fmt.Println(yes)
	}
	// Output:
	// true
	// true
	// false
	// denied: json: duplicate name at byte 16
}

// The rules that made a result are known for every decision.
func ExampleVM_AppendRules() {
	prog, err := engine.Load(program())
	if err != nil {
		panic(err)
	}
	allow, _ := prog.Entrypoint("shop/allow")
	vm := prog.NewVM(engine.Limits{})
	var b engine.ObjectBuilder
	b.Set("roles", engine.Array([]engine.Value{engine.String("clerk")}))
	vm.Begin(b.Value(), 0)
	v, err := vm.Eval(allow)
	if err != nil {
		panic(err)
	}
	for _, r := range vm.AppendRules(nil) {
		fmt.Println(v, r.Name, r.Title)
	}
	// Output: true shop.rego:10 Who may read an order?
}

// Whoever asks may stop waiting.
func ExampleVM_Cancel() {
	prog, err := engine.Load(program())
	if err != nil {
		panic(err)
	}
	allow, _ := prog.Entrypoint("shop/allow")
	vm := prog.NewVM(engine.Limits{})
	vm.Begin(engine.Value{}, 0)
	vm.Cancel() // by any goroutine
	_, err = vm.Eval(allow)
	fmt.Println(err)
	// Output: shop.rego:6: eval_cancel_error
}

// A program that was compiled to be traced tells each step.
func ExampleVM_Trace() {
	prog, err := engine.Load(compiled(true))
	if err != nil {
		panic(err)
	}
	allow, _ := prog.Entrypoint("shop/allow")
	vm := prog.NewVM(engine.Limits{})
	vm.Trace(func(e engine.Event) {
		fmt.Println(e.Location, e.Step, e.Text, e.Values)
	})
	input, err := engine.ParseJSON([]byte(`{"user": "bob", "order": "o1", "roles": ["clerk"]}`), engine.JSONLimits{})
	if err != nil {
		panic(err)
	}
	vm.Begin(input, 0)
	if _, err := vm.Eval(allow); err != nil {
		panic(err)
	}
	// Output:
	// shop.rego:8 Enter data.shop.allow []
	// shop.rego:8 Eval input.order []
	// shop.rego:8 Eval input.user == data.orders[input.order].owner []
	// shop.rego:8 Fail input.user == data.orders[input.order].owner ["bob" "ann"]
	// shop.rego:10 Enter data.shop.allow []
	// shop.rego:10 Eval input.roles []
	// shop.rego:10 Eval "clerk" in input.roles []
	// shop.rego:10 Exit data.shop.allow [true]
}
