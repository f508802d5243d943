package compile

import "keyward/policies/engine"

// The planner's output is straightforward: it copies, resets and tests much that
// is known beforehand. An optimizer takes that out of one function, whose jump
// targets are indices into its code.
//
// What stays the same is the result, and whether there is an error, but for
// errors in what OPA does not evaluate either, once the result is known.
type optimizer struct {
	*lowerer
	code   []engine.Instr
	locs   []engine.Loc
	nregs  int32
	params int32
	tables []int32 // of switches
}

// gone marks an instruction that compact takes out.
const gone = engine.Op(255)

// Bounds of the effort for one function, far above what people write.
const (
	maxRounds = 12
	maxStates = 1 << 24 // instructions times registers
)

func (o *optimizer) run() {
	if len(o.code)*int(o.nregs) > maxStates {
		return
	}
	for range maxRounds {
		changed := o.kinds()
		changed = o.collections() || changed
		changed = o.constantCalls() || changed
		changed = o.propagate() || changed
		changed = o.sweep() || changed
		changed = o.breakLoops() || changed
		o.compact()
		if !changed {
			break
		}
	}
	o.fuse()
	o.compact()
	o.renumber()
	o.dispatch()
}

// compact takes out what is gone.
func (o *optimizer) compact() {
	moved := make([]int32, len(o.code)+1)
	n := int32(0)
	for i := range o.code {
		moved[i] = n
		if o.code[i].Op != gone {
			n++
		}
	}
	moved[len(o.code)] = n
	if int(n) == len(o.code) {
		return
	}
	n = 0
	for i := range o.code {
		if o.code[i].Op == gone {
			continue
		}
		o.targets(&o.code[i], func(t *int32) { *t = moved[*t] })
		o.code[n], o.locs[n] = o.code[i], o.locs[i]
		n++
	}
	o.code, o.locs = o.code[:n], o.locs[:n]
}

// relocate moves the function to where its code starts.
func (o *optimizer) relocate(start int32) {
	for i := range o.code {
		o.targets(&o.code[i], func(t *int32) { *t += start })
	}
	for _, at := range o.tables {
		table := o.image.Operands[at:]
		for i := range table[0] {
			table[2+2*i] += start
		}
	}
}

// renumber closes the gaps between the registers that are still used.
func (o *optimizer) renumber() {
	to := make([]int32, o.nregs)
	n := o.params
	visit := func(r *int32) {
		if *r < o.params {
			return
		}
		if to[*r] == 0 {
			to[*r] = n
			n++
		}
		*r = to[*r]
	}
	for i := range o.code {
		o.registers(&o.code[i], visit)
	}
	o.nregs = n
}

// joins tells which instructions are jumped to.
func (o *optimizer) joins() []bool {
	joins := make([]bool, len(o.code)+1)
	for i := range o.code {
		o.targets(&o.code[i], func(t *int32) { joins[*t] = true })
	}
	return joins
}

// targets visits where an instruction may jump to.
func (o *optimizer) targets(in *engine.Instr, visit func(*int32)) {
	if in.Op == gone {
		return
	}
	if in.Op.Jumps() {
		visit(&in.T)
	}
	if in.Op == engine.OpCallDynamic {
		visit(&in.C)
	}
}

// falls reports whether what follows in may be next.
func falls(in *engine.Instr) bool {
	return in.Op != engine.OpJump && in.Op != engine.OpReturn && in.Op != engine.OpSwitch
}

// operands returns the list of values that in reads beside its fields.
func (o *optimizer) operands(in *engine.Instr) []int32 {
	list := o.image.Operands
	switch in.Op {
	case engine.OpCall, engine.OpCallTest:
		return list[in.C:][:len(o.plan.Funcs.Funcs[in.B].Params)]
	case engine.OpBuiltin, engine.OpTest:
		return list[in.C:][:o.image.Builtins[in.B].Arity]
	case engine.OpCallDynamic:
		return list[in.B+1:][:list[in.B]+2]
	case engine.OpList:
		return list[in.C+1:][:list[in.C]]
	}
	return nil
}

// reads visits the values that in reads and does not change. That which Insert
// puts into an object is among them only if all: it may be a collection that
// still grows, and is then no copy.
func (o *optimizer) reads(in *engine.Instr, all bool, visit func(*int32)) {
	switch in.Op {
	case engine.OpReturn, engine.OpResult, engine.OpIsArray, engine.OpIsObject, engine.OpIsSet, engine.OpIsCollection,
		engine.OpIsDefined, engine.OpIsUndefined, engine.OpSwitch:
		visit(&in.A)
	case engine.OpMove, engine.OpAssignOnce, engine.OpAppend, engine.OpAdd, engine.OpLen, engine.OpScan, engine.OpUpsert, engine.OpPath:
		visit(&in.B)
	case engine.OpDot, engine.OpInsertOnce:
		visit(&in.B)
		visit(&in.C)
	case engine.OpInsert:
		visit(&in.B)
		if all {
			visit(&in.C)
		}
	case engine.OpEqual, engine.OpNotEqual, engine.OpMerge, engine.OpIn, engine.OpLess, engine.OpLessEqual, engine.OpPathEqual:
		visit(&in.A)
		visit(&in.B)
	default:
		for i := range o.operands(in) {
			visit(&o.operands(in)[i])
		}
	}
}

// sets returns the registers that in sets or changes, or -1.
func sets(in *engine.Instr) (a, b int32) {
	switch in.Op {
	case engine.OpResults, engine.OpMove, engine.OpReset, engine.OpAssignOnce, engine.OpDot, engine.OpArray, engine.OpObject,
		engine.OpSet, engine.OpAppend, engine.OpAdd, engine.OpInsert, engine.OpInsertOnce, engine.OpLen, engine.OpCall,
		engine.OpBuiltin, engine.OpCallDynamic, engine.OpUpsert, engine.OpList, engine.OpPath:
		return in.A, -1
	case engine.OpMerge:
		return in.C, -1
	case engine.OpNext:
		return in.B, in.C
	}
	return -1, -1
}

// changes reports whether in reads the register that it sets.
func changes(op engine.Op) bool {
	switch op {
	case engine.OpAssignOnce, engine.OpAppend, engine.OpAdd, engine.OpInsert, engine.OpInsertOnce, engine.OpUpsert:
		return true
	}
	return false
}

// registers visits each place in in that names a register.
func (o *optimizer) registers(in *engine.Instr, visit func(*int32)) {
	o.reads(in, true, func(x *int32) {
		if *x >= 0 {
			visit(x)
		}
	})
	a, b := sets(in)
	switch {
	case b >= 0:
		visit(&in.B)
		visit(&in.C)
	case a >= 0 && in.Op == engine.OpMerge:
		visit(&in.C)
	case a >= 0:
		visit(&in.A)
	}
}
