package engine

var comparisonBuiltins = []builtin{
	{"equal", 2, func(vm *VM, a []Value) (Value, error) { return Bool(vm.equal(a[0], a[1])), nil }},
	{"neq", 2, func(vm *VM, a []Value) (Value, error) { return Bool(!vm.equal(a[0], a[1])), nil }},
	{"lt", 2, func(vm *VM, a []Value) (Value, error) { return Bool(vm.compare(a[0], a[1]) < 0), nil }},
	{"lte", 2, func(vm *VM, a []Value) (Value, error) { return Bool(vm.compare(a[0], a[1]) <= 0), nil }},
	{"gt", 2, func(vm *VM, a []Value) (Value, error) { return Bool(vm.compare(a[0], a[1]) > 0), nil }},
	{"gte", 2, func(vm *VM, a []Value) (Value, error) { return Bool(vm.compare(a[0], a[1]) >= 0), nil }},
	{"internal.member_2", 2, func(vm *VM, a []Value) (Value, error) { return Bool(vm.member(a[0], a[1])), nil }},
	{"internal.member_3", 3, func(vm *VM, a []Value) (Value, error) {
		v := a[2].lookup(a[0])
		return Bool(!v.IsUndefined() && vm.equal(v, a[1])), nil
	}},
}

// compare is Compare on account.
func (vm *VM) compare(a, b Value) int {
	if a.Kind() >= KindArray && a.Kind() == b.Kind() {
		if !vm.charge(min(a.size(), b.size())) {
			return 0
		}
	}
	return Compare(a, b)
}

// member reports whether e is a value of the collection c.
func (vm *VM) member(e, c Value) bool {
	switch c.Kind() {
	case KindSet:
		return vm.charge(e.size()*searchSteps) && c.contains(e)
	case KindArray:
		vm.budget -= c.Len() / 8
		for _, x := range c.elems() {
			if x.Kind() == e.Kind() && vm.equal(x, e) {
				return true
			}
		}
	case KindObject:
		vm.budget -= c.Len() / 8
		for _, m := range c.members() {
			if m.Value.Kind() == e.Kind() && vm.equal(m.Value, e) {
				return true
			}
		}
	}
	return false
}
