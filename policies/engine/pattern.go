//go:build !lean

package engine

import (
	"encoding/binary"
	"regexp"
	"regexp/syntax"
	"slices"
)

// A pattern is a compiled regular expression. Whether it fits a text is found out
// by states made as they are met, one table look-up for each byte: package regexp
// takes many calls for one, which WebAssembly makes dear.
type pattern struct {
	*regexp.Regexp
	states *automaton // nil when there is none, or there are too many
}

func compilePattern(text string) (*pattern, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	return &pattern{re, newAutomaton(text)}, nil
}

// MatchString reports whether the pattern fits any part of s.
func (p *pattern) MatchString(s string) bool {
	if p.states != nil {
		if fits, ok := p.states.match(s); ok {
			return fits
		}
		if len(p.states.all) == maxStates {
			p.states = nil
		}
	}
	return p.Regexp.MatchString(s)
}

// Bounds of an automaton: of what it is made, and of what it makes.
const (
	maxSteps  = 500
	maxStates = 100 // each of some 200 bytes; their numbers stay below fitsState
)

// An automaton runs the program of a regular expression, the same that package
// regexp runs, over ASCII texts.
type automaton struct {
	prog  *syntax.Prog
	all   []state          // the first is for the start of a text
	next  []uint8          // the state that follows state s for byte c, at s*128+c
	known map[string]uint8 // by their steps
	seen  []bool           // while a state is made
	key   []byte
}

// A state is the set of steps that the program may be at.
type state struct {
	steps []uint16
	fits  bool // whatever comes
	ends  bool // if nothing comes
}

// What next has beside numbers of states.
const (
	noState   = 0   // not known yet
	fitsState = 255 // whatever comes
)

// newAutomaton returns none for a program that is long, or that looks at lines or
// words.
func newAutomaton(text string) *automaton {
	re, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil || len(prog.Inst) > maxSteps {
		return nil
	}
	for i := range prog.Inst {
		in := &prog.Inst[i]
		if in.Op == syntax.InstEmptyWidth && syntax.EmptyOp(in.Arg)&^(syntax.EmptyBeginText|syntax.EmptyEndText) != 0 {
			return nil
		}
	}
	a := &automaton{prog: prog, known: map[string]uint8{}, seen: make([]bool, len(prog.Inst))}
	var first state
	first.steps = a.follow(nil, uint32(prog.Start), syntax.EmptyBeginText)
	a.finish(&first, syntax.EmptyBeginText)
	a.add(first)
	return a
}

// match reports whether s fits; ok is false when this is not for an automaton to
// say.
func (a *automaton) match(s string) (fits, ok bool) {
	if a.all[0].fits {
		return true, true
	}
	at := uint8(0)
	for i := range len(s) {
		c := s[i]
		if c >= 128 {
			return false, false
		}
		n := a.next[int(at)<<7|int(c)]
		if n == noState {
			if n, ok = a.make(at, c); !ok {
				return false, false
			}
		}
		if n == fitsState {
			return true, true
		}
		at = n
	}
	return a.all[at].ends, true
}

// add returns the number of a new state.
func (a *automaton) add(s state) uint8 {
	n := uint8(len(a.all))
	a.all = append(a.all, s)
	a.next = append(a.next, make([]uint8, 128)...)
	return n
}

// make returns the state that follows at for c.
func (a *automaton) make(at, c uint8) (n uint8, ok bool) {
	var s state
	for _, pc := range a.all[at].steps {
		if in := &a.prog.Inst[pc]; takes(in, rune(c)) {
			s.steps = a.follow(s.steps, in.Out, 0)
		}
	}
	s.steps = a.follow(s.steps, uint32(a.prog.Start), 0) // it may start anywhere
	a.finish(&s, 0)
	if s.fits {
		a.next[int(at)<<7|int(c)] = fitsState
		return fitsState, true
	}
	a.key = a.key[:0]
	for _, pc := range s.steps {
		a.key = binary.LittleEndian.AppendUint16(a.key, pc)
	}
	n, known := a.known[string(a.key)]
	if !known {
		if len(a.all) == maxStates {
			return noState, false
		}
		n = a.add(s)
		a.known[string(a.key)] = n
	}
	a.next[int(at)<<7|int(c)] = n
	return n, true
}

// finish makes a state of its steps, in no order.
func (a *automaton) finish(s *state, where syntax.EmptyOp) {
	slices.Sort(s.steps)
	for _, pc := range s.steps {
		s.fits = s.fits || a.prog.Inst[pc].Op == syntax.InstMatch
	}
	clear(a.seen)
	var last []uint16
	for _, pc := range s.steps {
		if in := &a.prog.Inst[pc]; in.Op == syntax.InstEmptyWidth {
			last = a.follow(last, uint32(pc), where|syntax.EmptyEndText)
		}
	}
	for _, pc := range last {
		s.ends = s.ends || a.prog.Inst[pc].Op == syntax.InstMatch
	}
	clear(a.seen)
}

// follow appends the steps that pc leads to without taking a byte, where it
// stands: those that take one, ends, and what would have to stand elsewhere.
func (a *automaton) follow(steps []uint16, pc uint32, where syntax.EmptyOp) []uint16 {
	if a.seen[pc] {
		return steps
	}
	a.seen[pc] = true
	switch in := &a.prog.Inst[pc]; in.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		return a.follow(a.follow(steps, in.Out, where), in.Arg, where)
	case syntax.InstCapture, syntax.InstNop:
		return a.follow(steps, in.Out, where)
	case syntax.InstEmptyWidth:
		if syntax.EmptyOp(in.Arg)&^where == 0 {
			return a.follow(steps, in.Out, where)
		}
	case syntax.InstFail:
		return steps
	}
	return append(steps, uint16(pc))
}

func takes(in *syntax.Inst, r rune) bool {
	switch in.Op {
	case syntax.InstRune:
		return in.MatchRune(r)
	case syntax.InstRune1:
		return in.Rune[0] == r
	case syntax.InstRuneAny:
		return true
	case syntax.InstRuneAnyNotNL:
		return r != '\n'
	}
	return false
}
