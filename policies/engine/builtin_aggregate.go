package engine

import (
	"math"
	"math/big"
	"slices"
	"unicode/utf8"
)

var aggregateBuiltins = []builtin{
	{"count", 1, count},
	{"sum", 1, func(vm *VM, a []Value) (Value, error) {
		return vm.fold("sum", a, 0, addChecked, (*big.Int).Add, (*big.Float).Add)
	}},
	{"product", 1, func(vm *VM, a []Value) (Value, error) {
		return vm.fold("product", a, 1, mulChecked, (*big.Int).Mul, (*big.Float).Mul)
	}},
	{"max", 1, func(vm *VM, a []Value) (Value, error) { return vm.extreme("max", a, 1) }},
	{"min", 1, func(vm *VM, a []Value) (Value, error) { return vm.extreme("min", a, -1) }},
	{"sort", 1, sortList},
	{"all", 1, func(vm *VM, a []Value) (Value, error) {
		elems, err := listOperand("all", a, 0)
		return Bool(!slices.ContainsFunc(elems, func(e Value) bool { return !e.isTrue() })), err
	}},
	{"any", 1, func(vm *VM, a []Value) (Value, error) {
		elems, err := listOperand("any", a, 0)
		return Bool(slices.ContainsFunc(elems, Value.isTrue)), err
	}},
}

func count(vm *VM, a []Value) (Value, error) {
	switch v := a[0]; v.Kind() {
	case KindArray, KindSet, KindObject:
		return Int(int64(v.Len())), nil
	case KindString:
		return Int(int64(utf8.RuneCountInString(v.str()))), vm.work(len(v.str()))
	}
	return Value{}, wrongType("count", 1, "array, object, set or string")
}

func addChecked(x, y int64) (int64, bool) {
	z := x + y
	return z, (z > x) == (y > 0)
}

func mulChecked(x, y int64) (int64, bool) {
	if x == 0 || y == 0 {
		return 0, true
	}
	z := x * y
	return z, z/y == x && !(x == -1 && y == math.MinInt64) && !(y == -1 && x == math.MinInt64)
}

// fold combines numbers: in int64 while they fit, exactly while they are
// integers, else in floats.
func (vm *VM) fold(name string, a []Value, start int64, small func(x, y int64) (int64, bool), exact func(z, x, y *big.Int) *big.Int, float func(z, x, y *big.Float) *big.Float) (Value, error) {
	elems, err := listOperand(name, a, 0)
	if err != nil {
		return Value{}, err
	}
	vm.budget -= len(elems) / 16
	n, ok := start, true
	for _, e := range elems {
		if e.Kind() != KindNumber {
			return Value{}, wrongType(name, 1, "array or set of numbers")
		}
		if i, isInt := e.Int(); !isInt || !ok {
			ok = false
		} else {
			n, ok = small(n, i)
		}
	}
	if ok {
		return Int(n), nil
	}
	if v, done, err := vm.foldInts(name, elems, start, exact); done || err != nil {
		return v, err
	}
	f := big.NewFloat(float64(start))
	if start == 0 {
		f = new(big.Float)
	}
	for _, e := range elems {
		f = float(f, f, vm.bigFloat(e))
	}
	return vm.ofFloat(f)
}

func (vm *VM) foldInts(name string, elems []Value, start int64, exact func(z, x, y *big.Int) *big.Int) (v Value, done bool, err error) {
	n := big.NewInt(start)
	for _, e := range elems {
		i, ok := vm.bigInt(e)
		if !ok {
			return Value{}, false, nil
		}
		if n.BitLen()+i.BitLen() > maxBits || !vm.charge((n.BitLen()/64)*(i.BitLen()/64)/64+n.BitLen()/512) {
			return Value{}, false, failing(name, "number too large")
		}
		n = exact(n, n, i)
	}
	v, err = vm.ofInt(n)
	return v, true, err
}

// extreme returns the last element in sort order, or the first. Of equal ones it
// is the last.
func (vm *VM) extreme(name string, a []Value, sign int) (Value, error) {
	elems, err := listOperand(name, a, 0)
	if err != nil || len(elems) == 0 {
		return Value{}, err
	}
	best := elems[0]
	for _, e := range elems[1:] {
		if vm.budget--; sign*vm.compare(e, best) >= 0 {
			best = e
		}
	}
	return best, nil
}

func sortList(vm *VM, a []Value) (Value, error) {
	elems, err := listOperand("sort", a, 0)
	if err != nil {
		return Value{}, err
	}
	sorted := vm.make(len(elems))
	if len(sorted) != len(elems) || !vm.charge(len(elems)+weight(a[0], 64)/4) {
		return Value{}, errLimits
	}
	copy(sorted, elems)
	if a[0].Kind() == KindArray {
		slices.SortStableFunc(sorted, Compare)
	}
	return newArray(sorted), nil
}
