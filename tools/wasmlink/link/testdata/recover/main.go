// Command recover does what the Go runtime needs its function table for: it
// unwinds panics of every kind, grows stacks and collects garbage.
package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime"
)

type value struct{ n int }

func (v value) method() int { return v.n }

type methoder interface{ method() int }

// try returns what f panicked with.
func try(f func()) (got any) {
	defer func() { got = recover() }()
	f()
	return nil
}

func deep(n int, keep *[64]int) int {
	var local [64]int
	local[n%64] = keep[0] + n
	if n == 0 {
		runtime.GC()
		panic("at the end")
	}
	return deep(n-1, &local) + local[3]
}

func main() {
	var list []int
	var table map[string]int
	var pointer *value
	for name, f := range map[string]func(){
		"a value":                              func() { panic("boom") },
		"an error":                             func() { panic(errors.New("boom")) },
		"an index":                             func() { _ = list[len(os.Args)+5] },
		"a nil map":                            func() { table["x"] = 1 },
		"a nil pointer":                        func() { pointer.n++ },
		"a value method through a nil pointer": func() { _ = methoder(pointer).method() },
		"a conversion":                         func() { _ = any(pointer).(fmt.Stringer) },
		"far down":                             func() { deep(500, new([64]int)) },
		"reflection": func() {
			reflect.MakeFunc(reflect.TypeFor[func()](), func([]reflect.Value) []reflect.Value { panic("boom") }).Interface().(func())()
		},
		"again, in a deferred call": func() {
			defer func() { panic(fmt.Sprint("again: ", recover())) }()
			panic("boom")
		},
	} {
		if try(f) == nil {
			fmt.Println("not recovered:", name)
			os.Exit(1)
		}
	}
	done := make(chan any)
	go func() { done <- try(func() { panic("in a goroutine") }) }()
	if <-done == nil {
		os.Exit(1)
	}
	fmt.Println("recovered")
}
