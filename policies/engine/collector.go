package engine

import (
	"slices"
	"unsafe"
)

// A collector is an array, object or set under construction. Reading it gives
// an ordinary value, which stays as it is when the collector grows.
type collector struct {
	kind    Kind
	elems   []Value  // of an array; of a set, sorted
	members []Member // of an object, sorted; values may be collectors
	frozen  Value    // what reading gave, while nothing has changed since
}

func (v Value) isCollector() bool { return v.m>>kindShift == uint64(kindBuilder) }

func (v Value) collector() *collector { return (*collector)(v.p) }

// collect returns a new, empty collector.
func (vm *VM) collect(k Kind) Value {
	vm.memory -= int(unsafe.Sizeof(collector{}))
	if vm.collecting == len(vm.collectors) {
		vm.collectors = append(vm.collectors, new(collector))
	}
	c := vm.collectors[vm.collecting]
	vm.collecting++
	*c = collector{kind: k, elems: c.elems[:0], members: c.members[:0]}
	return Value{p: unsafe.Pointer(c), m: uint64(kindBuilder) << kindShift}
}

// thaw returns the collector in r, which afterwards holds one: a finished value
// is copied. It returns nil when r holds no value of kind k.
func (vm *VM) thaw(r *Value, k Kind) *collector {
	if r.isCollector() {
		if c := r.collector(); c.kind == k {
			return c
		}
		return nil
	}
	if r.Kind() != k || !vm.charge(r.Len()) {
		return nil
	}
	old := *r
	*r = vm.collect(k)
	c := r.collector()
	if k == KindObject {
		c.members = append(c.members, old.members()...)
	} else {
		c.elems = append(c.elems, old.elems()...)
	}
	return c
}

func (vm *VM) append(c *collector, v Value) {
	vm.memory -= valueBytes
	c.frozen = Value{}
	c.elems = append(c.elems, v)
}

// searchSteps is about how many comparisons it takes to find a place.
const searchSteps = 16

func (vm *VM) add(c *collector, v Value) {
	if !vm.charge(v.size() * searchSteps) {
		return
	}
	n := len(c.elems)
	at := n
	if n > 0 {
		last := Compare(c.elems[n-1], v)
		if last == 0 {
			return
		}
		if last > 0 {
			i, found := searchSet(c.elems, v)
			if found {
				return
			}
			at = i
		}
	}
	c.frozen = Value{}
	vm.memory -= valueBytes
	vm.budget -= (n - at) / 32
	c.elems = slices.Insert(c.elems, at, v)
}

// find returns where the member called key is or belongs.
func (c *collector) find(key Value) (int, bool) {
	n := len(c.members)
	if n == 0 || Compare(c.members[n-1].Key, key) < 0 {
		return n, false
	}
	return slices.BinarySearchFunc(c.members, key, func(m Member, k Value) int { return Compare(m.Key, k) })
}

// insert sets a member; it reports false when it must be set once only and has
// another value.
func (vm *VM) insert(c *collector, key, v Value, once bool) bool {
	if !vm.charge(key.size() * searchSteps) {
		return true
	}
	i, found := c.find(key)
	if found {
		if once {
			return vm.equal(vm.read(c.members[i].Value), vm.read(v))
		}
		c.frozen = Value{}
		c.members[i].Value = v
		return true
	}
	c.frozen = Value{}
	vm.memory -= 2 * valueBytes
	vm.budget -= (len(c.members) - i) / 32
	c.members = slices.Insert(c.members, i, Member{key, v})
	return true
}

// read returns v as an ordinary value. When memory is out that is undefined,
// which the VM notices at the next instruction.
func (vm *VM) read(v Value) Value {
	if !v.isCollector() {
		return v
	}
	c := v.collector()
	if c.kind == KindObject {
		return vm.readObject(c)
	}
	if !c.frozen.IsUndefined() {
		return c.frozen
	}
	elems := vm.make(len(c.elems))
	if len(elems) != len(c.elems) {
		return Value{}
	}
	copy(elems, c.elems)
	vm.budget -= len(elems) / 32
	if c.kind == KindSet {
		c.frozen = vm.bounded(newSet(elems))
	} else {
		c.frozen = vm.bounded(newArray(elems))
	}
	return c.frozen
}

func (vm *VM) readObject(c *collector) Value {
	// A member that still grows may have changed without this one knowing.
	growing := false
	for i := range c.members {
		growing = growing || c.members[i].Value.isCollector()
	}
	if !growing && !c.frozen.IsUndefined() {
		return c.frozen
	}
	kept := vm.make(2 * len(c.members))
	if len(kept) != 2*len(c.members) {
		return Value{}
	}
	members := unsafe.Slice((*Member)(unsafe.Pointer(unsafe.SliceData(kept))), len(c.members))
	for i, m := range c.members {
		members[i] = Member{m.Key, vm.read(m.Value)}
	}
	vm.budget -= len(members) / 16
	c.frozen = vm.bounded(newObject(members))
	return c.frozen
}
