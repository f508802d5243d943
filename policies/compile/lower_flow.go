package compile

import (
	"github.com/open-policy-agent/opa/v1/ir"

	"keyward/policies/engine"
)

// leave jumps to the end of the n-th block around, 0 being this one. What a
// `with` replaced on the way is put back.
func (f *funcLowerer) leave(n int) {
	at := len(f.ends) - 1 - n
	if at < 0 {
		f.fail("break out of %d blocks of %d", n, len(f.ends))
		return
	}
	for i := len(f.withs) - 1; i >= 0 && f.withs[i].depth > at+1; i-- {
		f.emit(engine.Instr{Op: engine.OpMove, A: f.withs[i].local, B: f.withs[i].saved})
	}
	f.jump(f.ends[at])
}

func (f *funcLowerer) scan(s *ir.ScanStmt) {
	slot := f.slots
	f.slots++
	f.most = max(f.most, f.slots)
	next, done := f.label(), f.label()
	f.emit(engine.Instr{Op: engine.OpScan, A: slot, B: f.reg(s.Source), T: int32(done)})
	f.place(next)
	f.emit(engine.Instr{Op: engine.OpNext, A: slot, B: f.reg(s.Key), C: f.reg(s.Value), T: int32(done)})
	f.block(s.Block, next)
	f.jump(next)
	f.place(done)
	f.slots--
}

func (f *funcLowerer) with(s *ir.WithStmt) {
	w := with{local: f.reg(s.Local), saved: f.newReg(), depth: len(f.ends) + 1}
	f.emit(engine.Instr{Op: engine.OpMove, A: w.saved, B: w.local})
	value := f.operand(s.Value)
	if len(s.Path) == 0 {
		f.emit(engine.Instr{Op: engine.OpMove, A: w.local, B: value})
	} else {
		path := []int32{int32(len(s.Path))}
		for _, i := range s.Path {
			path = append(path, f.str(i))
		}
		f.emit(engine.Instr{Op: engine.OpUpsert, A: w.local, B: value, C: f.list(path...)})
	}
	undefined, after := f.label(), f.label()
	f.withs = append(f.withs, w)
	f.block(s.Block, undefined)
	f.withs = f.withs[:len(f.withs)-1]
	restore := engine.Instr{Op: engine.OpMove, A: w.local, B: w.saved}
	f.emit(restore)
	f.jump(after)
	f.place(undefined)
	f.emit(restore)
	f.leave(0)
	f.place(after)
}

func (f *funcLowerer) call(s *ir.CallStmt) {
	ops := make([]int32, len(s.Args))
	for i, a := range s.Args {
		ops[i] = f.operand(a)
	}
	if fn, ok := f.funcs[s.Func]; ok {
		if want := len(f.plan.Funcs.Funcs[fn].Params); want != len(ops) {
			f.fail("%s takes %d operands, not %d", s.Func, want, len(ops))
		}
		f.test(engine.Instr{Op: engine.OpCall, A: f.reg(s.Result), B: fn, C: f.list(ops...)})
		return
	}
	i, err := f.builtin(s.Func)
	if err != nil {
		f.fail("%v", err)
		return
	}
	if want := int(f.image.Builtins[i].Arity); want != len(ops) {
		f.fail("%s takes %d operands, not %d", s.Func, want, len(ops))
	}
	f.test(engine.Instr{Op: engine.OpBuiltin, A: f.reg(s.Result), B: i, C: f.list(ops...)})
}

func (f *funcLowerer) callDynamic(s *ir.CallDynamicStmt) {
	if len(s.Args) != 2 || len(f.ends) < 4 {
		f.fail("dynamic call with %d operands in %d blocks", len(s.Args), len(f.ends))
		return
	}
	ops := []int32{int32(len(s.Path)), f.reg(s.Args[0]), f.reg(s.Args[1])}
	for _, o := range s.Path {
		ops = append(ops, f.operand(o))
	}
	// A rule that is there but undefined ends the whole reference: the planner
	// puts the call three blocks inside that one's.
	whole := f.ends[len(f.ends)-4]
	f.test(engine.Instr{Op: engine.OpCallDynamic, A: f.reg(s.Result), B: f.list(ops...), C: int32(whole)})
}
