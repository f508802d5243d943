//go:build !lean

package engine

import "math/big"

var bitsBuiltins = []builtin{
	{"bits.and", 2, func(vm *VM, a []Value) (Value, error) { return vm.bits("bits.and", a, (*big.Int).And) }},
	{"bits.or", 2, func(vm *VM, a []Value) (Value, error) { return vm.bits("bits.or", a, (*big.Int).Or) }},
	{"bits.xor", 2, func(vm *VM, a []Value) (Value, error) { return vm.bits("bits.xor", a, (*big.Int).Xor) }},
	{"bits.negate", 1, func(vm *VM, a []Value) (Value, error) {
		return vm.bits("bits.negate", []Value{a[0], Int(0)}, func(z, x, _ *big.Int) *big.Int { return z.Not(x) })
	}},
	{"bits.lsh", 2, func(vm *VM, a []Value) (Value, error) {
		return vm.shift("bits.lsh", a, func(z, x *big.Int, n uint) *big.Int { return z.Lsh(x, n) })
	}},
	{"bits.rsh", 2, func(vm *VM, a []Value) (Value, error) {
		return vm.shift("bits.rsh", a, func(z, x *big.Int, n uint) *big.Int { return z.Rsh(x, n) })
	}},
}

func (vm *VM) integers(name string, a []Value) (x, y *big.Int, err error) {
	if err := numbers(name, a); err != nil {
		return nil, nil, err
	}
	x, ok := vm.bigInt(a[0])
	if !ok {
		return nil, nil, wrongType(name, 1, "integer")
	}
	if y, ok = vm.bigInt(a[1]); !ok {
		return nil, nil, wrongType(name, 2, "integer")
	}
	return x, y, nil
}

func (vm *VM) bits(name string, a []Value, op func(z, x, y *big.Int) *big.Int) (Value, error) {
	x, y, err := vm.integers(name, a)
	if err != nil {
		return Value{}, err
	}
	return vm.ofInt(op(new(big.Int), x, y))
}

func (vm *VM) shift(name string, a []Value, op func(z, x *big.Int, n uint) *big.Int) (Value, error) {
	x, y, err := vm.integers(name, a)
	if err != nil {
		return Value{}, err
	}
	if y.Sign() < 0 {
		return Value{}, wrongType(name, 2, "an unsigned integer")
	}
	n := y.Uint64()
	if !y.IsUint64() || n > maxBits {
		if name == "bits.lsh" && x.Sign() != 0 {
			return Value{}, failing(name, "number too large")
		}
		n = maxBits
	}
	if !vm.charge(int(n) / 64) {
		return Value{}, errLimits
	}
	return vm.ofInt(op(new(big.Int), x, uint(n)))
}
