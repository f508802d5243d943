//go:build !lean

package engine

import "math/big"

// maxBits bounds integers that arithmetic makes.
const maxBits = 400_000

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

// exactly and inFloats are the operations on integers of any size, and in floats
// of 64 bits of mantissa, as OPA has them.
var (
	exactly  = [...]func(z, x, y *big.Int) *big.Int{opPlus: (*big.Int).Add, opMinus: (*big.Int).Sub, opMul: (*big.Int).Mul}
	inFloats = [...]func(z, x, y *big.Float) *big.Float{opPlus: (*big.Float).Add, opMinus: (*big.Float).Sub, opMul: (*big.Float).Mul}
)

// arithWide is arith for what int64 can't do exactly: exact on integers, in
// floats on anything else.
func (vm *VM) arithWide(op operation, a []Value) (Value, error) {
	switch op {
	case opDiv:
		return vm.divide(a)
	case opRem:
		return vm.remainder(a)
	}
	if x, ok := vm.bigInt(a[0]); ok {
		if y, ok := vm.bigInt(a[1]); ok {
			if x.BitLen()+y.BitLen() > maxBits || !vm.charge((x.BitLen()/64)*(y.BitLen()/64)/64) {
				return Value{}, failing(op.String(), "number too large")
			}
			return vm.ofInt(exactly[op](new(big.Int), x, y))
		}
	}
	return vm.ofFloat(inFloats[op](new(big.Float), vm.bigFloat(a[0]), vm.bigFloat(a[1])))
}

func (vm *VM) divide(a []Value) (Value, error) {
	x, y := vm.bigFloat(a[0]), vm.bigFloat(a[1])
	if i, acc := y.Int64(); acc == big.Exact && i == 0 {
		return Value{}, failing("div", "divide by zero")
	}
	return vm.ofFloat(new(big.Float).Quo(x, y))
}

func (vm *VM) remainder(a []Value) (Value, error) {
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

func (vm *VM) roundWide(op operation, v Value) (Value, error) {
	x := vm.bigFloat(v)
	if !vm.charge(max(x.MantExp(nil), 0) / 64) {
		return Value{}, errLimits
	}
	switch op {
	case opRound:
		x = roundHalfAway(x)
	case opCeil:
		x = ceil(x)
	case opFloor:
		x = floor(x)
	default:
		x.Abs(x)
	}
	return vm.ofFloat(x)
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

// formatWide writes a number that is no int64 in another base, without its
// fraction.
func (vm *VM) formatWide(v Value, base int) (Value, error) {
	if i, ok := new(big.Int).SetString(v.Text(), 10); ok {
		return vm.text(i.Text(base))
	}
	f := vm.bigFloat(v)
	if !vm.charge(max(f.MantExp(nil), 0) / 16) {
		return Value{}, errLimits
	}
	i, _ := f.Int(nil)
	return vm.text(i.Text(base))
}

// foldWide is fold for what int64 can't do exactly: exact while all are
// integers, else in floats.
func (vm *VM) foldWide(name string, op operation, elems []Value, start int64) (Value, error) {
	if v, done, err := vm.foldInts(name, elems, start, exactly[op]); done || err != nil {
		return v, err
	}
	f := big.NewFloat(float64(start))
	if start == 0 {
		f = new(big.Float)
	}
	for _, e := range elems {
		f = inFloats[op](f, f, vm.bigFloat(e))
	}
	return vm.ofFloat(f)
}

func (vm *VM) foldInts(name string, elems []Value, start int64, exact func(z, x, y *big.Int) *big.Int) (v Value, done bool, err error) {
	n := big.NewInt(start)
	for _, e := range elems {
		i, ok := vm.bigInt(e)
		if !ok {
			return Value{}, false, nil
		}
		if n.BitLen()+i.BitLen() > maxBits || !vm.charge((n.BitLen()/64)*(i.BitLen()/64)/64+n.BitLen()/512) {
			return Value{}, false, failing(name, "number too large")
		}
		n = exact(n, n, i)
	}
	v, err = vm.ofInt(n)
	return v, true, err
}
