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
func program() []byte {
	r, err := compile.Compile(compile.Source{
		Modules: map[string]string{"shop.rego": policy},
		Data:    map[string]any{"orders": map[string]any{"o1": map[string]any{"owner": "ann"}}},
	}, compile.Options{Entrypoints: []string{"shop/allow"}})
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
