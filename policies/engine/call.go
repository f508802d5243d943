package engine

// push makes a frame, whose registers start at base, and clears them.
func (vm *VM) push(fn, base, loops, world int32) int32 {
	f := &vm.prog.image.Funcs[fn]
	if need := int(base + f.Regs); need > len(vm.regs) {
		grown := make([]Value, max(2*len(vm.regs), need, 64))
		copy(grown, vm.regs)
		vm.regs = grown
	}
	if need := int(loops + f.Slots); need > len(vm.loops) {
		grown := make([]loop, max(2*len(vm.loops), need, 8))
		copy(grown, vm.loops)
		vm.loops = grown
	}
	clear(vm.regs[base : base+f.Regs])
	vm.memory -= int(f.Regs) // deep calls pay for their registers
	vm.frames = append(vm.frames, frame{fn: fn, base: base, loops: loops, world: world})
	if world == 0 && f.Decide > 0 {
		vm.decided[f.Decide] = vm.decided[f.Decide][:0]
	}
	return base
}

// dynamic returns the function that operands at name.
func (vm *VM) dynamic(regs []Value, at int32) (int32, bool) {
	ops := vm.prog.image.Operands
	key := make([]byte, 0, 128)
	for i, x := range ops[at+3 : at+3+ops[at]] {
		s, ok := vm.val(regs, x).Str()
		if !ok || len(key)+len(s) > maxPathBytes {
			return 0, false
		}
		if i > 0 {
			key = append(key, 0)
		}
		key = append(key, s...)
	}
	f, ok := vm.prog.byPath[string(key)]
	return f, ok
}

// maxPathBytes is more than the path of any rule has.
const maxPathBytes = 64 << 10
