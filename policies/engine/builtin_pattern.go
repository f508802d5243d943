//go:build !lean

package engine

import (
	"regexp/syntax"
	"unicode/utf8"

	"github.com/gobwas/glob"
)

var patternBuiltins = []builtin{
	{"regex.is_valid", 1, func(vm *VM, a []Value) (Value, error) {
		s, ok := a[0].Str()
		if !ok || len(s) > maxPatternBytes || !vm.charge(len(s)) {
			return Bool(false), nil
		}
		_, err := syntax.Parse(s, syntax.Perl)
		return Bool(err == nil), nil
	}},
	{"regex.match", 2, func(vm *VM, a []Value) (Value, error) {
		pattern, text, err := strOperands("regex.match", a)
		if err != nil {
			return Value{}, err
		}
		re, err := vm.firstRegex("regex.match", pattern, text)
		if err != nil {
			return Value{}, err
		}
		return Bool(re.MatchString(text)), nil
	}},
	{"regex.split", 2, func(vm *VM, a []Value) (Value, error) {
		pattern, text, err := strOperands("regex.split", a)
		if err != nil {
			return Value{}, err
		}
		re, err := vm.regex("regex.split", pattern, text)
		if err != nil {
			return Value{}, err
		}
		return vm.texts(re.Split(text, -1))
	}},
	{"regex.find_n", 3, func(vm *VM, a []Value) (Value, error) {
		pattern, text, n, err := findOperands("regex.find_n", a)
		if err != nil {
			return Value{}, err
		}
		re, err := vm.regex("regex.find_n", pattern, text)
		if err != nil {
			return Value{}, err
		}
		return vm.texts(re.FindAllString(text, n))
	}},
	{"regex.find_all_string_submatch_n", 3, findSubmatches},
	{"regex.replace", 3, regexReplace},
	{"glob.match", 3, globMatch},
	{"glob.quote_meta", 1, func(vm *VM, a []Value) (Value, error) {
		return vm.change("glob.quote_meta", a, glob.QuoteMeta)
	}},
}

func findOperands(name string, a []Value) (pattern, text string, n int, err error) {
	if pattern, text, err = strOperands(name, a); err != nil {
		return "", "", 0, err
	}
	n, err = intOperand(name, a, 2)
	return pattern, text, n, err
}

func findSubmatches(vm *VM, a []Value) (Value, error) {
	const name = "regex.find_all_string_submatch_n"
	pattern, text, n, err := findOperands(name, a)
	if err != nil {
		return Value{}, err
	}
	re, err := vm.regex(name, pattern, text)
	if err != nil {
		return Value{}, err
	}
	found := re.FindAllStringSubmatch(text, n)
	elems := vm.make(len(found))
	if len(elems) != len(found) {
		return Value{}, errLimits
	}
	for i, groups := range found {
		if elems[i], err = vm.texts(groups); err != nil {
			return Value{}, err
		}
	}
	return newArray(elems), nil
}

func regexReplace(vm *VM, a []Value) (Value, error) {
	const name = "regex.replace"
	text, pattern, err := strOperands(name, a)
	if err != nil {
		return Value{}, err
	}
	with, err := strOperand(name, a, 2)
	if err != nil {
		return Value{}, err
	}
	re, err := vm.regex(name, pattern, text)
	if err != nil {
		return Value{}, err
	}
	var b []byte
	last := 0
	for _, m := range re.FindAllStringSubmatchIndex(text, -1) {
		b = append(b, text[last:m[0]]...)
		b = re.ExpandString(b, with, text, m)
		last = m[1]
		if len(b) > vm.memory || !vm.charge(1) {
			vm.memory = -1
			return Value{}, errLimits
		}
	}
	return vm.text(string(append(b, text[last:]...)))
}

func globMatch(vm *VM, a []Value) (Value, error) {
	const name = "glob.match"
	kept := vm.fixed()
	if kept != nil && kept.of == vm.operands[0] && kept.glob != nil && kept.delimiters == vm.operands[1] && a[2].Kind() == KindString {
		text := a[2].str()
		if pattern, _ := a[0].Str(); !vm.chargeGlob(pattern, text) {
			return Value{}, errLimits
		}
		return Bool(kept.glob.Match(text)), nil
	}
	var key globKey
	var err error
	if key.pattern, err = strOperand(name, a, 0); err != nil {
		return Value{}, err
	}
	switch a[1].Kind() {
	case KindNull:
	case KindArray:
		for _, e := range a[1].elems() {
			s, ok := e.Str()
			if _, n := utf8.DecodeRuneInString(s); !ok || n != len(s) || n == 0 {
				return Value{}, wrongType(name, 2, "array of single characters")
			}
			key.delimiters += s // usually one, which then is no new text
		}
		if key.delimiters == "" {
			key.delimiters = "."
		}
	default:
		return Value{}, wrongType(name, 2, "array or null")
	}
	text, err := strOperand(name, a, 2)
	if err != nil {
		return Value{}, err
	}
	g, err := vm.glob(name, key, text)
	if err != nil {
		return Value{}, err
	}
	if kept != nil && vm.operands[1] < 0 {
		*kept = fixedPattern{of: vm.operands[0], delimiters: vm.operands[1], glob: g}
	}
	return Bool(g.Match(text)), nil
}
