package compile

import (
	"math"
	"slices"

	"keyward/policies/engine"
)

// A fact is what is known about a register at one place of the code.
type fact struct {
	state state
	value int32 // operand that has the same value, or nothing
	src   int32 // the register is src[key]; or nothing
	key   int32
}

type state uint8

const (
	unknown state = iota
	undefined
	defined
)

const nothing = math.MinInt32

var unknownFact = fact{unknown, nothing, nothing, nothing}

// facts are those about all registers.
type facts []fact

func (s facts) set(r int32, f fact) {
	for i := range s {
		if s[i].value == r {
			s[i].value = nothing
		}
		if s[i].src == r || s[i].key == r {
			s[i].src, s[i].key = nothing, nothing
		}
	}
	if f.value == r {
		f.value = nothing
	}
	if f.src == r || f.key == r {
		f.src, f.key = nothing, nothing
	}
	s[r] = f
}

// of returns what is known about an operand.
func (s facts) of(x int32) fact {
	if x < 0 {
		return fact{defined, x, nothing, nothing}
	}
	f := s[x]
	if f.value == nothing {
		f.value = x
	}
	return f
}

func (s facts) resolve(x int32) int32 { return s.of(x).value }

// meet keeps of s what t says as well, and reports whether that is less.
func (s facts) meet(t facts) (less bool) {
	for i := range s {
		f := s[i]
		if f.state != t[i].state {
			f.state = unknown
		}
		if f.value != t[i].value {
			f.value = nothing
		}
		if f.src != t[i].src || f.key != t[i].key {
			f.src, f.key = nothing, nothing
		}
		less = less || f != s[i]
		s[i] = f
	}
	return less
}

// after changes s to what holds after in, where it was not undefined.
func (s facts) after(in *engine.Instr) {
	some := fact{defined, nothing, nothing, nothing}
	learn := func(x int32) {
		if x >= 0 && s[x].state == unknown {
			s[x].state = defined
		}
	}
	switch in.Op {
	case engine.OpReset:
		s.set(in.A, fact{undefined, nothing, nothing, nothing})
	case engine.OpMove:
		f := s.of(in.B)
		f.src, f.key = nothing, nothing
		s.set(in.A, f)
	case engine.OpAssignOnce:
		f := s.of(in.B)
		f.src, f.key = nothing, nothing
		if s[in.A].state != undefined && s[in.A].value != f.value {
			f.value = nothing
		}
		s.set(in.A, f)
	case engine.OpDot:
		s.set(in.A, fact{defined, nothing, in.B, in.C})
	case engine.OpIsDefined, engine.OpIsArray, engine.OpIsObject, engine.OpIsSet, engine.OpIsCollection:
		learn(in.A)
	case engine.OpIsUndefined:
		if in.A >= 0 {
			s.set(in.A, fact{undefined, nothing, nothing, nothing})
		}
	case engine.OpEqual, engine.OpNotEqual:
		learn(in.A)
		learn(in.B)
	case engine.OpNext:
		s.set(in.B, some)
		s.set(in.C, some)
	case engine.OpArray, engine.OpObject, engine.OpSet, engine.OpList, engine.OpBuiltin, engine.OpCall, engine.OpCallDynamic,
		engine.OpAppend, engine.OpAdd, engine.OpInsert, engine.OpInsertOnce, engine.OpLen:
		s.set(in.A, some)
	default:
		if a, _ := sets(in); a >= 0 {
			s.set(a, unknownFact)
		}
	}
}

// undefinedAt changes s to what holds where in goes on when it is undefined.
func (s facts) undefinedAt(in *engine.Instr) {
	none := fact{undefined, nothing, nothing, nothing}
	switch in.Op {
	case engine.OpDot, engine.OpBuiltin, engine.OpCall:
		s.set(in.A, none)
	case engine.OpIsDefined:
		if in.A >= 0 {
			s.set(in.A, none)
		}
	case engine.OpIsUndefined:
		if in.A >= 0 && s[in.A].state == unknown {
			s[in.A].state = defined
		}
	case engine.OpLen, engine.OpCallDynamic:
		s.set(in.A, unknownFact)
	}
}

// propagate uses what is known at each place: copies and constants, repeated
// lookups, tests whose outcome is certain, code that is never reached.
func (o *optimizer) propagate() (changed bool) {
	joins := o.joins()
	at := o.flow(joins)
	for i := range o.code {
		switch {
		case at[i] != nil:
			changed = o.propagateFrom(i, at[i], joins) || changed
		case joins[i]:
			changed = o.code[i].Op != gone || changed
			o.code[i].Op = gone
			changed = o.unreached(joins, i+1) || changed
		}
	}
	return changed
}

// propagateFrom is propagate for the block at i, where s holds.
func (o *optimizer) propagateFrom(i int, s facts, joins []bool) (changed bool) {
	for j := i; j == i || !joins[j]; j++ {
		in := &o.code[j]
		if in.Op == gone {
			continue
		}
		was := *in
		changed = o.simplify(s, in) || changed
		changed = o.thread(s, &was, in) || changed
		if in.Op == engine.OpJump && o.follows(j, in.T) {
			in.Op, changed = gone, true
		}
		if !falls(in) {
			return o.unreached(joins, j+1) || changed
		}
		s.after(in)
	}
	return changed
}

// unreached takes out the code from i on up to where something jumps to.
func (o *optimizer) unreached(joins []bool, i int) (changed bool) {
	for ; i < len(o.code) && !joins[i]; i++ {
		if o.code[i].Op != gone {
			o.code[i].Op, changed = gone, true
		}
	}
	return changed
}

// flow returns what is known at the start of each block that is reached.
func (o *optimizer) flow(joins []bool) []facts {
	at := make([]facts, len(o.code)+1)
	at[0] = make(facts, o.nregs)
	for r := range at[0] {
		at[0][r] = unknownFact
		if int32(r) >= o.params {
			at[0][r].state = undefined
		}
	}
	pending := make([]bool, len(o.code)+1)
	pending[0] = true
	arrive := func(to int32, s facts) {
		if at[to] == nil {
			at[to] = slices.Clone(s)
			pending[to] = true
		} else if at[to].meet(s) {
			pending[to] = true
		}
	}
	s, side := make(facts, o.nregs), make(facts, o.nregs)
	for again := true; again; {
		again = false
		for start := range pending {
			if !pending[start] {
				continue
			}
			pending[start], again = false, true
			copy(s, at[start])
			o.flowFrom(start, s, side, joins, arrive)
		}
	}
	return at
}

// flowFrom walks one block; s is what holds at its start, side is for scratch.
func (o *optimizer) flowFrom(i int, s, side facts, joins []bool, arrive func(int32, facts)) {
	for ; ; i++ {
		if in := &o.code[i]; in.Op != gone {
			o.targets(in, func(t *int32) {
				copy(side, s)
				side.undefinedAt(in)
				arrive(*t, side)
			})
			if !falls(in) {
				return
			}
			s.after(in)
		}
		if joins[i+1] {
			arrive(int32(i+1), s)
			return
		}
	}
}

// follows reports whether to is what comes after i, but for what is gone.
func (o *optimizer) follows(i int, to int32) bool {
	for i++; i < int(to) && o.code[i].Op == gone; i++ {
	}
	return i == int(to)
}

// simplify changes one instruction by what is known before it.
func (o *optimizer) simplify(s facts, in *engine.Instr) (changed bool) {
	o.reads(in, false, func(x *int32) {
		if y := s.resolve(*x); y != *x {
			*x, changed = y, true
		}
	})
	always := func(holds bool) {
		changed = true
		if holds {
			in.Op = gone
		} else {
			*in = engine.Instr{Op: engine.OpJump, T: in.T}
		}
	}
	switch in.Op {
	case engine.OpMove:
		if in.A == in.B || s[in.A].value == in.B {
			always(true)
		} else if in.B >= 0 && s[in.B].state == undefined {
			*in, changed = engine.Instr{Op: engine.OpReset, A: in.A}, true
		}
	case engine.OpReset:
		if s[in.A].state == undefined {
			always(true)
		}
	case engine.OpAssignOnce:
		if s[in.A].state == undefined {
			in.Op, changed = engine.OpMove, true
		} else if in.A == in.B || s[in.A].value == in.B {
			always(true)
		}
	case engine.OpDot:
		for r := range s {
			if s[r].src == in.B && s[r].key == in.C && s[r].state == defined {
				*in, changed = engine.Instr{Op: engine.OpMove, A: in.A, B: int32(r)}, true
				break
			}
		}
	case engine.OpIsDefined, engine.OpIsUndefined:
		if st := s.of(in.A).state; st != unknown {
			always((st == defined) == (in.Op == engine.OpIsDefined))
		}
	case engine.OpEqual, engine.OpNotEqual:
		if in.A < 0 && in.B < 0 {
			always(o.image.Consts[^in.A].Equal(o.image.Consts[^in.B]) == (in.Op == engine.OpEqual))
		}
	}
	return changed
}

// thread lets a jump go where it leads in the end, given what is known before
// it; was is the jump before it was simplified.
func (o *optimizer) thread(s facts, was, in *engine.Instr) (changed bool) {
	if in.Op == gone || !in.Op.Jumps() || in.Op == engine.OpSwitch {
		return false
	}
	var side facts // made when it is needed
	for range len(o.code) {
		to := &o.code[in.T]
		switch to.Op {
		case gone:
			in.T++
			continue // as compact does, so this is no change
		case engine.OpJump:
			if in.T == to.T {
				return changed // an endless loop
			}
			in.T = to.T
		case engine.OpIsDefined, engine.OpIsUndefined:
			if side == nil {
				side = slices.Clone(s)
				side.undefinedAt(was)
			}
			st := side.of(to.A).state
			if st == unknown {
				return changed
			}
			if (st == defined) == (to.Op == engine.OpIsDefined) {
				in.T++
			} else {
				in.T = to.T
			}
		default:
			return changed
		}
		changed = true
	}
	return changed
}
