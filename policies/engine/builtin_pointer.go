//go:build !lean

package engine

import (
	"slices"
	"strings"
)

var pointerBuiltins = []builtin{
	{"json.filter", 2, func(vm *VM, a []Value) (Value, error) { return vm.prune("json.filter", a, keepPaths) }},
	{"json.remove", 2, func(vm *VM, a []Value) (Value, error) { return vm.prune("json.remove", a, dropPaths) }},
	{"json.patch", 2, jsonPatch},
}

// pathOf returns the keys of a path: of a JSON pointer (RFC 6901), whose first
// slash may be missing, or of an array of keys.
func (vm *VM) pathOf(name string, v Value) ([]Value, error) {
	switch v.Kind() {
	case KindArray:
		return v.elems(), nil
	case KindString:
		s := v.str()
		if s == "" {
			return nil, nil
		}
		parts := strings.Split(strings.TrimLeft(s, "/"), "/")
		keys := vm.make(len(parts))
		if len(keys) != len(parts) || !vm.charge(len(parts)) || !vm.alloc(len(s)) {
			return nil, errLimits
		}
		for i, part := range parts {
			keys[i] = String(strings.ReplaceAll(strings.ReplaceAll(part, "~1", "/"), "~0", "~"))
		}
		return keys, nil
	}
	return nil, wrongType(name, 2, "set or array of paths, each a string or an array")
}

// A pathTree is a set of paths, as their first keys in sort order and what
// follows each.
type pathTree struct{ branches []pathBranch }

type pathBranch struct {
	key  Value
	next *pathTree // nil where a path ends
}

func (t *pathTree) find(key Value) (int, bool) {
	return slices.BinarySearchFunc(t.branches, key, func(b pathBranch, k Value) int { return Compare(b.key, k) })
}

// put adds a path; one that goes on where another ends changes nothing.
func (t *pathTree) put(path []Value) {
	for i, key := range path {
		at, found := t.find(key)
		if !found {
			t.branches = slices.Insert(t.branches, at, pathBranch{key, &pathTree{}})
		}
		b := &t.branches[at]
		if i == len(path)-1 {
			b.next = nil
		}
		if b.next == nil {
			return
		}
		t = b.next
	}
}

// branch returns what the tree has at key, and whether it has anything.
func (t *pathTree) branch(key Value) (*pathTree, bool) {
	if at, ok := t.find(key); ok {
		return t.branches[at].next, true
	}
	return nil, false
}

// prune applies f to the object a[0] and the tree of the paths a[1].
func (vm *VM) prune(name string, a []Value, f func(*VM, Value, *pathTree) (Value, error)) (Value, error) {
	if err := objects(name, a[:1]); err != nil {
		return Value{}, err
	}
	list, err := listOperand(name, a, 1)
	if err != nil {
		return Value{}, err
	}
	if !vm.charge(a[0].size()+2*a[1].size()) || !vm.alloc(valueBytes*a[1].size()) {
		return Value{}, errLimits
	}
	tree := &pathTree{}
	for _, p := range list {
		path, err := vm.pathOf(name, p)
		if err != nil {
			return Value{}, err
		}
		tree.put(path)
	}
	return f(vm, a[0], tree)
}

// keepPaths returns of v what lies on a path of tree.
func keepPaths(vm *VM, v Value, tree *pathTree) (Value, error) {
	return vm.each(v, func(key, e Value) (Value, error) {
		switch next, ok := tree.branch(key); {
		case !ok:
			return Value{}, nil
		case next == nil || e.Kind() < KindArray:
			return e, nil
		default:
			return keepPaths(vm, e, next)
		}
	})
}

// dropPaths returns of v what is not at the end of a path of tree.
func dropPaths(vm *VM, v Value, tree *pathTree) (Value, error) {
	return vm.each(v, func(key, e Value) (Value, error) {
		switch next, ok := tree.branch(key); {
		case !ok:
			return e, nil
		case next == nil:
			return Value{}, nil
		case e.Kind() < KindArray:
			return e, nil
		default:
			return dropPaths(vm, e, next)
		}
	})
}

// each returns the collection v with its elements replaced by what f makes of
// them, without those that are undefined. Indices of arrays are strings, as in
// paths.
func (vm *VM) each(v Value, f func(key, e Value) (Value, error)) (Value, error) {
	n := 0
	if v.Kind() == KindObject {
		members := vm.makeMembers(v.Len())
		if len(members) != v.Len() {
			return Value{}, errLimits
		}
		for _, m := range v.members() {
			e, err := f(m.Key, m.Value)
			if err != nil {
				return Value{}, err
			}
			if !e.IsUndefined() {
				members[n] = Member{m.Key, e}
				n++
			}
		}
		return newObject(members[:n]), nil
	}
	elems := vm.make(v.Len())
	if len(elems) != v.Len() || !vm.charge(v.Len()) {
		return Value{}, errLimits
	}
	for i, old := range v.elems() {
		key := old
		if v.Kind() == KindArray {
			key = String(Int(int64(i)).Text())
		}
		e, err := f(key, old)
		if err != nil {
			return Value{}, err
		}
		if !e.IsUndefined() {
			elems[n] = e
			n++
		}
	}
	if v.Kind() == KindSet {
		return Set(elems[:n:n]), nil
	}
	return newArray(elems[:n]), nil
}
