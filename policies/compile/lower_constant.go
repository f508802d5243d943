package compile

import (
	"github.com/open-policy-agent/opa/v1/ir"

	"keyward/policies/engine"
)

// constantResult returns the one constant that every body of a complete rule
// gives, or nil. A default may differ: it counts only where no body holds.
func constantResult(f *ir.Func) *ir.Operand {
	v := &assignments{result: f.Return, bodies: map[ir.Local]bool{}}
	for _, b := range f.Blocks {
		v.defaults(b)
	}
	for _, b := range f.Blocks {
		_ = ir.Walk(v, b)
	}
	if v.failed {
		return nil
	}
	var always *ir.Operand
	for _, s := range v.all {
		if !v.bodies[s.Target] {
			continue
		}
		if _, variable := plain(s.Source.Value).(ir.Local); variable || always != nil && plain(always.Value) != plain(s.Source.Value) {
			return nil
		}
		always = &s.Source
	}
	return always
}

// assignments are what constantResult looks at.
type assignments struct {
	result ir.Local
	bodies map[ir.Local]bool // locals that become the result
	all    []*ir.AssignVarOnceStmt
	last   *ir.AssignVarOnceStmt // gives the default
	failed bool
}

// defaults finds the assignment that counts only while there is no result.
func (v *assignments) defaults(b *ir.Block) {
	if len(b.Stmts) != 2 {
		return
	}
	test, ok1 := b.Stmts[0].(*ir.IsUndefinedStmt)
	set, ok2 := b.Stmts[1].(*ir.AssignVarOnceStmt)
	if ok1 && ok2 && test.Source == v.result && set.Target == v.result {
		v.last = set
	}
}

func (*assignments) Before(any) {}
func (*assignments) After(any)  {}

func (v *assignments) Visit(x any) (ir.Visitor, error) {
	s, ok := x.(*ir.AssignVarOnceStmt)
	if !ok {
		return v, nil
	}
	v.all = append(v.all, s)
	if s.Target == v.result && s != v.last {
		body, ok := plain(s.Source.Value).(ir.Local)
		v.bodies[body] = ok
		v.failed = v.failed || !ok
	}
	return v, nil
}

// returnAlways ends the rule as soon as one body gives the constant that all of
// them do. What a `with` replaced is put back, as the engine keeps the result for
// the input and data that it finds.
func (f *funcLowerer) returnAlways() {
	f.decided(*f.always)
	for i := len(f.withs) - 1; i >= 0; i-- {
		f.emit(engine.Instr{Op: engine.OpMove, A: f.withs[i].local, B: f.withs[i].saved})
	}
	f.emit(engine.Instr{Op: engine.OpReturn, A: f.operand(*f.always)})
}

// decided notes the rule here as one that made the result, or a part of it.
func (f *funcLowerer) decided(made ...ir.Operand) {
	if t := f.tracer; t != nil {
		values := make([]int32, len(made))
		for i, m := range made {
			values[i] = f.operand(m)
		}
		f.step(engine.StepExit, t.head, t.name, values...)
	}
	if f.decide > 0 && f.loc.Row > 0 {
		f.emit(engine.Instr{Op: engine.OpDecide, A: f.decide, B: f.rule(f.loc)})
	}
}
