package compile

import (
	"cmp"
	"slices"

	"keyward/policies/engine"
)

// fewCases is how many alternatives are still tried one after the other.
const fewCases = 4

// A choice is a place where code goes on only if a value is a constant. It
// starts with lookups, the prefix, that may be undefined.
type choice struct {
	start, test int32
	to          int32 // where it goes on otherwise
	is          int32 // the constant
}

// dispatch finds choices that follow each other and differ in the constant
// alone, as rules with one name do, and goes to those that fit straight away.
func (o *optimizer) dispatch() {
	for i := int32(0); int(i) < len(o.code); {
		group := o.choices(i)
		if len(group) < fewCases {
			i++
			continue
		}
		o.replace(group)
		i = group[len(group)-1].test + 1
	}
}

func (o *optimizer) choices(i int32) (group []choice) {
	for int(i) < len(o.code) {
		c, ok := o.choice(i)
		if !ok || len(group) > 0 && !o.alike(group[0], c) {
			break
		}
		group = append(group, c)
		i = c.to
	}
	return group
}

// choice reads the choice that starts at i. It goes on after itself otherwise,
// so that alternatives are found in their order.
func (o *optimizer) choice(i int32) (choice, bool) {
	c := choice{start: i, test: i}
	for ; int(c.test) < len(o.code); c.test++ {
		in := &o.code[c.test]
		if c.test == i {
			c.to = in.T
		}
		switch {
		case !in.Op.Jumps() || in.T != c.to || c.to <= c.test:
			return c, false
		case in.Op == engine.OpDot && in.A != in.B || in.Op == engine.OpPath && in.A != in.B:
			continue
		case in.Op == engine.OpPathEqual || in.Op == engine.OpEqual && in.A >= 0:
			c.is = in.A
			if in.Op == engine.OpEqual {
				c.is = in.B
			}
			return c, c.is < 0 && o.image.Consts[^c.is].Kind() < engine.KindArray
		default:
			return c, false
		}
	}
	return c, false
}

// alike reports whether two choices look at the same value the same way.
func (o *optimizer) alike(a, b choice) bool {
	if a.test-a.start != b.test-b.start {
		return false
	}
	for i := a.start; i <= a.test; i++ {
		x, y := o.code[i], o.code[b.start+i-a.start]
		if x.Op != y.Op {
			return false
		}
		switch {
		case x.Op == engine.OpEqual:
			if x.A != y.A {
				return false
			}
		case x.B != y.B || x.Op != engine.OpPathEqual && x.A != y.A:
			return false
		case x.Op == engine.OpDot:
			if x.C != y.C {
				return false
			}
		case !slices.Equal(o.path(x.C), o.path(y.C)):
			return false
		}
	}
	return true
}

func (o *optimizer) path(at int32) []int32 {
	list := o.image.Operands[at:]
	return list[1 : list[0]+1]
}

// replace makes the tests of a group jump to the next alternative that fits.
func (o *optimizer) replace(group []choice) {
	byConst := slices.Clone(group)
	slices.SortFunc(byConst, func(a, b choice) int {
		return cmp.Or(engine.Compare(o.image.Consts[^a.is], o.image.Consts[^b.is]), cmp.Compare(a.test, b.test))
	})
	first := o.code[group[0].test]
	table := []int32{int32(len(group)), 0}
	value := first.A
	path := int32(-1)
	if first.Op == engine.OpPathEqual {
		value, path = first.B, first.C
	}
	table[1] = path
	for _, c := range byConst {
		table = append(table, c.test+1, c.is)
	}
	at := o.list(table...)
	o.tables = append(o.tables, at)
	end := group[len(group)-1].to
	for _, c := range group {
		for i := c.start; i < c.test; i++ {
			o.code[i].T = end
		}
		o.code[c.test] = engine.Instr{Op: engine.OpSwitch, A: value, B: at, T: end}
	}
}
