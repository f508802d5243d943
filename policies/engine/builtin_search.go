package engine

import (
	"slices"
	"strings"
	"unicode/utf8"
)

func indexOf(vm *VM, a []Value) (Value, error) {
	s, sub, err := strOperands("indexof", a)
	if err != nil {
		return Value{}, err
	}
	if sub == "" {
		return Value{}, failing("indexof", "empty search character")
	}
	i := strings.Index(s, sub)
	if i > 0 {
		i = utf8.RuneCountInString(s[:i])
	}
	return Int(int64(i)), vm.work(len(s))
}

func indexOfN(vm *VM, a []Value) (Value, error) {
	s, sub, err := strOperands("indexof_n", a)
	if err != nil {
		return Value{}, err
	}
	if sub == "" {
		return Value{}, failing("indexof_n", "empty search character")
	}
	if err := vm.work(len(s)); err != nil {
		return Value{}, err
	}
	var found []Value
	runes := 0
	for i := 0; ; {
		n := strings.Index(s[i:], sub)
		if n < 0 {
			return newArray(found), nil
		}
		runes += utf8.RuneCountInString(s[i : i+n])
		if vm.budget--; !vm.alloc(2*valueBytes) || vm.budget < 0 {
			return Value{}, errLimits
		}
		found = append(found, Int(int64(runes)))
		_, size := utf8.DecodeRuneInString(s[i+n:])
		i += n + size
		runes++
	}
}

// anyAffix reports whether any string of the first operand matches any of the
// second, each being a string or many.
func (vm *VM) anyAffix(name string, a []Value, match func(s, affix string) bool) (Value, error) {
	var lists [2][]string
	for i := range lists {
		if s, ok := a[i].Str(); ok {
			lists[i] = []string{s}
			continue
		}
		if k := a[i].Kind(); k != KindArray && k != KindSet {
			return Value{}, wrongType(name, i+1, "string, set or array")
		}
		var err error
		if lists[i], err = strList(name, a, i); err != nil {
			return Value{}, err
		}
	}
	if !vm.charge(len(lists[0]) * len(lists[1]) / 4) {
		return Value{}, errLimits
	}
	found := slices.ContainsFunc(lists[0], func(s string) bool {
		return slices.ContainsFunc(lists[1], func(affix string) bool { return match(s, affix) })
	})
	return Bool(found), nil
}
