package engine

import "unsafe"

// run evaluates function fn as an entrypoint and returns its result.
func (vm *VM) run(fn int32) (Value, *Error) {
	m := &vm.prog.image
	if kept := &vm.worlds[0].memo[fn]; kept.turn == vm.worlds[0].turn {
		return kept.value, nil
	}
	vm.frames = vm.frames[:0]
	vm.push(fn, 0, 0, 0)
	regs := vm.regs[:m.Funcs[fn].Regs]
	regs[0], regs[1] = vm.input, m.Data
	code, consts, loops := m.Code, m.Consts, int32(0)
	pc := m.Funcs[fn].Start
	for {
		if vm.budget--; vm.budget|vm.memory < 0 {
			return Value{}, vm.overdrawn(pc)
		}
		in := &code[pc]
		ok := true
		switch in.Op {
		case OpDot:
			over, key := operand(consts, regs, in.B), operand(consts, regs, in.C)
			if key.Kind() == KindString && over.isStringObject() {
				regs[in.A] = findString(over.members(), key.str())
			} else {
				regs[in.A] = vm.dot(over, key)
			}
			ok = !regs[in.A].IsUndefined()
		case OpEqual:
			a, b := operand(consts, regs, in.A), operand(consts, regs, in.B)
			if grows(a, b) {
				a, b = vm.read(a), vm.read(b)
			}
			ok = !a.IsUndefined() && vm.equal(a, b)
		case OpNotEqual:
			a, b := operand(consts, regs, in.A), operand(consts, regs, in.B)
			if grows(a, b) {
				a, b = vm.read(a), vm.read(b)
			}
			ok = !a.IsUndefined() && !b.IsUndefined() && !vm.equal(a, b)
		case OpPath, OpPathEqual:
			v := operand(consts, regs, in.B)
			if v.isCollector() {
				v = vm.read(v)
			}
			for _, x := range m.path(in.C) {
				if v.isStringObject() {
					v = findString(v.members(), consts[^x].str())
				} else {
					v = v.lookup(consts[^x])
				}
			}
			if in.Op == OpPath {
				regs[in.A] = v
				ok = !v.IsUndefined()
			} else if want := vm.read(operand(consts, regs, in.A)); want.Kind() == KindString {
				ok = v.m == want.m && v.str() == want.str()
			} else {
				ok = !v.IsUndefined() && vm.equal(v, want)
			}
		case OpIn:
			e, c := operand(consts, regs, in.A), operand(consts, regs, in.B)
			if grows(e, c) {
				e, c = vm.read(e), vm.read(c)
			}
			ok = !e.IsUndefined() && vm.member(e, c)
		case OpLess:
			a, b := vm.read(operand(consts, regs, in.A)), vm.read(operand(consts, regs, in.B))
			ok = !a.IsUndefined() && !b.IsUndefined() && vm.compare(a, b) < 0
		case OpLessEqual:
			a, b := vm.read(operand(consts, regs, in.A)), vm.read(operand(consts, regs, in.B))
			ok = !a.IsUndefined() && !b.IsUndefined() && vm.compare(a, b) <= 0
		case OpSwitch:
			pc = vm.next(in, vm.val(regs, in.A), pc)
			continue
		case OpIsCollection:
			ok = operand(consts, regs, in.A).Kind() >= KindArray
		case OpIsDefined:
			ok = !operand(consts, regs, in.A).IsUndefined()
		case OpIsUndefined:
			ok = operand(consts, regs, in.A).IsUndefined()
		case OpMove:
			regs[in.A] = vm.read(operand(consts, regs, in.B))
		case OpReset:
			regs[in.A] = Value{}
		case OpJump:
			ok = false
		case OpAssignOnce:
			v := vm.val(regs, in.B)
			if old := vm.val(regs, in.A); old.IsUndefined() {
				regs[in.A] = v
			} else if !vm.equal(old, v) {
				return Value{}, vm.stop(pc, ErrConflict, "complete rules must not produce multiple outputs")
			}
		case OpScan:
			over := operand(consts, regs, in.B)
			if over.isCollector() {
				over = vm.read(over)
			}
			ok = over.Kind() >= KindArray
			vm.loops[loops+in.A] = loop{over: over}
		case OpNext:
			if vm.cancelled() {
				return Value{}, vm.overdrawn(pc)
			}
			l := &vm.loops[loops+in.A]
			i := l.next
			if ok = i < int(l.over.m&lenMask); !ok {
				l.over = Value{}
				break
			}
			l.next++
			switch l.over.Kind() {
			case KindObject:
				m := &l.over.members()[i]
				regs[in.B], regs[in.C] = m.Key, m.Value
			case KindSet:
				e := l.over.elems()[i]
				regs[in.B], regs[in.C] = e, e
			default:
				regs[in.B], regs[in.C] = Value{m: uint64(KindNumber)<<kindShift | uint64(i)}, l.over.elems()[i]
			}
		case OpCall, OpCallTest, OpCallDynamic:
			f, args := in.B, in.C
			if in.Op == OpCallDynamic {
				if f, ok = vm.dynamic(regs, in.B); !ok {
					break
				}
				args = in.B + 1
			}
			callee := &m.Funcs[f]
			a0, a1 := operand(consts, regs, m.Operands[args]), operand(consts, regs, m.Operands[args+1])
			if a0.isCollector() || a1.isCollector() {
				a0, a1 = vm.read(a0), vm.read(a1)
			}
			w := int32(-1)
			if callee.Params == 2 {
				w = vm.enter(a0, a1)
				if kept := &vm.worlds[w].memo[f]; kept.turn == vm.worlds[w].turn {
					pc = returned(regs, in, pc, kept.value)
					continue
				}
			}
			if vm.cancelled() {
				return Value{}, vm.overdrawn(pc)
			}
			if len(vm.frames) > vm.limits.Depth {
				return Value{}, vm.stop(pc, ErrDepth, "")
			}
			top := &vm.frames[len(vm.frames)-1]
			top.pc = pc
			caller := regs
			loops += m.Funcs[top.fn].Slots
			base := vm.push(f, top.base+m.Funcs[top.fn].Regs, loops, w)
			regs = vm.regs[base : base+callee.Regs]
			regs[0], regs[1] = a0, a1
			for i := int32(2); i < callee.Params; i++ {
				if regs[i] = operand(consts, caller, m.Operands[args+i]); regs[i].isCollector() {
					regs[i] = vm.read(regs[i])
				}
			}
			pc = callee.Start
			continue
		case OpReturn:
			v := operand(consts, regs, in.A)
			if v.isCollector() {
				v = vm.read(v)
			}
			done := vm.frames[len(vm.frames)-1]
			vm.frames = vm.frames[:len(vm.frames)-1]
			if done.world >= 0 {
				if w := &vm.worlds[done.world]; same(w.input, regs[0]) && same(w.data, regs[1]) {
					w.memo[done.fn] = memo{w.turn, v}
				}
			}
			if len(vm.frames) == 0 {
				return v, vm.overdrawn(pc)
			}
			top := vm.frames[len(vm.frames)-1]
			regs = vm.regs[top.base : top.base+m.Funcs[top.fn].Regs]
			pc, loops = top.pc, top.loops
			pc = returned(regs, &code[pc], pc, v)
			continue
		case OpBuiltin, OpTest:
			v, err := vm.builtin(regs, in)
			if err != nil {
				if v, err = vm.failed(err, pc); err != nil {
					return Value{}, err.(*Error)
				}
			}
			ok = !v.IsUndefined()
			if in.Op == OpBuiltin {
				regs[in.A] = v
			} else {
				ok = ok && !v.isFalse()
			}
		case OpArray:
			regs[in.A] = vm.collect(KindArray)
		case OpObject:
			regs[in.A] = vm.collect(KindObject)
		case OpSet:
			regs[in.A] = vm.collect(KindSet)
		default:
			var err *Error
			if ok, err = vm.rare(regs, in, pc); err != nil {
				return Value{}, err
			}
		}
		if ok {
			pc++
		} else {
			pc = in.T
		}
	}
}

// val returns the value of an operand.
func (vm *VM) val(regs []Value, x int32) Value {
	if x < 0 {
		return vm.prog.image.Consts[^x]
	}
	if regs[x].isCollector() {
		return vm.read(regs[x])
	}
	return regs[x]
}

// grows reports whether one of two values is a collector.
func grows(a, b Value) bool { return (a.m|b.m)>>kindShift >= uint64(kindBuilder) }

// returned takes the result of the call at pc, and returns where to go on.
func returned(regs []Value, in *Instr, pc int32, v Value) int32 {
	if in.Op == OpCallTest {
		if v.IsUndefined() || v.isFalse() {
			return in.T
		}
		return pc + 1
	}
	regs[in.A] = v
	switch {
	case !v.IsUndefined():
		return pc + 1
	case in.Op == OpCallDynamic:
		return in.C
	default:
		return in.T
	}
}

// operand is val for those who know what to do with a collector. It is small, as
// a call costs as much as most instructions do.
func operand(consts, regs []Value, x int32) Value {
	if x < 0 {
		return consts[^x]
	}
	return regs[x]
}

// path returns the path at at: operands that are strings.
func (m *Image) path(at int32) []int32 { return m.Operands[at+1 : at+1+m.Operands[at]] }

// dot returns what the reference over[key] means.
func (vm *VM) dot(over, key Value) Value {
	key = vm.read(key)
	if n := key.size(); n > 0 && !vm.charge(n*searchSteps) {
		return Value{}
	}
	if over.isCollector() {
		return vm.dotCollector(over.collector(), key)
	}
	return over.lookup(key)
}

// next returns where the switch at pc goes on: cases are in the order of their
// constants, then of the code.
func (vm *VM) next(in *Instr, v Value, pc int32) int32 {
	m := &vm.prog.image
	list := m.Operands[in.B:]
	n := int(list[0])
	if list[1] >= 0 {
		for _, x := range m.path(list[1]) {
			v = v.lookup(m.Consts[^x])
		}
	}
	list = list[2 : 2+2*n]
	lo, hi := 0, n
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		c := Compare(m.Consts[^list[2*mid+1]], v)
		if c < 0 || c == 0 && list[2*mid] <= pc {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo < n && m.Consts[^list[2*lo+1]].Equal(v) {
		return list[2*lo]
	}
	return in.T
}

func (vm *VM) dotCollector(c *collector, key Value) Value {
	if c.kind == KindObject {
		if i, ok := c.find(key); ok {
			return c.members[i].Value
		}
		return Value{}
	}
	return vm.read(Value{p: unsafe.Pointer(c), m: uint64(kindBuilder) << kindShift}).lookup(key)
}

// stop makes the error that ends an evaluation at pc.
func (vm *VM) stop(pc int32, code ErrorCode, message string) *Error {
	return &Error{Code: code, Message: message, Location: vm.prog.location(pc)}
}

// overdrawn returns the error of an evaluation whose last step was one too many.
func (vm *VM) overdrawn(pc int32) *Error {
	switch {
	case vm.cancelled():
		return vm.stop(pc, ErrCancelled, "")
	case vm.budget < 0:
		return vm.stop(pc, ErrInstructions, "")
	case vm.memory < 0:
		return vm.stop(pc, ErrMemory, "")
	}
	return nil
}
