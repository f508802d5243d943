package compile

import (
	"strings"

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
	f.loop(s, func(next label) {
		f.block(s.Block, next)
		f.jump(next)
	})
}

func (f *funcLowerer) loop(s *ir.ScanStmt, body func(next label)) {
	slot := f.slots
	f.slots++
	f.most = max(f.most, f.slots)
	next, done := f.label(), f.label()
	first := engine.Instr{Op: engine.OpNext, A: slot, B: f.reg(s.Key), C: f.reg(s.Value), T: int32(done)}
	f.emit(engine.Instr{Op: engine.OpScan, A: slot, B: f.reg(s.Source), T: f.failing(int32(done))})
	if t := f.tracer; t != nil {
		t.loops = append(t.loops, t.at)
		defer func() { t.loops = t.loops[:len(t.loops)-1] }()
		again, at := first, t.at
		if !strings.HasPrefix(at.text, "every ") { // which holds where there is nothing
			first.T = f.failing(first.T)
		}
		f.emit(first)
		begin := f.label()
		f.jump(begin)
		f.place(next)
		f.step(engine.StepRedo, at, at.text)
		f.emit(again)
		f.place(begin)
	} else {
		f.place(next)
		f.emit(first)
	}
	body(next)
	f.place(done)
	f.slots--
}

// not lowers a negation: a way through its block is none through this one.
func (f *funcLowerer) not(s *ir.NotStmt) {
	after, found := f.label(), f.ends[len(f.ends)-1]
	if t := f.tracer; t != nil {
		found = label(f.failing(int32(found)))
		at, quiet := t.at, t.quiet
		t.quiet = at
		defer func() { t.at, t.quiet = at, quiet }()
	}
	f.search(s.Block, after, found)
	f.place(after)
}

// search lowers the block of a negation. A way through it is found at its end, or,
// when a loop is the last in it, at the end of the loop's body: a loop that has
// come to its own end has found none. OPA's planner leaves that open, and has such
// loops only where a comprehension lets an unsafe _ through its compiler.
func (f *funcLowerer) search(b *ir.Block, none, found label) {
	if n := len(b.Stmts) - 1; n >= 0 {
		if s, ok := b.Stmts[n].(*ir.ScanStmt); ok {
			f.block(&ir.Block{Stmts: b.Stmts[:n]}, none)
			f.ends = append(f.ends, none)
			f.loop(s, func(next label) { f.search(s.Block, next, found) })
			f.ends = f.ends[:len(f.ends)-1]
			f.jump(none)
			return
		}
	}
	f.block(b, none)
	f.jump(found)
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

// afterDynamicCall reports whether s is what the planner makes of a reference to
// rules by a name that is known only later: a block of the look-up and of all
// that comes after. What is undefined in there is undefined around it. As any
// other block it would end instead, and `not` would take that end for success.
func afterDynamicCall(s *ir.BlockStmt) bool {
	for range 2 { // the block itself, and the one that the look-up leaves
		if len(s.Blocks) != 1 || len(s.Blocks[0].Stmts) == 0 {
			return false
		}
		inner, ok := s.Blocks[0].Stmts[0].(*ir.BlockStmt)
		if !ok {
			return false
		}
		s = inner
	}
	for _, b := range s.Blocks {
		if len(b.Stmts) > 0 {
			if _, ok := b.Stmts[0].(*ir.CallDynamicStmt); ok {
				return true
			}
		}
	}
	return false
}

// chooses reports whether a negated block tries rules one after the other, each
// in a block that compares a name first. The planner forgets to tell the end of
// such a block from its success.
func (f *funcLowerer) chooses(b *ir.Block) bool {
	for _, s := range b.Stmts {
		alternatives, ok := s.(*ir.BlockStmt)
		if !ok {
			continue
		}
		for _, a := range alternatives.Blocks {
			if len(a.Stmts) == 0 {
				continue
			}
			if eq, ok := a.Stmts[0].(*ir.EqualStmt); ok {
				if _, name := plain(eq.A.Value).(ir.StringIndex); name {
					return true
				}
			}
			if f.chooses(a) {
				return true
			}
		}
	}
	return false
}
