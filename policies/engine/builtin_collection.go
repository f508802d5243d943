package engine

import (
	"slices"
	"unsafe"
)

var collectionBuiltins = []builtin{
	{"array.concat", 2, arrayConcat},
	{"array.slice", 3, arraySlice},
	{"array.reverse", 1, arrayReverse},
	{"array.flatten", 1, arrayFlatten},
	{"and", 2, func(vm *VM, a []Value) (Value, error) {
		if err := sets("and", a); err != nil {
			return Value{}, err
		}
		return vm.intersect(a[0], a[1])
	}},
	{"or", 2, func(vm *VM, a []Value) (Value, error) {
		if err := sets("or", a); err != nil {
			return Value{}, err
		}
		return vm.unite(a)
	}},
	{"union", 1, func(vm *VM, a []Value) (Value, error) {
		if err := setOfSets("union", a[0]); err != nil {
			return Value{}, err
		}
		return vm.unite(a[0].elems())
	}},
	{"intersection", 1, intersection},
}

func sets(name string, a []Value) error {
	for i := range a {
		if a[i].Kind() != KindSet {
			return wrongType(name, i+1, "set")
		}
	}
	return nil
}

func setOfSets(name string, v Value) error {
	if v.Kind() != KindSet || slices.ContainsFunc(v.elems(), func(e Value) bool { return e.Kind() != KindSet }) {
		return wrongType(name, 1, "set of sets")
	}
	return nil
}

// filterSet returns the elements of set that keep is true for.
func (vm *VM) filterSet(set Value, keep func(Value) bool) (Value, error) {
	elems := vm.make(set.Len())
	if len(elems) != set.Len() || !vm.charge(set.Len()/4+(set.size()-set.Len())*searchSteps) {
		return Value{}, errLimits
	}
	n := 0
	for _, e := range set.elems() {
		if keep(e) {
			elems[n] = e
			n++
		}
	}
	return newSet(elems[:n]), nil
}

func (vm *VM) unite(list []Value) (Value, error) {
	n, inner := 0, 0
	for _, s := range list {
		n += s.Len()
		inner += s.size() - s.Len()
	}
	elems := vm.make(n)
	if len(elems) != n || !vm.charge(n+inner*searchSteps) {
		return Value{}, errLimits
	}
	elems = elems[:0]
	for _, s := range list {
		elems = append(elems, s.elems()...)
	}
	return Set(elems), nil
}

func intersection(vm *VM, a []Value) (Value, error) {
	if err := setOfSets("intersection", a[0]); err != nil {
		return Value{}, err
	}
	list := a[0].elems()
	if len(list) == 0 {
		return emptySet, nil
	}
	common := list[0]
	for _, s := range list[1:] {
		var err error
		if common, err = vm.intersect(common, s); err != nil {
			return Value{}, err
		}
	}
	return common, nil
}

// intersect takes elements from the smaller set, as OPA does: equal numbers may
// be written otherwise in the other.
func (vm *VM) intersect(x, y Value) (Value, error) {
	if y.Len() < x.Len() {
		x, y = y, x
	}
	return vm.filterSet(x, y.contains)
}

func arrayOf(name string, a []Value, i int) ([]Value, error) {
	if a[i].Kind() != KindArray {
		return nil, wrongType(name, i+1, "array")
	}
	return a[i].elems(), nil
}

func arrayConcat(vm *VM, a []Value) (Value, error) {
	x, err := arrayOf("array.concat", a, 0)
	if err != nil {
		return Value{}, err
	}
	y, err := arrayOf("array.concat", a, 1)
	if err != nil {
		return Value{}, err
	}
	elems := vm.make(len(x) + len(y))
	if len(elems) != len(x)+len(y) || !vm.charge(len(elems)/16) {
		return Value{}, errLimits
	}
	copy(elems[copy(elems, x):], y)
	return newArray(elems), nil
}

func arraySlice(vm *VM, a []Value) (Value, error) {
	elems, err := arrayOf("array.slice", a, 0)
	if err != nil {
		return Value{}, err
	}
	start, err := intOperand("array.slice", a, 1)
	if err != nil {
		return Value{}, err
	}
	stop, err := intOperand("array.slice", a, 2)
	if err != nil {
		return Value{}, err
	}
	stop = min(max(stop, 0), len(elems))
	start = min(max(start, 0), stop)
	return newArray(elems[start:stop]), nil
}

func arrayReverse(vm *VM, a []Value) (Value, error) {
	elems, err := arrayOf("array.reverse", a, 0)
	if err != nil {
		return Value{}, err
	}
	reversed := vm.make(len(elems))
	if len(reversed) != len(elems) || !vm.charge(len(elems)/16) {
		return Value{}, errLimits
	}
	copy(reversed, elems)
	slices.Reverse(reversed)
	return newArray(reversed), nil
}

func arrayFlatten(vm *VM, a []Value) (Value, error) {
	elems, err := arrayOf("array.flatten", a, 0)
	if err != nil {
		return Value{}, err
	}
	n := 0
	for _, e := range elems {
		if n++; e.Kind() == KindArray {
			n += e.Len() - 1
		}
	}
	flat := vm.make(n)
	if len(flat) != n || !vm.charge(n/16) {
		return Value{}, errLimits
	}
	flat = flat[:0]
	for _, e := range elems {
		if e.Kind() == KindArray {
			flat = append(flat, e.elems()...)
		} else {
			flat = append(flat, e)
		}
	}
	return newArray(flat), nil
}

// makeMembers returns room for n members, or nil when memory is out.
func (vm *VM) makeMembers(n int) []Member {
	kept := vm.make(2 * n)
	if len(kept) != 2*n {
		return nil
	}
	return unsafe.Slice((*Member)(unsafe.Pointer(unsafe.SliceData(kept))), n)
}
