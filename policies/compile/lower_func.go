package compile

import (
	"fmt"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"

	"keyward/policies/engine"
)

// A funcLowerer turns the blocks of one function into instructions. Until
// finish, jump targets are labels.
type funcLowerer struct {
	*lowerer
	code    []engine.Instr
	locs    []engine.Loc
	loc     engine.Loc
	labels  []int32 // label to instruction
	regs    map[ir.Local]int32
	nregs   int32
	nothing int32 // 1 + a register that is never set, or 0
	slots   int32 // loops open here
	most    int32 // loops open anywhere
	ends    []label
	withs   []with
	result  ir.Local
	body    ir.Val      // the local that bodies of a complete rule set, before result
	always  *ir.Operand // the one constant that bodies of the rule give, or nil
	decide  int32
	tracer  *tracer // nil: it tells no steps
	err     error
}

type label int32

// A with is a replacement of input or data that is in force.
type with struct {
	local, saved int32
	depth        int // of blocks around it
}

func newFuncLowerer(l *lowerer, params []ir.Local) *funcLowerer {
	f := &funcLowerer{lowerer: l, regs: map[ir.Local]int32{}, result: -1}
	for _, p := range params {
		f.reg(p)
	}
	return f
}

// top lowers a block of the function itself: when it is undefined, the next one
// follows.
func (f *funcLowerer) top(b *ir.Block) {
	end := f.label()
	f.block(b, end)
	f.place(end)
}

// finish adds the function to the image.
func (f *funcLowerer) finish(path []string, params int32) error {
	f.emit(engine.Instr{Op: engine.OpReturn, A: f.undefined()})
	f.aside()
	if f.err != nil {
		return f.err
	}
	o := optimizer{lowerer: f.lowerer, code: f.code, locs: f.locs, nregs: f.nregs, params: params}
	for i := range o.code {
		o.targets(&o.code[i], func(t *int32) { *t = f.labels[*t] })
	}
	if f.texts == nil {
		o.run()
	}
	if first := &o.code[0]; first.Op == engine.OpReturn && first.A < 0 {
		f.constants[int32(len(f.image.Funcs))] = first.A
	}
	start := int32(len(f.image.Code))
	o.relocate(start)
	f.image.Code = append(f.image.Code, o.code...)
	f.image.Locs = append(f.image.Locs, o.locs...)
	f.image.Funcs = append(f.image.Funcs, engine.Function{
		Path: path, Start: start, End: int32(len(f.image.Code)), Params: params, Regs: o.nregs, Slots: f.most, Decide: f.decide,
	})
	return nil
}

func (f *funcLowerer) label() label {
	f.labels = append(f.labels, -1)
	return label(len(f.labels) - 1)
}

func (f *funcLowerer) place(l label) { f.labels[l] = int32(len(f.code)) }

func (f *funcLowerer) emit(in engine.Instr) {
	f.code = append(f.code, in)
	f.locs = append(f.locs, f.loc)
}

// test emits an instruction that leaves the block when it is undefined.
func (f *funcLowerer) test(in engine.Instr) {
	in.T = int32(f.ends[len(f.ends)-1])
	in.T = f.testing(in)
	f.emit(in)
}

func (f *funcLowerer) jump(to label) { f.emit(engine.Instr{Op: engine.OpJump, T: int32(to)}) }

func (f *funcLowerer) newReg() int32 {
	f.nregs++
	return f.nregs - 1
}

func (f *funcLowerer) reg(l ir.Local) int32 {
	r, ok := f.regs[l]
	if !ok {
		r = f.newReg()
		f.regs[l] = r
	}
	return r
}

func (f *funcLowerer) undefined() int32 {
	if f.nothing == 0 {
		f.nothing = f.newReg() + 1
	}
	return f.nothing - 1
}

func (f *funcLowerer) operand(o ir.Operand) int32 {
	switch v := plain(o.Value).(type) {
	case ir.Local:
		return f.reg(v)
	case ir.StringIndex:
		return f.str(int(v))
	case ir.Bool:
		return f.constant(engine.Bool(bool(v)))
	}
	f.fail("operand %T", o.Value)
	return 0
}

func (f *funcLowerer) fail(format string, args ...any) {
	if f.err == nil {
		f.err = fmt.Errorf(format, args...)
	}
}

// refuse reports a fault of the policy, at a place in it.
func (f *funcLowerer) refuse(at *ir.Location, message string) {
	if f.err != nil {
		return
	}
	e := Error{Code: ast.CompileErr, Message: message}
	if at != nil && at.File < len(f.plan.Static.Files) {
		e.File, e.Row, e.Col = f.plan.Static.Files[at.File].Value, at.Row, at.Col
	}
	f.err = Errors{e}
}

// plain returns v as a value; a plan that was JSON has pointers.
func plain(v ir.Val) ir.Val {
	switch v := v.(type) {
	case *ir.Local:
		return *v
	case *ir.StringIndex:
		return *v
	case *ir.Bool:
		return *v
	}
	return v
}

// block lowers b; what is undefined in it goes on at end.
func (f *funcLowerer) block(b *ir.Block, end label) {
	f.ends = append(f.ends, end)
	leave := f.tracer.within(b)
	for i, s := range b.Stmts {
		if l := s.GetLocation(); l != nil && l.Row > 0 {
			f.loc = engine.Loc{File: int32(l.File), Row: int32(l.Row)}
		}
		f.begins(b, i)
		f.stmt(s)
	}
	leave()
	f.ends = f.ends[:len(f.ends)-1]
}

func (f *funcLowerer) stmt(s ir.Stmt) {
	switch s := s.(type) {
	case *ir.BlockStmt:
		if afterDynamicCall(s) {
			f.block(s.Blocks[0], f.ends[len(f.ends)-1])
			return
		}
		for _, b := range s.Blocks {
			f.top(b)
		}
	case *ir.BreakStmt:
		f.leave(int(s.Index))
	case *ir.NotStmt:
		if f.chooses(s.Block) {
			f.refuse(s.GetLocation(), "not of a rule that is chosen by a name known only when deciding, among rules that differ in depth; put the reference into a rule of its own and negate that")
			return
		}
		f.not(s)
	case *ir.ScanStmt:
		f.scan(s)
	case *ir.WithStmt:
		f.with(s)
	case *ir.CallStmt:
		f.call(s)
	case *ir.CallDynamicStmt:
		f.callDynamic(s)
	case *ir.ReturnLocalStmt:
		f.emit(engine.Instr{Op: engine.OpReturn, A: f.reg(s.Source)})
	case *ir.ResultSetAddStmt:
		f.emit(engine.Instr{Op: engine.OpResult, A: f.reg(s.Value)})
	case *ir.NopStmt:
	default:
		if !f.makes(s) && !f.tests(s) && !f.changes(s) {
			f.fail("statement %T is not known", s)
		}
	}
}

// makes lowers a statement that sets a register.
func (f *funcLowerer) makes(s ir.Stmt) bool {
	switch s := s.(type) {
	case *ir.AssignIntStmt:
		f.emit(engine.Instr{Op: engine.OpMove, A: f.reg(s.Target), B: f.constant(engine.Int(s.Value))})
	case *ir.AssignVarStmt:
		f.emit(engine.Instr{Op: engine.OpMove, A: f.reg(s.Target), B: f.operand(s.Source)})
	case *ir.AssignVarOnceStmt:
		if f.always != nil && s.Target != f.result {
			f.returnAlways()
			break
		}
		f.emit(engine.Instr{Op: engine.OpAssignOnce, A: f.reg(s.Target), B: f.operand(s.Source)})
		if s.Target != f.result {
			f.body = s.Target
			f.decided(s.Source)
		} else if plain(s.Source.Value) != f.body { // a default; what a body made was decided there
			f.decided(s.Source)
		}
	case *ir.ResetLocalStmt:
		f.emit(engine.Instr{Op: engine.OpReset, A: f.reg(s.Target)})
	case *ir.MakeNullStmt:
		f.emit(engine.Instr{Op: engine.OpMove, A: f.reg(s.Target), B: f.constant(engine.Null)})
	case *ir.MakeNumberIntStmt:
		f.emit(engine.Instr{Op: engine.OpMove, A: f.reg(s.Target), B: f.constant(engine.Int(s.Value))})
	case *ir.MakeNumberRefStmt:
		text := f.plan.Static.Strings[s.Index].Value
		if strings.HasPrefix(text, ".") {
			text = "0" + text // Rego takes it, JSON does not
		}
		n, err := engine.Number(text)
		if err != nil {
			f.fail("number %q: %v", f.plan.Static.Strings[s.Index].Value, err)
		}
		f.emit(engine.Instr{Op: engine.OpMove, A: f.reg(s.Target), B: f.constant(n)})
	case *ir.MakeArrayStmt:
		f.emit(engine.Instr{Op: engine.OpArray, A: f.reg(s.Target), B: s.Capacity})
	case *ir.MakeObjectStmt:
		f.emit(engine.Instr{Op: engine.OpObject, A: f.reg(s.Target)})
	case *ir.MakeSetStmt:
		f.emit(engine.Instr{Op: engine.OpSet, A: f.reg(s.Target)})
	case *ir.ObjectMergeStmt:
		f.emit(engine.Instr{Op: engine.OpMerge, A: f.reg(s.A), B: f.reg(s.B), C: f.reg(s.Target)})
	default:
		return false
	}
	return true
}

// tests lowers a statement that may be undefined.
func (f *funcLowerer) tests(s ir.Stmt) bool {
	switch s := s.(type) {
	case *ir.DotStmt:
		src := f.operand(s.Source)
		f.test(engine.Instr{Op: engine.OpDot, B: src, C: f.operand(s.Key), A: f.reg(s.Target)})
	case *ir.LenStmt:
		f.test(engine.Instr{Op: engine.OpLen, A: f.reg(s.Target), B: f.operand(s.Source)})
	case *ir.EqualStmt:
		f.test(engine.Instr{Op: engine.OpEqual, A: f.operand(s.A), B: f.operand(s.B)})
	case *ir.NotEqualStmt:
		f.test(engine.Instr{Op: engine.OpNotEqual, A: f.operand(s.A), B: f.operand(s.B)})
	case *ir.IsArrayStmt:
		f.test(engine.Instr{Op: engine.OpIsArray, A: f.operand(s.Source)})
	case *ir.IsObjectStmt:
		f.test(engine.Instr{Op: engine.OpIsObject, A: f.operand(s.Source)})
	case *ir.IsSetStmt:
		f.test(engine.Instr{Op: engine.OpIsSet, A: f.operand(s.Source)})
	case *ir.IsDefinedStmt:
		f.test(engine.Instr{Op: engine.OpIsDefined, A: f.reg(s.Source)})
	case *ir.IsUndefinedStmt:
		f.test(engine.Instr{Op: engine.OpIsUndefined, A: f.reg(s.Source)})
	default:
		return false
	}
	return true
}

// changes lowers a statement that adds to a collection.
func (f *funcLowerer) changes(s ir.Stmt) bool {
	switch s := s.(type) {
	case *ir.ArrayAppendStmt:
		f.emit(engine.Instr{Op: engine.OpAppend, A: f.reg(s.Array), B: f.operand(s.Value)})
	case *ir.SetAddStmt:
		f.emit(engine.Instr{Op: engine.OpAdd, A: f.reg(s.Set), B: f.operand(s.Value)})
		if s.Set == f.result {
			f.decided(s.Value)
		}
	case *ir.ObjectInsertStmt:
		f.emit(engine.Instr{Op: engine.OpInsert, A: f.reg(s.Object), B: f.operand(s.Key), C: f.operand(s.Value)})
		if s.Object == f.result {
			f.decided(s.Key, s.Value)
		}
	case *ir.ObjectInsertOnceStmt:
		f.emit(engine.Instr{Op: engine.OpInsertOnce, A: f.reg(s.Object), B: f.operand(s.Key), C: f.operand(s.Value)})
		if s.Object == f.result {
			f.decided(s.Key, s.Value)
		}
	default:
		return false
	}
	return true
}
