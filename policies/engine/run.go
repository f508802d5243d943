package engine

import "unsafe"

// run evaluates function fn as an entrypoint and returns its result.
func (vm *VM) run(fn int32) (Value, *Error) {
	m := &vm.prog.image
	vm.frames = vm.frames[:0]
	vm.push(fn, 0, 0, 0, -1)
	regs := vm.regs[:m.Funcs[fn].Regs]
	regs[0], regs[1] = vm.input, m.Data
	pc := m.Funcs[fn].Start
	for {
		if vm.budget--; vm.budget < 0 {
			return Value{}, vm.stop(pc, ErrInstructions, "")
		}
		if vm.memory < 0 {
			return Value{}, vm.stop(pc, ErrMemory, "")
		}
		in := &m.Code[pc]
		ok := true
		switch in.Op {
		case OpDot:
			var v Value
			if in.B >= 0 && regs[in.B].isCollector() {
				v = vm.dotCollector(regs[in.B].collector(), vm.val(regs, in.C))
			} else {
				key := vm.val(regs, in.C)
				if n := key.size(); n > 0 && !vm.charge(n*searchSteps) {
					continue
				}
				v = vm.val(regs, in.B).lookup(key)
			}
			regs[in.A] = v
			ok = !v.IsUndefined()
		case OpEqual:
			a, b := vm.val(regs, in.A), vm.val(regs, in.B)
			ok = !a.IsUndefined() && vm.equal(a, b)
		case OpNotEqual:
			a, b := vm.val(regs, in.A), vm.val(regs, in.B)
			ok = !a.IsUndefined() && !b.IsUndefined() && !vm.equal(a, b)
		case OpIsDefined:
			ok = !vm.val(regs, in.A).IsUndefined()
		case OpIsUndefined:
			ok = vm.val(regs, in.A).IsUndefined()
		case OpMove:
			regs[in.A] = vm.val(regs, in.B)
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
			over := vm.val(regs, in.B)
			ok = over.Kind() >= KindArray
			l := vm.frames[len(vm.frames)-1].loops + in.A
			vm.loops[l] = loop{over: over}
		case OpNext:
			l := &vm.loops[vm.frames[len(vm.frames)-1].loops+in.A]
			if ok = l.next < l.over.Len(); ok {
				regs[in.B], regs[in.C] = l.step()
			} else {
				l.over = Value{}
			}
		case OpCall, OpCallDynamic:
			f, args := in.B, in.C
			if in.Op == OpCallDynamic {
				if f, ok = vm.dynamic(regs, in.B); !ok {
					break
				}
				args = in.B + 1
			}
			callee := &m.Funcs[f]
			a0, a1 := vm.val(regs, m.Operands[args]), vm.val(regs, m.Operands[args+1])
			w := int32(-1)
			if callee.Params == 2 {
				w = vm.enter(a0, a1)
				if kept := &vm.worlds[w].memo[f]; kept.turn == vm.worlds[w].turn {
					regs[in.A] = kept.value
					if kept.value.IsUndefined() {
						pc = undefined(in)
						continue
					}
					break
				}
			}
			if len(vm.frames) > vm.limits.Depth {
				return Value{}, vm.stop(pc, ErrDepth, "")
			}
			top := &vm.frames[len(vm.frames)-1]
			top.pc = pc
			caller := regs
			base := vm.push(f, top.base+m.Funcs[top.fn].Regs, top.loops+m.Funcs[top.fn].Slots, pc, w)
			regs = vm.regs[base : base+callee.Regs]
			regs[0], regs[1] = a0, a1
			for i := int32(2); i < callee.Params; i++ {
				regs[i] = vm.val(caller, m.Operands[args+i])
			}
			pc = callee.Start
			continue
		case OpReturn:
			v := vm.val(regs, in.A)
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
			pc = top.pc
			in = &m.Code[pc]
			regs[in.A] = v
			if v.IsUndefined() {
				pc = undefined(in)
				continue
			}
		case OpBuiltin:
			v, err := vm.builtin(regs, in)
			if err != nil {
				if v, err = vm.failed(err, pc); err != nil {
					return Value{}, err.(*Error)
				}
			}
			regs[in.A] = v
			ok = !v.IsUndefined()
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

// rare runs the instructions that no hot loop is made of.
func (vm *VM) rare(regs []Value, in *Instr, pc int32) (ok bool, err *Error) {
	switch in.Op {
	case OpAppend:
		if c := vm.thaw(&regs[in.A], KindArray); c != nil {
			vm.append(c, vm.val(regs, in.B))
			return true, nil
		}
	case OpAdd:
		if c := vm.thaw(&regs[in.A], KindSet); c != nil {
			vm.add(c, vm.val(regs, in.B))
			return true, nil
		}
	case OpInsert:
		if c := vm.thaw(&regs[in.A], KindObject); c != nil {
			v := Value{}
			if in.C >= 0 {
				v = regs[in.C] // still growing: rules that add to one nested value
			} else {
				v = vm.val(regs, in.C)
			}
			vm.insert(c, vm.val(regs, in.B), v, false)
			return true, nil
		}
	case OpInsertOnce:
		if c := vm.thaw(&regs[in.A], KindObject); c != nil {
			if !vm.insert(c, vm.val(regs, in.B), vm.val(regs, in.C), true) {
				return false, vm.stop(pc, ErrConflict, "object keys must be unique")
			}
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
		ops := vm.prog.image.Operands
		n := ops[in.C]
		regs[in.A] = vm.bounded(vm.upsert(vm.val(regs, in.A), ops[in.C+1:in.C+1+n], vm.val(regs, in.B)))
		return true, nil
	case OpResult:
		vm.results = append(vm.results, vm.val(regs, in.A))
		vm.memory -= valueBytes
		return true, nil
	case OpResults:
		regs[in.A] = Set(append([]Value(nil), vm.results...))
		return true, nil
	case OpDecide:
		if vm.frames[len(vm.frames)-1].world == 0 {
			vm.decided[in.A] = append(vm.decided[in.A], pc)
			vm.memory -= 8
		}
		return true, nil
	}
	// A program that no compiler makes, or a value that is beyond the limits.
	if vm.budget < 0 {
		return false, vm.stop(pc, ErrInstructions, "")
	}
	return false, vm.stop(pc, ErrType, "not a value that can be added to")
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

// undefined returns where a call goes on whose result is undefined.
func undefined(in *Instr) int32 {
	if in.Op == OpCallDynamic {
		return in.C
	}
	return in.T
}

// push makes a frame, whose registers start at base, and clears them.
func (vm *VM) push(fn, base, loops, pc, world int32) int32 {
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

// step returns the next key and value of a loop that has one.
func (l *loop) step() (key, v Value) {
	i := l.next
	l.next++
	switch l.over.Kind() {
	case KindObject:
		m := &l.over.members()[i]
		return m.Key, m.Value
	case KindSet:
		e := l.over.elems()[i]
		return e, e
	default:
		return Int(int64(i)), l.over.elems()[i]
	}
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

// merge returns a and b as one, as the base document and what rules make below
// it are: objects member by member, else a.
func (vm *VM) merge(a, b Value) Value {
	if a.Kind() != KindObject || b.Kind() != KindObject {
		if a.IsUndefined() {
			return b
		}
		return a
	}
	x, y := a.members(), b.members()
	vm.budget -= len(x) + len(y)
	members := make([]Member, 0, len(x)+len(y))
	vm.memory -= 2 * valueBytes * cap(members)
	for len(x) > 0 && len(y) > 0 {
		switch c := Compare(x[0].Key, y[0].Key); {
		case c < 0:
			members = append(members, x[0])
			x = x[1:]
		case c > 0:
			members = append(members, y[0])
			y = y[1:]
		default:
			members = append(members, Member{x[0].Key, vm.merge(x[0].Value, y[0].Value)})
			x, y = x[1:], y[1:]
		}
	}
	members = append(append(members, x...), y...)
	return newObject(members)
}

// upsert returns a copy of v with leaf at the path of constants; what is no
// object on the way becomes one.
func (vm *VM) upsert(v Value, path []int32, leaf Value) Value {
	if len(path) == 0 {
		return leaf
	}
	key := vm.prog.image.Consts[^path[0]]
	var old []Member
	var next Value
	if v.Kind() == KindObject {
		old = v.members()
		next = v.lookup(key)
	}
	vm.budget -= len(old) / 16
	vm.memory -= 2 * valueBytes * (len(old) + 1)
	members := make([]Member, 0, len(old)+1)
	put := Member{key, vm.upsert(next, path[1:], leaf)}
	for i := range old {
		c := -1
		if !put.Key.IsUndefined() {
			c = Compare(old[i].Key, key)
		}
		if c >= 0 {
			members = append(members, put)
			put = Member{}
		}
		if c != 0 {
			members = append(members, old[i])
		}
	}
	if !put.Key.IsUndefined() {
		members = append(members, put)
	}
	return newObject(members)
}

// stop makes the error that ends an evaluation at pc.
func (vm *VM) stop(pc int32, code ErrorCode, message string) *Error {
	return &Error{Code: code, Message: message, Location: vm.prog.location(pc)}
}

// overdrawn returns the error of an evaluation whose last step was one too many.
func (vm *VM) overdrawn(pc int32) *Error {
	switch {
	case vm.budget < 0:
		return vm.stop(pc, ErrInstructions, "")
	case vm.memory < 0:
		return vm.stop(pc, ErrMemory, "")
	}
	return nil
}
