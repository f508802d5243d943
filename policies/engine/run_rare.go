package engine

// rare runs the instructions that no hot loop is made of.
func (vm *VM) rare(regs []Value, in *Instr, pc int32) (ok bool, err *Error) {
	switch in.Op {
	case OpAppend:
		if c, v := vm.thaw(&regs[in.A], KindArray), vm.val(regs, in.B); c != nil && !v.IsUndefined() {
			vm.append(c, v)
			return true, nil
		}
	case OpAdd:
		if c, v := vm.thaw(&regs[in.A], KindSet), vm.val(regs, in.B); c != nil && !v.IsUndefined() {
			vm.add(c, v)
			return true, nil
		}
	case OpInsert:
		v := Value{}
		if in.C >= 0 {
			v = regs[in.C] // still growing: rules that add to one nested value
		} else {
			v = vm.val(regs, in.C)
		}
		if c, k := vm.thaw(&regs[in.A], KindObject), vm.val(regs, in.B); c != nil && !k.IsUndefined() && !v.IsUndefined() {
			vm.insert(c, k, v, false)
			return true, nil
		}
	case OpInsertOnce:
		k, v := vm.val(regs, in.B), vm.val(regs, in.C)
		if c := vm.thaw(&regs[in.A], KindObject); c != nil && !k.IsUndefined() && !v.IsUndefined() {
			if !vm.insert(c, k, v, true) {
				return false, vm.stop(pc, ErrConflict, "object keys must be unique")
			}
			return true, nil
		}
	case OpList:
		if regs[in.A] = vm.list(regs, in.C); !regs[in.A].IsUndefined() {
			return true, nil
		}
	case OpIsArray:
		return vm.val(regs, in.A).Kind() == KindArray, nil
	case OpIsObject:
		return vm.val(regs, in.A).Kind() == KindObject, nil
	case OpIsSet:
		return vm.val(regs, in.A).Kind() == KindSet, nil
	case OpMerge:
		regs[in.C] = vm.bounded(vm.merge(vm.val(regs, in.A), vm.val(regs, in.B)))
		return true, nil
	case OpLen:
		v := vm.val(regs, in.B)
		regs[in.A] = Int(int64(v.Len()))
		return v.Kind() >= KindArray, nil
	case OpUpsert:
		if leaf := vm.val(regs, in.B); !leaf.IsUndefined() {
			regs[in.A] = vm.bounded(vm.upsert(vm.val(regs, in.A), vm.prog.image.path(in.C), leaf))
			return true, nil
		}
	case OpResult:
		if v := vm.val(regs, in.A); !v.IsUndefined() {
			vm.results = append(vm.results, v)
			vm.memory -= valueBytes
			return true, nil
		}
	case OpResults:
		regs[in.A] = newArray(append([]Value(nil), vm.results...)) // in their order
		return true, nil
	case OpStep:
		vm.step(regs, in, pc)
		return true, nil
	case OpDecide:
		if vm.frames[len(vm.frames)-1].world == 0 {
			vm.decide(in.A, in.B)
		}
		return true, nil
	}
	// A program that no compiler makes, or a value that is beyond the limits.
	if err := vm.overdrawn(pc); err != nil {
		return false, err
	}
	return false, vm.stop(pc, ErrType, "not a value that can be added to")
}

// decide notes that a rule gave a result, once for all in a row.
func (vm *VM) decide(entrypoint, rule int32) {
	rules := vm.decided[entrypoint]
	if n := len(rules); n == 0 || rules[n-1] != rule {
		vm.decided[entrypoint] = append(rules, rule)
		vm.memory -= 8
	}
}

// list returns an array of the operands at at; undefined when one of them is.
func (vm *VM) list(regs []Value, at int32) Value {
	ops := vm.prog.image.Operands[at:]
	elems := vm.make(int(ops[0]))
	for i := range elems {
		if elems[i] = vm.val(regs, ops[1+i]); elems[i].IsUndefined() {
			return Value{}
		}
	}
	return vm.bounded(newArray(elems))
}
