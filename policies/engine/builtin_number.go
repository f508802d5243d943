package engine

import (
	"strconv"
	"strings"
)

var numberBuiltins = []builtin{
	{"plus", 2, func(vm *VM, a []Value) (Value, error) { return vm.arith(opPlus, a) }},
	{"minus", 2, minus},
	{"mul", 2, func(vm *VM, a []Value) (Value, error) { return vm.arith(opMul, a) }},
	{"div", 2, func(vm *VM, a []Value) (Value, error) { return vm.arith(opDiv, a) }},
	{"rem", 2, func(vm *VM, a []Value) (Value, error) { return vm.arith(opRem, a) }},
	{"abs", 1, func(vm *VM, a []Value) (Value, error) { return vm.round(opAbs, a) }},
	{"round", 1, func(vm *VM, a []Value) (Value, error) { return vm.round(opRound, a) }},
	{"ceil", 1, func(vm *VM, a []Value) (Value, error) { return vm.round(opCeil, a) }},
	{"floor", 1, func(vm *VM, a []Value) (Value, error) { return vm.round(opFloor, a) }},
	{"numbers.range", 2, func(vm *VM, a []Value) (Value, error) { return vm.numbers("numbers.range", a[0], a[1], Int(1)) }},
	{"numbers.range_step", 3, func(vm *VM, a []Value) (Value, error) { return vm.numbers("numbers.range_step", a[0], a[1], a[2]) }},
	{"to_number", 1, toNumber},
	{"format_int", 2, formatInt},
}

// An operation is one of the builtins that calculate.
type operation uint8

const (
	opPlus operation = iota
	opMinus
	opMul
	opDiv
	opRem
	opAbs
	opRound
	opCeil
	opFloor
)

var operationNames = [...]string{"plus", "minus", "mul", "div", "rem", "abs", "round", "ceil", "floor"}

func (op operation) String() string { return operationNames[op] }

// maxExact bounds the operands that are calculated with in int64: sums stay
// within it, and products are checked.
const maxExact = 1 << 62

// ints calculates in int64; it is false where that is not exact.
func (op operation) ints(x, y int64) (z int64, ok bool) {
	if x <= -maxExact || x >= maxExact || y <= -maxExact || y >= maxExact {
		return 0, false
	}
	switch op {
	case opPlus:
		return x + y, true
	case opMinus:
		return x - y, true
	case opMul:
		z = x * y
		return z, x == 0 || z/x == y
	case opDiv:
		if x == 0 || y == 0 || x%y != 0 {
			return 0, false
		}
		return x / y, true
	default:
		if y == 0 {
			return 0, false
		}
		return x % y, true
	}
}

// arith calculates in int64 where that is exact, as almost always, and leaves
// the rest to arithWide.
func (vm *VM) arith(op operation, a []Value) (Value, error) {
	if x, ok := a[0].Int(); ok {
		if y, ok := a[1].Int(); ok {
			if z, ok := op.ints(x, y); ok {
				return Int(z), nil
			}
		}
	}
	if err := numbers(op.String(), a); err != nil {
		return Value{}, err
	}
	return vm.arithWide(op, a)
}

func minus(vm *VM, a []Value) (Value, error) {
	if a[0].Kind() == KindSet && a[1].Kind() == KindSet {
		return vm.filterSet(a[0], func(e Value) bool { return !a[1].contains(e) })
	}
	return vm.arith(opMinus, a)
}

// round returns integers as they are, or without their sign.
func (vm *VM) round(op operation, a []Value) (Value, error) {
	if i, ok := a[0].Int(); ok && -maxExact < i && i < maxExact {
		if op == opAbs && i < 0 {
			i = -i
		}
		return Int(i), nil
	}
	if err := numbers(op.String(), a); err != nil {
		return Value{}, err
	}
	return vm.roundWide(op, a[0])
}

func formatInt(vm *VM, a []Value) (Value, error) {
	if err := numbers("format_int", a); err != nil {
		return Value{}, err
	}
	base, ok := a[1].Int()
	if !ok || base != 2 && base != 8 && base != 10 && base != 16 || a[1].p != nil {
		return Value{}, wrongType("format_int", 2, "one of 2, 8, 10, 16")
	}
	if i, ok := a[0].Int(); ok {
		return vm.text(strconv.FormatInt(i, int(base)))
	}
	return vm.formatWide(a[0], int(base))
}

func numbers(name string, a []Value) error {
	for i := range a {
		if a[i].Kind() != KindNumber {
			return wrongType(name, i+1, "number")
		}
	}
	return nil
}

// numbers returns the numbers from one to another, either way.
func (vm *VM) numbers(name string, from, to, by Value) (Value, error) {
	x, ok1 := whole(from)
	y, ok2 := whole(to)
	step, ok3 := whole(by)
	switch {
	case !ok1:
		return Value{}, wrongType(name, 1, "integer")
	case !ok2:
		return Value{}, wrongType(name, 2, "integer")
	case !ok3 && ok1 && ok2 && beyond(by): // a step beyond the end, wherever that is
		return newArray([]Value{Int(x)}), nil
	case !ok3:
		return Value{}, wrongType(name, 3, "integer")
	case step <= 0:
		return Value{}, failing(name, "step must be a positive integer")
	}
	distance := uint64(y) - uint64(x)
	if x > y {
		distance = uint64(x) - uint64(y)
	}
	n := distance / uint64(step)
	if n >= uint64(max(vm.budget, 0)) {
		vm.budget = -1
		return Value{}, errLimits
	}
	elems := vm.make(int(n) + 1)
	if elems == nil || !vm.charge(int(n)/8) {
		return Value{}, errLimits
	}
	for i := range elems {
		elems[i] = Int(x)
		if y >= x {
			x += step
		} else {
			x -= step
		}
	}
	return newArray(elems), nil
}

// whole returns v when it is an integer of 64 bits in any form, such as 1e3.
func whole(v Value) (int64, bool) {
	i, ok := v.Int()
	if ok || v.Kind() != KindNumber {
		return i, ok
	}
	d := decimalOf(v.Text())
	if d.exp < len(d.digits) || d.exp > 19 {
		return 0, false
	}
	sign := ""
	if d.neg {
		sign = "-"
	}
	i, err := strconv.ParseInt(sign+d.digits+strings.Repeat("0", d.exp-len(d.digits)), 10, 64)
	return i, err == nil
}

// beyond reports whether v is an integer above 64 bits.
func beyond(v Value) bool {
	if v.Kind() != KindNumber || Compare(v, Int(maxExact)) < 0 {
		return false
	}
	d := decimalOf(v.Text())
	return d.exp >= len(d.digits)
}

func toNumber(vm *VM, a []Value) (Value, error) {
	switch a[0].Kind() {
	case KindNull:
		return Int(0), nil
	case KindBool:
		if a[0].isTrue() {
			return Int(1), nil
		}
		return Int(0), nil
	case KindNumber:
		return a[0], nil
	case KindString:
		s := a[0].str()
		if v, err := Number(s); err == nil {
			return v, nil
		}
		return looseNumber(s)
	}
	return Value{}, wrongType("to_number", 1, "null, boolean, number or string")
}

// looseNumber returns the number of a text that Go takes for one but JSON does
// not, such as "+1", "01" or "0x1p4".
func looseNumber(s string) (Value, error) {
	t := strings.ToLower(strings.TrimLeft(s, "+-"))
	if len(s) > maxNumberBytes || t == "inf" || t == "infinity" || t == "nan" {
		return Value{}, wrongType("to_number", 1, "valid number string")
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return Value{}, failing("to_number", "invalid syntax")
	}
	t = strings.TrimLeft(strings.TrimLeft(s, "+-"), "0")
	if t == "" || t[0] == '.' || t[0] == 'e' || t[0] == 'E' {
		t = "0" + t
	}
	if strings.HasPrefix(s, "-") {
		t = "-" + t
	}
	if v, err := Number(t); err == nil {
		return v, nil
	}
	return Float(f), nil
}
