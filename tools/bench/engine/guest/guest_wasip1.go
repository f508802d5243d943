package main

import "keyward/policies/engine"

var (
	room   []byte
	reader engine.JSONReader
	vm     *engine.VM
	points []engine.Entrypoint
)

// reserve returns where n bytes may be written.
//
//go:wasmexport reserve
func reserve(n int32) *byte {
	room = make([]byte, max(n, 1))
	return &room[0]
}

// load makes what was written the program, and reports whether it is one.
//
//go:wasmexport load
func load() bool {
	p, err := engine.Load(room)
	if err != nil {
		return false
	}
	points = points[:0]
	for _, name := range p.Entrypoints() {
		e, _ := p.Entrypoint(name)
		points = append(points, e)
	}
	vm = p.NewVM(engine.Limits{})
	return true
}

// eval decides about the JSON that was written, n times from the text on, and
// returns the truth of the first entrypoint, or -1 on an error.
//
//go:wasmexport eval
func eval(n int32) int32 {
	truth := false
	for range n {
		input, err := reader.Read(room, engine.JSONLimits{})
		if err != nil {
			return -1
		}
		vm.Begin(input, 1)
		for i, e := range points {
			v, err := vm.Eval(e)
			if err != nil {
				return -1
			}
			if i == 0 {
				truth, _ = v.Bool()
			}
		}
	}
	if truth {
		return 1
	}
	return 0
}
