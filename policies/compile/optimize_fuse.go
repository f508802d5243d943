package compile

import "keyward/policies/engine"

// kinds replaces the planner's three tests for a collection by one.
func (o *optimizer) kinds() (changed bool) {
	refs := make([]int, len(o.code)+1)
	for i := range o.code {
		o.targets(&o.code[i], func(t *int32) { refs[*t]++ })
	}
	ops := [...]engine.Op{
		engine.OpIsArray, engine.OpJump, engine.OpIsObject, engine.OpJump, engine.OpIsSet, engine.OpJump, engine.OpJump,
	}
	for i := 0; i+len(ops) <= len(o.code); i++ {
		c := o.code[i : i+len(ops)]
		same := true
		for j, op := range ops {
			same = same && c[j].Op == op && (j == 0 || refs[i+j] == (j+1)%2)
			if j%2 == 0 && j < 6 {
				same = same && c[j].A == c[0].A && int(c[j].T) == i+j+2
			}
		}
		if !same || c[1].T != c[3].T || c[1].T != c[5].T {
			continue
		}
		c[0] = engine.Instr{Op: engine.OpIsCollection, A: c[0].A, T: c[6].T}
		for j := 2; j < len(ops); j++ {
			c[j].Op = gone
		}
		changed = true
	}
	return changed
}

// maxList bounds what one instruction makes an array of, or looks up.
const maxList = 256

// collections makes literals of constants constant, and arrays in one step.
func (o *optimizer) collections() (changed bool) {
	joins := o.joins()
	for i := range o.code {
		in := &o.code[i]
		if in.Op != engine.OpArray && in.Op != engine.OpObject && in.Op != engine.OpSet {
			continue
		}
		end := i + 1
		constant := true
		for ; end < len(o.code) && !joins[end] && (o.code[end].Op == gone || o.adds(in.A, &o.code[end])); end++ {
			if c := &o.code[end]; c.Op != gone {
				constant = constant && c.B < 0 && c.C <= 0 && (c.Op != engine.OpInsert || c.C < 0)
			}
		}
		if o.grows(in.A, end) {
			continue
		}
		r := in.A
		switch added := o.code[i+1 : end]; {
		case constant:
			*in = engine.Instr{Op: engine.OpMove, A: r, B: o.constant(o.literal(in.Op, added))}
		case in.Op == engine.OpArray && len(added) <= maxList:
			*in = engine.Instr{Op: engine.OpList, A: r, C: o.elements(added)}
		default:
			continue
		}
		changed = true
		for j := i + 1; j < end; j++ {
			o.code[j].Op = gone
		}
	}
	return changed
}

// adds reports whether in adds to the collection in register r something else.
func (o *optimizer) adds(r int32, in *engine.Instr) bool {
	switch in.Op {
	case engine.OpAppend, engine.OpAdd:
		return in.A == r && in.B != r
	case engine.OpInsert:
		return in.A == r && in.B != r && in.C != r
	}
	return false
}

// grows reports whether the code from i on adds to what is in register r.
func (o *optimizer) grows(r int32, i int) bool {
	for ; i < len(o.code); i++ {
		in := &o.code[i]
		if in.Op == gone {
			continue
		}
		if a, b := sets(in); a == r || b == r {
			return changes(in.Op) && in.Op != engine.OpAssignOnce
		}
	}
	return false
}

func (o *optimizer) literal(op engine.Op, added []engine.Instr) engine.Value {
	var elems []engine.Value
	var members []engine.Member
	for _, in := range added {
		switch in.Op {
		case gone:
		case engine.OpInsert:
			members = append(members, engine.Member{Key: o.image.Consts[^in.B], Value: o.image.Consts[^in.C]})
		default:
			elems = append(elems, o.image.Consts[^in.B])
		}
	}
	switch op {
	case engine.OpArray:
		return engine.Array(elems)
	case engine.OpSet:
		return engine.Set(elems)
	default:
		return engine.Object(members)
	}
}

func (o *optimizer) elements(added []engine.Instr) int32 {
	list := []int32{0}
	for _, in := range added {
		if in.Op != gone {
			list = append(list, in.B)
		}
	}
	list[0] = int32(len(list) - 1)
	return o.list(list...)
}

// constantCalls does not call rules that are constant.
func (o *optimizer) constantCalls() (changed bool) {
	for i := range o.code {
		if in := &o.code[i]; in.Op == engine.OpCall {
			if c, ok := o.constants[in.B]; ok {
				*in, changed = engine.Instr{Op: engine.OpMove, A: in.A, B: c}, true
			}
		}
	}
	return changed
}

// fuse joins instructions that follow each other.
func (o *optimizer) fuse() {
	joins, l := o.joins(), o.liveness()
	for i := range o.code {
		for {
			j := i + 1
			for j < len(o.code) && o.code[j].Op == gone && !joins[j] {
				j++
			}
			if j >= len(o.code) || joins[j] || o.code[i].Op == gone {
				break
			}
			first, second := &o.code[i], &o.code[j]
			if first.Op == engine.OpIsCollection && second.Op == engine.OpScan && first.A == second.B {
				second.T = first.T // which the scan tests as well
				first.Op = gone
				break
			}
			r, _ := sets(first)
			if r < 0 || !first.Op.Jumps() || !second.Op.Jumps() || first.T != second.T || !l.dead(r, second.T) {
				break
			}
			free := l.dead(r, int32(j+1))
			if again, ok := sets(second); ok < 0 && again == r {
				free = true
			}
			if !free || !o.fuseTest(first, second) && !o.fusePath(first, second) {
				break
			}
			second.Op = gone
		}
	}
}

// fuseTest makes first one with second, which tests that its result is not
// false.
func (o *optimizer) fuseTest(first, second *engine.Instr) bool {
	if second.Op != engine.OpNotEqual || second.A != first.A || second.B >= 0 || !o.image.Consts[^second.B].Equal(engine.Bool(false)) {
		return false
	}
	switch first.Op {
	case engine.OpCall:
		first.Op, first.A = engine.OpCallTest, 0
		return true
	case engine.OpBuiltin:
	default:
		return false
	}
	args := o.operands(first)
	test := func(op engine.Op, a, b int) {
		*first = engine.Instr{Op: op, A: args[a], B: args[b], T: first.T}
	}
	switch o.image.Builtins[first.B].Name {
	case "internal.member_2":
		test(engine.OpIn, 0, 1)
	case "equal":
		test(engine.OpEqual, 0, 1)
	case "neq":
		test(engine.OpNotEqual, 0, 1)
	case "lt":
		test(engine.OpLess, 0, 1)
	case "lte":
		test(engine.OpLessEqual, 0, 1)
	case "gt":
		test(engine.OpLess, 1, 0)
	case "gte":
		test(engine.OpLessEqual, 1, 0)
	default:
		first.Op, first.A = engine.OpTest, 0
	}
	return true
}

// fusePath makes first, a lookup, one with second, a lookup in its result or a
// comparison of it with a constant.
func (o *optimizer) fusePath(first, second *engine.Instr) bool {
	var path []int32
	switch {
	case first.Op == engine.OpDot && o.isName(first.C):
		path = []int32{1, first.C}
	case first.Op == engine.OpPath:
		list := o.image.Operands[first.C:]
		path = append(path, list[:list[0]+1]...)
	default:
		return false
	}
	switch {
	case second.Op == engine.OpDot && second.B == first.A && o.isName(second.C) && path[0] < maxList:
		path[0]++
		*first = engine.Instr{Op: engine.OpPath, A: second.A, B: first.B, C: o.list(append(path, second.C)...), T: first.T}
	case second.Op == engine.OpEqual && second.A == first.A && second.B < 0:
		*first = engine.Instr{Op: engine.OpPathEqual, A: second.B, B: first.B, C: o.list(path...), T: first.T}
	case second.Op == engine.OpEqual && second.B == first.A && second.A < 0:
		*first = engine.Instr{Op: engine.OpPathEqual, A: second.A, B: first.B, C: o.list(path...), T: first.T}
	default:
		return false
	}
	return true
}

func (o *optimizer) isName(x int32) bool {
	return x < 0 && o.image.Consts[^x].Kind() == engine.KindString
}
