package compile

import (
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ir"

	"keyward/policies/engine"
)

// A lowerer turns a plan of OPA's planner into an image of the engine.
type lowerer struct {
	plan      *ir.Policy
	image     engine.Image
	consts    map[string]int32 // by kind and text
	funcs     map[string]int32
	builtins  map[string]int32
	arities   map[string]int
	decides   map[string]int32
	constants map[int32]int32 // functions that only return a constant
	titles    titles
	rules     map[engine.Loc]int32
	queries   bool
	texts     texts // nil: the image tells no steps
}

// lower returns the image of plan with data as its base document. Plans become
// entrypoints in their order: of rules, giving their value, or of any queries,
// giving an array of their bindings. Titles of rules may be nil. With texts, the image
// tells its steps, and is made as it is planned.
func lower(plan *ir.Policy, data engine.Value, titles titles, queries bool, texts texts) (*engine.Image, error) {
	l := &lowerer{
		queries:   queries,
		texts:     texts,
		plan:      plan,
		consts:    map[string]int32{},
		funcs:     map[string]int32{},
		builtins:  map[string]int32{},
		arities:   engine.Builtins(),
		decides:   map[string]int32{},
		constants: map[int32]int32{},
		titles:    titles,
		rules:     map[engine.Loc]int32{},
	}
	l.image.Data = data
	for _, f := range plan.Static.Files {
		l.image.Files = append(l.image.Files, f.Value)
	}
	for i, f := range plan.Funcs.Funcs {
		l.funcs[f.Name] = int32(i)
	}
	for _, p := range plan.Plans.Plans {
		if name, ok := l.decider(p); ok && l.decides[name] == 0 {
			l.decides[name] = int32(len(l.decides) + 1)
		}
	}
	dynamic := usesDynamic(plan)
	for _, f := range plan.Funcs.Funcs {
		if err := l.function(f, dynamic); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	for _, p := range plan.Plans.Plans {
		if err := l.entrypoint(p); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return &l.image, nil
}

// decider returns the one function that makes the result of p.
func (l *lowerer) decider(p *ir.Plan) (name string, ok bool) {
	n := 0
	for _, c := range callsIn(p.Blocks) {
		if _, isRule := l.funcs[c.Func]; isRule && len(c.Args) == 2 {
			name = c.Func
			n++
		}
	}
	return name, n == 1
}

func (l *lowerer) function(f *ir.Func, dynamic bool) error {
	fl := newFuncLowerer(l, f.Params)
	fl.result, fl.decide = f.Return, l.decides[f.Name]
	fl.always = constantResult(f)
	if l.texts != nil {
		fl.traceFunction(ruleName(f), f.Blocks)
	}
	for _, b := range f.Blocks {
		fl.top(b)
	}
	var path []string
	if dynamic {
		path = f.Path
	}
	return fl.finish(path, int32(len(f.Params)))
}

func (l *lowerer) entrypoint(p *ir.Plan) error {
	fl := newFuncLowerer(l, []ir.Local{ir.Input, ir.Data})
	if l.texts != nil && l.queries {
		fl.traceQuery(p.Blocks)
	}
	for _, b := range p.Blocks {
		if direct, ok := directResult(b); ok && !l.queries {
			b = direct
		}
		fl.top(b)
	}
	if l.queries {
		set := fl.newReg()
		fl.emit(engine.Instr{Op: engine.OpResults, A: set})
		fl.emit(engine.Instr{Op: engine.OpReturn, A: set})
	}
	name, ok := l.decider(p)
	e := engine.EntrypointRef{Name: p.Name, Func: int32(len(l.image.Funcs))}
	if ok {
		e.Decide = l.decides[name]
	}
	if err := fl.finish(nil, 2); err != nil {
		return err
	}
	if rule, ok := l.onlyCalls(e.Func); ok {
		f := l.image.Funcs[e.Func]
		l.image.Funcs, l.image.Code, l.image.Locs = l.image.Funcs[:e.Func], l.image.Code[:f.Start], l.image.Locs[:f.Start]
		e.Func = rule
	}
	l.image.Entrypoints = append(l.image.Entrypoints, e)
	return nil
}

// onlyCalls returns the rule whose value a function gives as its own.
func (l *lowerer) onlyCalls(fn int32) (rule int32, ok bool) {
	f := l.image.Funcs[fn]
	code := l.image.Code[f.Start:f.End]
	if len(code) != 3 || code[0].Op != engine.OpCall || code[1].Op != engine.OpReturn || code[2].Op != engine.OpReturn ||
		code[0].T != f.Start+2 || code[1].A != code[0].A || code[2].A < 0 || code[2].A == code[0].A {
		return 0, false
	}
	args := l.image.Operands[code[0].C:]
	return code[0].B, l.image.Funcs[code[0].B].Params == 2 && args[0] == 0 && args[1] == 1
}

// directResult returns b with its result as the function's own, when b ends by
// adding {"result": x} to a result set, as the plan of a rule does.
func directResult(b *ir.Block) (*ir.Block, bool) {
	n := len(b.Stmts)
	if n < 3 {
		return nil, false
	}
	obj, ok1 := b.Stmts[n-3].(*ir.MakeObjectStmt)
	put, ok2 := b.Stmts[n-2].(*ir.ObjectInsertStmt)
	add, ok3 := b.Stmts[n-1].(*ir.ResultSetAddStmt)
	if !ok1 || !ok2 || !ok3 || put.Object != obj.Target || add.Value != obj.Target {
		return nil, false
	}
	v, ok := plain(put.Value.Value).(ir.Local)
	if !ok {
		return nil, false
	}
	return &ir.Block{Stmts: append(slices.Clone(b.Stmts[:n-3]), &ir.ReturnLocalStmt{Source: v, Location: add.Location})}, true
}

// constant returns the operand for v.
func (l *lowerer) constant(v engine.Value) int32 {
	key := string(appendKey(nil, v))
	i, ok := l.consts[key]
	if !ok {
		i = int32(len(l.image.Consts))
		l.consts[key] = i
		l.image.Consts = append(l.image.Consts, v)
	}
	return ^i
}

// list stores a list of operands and returns where.
func (l *lowerer) list(ops ...int32) int32 {
	at := int32(len(l.image.Operands))
	l.image.Operands = append(l.image.Operands, ops...)
	return at
}

// appendKey appends what tells v from every other value: JSON would not do, where
// a set looks like an array.
func appendKey(b []byte, v engine.Value) []byte {
	b = append(b, byte('0'+v.Kind()))
	switch v.Kind() {
	case engine.KindArray, engine.KindSet, engine.KindObject:
		b = append(b, '[')
		for key, e := range v.All() {
			if v.Kind() == engine.KindObject {
				b = appendKey(b, key)
			}
			b = appendKey(b, e)
		}
		return append(b, ']')
	default:
		return v.AppendJSON(b)
	}
}

func (l *lowerer) str(index int) int32 {
	return l.constant(engine.String(l.plan.Static.Strings[index].Value))
}

func (l *lowerer) builtin(name string) (int32, error) {
	i, ok := l.builtins[name]
	if !ok {
		arity, known := l.arities[name]
		if !known {
			return 0, fmt.Errorf("builtin %q is not available", name)
		}
		i = int32(len(l.image.Builtins))
		l.builtins[name] = i
		l.image.Builtins = append(l.image.Builtins, engine.BuiltinRef{Name: name, Arity: int32(arity)})
	}
	return i, nil
}

// rule returns the rule whose head is at a place.
func (l *lowerer) rule(at engine.Loc) int32 {
	i, ok := l.rules[at]
	if !ok {
		i = int32(len(l.image.Rules))
		l.rules[at] = i
		title := l.titles[place{l.image.Files[at.File], int(at.Row)}]
		l.image.Rules = append(l.image.Rules, engine.RuleRef{File: at.File, Row: at.Row, Title: title})
	}
	return i
}

func callsIn(blocks []*ir.Block) (calls []*ir.CallStmt) {
	v := &visitor{call: func(c *ir.CallStmt) { calls = append(calls, c) }, dynamic: func() {}}
	for _, b := range blocks {
		_ = ir.Walk(v, b)
	}
	return calls
}

func usesDynamic(p *ir.Policy) (found bool) {
	_ = ir.Walk(&visitor{call: func(*ir.CallStmt) {}, dynamic: func() { found = true }}, p)
	return found
}

type visitor struct {
	call    func(*ir.CallStmt)
	dynamic func()
}

func (*visitor) Before(any) {}
func (*visitor) After(any)  {}

func (v *visitor) Visit(x any) (ir.Visitor, error) {
	switch x := x.(type) {
	case *ir.CallStmt:
		v.call(x)
	case *ir.CallDynamicStmt:
		v.dynamic()
	}
	return v, nil
}
