package engine

// merge returns a and b as one, as the base document and what rules make below
// it are: objects member by member, else a.
func (vm *VM) merge(a, b Value) Value {
	if a.Kind() != KindObject || b.Kind() != KindObject {
		if a.IsUndefined() {
			return b
		}
		return a
	}
	x, y := a.members(), b.members()
	vm.budget -= len(x) + len(y)
	members := make([]Member, 0, len(x)+len(y))
	vm.memory -= 2 * valueBytes * cap(members)
	for len(x) > 0 && len(y) > 0 {
		switch c := Compare(x[0].Key, y[0].Key); {
		case c < 0:
			members = append(members, x[0])
			x = x[1:]
		case c > 0:
			members = append(members, y[0])
			y = y[1:]
		default:
			members = append(members, Member{x[0].Key, vm.merge(x[0].Value, y[0].Value)})
			x, y = x[1:], y[1:]
		}
	}
	members = append(append(members, x...), y...)
	return newObject(members)
}

// upsert returns a copy of v with leaf at the path of constants; what is no
// object on the way becomes one.
func (vm *VM) upsert(v Value, path []int32, leaf Value) Value {
	if len(path) == 0 {
		return leaf
	}
	key := vm.prog.image.Consts[^path[0]]
	var old []Member
	var next Value
	if v.Kind() == KindObject {
		old = v.members()
		next = v.lookup(key)
	}
	vm.budget -= len(old) / 16
	vm.memory -= 2 * valueBytes * (len(old) + 1)
	members := make([]Member, 0, len(old)+1)
	put := Member{key, vm.upsert(next, path[1:], leaf)}
	for i := range old {
		c := -1
		if !put.Key.IsUndefined() {
			c = Compare(old[i].Key, key)
		}
		if c >= 0 {
			members = append(members, put)
			put = Member{}
		}
		if c != 0 {
			members = append(members, old[i])
		}
	}
	if !put.Key.IsUndefined() {
		members = append(members, put)
	}
	return newObject(members)
}
