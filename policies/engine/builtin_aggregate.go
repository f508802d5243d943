package engine

import (
	"slices"
	"unicode/utf8"
)

var aggregateBuiltins = []builtin{
	{"count", 1, count},
	{"sum", 1, func(vm *VM, a []Value) (Value, error) { return vm.fold("sum", opPlus, a, 0) }},
	{"product", 1, func(vm *VM, a []Value) (Value, error) { return vm.fold("product", opMul, a, 1) }},
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

// fold combines numbers: in int64 while that is exact, else foldWide does.
func (vm *VM) fold(name string, op operation, a []Value, start int64) (Value, error) {
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
			n, ok = op.ints(n, i)
		}
	}
	if ok {
		return Int(n), nil
	}
	return vm.foldWide(name, op, elems, start)
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
	if len(sorted) != len(elems) || !vm.charge(len(elems)+(a[0].size()-len(elems))*searchSteps) {
		return Value{}, errLimits
	}
	copy(sorted, elems)
	if a[0].Kind() == KindArray {
		slices.SortStableFunc(sorted, Compare)
	}
	return newArray(sorted), nil
}
