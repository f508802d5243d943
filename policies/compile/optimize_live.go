package compile

import "keyward/policies/engine"

// liveness tells which registers may still be read, by instruction.
type liveness struct {
	words int
	bits  []uint64
}

func (l *liveness) at(i int) []uint64 { return l.bits[i*l.words : (i+1)*l.words] }

// dead reports whether nobody reads register r from instruction i on.
func (l *liveness) dead(r, i int32) bool { return l.at(int(i))[r/64]&(1<<(r%64)) == 0 }

func (o *optimizer) liveness() *liveness {
	words := (int(o.nregs) + 63) / 64
	l := &liveness{words, make([]uint64, (len(o.code)+1)*words)}
	now := make([]uint64, words)
	for again := true; again; {
		again = false
		for i := len(o.code) - 1; i >= 0; i-- {
			o.liveBefore(l, i, now)
			at := l.at(i)
			for w := range now {
				if now[w] != at[w] {
					again = true
				}
				at[w] = now[w]
			}
		}
	}
	return l
}

// liveBefore sets now to what is live before instruction i.
func (o *optimizer) liveBefore(l *liveness, i int, now []uint64) {
	in := &o.code[i]
	if in.Op == gone {
		copy(now, l.at(i+1))
		return
	}
	clear(now)
	if falls(in) {
		copy(now, l.at(i+1))
	}
	for _, r := range setsOf(in) {
		now[r/64] &^= 1 << (r % 64)
	}
	o.targets(in, func(t *int32) {
		for w, bits := range l.at(int(*t)) {
			now[w] |= bits
		}
	})
	if changes(in.Op) {
		now[in.A/64] |= 1 << (in.A % 64)
	}
	o.reads(in, true, func(x *int32) {
		if *x >= 0 {
			now[*x/64] |= 1 << (*x % 64)
		}
	})
}

func setsOf(in *engine.Instr) []int32 {
	a, b := sets(in)
	switch {
	case b >= 0:
		return []int32{a, b}
	case a >= 0:
		return []int32{a}
	}
	return nil
}

// sweep takes out what sets a register that nobody reads.
func (o *optimizer) sweep() (changed bool) {
	l := o.liveness()
	for i := range o.code {
		in := &o.code[i]
		switch in.Op {
		case engine.OpMove, engine.OpReset, engine.OpArray, engine.OpObject, engine.OpSet, engine.OpList:
			if l.dead(in.A, int32(i+1)) {
				in.Op, changed = gone, true
			}
		}
	}
	return changed
}

// breakLoops leaves a loop where all that it can still do is to set again the
// flag that was just set, as loops of `every` do.
func (o *optimizer) breakLoops() (changed bool) {
	var l *liveness
	for i := range len(o.code) - 1 {
		set, jump := &o.code[i], &o.code[i+1]
		if set.Op != engine.OpMove || set.B >= 0 || jump.Op != engine.OpJump || jump.T > int32(i) {
			continue
		}
		next := &o.code[jump.T]
		if next.Op != engine.OpNext || next.T <= int32(i) {
			continue
		}
		to, ok := o.afterLoop(next.T, set.A)
		if !ok {
			continue
		}
		if l == nil {
			l = o.liveness()
		}
		if o.onlySets(jump.T, next.T, set, to, l) {
			jump.T, changed = to, true
		}
	}
	return changed
}

// afterLoop returns where the test at i leads when register r is defined.
func (o *optimizer) afterLoop(i, r int32) (to int32, ok bool) {
	for o.code[i].Op == gone {
		i++
	}
	switch in := &o.code[i]; {
	case in.A != r:
	case in.Op == engine.OpIsUndefined:
		return in.T, true
	case in.Op == engine.OpIsDefined:
		return i + 1, true
	}
	return 0, false
}

// onlySets reports whether the code from start to end does nothing that can be
// seen at to, but what set does.
func (o *optimizer) onlySets(start, end int32, set *engine.Instr, to int32, l *liveness) bool {
	for i := start; i < end; i++ {
		in := &o.code[i]
		switch in.Op {
		case gone:
			continue
		case engine.OpResult, engine.OpDecide, engine.OpReturn:
			return false
		}
		if *in == *set {
			continue
		}
		for _, r := range setsOf(in) {
			if !l.dead(r, to) {
				return false
			}
		}
	}
	return true
}
