package engine

import (
	"strings"
	"unicode/utf8"
)

var stringBuiltins = []builtin{
	{"concat", 2, concat},
	{"contains", 2, func(vm *VM, a []Value) (Value, error) { return vm.compareText("contains", a, strings.Contains) }},
	{"startswith", 2, func(vm *VM, a []Value) (Value, error) { return vm.compareText("startswith", a, strings.HasPrefix) }},
	{"endswith", 2, func(vm *VM, a []Value) (Value, error) { return vm.compareText("endswith", a, strings.HasSuffix) }},
	{"lower", 1, func(vm *VM, a []Value) (Value, error) { return vm.changeCase("lower", a, 'A', strings.ToLower) }},
	{"upper", 1, func(vm *VM, a []Value) (Value, error) { return vm.changeCase("upper", a, 'a', strings.ToUpper) }},
	{"trim_space", 1, func(vm *VM, a []Value) (Value, error) { return vm.change("trim_space", a, strings.TrimSpace) }},
	{"strings.reverse", 1, func(vm *VM, a []Value) (Value, error) { return vm.change("strings.reverse", a, reverseText) }},
	{"trim", 2, func(vm *VM, a []Value) (Value, error) { return vm.trim("trim", a, strings.Trim) }},
	{"trim_left", 2, func(vm *VM, a []Value) (Value, error) { return vm.trim("trim_left", a, strings.TrimLeft) }},
	{"trim_right", 2, func(vm *VM, a []Value) (Value, error) { return vm.trim("trim_right", a, strings.TrimRight) }},
	{"trim_prefix", 2, func(vm *VM, a []Value) (Value, error) { return vm.trim("trim_prefix", a, strings.TrimPrefix) }},
	{"trim_suffix", 2, func(vm *VM, a []Value) (Value, error) { return vm.trim("trim_suffix", a, strings.TrimSuffix) }},
	{"split", 2, split},
	{"strings.split_n", 3, splitN},
	{"replace", 3, replace},
	{"substring", 3, substring},
	{"indexof", 2, indexOf},
	{"indexof_n", 2, indexOfN},
	{"strings.count", 2, func(vm *VM, a []Value) (Value, error) {
		s, sub, err := strOperands("strings.count", a)
		if err != nil {
			return Value{}, err
		}
		return Int(int64(strings.Count(s, sub))), vm.work(len(s))
	}},
	{"strings.any_prefix_match", 2, func(vm *VM, a []Value) (Value, error) {
		return vm.anyAffix("strings.any_prefix_match", a, strings.HasPrefix)
	}},
	{"strings.any_suffix_match", 2, func(vm *VM, a []Value) (Value, error) {
		return vm.anyAffix("strings.any_suffix_match", a, strings.HasSuffix)
	}},
}

func (vm *VM) compareText(name string, a []Value, f func(s, t string) bool) (Value, error) {
	s, t, err := strOperands(name, a)
	if err != nil {
		return Value{}, err
	}
	return Bool(f(s, t)), vm.work(len(s))
}

func (vm *VM) change(name string, a []Value, f func(string) string) (Value, error) {
	s, err := strOperand(name, a, 0)
	if err != nil {
		return Value{}, err
	}
	if !vm.alloc(len(s)) || !vm.charge(len(s)/16) {
		return Value{}, errLimits
	}
	return String(f(s)), nil
}

// changeCase is change for functions that turn the 26 letters from first on into those
// of the other case, and else are f.
func (vm *VM) changeCase(name string, a []Value, first byte, f func(string) string) (Value, error) {
	s, err := strOperand(name, a, 0)
	if err != nil {
		return Value{}, err
	}
	if !vm.alloc(len(s)) || !vm.charge(len(s)/16) {
		return Value{}, errLimits
	}
	same := true
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return String(f(s)), nil
		}
		same = same && s[i]-first >= 26
	}
	if same {
		return a[0], nil
	}
	b := append(vm.draft(), s...)
	for i, c := range b {
		if c-first < 26 {
			b[i] = c ^ 'a' ^ 'A'
		}
	}
	return vm.written(b), nil
}

// trim is change for functions whose result is a part of the string.
func (vm *VM) trim(name string, a []Value, f func(s, t string) string) (Value, error) {
	s, t, err := strOperands(name, a)
	if err != nil {
		return Value{}, err
	}
	return String(f(s, t)), vm.work(len(s) + len(t))
}

func concat(vm *VM, a []Value) (Value, error) {
	sep, err := strOperand("concat", a, 0)
	if err != nil {
		return Value{}, err
	}
	list, err := listOperand("concat", a, 1)
	if err != nil || len(list) == 0 {
		return String(""), err
	}
	n := len(sep) * (len(list) - 1)
	for _, e := range list {
		if e.Kind() != KindString {
			return Value{}, errNoStrings("concat", 1)
		}
		n += len(e.str())
	}
	if !vm.alloc(n) || !vm.charge(len(list)/8+n/64) {
		return Value{}, errLimits
	}
	b := append(vm.draft(), list[0].str()...)
	for _, e := range list[1:] {
		b = append(append(b, sep...), e.str()...)
	}
	return vm.written(b), nil
}

func split(vm *VM, a []Value) (Value, error) {
	s, sep, err := strOperands("split", a)
	if err != nil {
		return Value{}, err
	}
	return vm.splitText(s, sep, -1)
}

// splitText splits s in n parts at most, or all when n is negative.
func (vm *VM) splitText(s, sep string, n int) (Value, error) {
	parts := strings.Count(s, sep) + 1
	if n >= 0 {
		parts = min(parts, n)
	}
	if !vm.charge(len(s)/32+parts/4) || !vm.alloc(parts*valueBytes) {
		return Value{}, errLimits
	}
	if sep == "" {
		return vm.texts(strings.SplitN(s, sep, n))
	}
	elems := vm.make(parts)
	if len(elems) == 0 {
		return emptyArray, nil
	}
	last := len(elems) - 1
	for i := range last {
		at := 0
		if len(sep) == 1 {
			at = strings.IndexByte(s, sep[0])
		} else {
			at = strings.Index(s, sep)
		}
		elems[i] = String(s[:at])
		s = s[at+len(sep):]
	}
	elems[last] = String(s)
	return newArray(elems), nil
}

func splitN(vm *VM, a []Value) (Value, error) {
	s, sep, err := strOperands("strings.split_n", a)
	if err != nil {
		return Value{}, err
	}
	n, err := intOperand("strings.split_n", a, 2)
	if err != nil {
		return Value{}, err
	}
	limit := -1
	if n >= 0 {
		limit = max(n+1, -1) // beyond the largest integer is no limit
	}
	all, err := vm.splitText(s, sep, limit)
	if err != nil {
		return Value{}, err
	}
	parts := all.elems()
	if n >= 0 {
		return newArray(parts[:min(n, len(parts))]), nil
	}
	return newArray(parts[max(len(parts)+n, 0):]), nil
}

func replace(vm *VM, a []Value) (Value, error) {
	s, from, err := strOperands("replace", a)
	if err != nil {
		return Value{}, err
	}
	to, err := strOperand("replace", a, 2)
	if err != nil {
		return Value{}, err
	}
	n := strings.Count(s, from)
	if from == "" {
		n = len(s) + 1
	}
	if n = len(s) + n*max(len(to)-len(from), 0); !vm.alloc(n) || !vm.charge(n/32) {
		return Value{}, errLimits
	}
	if from == "" {
		return String(interleave(s, to)), nil
	}
	return String(strings.ReplaceAll(s, from, to)), nil
}

// interleave puts t around every byte of s: OPA finds the empty text there, not
// around every character.
func interleave(s, t string) string {
	b := append(make([]byte, 0, len(s)+(len(s)+1)*len(t)), t...)
	for i := range len(s) {
		b = append(append(b, s[i]), t...)
	}
	return string(b)
}

// limitedText collects text on account of a VM.
type limitedText struct {
	vm *VM
	b  strings.Builder
}

func (w *limitedText) Write(p []byte) (int, error) {
	if !w.vm.alloc(len(p)) {
		return 0, errLimits
	}
	return w.b.Write(p)
}

func (w *limitedText) WriteString(s string) (int, error) {
	if !w.vm.alloc(len(s)) {
		return 0, errLimits
	}
	return w.b.WriteString(s)
}

func substring(vm *VM, a []Value) (Value, error) {
	s, err := strOperand("substring", a, 0)
	if err != nil {
		return Value{}, err
	}
	start, err := intOperand("substring", a, 1)
	if err != nil {
		return Value{}, err
	}
	length, err := intOperand("substring", a, 2)
	if err != nil {
		return Value{}, err
	}
	if start < 0 {
		return Value{}, failing("substring", "negative offset")
	}
	if err := vm.work(len(s)); err != nil {
		return Value{}, err
	}
	s = s[runeOffset(s, start):]
	if length < 0 {
		return String(s), nil
	}
	return String(s[:runeOffset(s, length)]), nil
}

// runeOffset returns where rune n of s starts, or its end.
func runeOffset(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

// reverseText reverses runes and leaves what is not UTF-8 as it is.
func reverseText(s string) string {
	b := make([]byte, len(s))
	for end := len(s); len(s) > 0; {
		_, n := utf8.DecodeRuneInString(s)
		end -= n
		copy(b[end:], s[:n])
		s = s[n:]
	}
	return string(b)
}
