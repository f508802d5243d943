//go:build !lean

package engine

import (
	"slices"
	"strings"
)

// jsonPatch applies a JSON patch (RFC 6902) to any value. Beyond the RFC, paths
// lead through sets: the key of an element is the element.
func jsonPatch(vm *VM, a []Value) (Value, error) {
	ops, err := arrayOf("json.patch", a, 1)
	if err != nil {
		return Value{}, err
	}
	v := a[0]
	for _, op := range ops {
		if op.Kind() != KindObject {
			return Value{}, failing("json.patch", "an operation is no object")
		}
		if v, err = vm.patch(v, op); err != nil {
			return Value{}, err
		}
	}
	return v, nil
}

var errPatch = failing("json.patch", "operation can't be applied")

// patch applies one operation. The undefined value is that of a document whose
// root was removed.
func (vm *VM) patch(doc, op Value) (Value, error) {
	at, hasPath := op.Get("path")
	name, _ := op.Get("op")
	kind, isString := name.Str()
	if !hasPath || !isString {
		return Value{}, errPatch
	}
	path, err := vm.pathOf("json.patch", at)
	if err != nil {
		return Value{}, err
	}
	value, hasValue := op.Get("value")
	if !hasValue && (kind == "add" || kind == "replace" || kind == "test") {
		return Value{}, errPatch
	}
	switch kind {
	case "add":
		return vm.edit(doc, path, value)
	case "remove":
		return vm.edit(doc, path, Value{})
	case "replace":
		if doc, err = vm.edit(doc, path, Value{}); err != nil {
			return Value{}, err
		}
		return vm.edit(doc, path, value)
	case "test":
		have, err := vm.follow(doc, path)
		if err != nil || have.IsUndefined() || !vm.equal(have, value) {
			return Value{}, errPatch
		}
		return doc, nil
	case "move", "copy":
		from, ok := op.Get("from")
		if !ok {
			return Value{}, errPatch
		}
		source, err := vm.pathOf("json.patch", from)
		if err != nil {
			return Value{}, err
		}
		if value, err = vm.follow(doc, source); err != nil || value.IsUndefined() {
			return Value{}, errPatch
		}
		if kind == "move" {
			if doc, err = vm.edit(doc, source, Value{}); err != nil {
				return Value{}, err
			}
		}
		return vm.edit(doc, path, value)
	}
	return Value{}, errPatch
}

// follow returns what is at path.
func (vm *VM) follow(v Value, path []Value) (Value, error) {
	for _, key := range path {
		if !vm.charge(1 + key.size()*searchSteps) {
			return Value{}, errLimits
		}
		if v.Kind() == KindArray {
			i, ok := patchIndex(key, v.Len())
			if !ok {
				return Value{}, errPatch
			}
			v = v.Index(i)
		} else {
			v = v.lookup(key)
		}
		if v.IsUndefined() {
			return Value{}, errPatch
		}
	}
	return v, nil
}

// edit returns doc with value added at the end of path, or without what is there
// when there is no value.
func (vm *VM) edit(doc Value, path []Value, value Value) (Value, error) {
	if !vm.charge(4 + doc.Len()/8) {
		return Value{}, errLimits
	}
	switch len(path) {
	case 0:
		if doc.IsUndefined() && value.IsUndefined() {
			return Value{}, errPatch
		}
		return value, nil
	case 1:
		if value.IsUndefined() {
			return removeAt(vm, doc, path[0])
		}
		return insertAt(vm, doc, path[0], value)
	}
	child, err := vm.follow(doc, path[:1])
	if err != nil {
		return Value{}, err
	}
	if child, err = vm.edit(child, path[1:], value); err != nil {
		return Value{}, err
	}
	if doc.Kind() == KindSet { // what has changed is another element
		if doc, err = removeAt(vm, doc, path[0]); err != nil {
			return Value{}, err
		}
		return insertAt(vm, doc, child, child)
	}
	if doc.Kind() == KindArray {
		if doc, err = removeAt(vm, doc, path[0]); err != nil {
			return Value{}, err
		}
	}
	return insertAt(vm, doc, path[0], child)
}

// insertAt returns v with value at key.
func insertAt(vm *VM, v, key, value Value) (Value, error) {
	if !vm.alloc(2*valueBytes*(v.Len()+1)) || !vm.charge((v.size()-v.Len())/8) {
		return Value{}, errLimits
	}
	switch v.Kind() {
	case KindObject:
		return Object(append(slices.Clone(v.members()), Member{key, value})), nil
	case KindSet:
		if key.Equal(value) {
			return Set(append(slices.Clone(v.elems()), value)), nil
		}
	case KindArray:
		if i, ok := patchIndex(key, v.Len()); ok && i <= v.Len() {
			return newArray(slices.Insert(slices.Clone(v.elems()), i, value)), nil
		}
	}
	return Value{}, errPatch
}

// removeAt returns v without what is at key.
func removeAt(vm *VM, v, key Value) (Value, error) {
	if !vm.alloc(2*valueBytes*v.Len()) || !vm.charge((v.size()-v.Len())/8) {
		return Value{}, errLimits
	}
	switch v.Kind() {
	case KindObject:
		if i := node(v.members(), key); i >= 0 {
			return newObject(slices.Delete(slices.Clone(v.members()), i, i+1)), nil
		}
	case KindSet:
		if i, ok := searchSet(v.elems(), key); ok {
			return newSet(slices.Delete(slices.Clone(v.elems()), i, i+1)), nil
		}
	case KindArray:
		if i, ok := patchIndex(key, v.Len()); ok && i < v.Len() {
			return newArray(slices.Delete(slices.Clone(v.elems()), i, i+1)), nil
		}
	}
	return Value{}, errPatch
}

// patchIndex returns the index that key is in an array of n elements.
func patchIndex(key Value, n int) (int, bool) {
	i, ok := key.Int()
	if s, isString := key.Str(); isString {
		if s == "-" {
			return n, true
		}
		if s != "0" && strings.HasPrefix(s, "0") {
			return 0, false
		}
		i, ok = integral(s)
	}
	return int(i), ok && i >= 0 && i <= int64(n)
}
