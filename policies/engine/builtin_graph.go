//go:build !lean

package engine

import "slices"

var graphBuiltins = []builtin{
	{"graph.reachable", 2, reachable},
	{"graph.reachable_paths", 2, reachablePaths},
}

// graphOperands returns a graph, an object of node to neighbours, and the nodes
// to start from.
func graphOperands(vm *VM, name string, a []Value) (graph []Member, start []Value, err error) {
	if err := objects(name, a[:1]); err != nil {
		return nil, nil, err
	}
	if start, err = listOperand(name, a, 1); err != nil {
		return nil, nil, err
	}
	if !vm.charge(a[0].size() + a[1].size()) {
		return nil, nil, errLimits
	}
	return a[0].members(), start, nil
}

// node returns the index of a node in a graph, or -1.
func node(graph []Member, key Value) int {
	i, ok := slices.BinarySearchFunc(graph, key, func(m Member, k Value) int { return Compare(m.Key, k) })
	if !ok {
		return -1
	}
	return i
}

// neighbours returns those of node i; anything but an array or set is none.
func neighbours(graph []Member, i int) []Value {
	if k := graph[i].Value.Kind(); k == KindArray || k == KindSet {
		return graph[i].Value.elems()
	}
	return nil
}

func reachable(vm *VM, a []Value) (Value, error) {
	graph, start, err := graphOperands(vm, "graph.reachable", a)
	if err != nil {
		return Value{}, err
	}
	elems := vm.make(len(graph))
	if len(elems) != len(graph) {
		return Value{}, errLimits
	}
	seen := make([]bool, len(graph))
	as := make([]Value, len(graph)) // a node as it was reached by: 1 and 1.0 are one node
	queue := slices.Clone(start)
	for len(queue) > 0 {
		key := queue[0]
		i := node(graph, key)
		queue = queue[1:]
		if i < 0 || seen[i] {
			continue
		}
		seen[i], as[i] = true, key
		next := neighbours(graph, i)
		if !vm.charge(searchSteps + len(next)) {
			return Value{}, errLimits
		}
		queue = append(queue, next...)
	}
	n := 0
	for i := range graph {
		if seen[i] {
			elems[n] = as[i]
			n++
		}
	}
	return newSet(elems[:n]), nil
}

// A pathFinder collects paths through a graph.
type pathFinder struct {
	vm     *VM
	graph  []Member
	onPath []bool
	path   []Value
	found  []Value
}

func reachablePaths(vm *VM, a []Value) (Value, error) {
	graph, start, err := graphOperands(vm, "graph.reachable_paths", a)
	if err != nil {
		return Value{}, err
	}
	f := pathFinder{vm: vm, graph: graph, onPath: make([]bool, len(graph))}
	for _, key := range start {
		if node(graph, key) >= 0 && !f.from(key) {
			return Value{}, errLimits
		}
	}
	if !vm.charge(len(f.found) * searchSteps) {
		return Value{}, errLimits
	}
	return Set(f.found), nil
}

// from adds all paths that go on with key. A path ends before a node that is not
// in the graph, or that it has been at.
func (f *pathFinder) from(key Value) bool {
	if !f.vm.charge(searchSteps) {
		return false
	}
	i := node(f.graph, key)
	if i < 0 || f.onPath[i] {
		return f.end()
	}
	f.path = append(f.path, key)
	f.onPath[i] = true
	ok := true
	next := neighbours(f.graph, i)
	if len(next) == 0 {
		ok = f.end()
	}
	for _, n := range next {
		ok = ok && f.from(n)
	}
	f.onPath[i] = false
	f.path = f.path[:len(f.path)-1]
	return ok
}

func (f *pathFinder) end() bool {
	kept := f.vm.make(len(f.path) + 1) // one more for found
	if len(kept) != len(f.path)+1 {
		return false
	}
	copy(kept, f.path)
	f.found = append(f.found, newArray(kept[:len(f.path)]))
	return f.vm.charge(len(f.path))
}
