package engine

import (
	"math/big"
	"strconv"
	"strings"
)

var numberBuiltins = []builtin{
	{"plus", 2, func(vm *VM, a []Value) (Value, error) {
		return vm.arith("plus", a, addInts, (*big.Int).Add, (*big.Float).Add)
	}},
	{"minus", 2, minus},
	{"mul", 2, func(vm *VM, a []Value) (Value, error) {
		return vm.arith("mul", a, mulInts, (*big.Int).Mul, (*big.Float).Mul)
	}},
	{"div", 2, divide},
	{"rem", 2, remainder},
	{"abs", 1, func(vm *VM, a []Value) (Value, error) {
		return vm.round("abs", a, func(x *big.Float) *big.Float { return x.Abs(x) })
	}},
	{"round", 1, func(vm *VM, a []Value) (Value, error) { return vm.round("round", a, roundHalfAway) }},
	{"ceil", 1, func(vm *VM, a []Value) (Value, error) { return vm.round("ceil", a, ceil) }},
	{"floor", 1, func(vm *VM, a []Value) (Value, error) { return vm.round("floor", a, floor) }},
	{"numbers.range", 2, func(vm *VM, a []Value) (Value, error) { return vm.numbers("numbers.range", a[0], a[1], Int(1)) }},
	{"numbers.range_step", 3, func(vm *VM, a []Value) (Value, error) { return vm.numbers("numbers.range_step", a[0], a[1], a[2]) }},
	{"to_number", 1, toNumber},
	{"format_int", 2, formatInt},
}

// maxBits bounds integers that arithmetic makes.
const maxBits = 400_000

// smallInt bounds integers whose product is still an int64.
const smallInt = 1 << 31

// bothInts returns both operands when they are small integers.
func bothInts(a []Value) (x, y int64, ok bool) {
	x, ok1 := a[0].Int()
	y, ok2 := a[1].Int()
	return x, y, ok1 && ok2 && -smallInt <= x && x < smallInt && -smallInt <= y && y < smallInt
}

func addInts(x, y int64) int64 { return x + y }
func mulInts(x, y int64) int64 { return x * y }

// bigInt returns the value of v when it is an integer in any form.
func (vm *VM) bigInt(v Value) (*big.Int, bool) {
	if i, ok := v.Int(); ok {
		return big.NewInt(i), true
	}
	text := v.Text()
	vm.budget -= 20 + len(text)*len(text)/4096
	if i, ok := new(big.Int).SetString(text, 10); ok {
		return i, true
	}
	vm.budget -= 500 // an exponent may be large
	r, ok := new(big.Rat).SetString(text)
	if !ok || !r.IsInt() {
		return nil, false
	}
	return r.Num(), true
}

func (vm *VM) bigFloat(v Value) *big.Float {
	vm.budget -= 20 + len(v.Text())/16
	f, ok := new(big.Float).SetString(v.Text())
	if !ok {
		return new(big.Float) // a number's text is always one
	}
	return f
}

// ofInt returns i as a value.
func (vm *VM) ofInt(i *big.Int) (Value, error) {
	if i.IsInt64() {
		return Int(i.Int64()), nil
	}
	n := i.BitLen()
	if n > maxBits || !vm.charge(n/64*n/4096) || !vm.alloc(n/3) {
		return Value{}, failing("number", "too large")
	}
	return textNumber(i.String()), nil
}

// ofFloat returns f as a value, in the form OPA gives it.
func (vm *VM) ofFloat(f *big.Float) (Value, error) {
	if e := f.MantExp(nil); f.IsInf() || e > maxBits || e < -maxBits || !vm.charge(max(e, -e)/8) {
		return Value{}, failing("number", "too large")
	}
	format := byte('g')
	if f.IsInt() {
		format = 'f'
	}
	s := f.Text(format, -1)
	if !vm.alloc(len(s)) {
		return Value{}, errLimits
	}
	return textNumber(s), nil
}

func numbers(name string, a []Value) error {
	for i := range a {
		if a[i].Kind() != KindNumber {
			return wrongType(name, i+1, "number")
		}
	}
	return nil
}

// arith works exactly on integers, and in floats of 64 bits of mantissa on
// anything else.
func (vm *VM) arith(name string, a []Value, small func(x, y int64) int64, exact func(z, x, y *big.Int) *big.Int, float func(z, x, y *big.Float) *big.Float) (Value, error) {
	if x, y, ok := bothInts(a); ok {
		return Int(small(x, y)), nil
	}
	if err := numbers(name, a); err != nil {
		return Value{}, err
	}
	if x, ok := vm.bigInt(a[0]); ok {
		if y, ok := vm.bigInt(a[1]); ok {
			if x.BitLen()+y.BitLen() > maxBits || !vm.charge((x.BitLen()/64)*(y.BitLen()/64)/64) {
				return Value{}, failing(name, "number too large")
			}
			return vm.ofInt(exact(new(big.Int), x, y))
		}
	}
	return vm.ofFloat(float(new(big.Float), vm.bigFloat(a[0]), vm.bigFloat(a[1])))
}

func minus(vm *VM, a []Value) (Value, error) {
	if a[0].Kind() == KindSet && a[1].Kind() == KindSet {
		return vm.filterSet(a[0], func(e Value) bool { return !a[1].contains(e) })
	}
	return vm.arith("minus", a, func(x, y int64) int64 { return x - y }, (*big.Int).Sub, (*big.Float).Sub)
}

func divide(vm *VM, a []Value) (Value, error) {
	if x, y, ok := bothInts(a); ok && y != 0 && x != 0 && x%y == 0 {
		return Int(x / y), nil
	}
	if err := numbers("div", a); err != nil {
		return Value{}, err
	}
	x, y := vm.bigFloat(a[0]), vm.bigFloat(a[1])
	if i, acc := y.Int64(); acc == big.Exact && i == 0 {
		return Value{}, failing("div", "divide by zero")
	}
	return vm.ofFloat(new(big.Float).Quo(x, y))
}

func remainder(vm *VM, a []Value) (Value, error) {
	if x, y, ok := bothInts(a); ok && y != 0 {
		return Int(x % y), nil
	}
	if err := numbers("rem", a); err != nil {
		return Value{}, err
	}
	x, ok1 := vm.bigInt(a[0])
	y, ok2 := vm.bigInt(a[1])
	if !ok1 || !ok2 {
		return Value{}, failing("rem", "modulo on floating-point number")
	}
	if y.Sign() == 0 {
		return Value{}, failing("rem", "modulo by zero")
	}
	if !vm.charge((x.BitLen() / 64) * (y.BitLen() / 64) / 64) {
		return Value{}, errLimits
	}
	return vm.ofInt(x.Rem(x, y))
}

func (vm *VM) round(name string, a []Value, f func(*big.Float) *big.Float) (Value, error) {
	if i, ok := a[0].Int(); ok && -smallInt <= i && i < smallInt {
		if name == "abs" && i < 0 {
			i = -i
		}
		return Int(i), nil
	}
	if err := numbers(name, a); err != nil {
		return Value{}, err
	}
	x := vm.bigFloat(a[0])
	if !vm.charge(max(x.MantExp(nil), 0) / 64) {
		return Value{}, errLimits
	}
	return vm.ofFloat(f(x))
}

func roundHalfAway(a *big.Float) *big.Float {
	half := big.NewFloat(0.5)
	if a.Signbit() {
		half.Neg(half)
	}
	i, _ := new(big.Float).Add(a, half).Int(nil)
	return new(big.Float).SetInt(i)
}

func ceil(a *big.Float) *big.Float {
	i, _ := a.Int(nil)
	f := new(big.Float).SetInt(i)
	if f.Signbit() || a.Cmp(f) == 0 {
		return f
	}
	return new(big.Float).Add(f, big.NewFloat(1))
}

func floor(a *big.Float) *big.Float {
	i, _ := a.Int(nil)
	f := new(big.Float).SetInt(i)
	if !f.Signbit() || a.Cmp(f) == 0 {
		return f
	}
	return new(big.Float).Sub(f, big.NewFloat(1))
}

// numbers returns the numbers from one to another, either way.
func (vm *VM) numbers(name string, from, to, by Value) (Value, error) {
	x, ok1 := from.Int()
	y, ok2 := to.Int()
	step, ok3 := by.Int()
	switch {
	case !ok1:
		return Value{}, wrongType(name, 1, "integer")
	case !ok2:
		return Value{}, wrongType(name, 2, "integer")
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
	if i, ok := new(big.Int).SetString(a[0].Text(), 10); ok {
		return vm.text(i.Text(int(base)))
	}
	f := vm.bigFloat(a[0])
	if !vm.charge(max(f.MantExp(nil), 0) / 16) {
		return Value{}, errLimits
	}
	i, _ := f.Int(nil)
	return vm.text(i.Text(int(base)))
}
