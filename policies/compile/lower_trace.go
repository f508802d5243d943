package compile

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"

	"keyward/policies/engine"
)

// A tracer makes a function tell its steps. The planner gives every statement the
// place of the expression that it is made of, and what makes a rule's result the
// place of its head.
type tracer struct {
	name   string
	bodies map[*ir.Block]bool // of rules, or of a query
	open   bool               // a body is lowered
	head   spot               // of that body
	at     spot               // of the statement that is lowered
	told   []spot             // expressions that have begun, in the blocks around
	quiet  spot               // an expression that is negated: the negation tells that it fails
	loops  []spot             // expressions that loop, around
	called engine.Instr       // the last call of a builtin
	fails  []failStep
}

// A spot is an expression, or a rule's head, in the source.
type spot struct {
	loc  engine.Loc
	col  int
	text string
}

// texts are what stands at a place; a plan that was JSON has only places.
type texts map[column]string

type column struct {
	place
	col int
}

// textsOf are the texts of all expressions, the longest where several begin.
func textsOf(c *ast.Compiler) texts {
	t := texts{}
	for _, m := range c.Modules {
		ast.WalkExprs(m, func(e *ast.Expr) bool {
			if l := e.Location; l != nil {
				at := column{place{l.File, l.Row}, l.Col}
				if len(l.Text) > len(t[at]) {
					t[at] = string(l.Text)
				}
			}
			return false
		})
	}
	return t
}

func (f *funcLowerer) spotOf(l *ir.Location) spot {
	text := l.Text.String()
	if text == "" {
		text = f.texts[column{place{f.image.Files[l.File], l.Row}, l.Col}]
	}
	return spot{engine.Loc{File: int32(l.File), Row: int32(l.Row)}, l.Col, text}
}

// A failStep is what stands aside until an expression does not hold.
type failStep struct {
	from   label
	at     spot
	values []int32
	to     int32
}

// traceFunction makes f tell its steps: of rules, whose bodies stand in blocks of
// their own, or those with an else in blocks of one.
func (f *funcLowerer) traceFunction(name string, blocks []*ir.Block) {
	t := &tracer{name: name, bodies: map[*ir.Block]bool{}}
	for _, b := range blocks {
		if len(b.Stmts) == 0 {
			continue
		}
		if chain, ok := b.Stmts[0].(*ir.BlockStmt); ok {
			for _, b := range chain.Blocks {
				t.bodies[b] = startsBody(b)
			}
			continue
		}
		t.bodies[b] = startsBody(b)
	}
	f.tracer = t
}

func startsBody(b *ir.Block) bool {
	if len(b.Stmts) == 0 {
		return false
	}
	switch b.Stmts[0].(type) {
	case *ir.ResetLocalStmt, *ir.IsUndefinedStmt:
		return true
	}
	return false
}

// traceQuery does so with the blocks of a query.
func (f *funcLowerer) traceQuery(blocks []*ir.Block) {
	f.tracer = &tracer{name: queryName, bodies: map[*ir.Block]bool{}}
	for _, b := range blocks {
		f.tracer.bodies[b] = true
	}
}

const queryName = "query"

// step emits a step at a spot.
func (f *funcLowerer) step(s engine.Step, at spot, text string, values ...int32) {
	loc := f.loc
	f.loc = at.loc
	list := append([]int32{int32(len(values))}, values...)
	f.emit(engine.Instr{Op: engine.OpStep, A: int32(s), B: f.constant(engine.String(text)), C: f.list(list...)})
	f.loc = loc
}

// begins tells, before statement i of b, that a body or an expression begins.
func (f *funcLowerer) begins(b *ir.Block, i int) {
	t, l := f.tracer, b.Stmts[i].GetLocation()
	if t == nil || l == nil || l.Row <= 0 {
		return
	}
	t.at = f.spotOf(l)
	// First it may be asked whether it is this body's turn.
	turn := 0
	if _, ok := b.Stmts[0].(*ir.IsUndefinedStmt); ok {
		turn = 1
	}
	if i == turn && t.bodies[b] {
		t.open, t.head = true, t.at
		if t.name == queryName { // which has no head
			t.head = spot{loc: t.at.loc}
		} else if turn > 0 {
			t.head = f.spotOf(b.Stmts[0].GetLocation())
		}
		f.step(engine.StepEnter, t.head, t.name)
	}
	if t.open && t.at != t.head && !slices.Contains(t.told, t.at) {
		t.told = append(t.told, t.at)
		f.step(engine.StepEval, t.at, t.at.text)
	}
}

// within notes what holds before a block, for leave to restore.
func (t *tracer) within(b *ir.Block) (leave func()) {
	if t == nil {
		return func() {}
	}
	at, told := t.at, t.told
	return func() {
		t.at, t.told = at, told
		if t.bodies[b] {
			t.open = false
		}
	}
}

// failing returns where to go on instead of at to: there it is told, with values,
// that the expression does not hold.
func (f *funcLowerer) failing(to int32, values ...int32) int32 {
	t := f.tracer
	if t == nil || !t.open || t.at == t.quiet || t.at == t.head {
		return to
	}
	from := f.label()
	t.fails = append(t.fails, failStep{from, t.at, values, to})
	return int32(from)
}

// testing is failing for a test, with what it looks at.
func (f *funcLowerer) testing(in engine.Instr) int32 {
	t := f.tracer
	if t == nil {
		return in.T
	}
	if in.Op == engine.OpBuiltin {
		t.called = in
	}
	// In a loop, whether something was set says how one round went.
	if (in.Op == engine.OpIsDefined || in.Op == engine.OpIsUndefined) && slices.Contains(t.loops, t.at) {
		return in.T
	}
	return f.failing(in.T, f.looked(in)...)
}

// looked are the operands of a test that tell why it fails.
func (f *funcLowerer) looked(in engine.Instr) []int32 {
	switch in.Op {
	case engine.OpNotEqual:
		if c := f.tracer.called; c.Op == engine.OpBuiltin && in.A == c.A && in.B == f.constant(engine.Bool(false)) {
			return f.looked(c)
		}
		return []int32{in.A, in.B}
	case engine.OpEqual:
		return []int32{in.A, in.B}
	case engine.OpDot:
		return []int32{in.C}
	case engine.OpLen:
		return []int32{in.B}
	case engine.OpBuiltin:
		return f.image.Operands[in.C : in.C+f.image.Builtins[in.B].Arity]
	}
	return nil
}

// aside emits what was put aside, behind the function's code.
func (f *funcLowerer) aside() {
	if f.tracer == nil {
		return
	}
	for _, s := range f.tracer.fails {
		f.place(s.from)
		f.step(engine.StepFail, s.at, s.at.text, s.values...)
		f.jump(label(s.to))
	}
}

// ruleName is the name of a planned function's rules.
func ruleName(f *ir.Func) string {
	_, name, _ := strings.Cut(f.Name, ".") // behind the generation of `with`
	return name
}
