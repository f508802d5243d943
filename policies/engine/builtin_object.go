package engine

var objectBuiltins = []builtin{
	{"object.get", 3, objectGet},
	{"object.keys", 1, objectKeys},
	{"object.union", 2, func(vm *VM, a []Value) (Value, error) {
		if err := objects("object.union", a); err != nil {
			return Value{}, err
		}
		return vm.overlay(a[0], a[1])
	}},
	{"object.union_n", 1, objectUnionN},
	{"object.remove", 2, func(vm *VM, a []Value) (Value, error) { return vm.filterObject("object.remove", a, false) }},
	{"object.filter", 2, func(vm *VM, a []Value) (Value, error) { return vm.filterObject("object.filter", a, true) }},
	{"object.subset", 2, objectSubset},
}

func objects(name string, a []Value) error {
	for i := range a {
		if a[i].Kind() != KindObject {
			return wrongType(name, i+1, "object")
		}
	}
	return nil
}

func objectGet(vm *VM, a []Value) (Value, error) {
	if err := objects("object.get", a[:1]); err != nil {
		return Value{}, err
	}
	v := a[0]
	if a[1].Kind() == KindArray {
		vm.budget -= a[1].Len()
		for _, key := range a[1].elems() {
			if v = v.lookup(key); v.IsUndefined() {
				break
			}
		}
	} else {
		v = v.lookup(a[1])
	}
	if v.IsUndefined() {
		return a[2], nil
	}
	return v, nil
}

func objectKeys(vm *VM, a []Value) (Value, error) {
	if err := objects("object.keys", a); err != nil {
		return Value{}, err
	}
	keys := vm.make(a[0].Len())
	if len(keys) != a[0].Len() || !vm.charge(len(keys)/16) {
		return Value{}, errLimits
	}
	for i, m := range a[0].members() {
		keys[i] = m.Key
	}
	return newSet(keys), nil
}

// overlay returns b laid over a: objects in both are laid over each other, else
// b's value counts.
func (vm *VM) overlay(a, b Value) (Value, error) {
	x, y := a.members(), b.members()
	members := vm.makeMembers(len(x) + len(y))
	if len(members) != len(x)+len(y) || !vm.charge(len(members)/4) {
		return Value{}, errLimits
	}
	n := 0
	for ; len(x) > 0 || len(y) > 0; n++ {
		c := -1
		if len(x) == 0 {
			c = 1
		} else if len(y) > 0 {
			c = Compare(x[0].Key, y[0].Key)
		}
		if c <= 0 {
			members[n] = x[0]
			x = x[1:]
		}
		if c >= 0 {
			v := y[0].Value
			if old := members[n].Value; c == 0 && old.Kind() == KindObject && v.Kind() == KindObject {
				var err error
				if v, err = vm.overlay(old, v); err != nil {
					return Value{}, err
				}
			}
			members[n] = Member{y[0].Key, v}
			y = y[1:]
		}
	}
	return newObject(members[:n]), nil
}

func objectUnionN(vm *VM, a []Value) (Value, error) {
	list, err := arrayOf("object.union_n", a, 0)
	if err != nil {
		return Value{}, err
	}
	all := emptyObject
	for _, o := range list {
		if o.Kind() != KindObject {
			return Value{}, wrongType("object.union_n", 1, "array of objects")
		}
		if all, err = vm.overlay(all, o); err != nil {
			return Value{}, err
		}
	}
	return all, nil
}

// filterObject returns the members of an object whose keys are listed, or those
// whose keys are not.
func (vm *VM) filterObject(name string, a []Value, listed bool) (Value, error) {
	if err := objects(name, a[:1]); err != nil {
		return Value{}, err
	}
	keys := a[1]
	switch keys.Kind() {
	case KindArray:
		if !vm.charge(keys.Len()+(keys.size()-keys.Len())*searchSteps) || !vm.alloc(keys.Len()*valueBytes) {
			return Value{}, errLimits
		}
		keys = Set(append([]Value(nil), keys.elems()...))
	case KindSet, KindObject:
	default:
		return Value{}, wrongType(name, 2, "object, set or array")
	}
	members := vm.makeMembers(a[0].Len())
	if len(members) != a[0].Len() || !vm.charge(len(members)/4) {
		return Value{}, errLimits
	}
	n := 0
	for _, m := range a[0].members() {
		if !keys.lookup(m.Key).IsUndefined() == listed {
			members[n] = m
			n++
		}
	}
	return newObject(members[:n]), nil
}

func objectSubset(vm *VM, a []Value) (Value, error) {
	super, sub := a[0], a[1]
	if !vm.charge(sub.size() + super.Len()/8) {
		return Value{}, errLimits
	}
	switch k := super.Kind(); {
	case k == sub.Kind() && k >= KindArray:
		return Bool(vm.subset(super, sub)), nil
	case k == KindArray && sub.Kind() == KindSet:
		// An empty set is found at any element, so not in an empty array.
		unmatched := sub.Len()
		for _, e := range super.elems() {
			if sub.contains(e) {
				unmatched--
			}
			if unmatched == 0 {
				return Bool(true), nil
			}
		}
		return Bool(false), nil
	}
	return Value{}, failure{ErrType, "object.subset: both operands must be of the same type or array and set"}
}

// subset reports whether sub is part of super, both being of one kind.
func (vm *VM) subset(super, sub Value) bool {
	switch super.Kind() {
	case KindSet:
		for _, e := range sub.elems() {
			if !super.contains(e) {
				return false
			}
		}
		return true
	case KindArray:
		return vm.subarray(super.elems(), sub.elems())
	}
	for _, m := range sub.members() {
		v := super.lookup(m.Key)
		switch {
		case v.IsUndefined():
			return false
		case v.Kind() == m.Value.Kind() && v.Kind() >= KindArray:
			if !vm.subset(v, m.Value) {
				return false
			}
		case !vm.equal(v, m.Value):
			return false
		}
	}
	return true
}

// subarray reports whether sub is found within super, elements side by side. It
// goes on from where it failed as OPA does, which never looks back.
func (vm *VM) subarray(super, sub []Value) bool {
	if len(sub) > len(super) {
		return false
	}
	at, n := 0, 0
	for n < len(sub) {
		if at+n == len(super) || vm.budget < 0 {
			return false
		}
		vm.budget--
		if vm.equal(super[at+n], sub[n]) {
			n++
		} else {
			at++
			n = 0
		}
	}
	return true
}
