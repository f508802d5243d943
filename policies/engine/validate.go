package engine

import "strings"

// Bounds of one function, far above what a compiler makes.
const (
	maxRegs  = 1 << 15
	maxSlots = 1 << 10
	maxArity = 64
	maxPath  = 1 << 10 // a step costs no instruction
)

// validate checks all that running the program relies on, and prepares it.
func (p *Program) validate() bool {
	m := &p.image
	if m.Data.Kind() != KindObject || !p.bindBuiltins() || !p.validateFuncs() {
		return false
	}
	for _, e := range m.Entrypoints {
		if !within(e.Func, len(m.Funcs)) || m.Funcs[e.Func].Params != 2 || e.Decide < 0 || int(e.Decide) > p.decides {
			return false
		}
	}
	for _, r := range m.Rules {
		if r.Row <= 0 || !within(r.File, len(m.Files)) {
			return false
		}
	}
	for _, l := range m.Locs {
		if l.Row > 0 && !within(l.File, len(m.Files)) {
			return false
		}
	}
	p.nameRules()
	p.tables = map[int32]*Function{}
	defer func() { p.tables = nil }()
	for i := range m.Funcs {
		if !p.validateCode(&m.Funcs[i]) {
			return false
		}
	}
	return true
}

func within(i int32, n int) bool { return i >= 0 && int(i) < n }

func (p *Program) bindBuiltins() bool {
	p.builtins = make([]builtin, len(p.image.Builtins))
	for i, r := range p.image.Builtins {
		b, ok := builtins()[r.Name]
		if !ok || r.Arity != int32(b.arity) {
			return false
		}
		p.builtins[i] = b
	}
	return true
}

func (p *Program) validateFuncs() bool {
	m := &p.image
	end := int32(0)
	p.byPath = map[string]int32{}
	for i, f := range m.Funcs {
		if f.Params < 2 || f.Params > maxArity || f.Regs < f.Params || f.Regs > maxRegs || f.Slots < 0 || f.Slots > maxSlots ||
			f.Start != end || f.End <= f.Start || int(f.End) > len(m.Code) || f.Decide < 0 || int(f.Decide) > len(m.Funcs) {
			return false
		}
		end = f.End
		p.decides = max(p.decides, int(f.Decide))
		if f.Path != nil && f.Params == 2 {
			for _, s := range f.Path {
				if strings.IndexByte(s, 0) >= 0 {
					return false
				}
			}
			p.byPath[pathKey(f.Path)] = int32(i)
		}
	}
	return int(end) == len(m.Code)
}

func (p *Program) validateCode(f *Function) bool {
	code := p.image.Code[f.Start:f.End]
	if last := code[len(code)-1].Op; last != OpReturn && last != OpJump && last != OpSwitch {
		return false // would run into the next function
	}
	for i := range code {
		in := &code[i]
		s := shapes[in.Op]
		if !p.validField(f, in, s.a, in.A) || !p.validField(f, in, s.b, in.B) || !p.validField(f, in, s.c, in.C) || !p.validField(f, in, s.t, in.T) {
			return false
		}
	}
	return true
}

func (p *Program) validField(f *Function, in *Instr, kind field, n int32) bool {
	m := &p.image
	switch kind {
	case unused:
		return true
	case reg:
		return within(n, int(f.Regs))
	case val:
		return p.validOperand(f, n)
	case fnIndex:
		return within(n, len(m.Funcs))
	case builtinIndex:
		return within(n, len(m.Builtins))
	case operands:
		arity := int32(0)
		if in.Op == OpCall || in.Op == OpCallTest {
			arity = m.Funcs[in.B].Params
		} else {
			arity = m.Builtins[in.B].Arity
		}
		return p.validOperands(f, n, arity)
	case path:
		return p.validPath(f, n)
	case values:
		return within(n, len(m.Operands)) && p.validOperands(f, n+1, m.Operands[n])
	case cases:
		return p.validTable(f, n)
	case dynamic:
		return within(n, len(m.Operands)) && m.Operands[n] >= 0 && m.Operands[n] <= maxArity && p.validOperands(f, n+1, m.Operands[n]+2)
	case slot:
		return within(n, int(f.Slots))
	case target:
		return n >= f.Start && n < f.End
	case size:
		return n >= 0
	case step:
		return within(n, int(stepCount))
	case decideIndex:
		return n > 0 && n == f.Decide
	case ruleIndex:
		return within(n, len(m.Rules))
	}
	return false
}

func (p *Program) validPath(f *Function, n int32) bool {
	m := &p.image
	if !within(n, len(m.Operands)) || m.Operands[n] > maxPath || !p.validOperands(f, n+1, m.Operands[n]) {
		return false
	}
	for _, x := range m.Operands[n+1 : n+1+m.Operands[n]] {
		if x >= 0 || m.Consts[^x].Kind() != KindString {
			return false
		}
	}
	return m.Operands[n] > 0
}

// validTable checks the table of a switch, once for all that use it in one
// function.
func (p *Program) validTable(f *Function, n int32) bool {
	if valid, known := p.tables[n]; known && valid == f {
		return true
	}
	m := &p.image
	if !within(n, len(m.Operands)) || int(n)+1 >= len(m.Operands) {
		return false
	}
	list := m.Operands[n+2:]
	if m.Operands[n] < 0 || int64(m.Operands[n])*2 > int64(len(list)) {
		return false
	}
	list = list[:m.Operands[n]*2]
	if at := m.Operands[n+1]; at != -1 && !p.validPath(f, at) {
		return false
	}
	for i := 0; i < len(list); i += 2 {
		to, x := list[i], list[i+1]
		if to < f.Start || to >= f.End || x >= 0 || !within(^x, len(m.Consts)) || m.Consts[^x].Kind() >= KindArray {
			return false
		}
		if i > 0 {
			if c := Compare(m.Consts[^list[i-1]], m.Consts[^x]); c > 0 || c == 0 && list[i-2] >= to {
				return false
			}
		}
	}
	p.tables[n] = f
	return true
}

func (p *Program) validOperand(f *Function, n int32) bool {
	if n < 0 {
		return within(^n, len(p.image.Consts))
	}
	return n < f.Regs
}

func (p *Program) validOperands(f *Function, at, n int32) bool {
	if at < 0 || n < 0 || int64(at)+int64(n) > int64(len(p.image.Operands)) {
		return false
	}
	for _, x := range p.image.Operands[at : at+n] {
		if !p.validOperand(f, x) {
			return false
		}
	}
	return true
}
