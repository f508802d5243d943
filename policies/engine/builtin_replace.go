//go:build !lean

package engine

import "strings"

var replaceBuiltins = []builtin{
	{"strings.replace_n", 2, replaceN},
}

func replaceN(vm *VM, a []Value) (Value, error) {
	if err := objects("strings.replace_n", a[:1]); err != nil {
		return Value{}, err
	}
	s, err := strOperand("strings.replace_n", a, 1)
	if err != nil {
		return Value{}, err
	}
	var pairs []string
	size := 0
	for _, m := range a[0].members() {
		from, ok1 := m.Key.Str()
		to, ok2 := m.Value.Str()
		if !ok1 || !ok2 {
			return Value{}, wrongType("strings.replace_n", 1, "object of strings")
		}
		pairs = append(pairs, from, to)
		size += len(from) + len(to)
	}
	if !vm.charge(len(s)/4+size) || !vm.alloc(512+4*size) {
		return Value{}, errLimits
	}
	w := limitedText{vm: vm}
	if _, err := strings.NewReplacer(pairs...).WriteString(&w, s); err != nil {
		return Value{}, errLimits
	}
	return String(w.b.String()), nil
}
