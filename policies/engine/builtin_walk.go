package engine

var walkBuiltins = []builtin{{"walk", 1, walk}}

// walk returns every value within v, v itself first, as an array of pairs of path
// and value.
func walk(vm *VM, a []Value) (Value, error) {
	n := a[0].size() + 1
	pairs := vm.make(n)
	if len(pairs) != n || !vm.charge(n) {
		return Value{}, errLimits
	}
	rest, ok := vm.walk(a[0], nil, pairs)
	if !ok {
		return Value{}, errLimits
	}
	return newArray(pairs[:n-len(rest)]), nil
}

// walk puts v and what is in it into pairs, and returns the room that is left.
func (vm *VM) walk(v Value, path, pairs []Value) (rest []Value, ok bool) {
	kept := vm.make(len(path) + 2)
	if len(kept) != len(path)+2 || len(pairs) == 0 {
		return nil, false
	}
	copy(kept[2:], path)
	kept[0], kept[1] = newArray(kept[2:]), v
	pairs[0] = newArray(kept[:2])
	rest = pairs[1:]
	for key, e := range v.All() {
		if rest, ok = vm.walk(e, append(path, key), rest); !ok {
			return nil, false
		}
	}
	return rest, true
}
