//go:build !lean

package engine

import (
	"math/big"
	"strconv"
	"strings"
)

var unitsBuiltins = []builtin{
	{"units.parse", 1, parseUnits},
	{"units.parse_bytes", 1, parseBytes},
}

// A quantity is a number and the unit after it, as texts.
type quantity struct{ number, unit string }

// maxUnitExponent is the digits that an exponent may have.
const maxUnitExponent = 6

// quantityOf takes s apart: digits, points, signs and exponents are the number.
func quantityOf(name, s string) (quantity, error) {
	if strings.Contains(s, " ") {
		return quantity{}, failing(name, "spaces not allowed in resource strings")
	}
	isDigit := func(i int) bool { return i < len(s) && s[i] >= '0' && s[i] <= '9' }
	end := len(s)
scan:
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case isDigit(i) || c == '.' || c == '+' || c == '-':
		case c == 'e' || c == 'E':
			signed := i+1 < len(s) && (s[i+1] == '+' || s[i+1] == '-')
			if !signed && !isDigit(i+1) {
				end = i
				break scan
			}
			if signed {
				i++
			}
			n := i + 1
			for isDigit(n) {
				n++
			}
			if n-i-1 > maxUnitExponent {
				return quantity{}, failing(name, "exponent too large")
			}
		default:
			end = i
			break scan
		}
	}
	if end == 0 {
		return quantity{}, failing(name, "no amount provided")
	}
	return quantity{s[:end], s[end:]}, nil
}

// boundedQuantity charges for the number of q, whose exponent may make it long.
func (vm *VM) boundedQuantity(name string, q quantity) error {
	e := 0
	if i := strings.IndexAny(q.number, "eE"); i >= 0 {
		e, _ = strconv.Atoi(q.number[i+1:])
	}
	if max(e, -e) > maxNumberExponent || len(q.number) > maxNumberBytes {
		return failing(name, "number too large")
	}
	if !vm.charge(50+max(e, -e)/2) || !vm.alloc(max(e, -e)) {
		return errLimits
	}
	return nil
}

var unitPrefixes = map[string]uint64{
	"":  1,
	"k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12, "p": 1e15, "e": 1e18,
	"ki": 1 << 10, "mi": 1 << 20, "gi": 1 << 30, "ti": 1 << 40, "pi": 1 << 50, "ei": 1 << 60,
}

// parseUnits reads SI and binary units; of the prefixes, m is milli and M mega.
func parseUnits(vm *VM, a []Value) (Value, error) {
	const name = "units.parse"
	s, err := strOperand(name, a, 0)
	if err != nil {
		return Value{}, err
	}
	q, err := quantityOf(name, strings.ReplaceAll(s, `"`, ""))
	if err != nil {
		return Value{}, err
	}
	if err := vm.boundedQuantity(name, q); err != nil {
		return Value{}, err
	}
	factor := new(big.Rat).SetUint64(unitPrefixes[strings.ToLower(q.unit)])
	switch {
	case q.unit == "m":
		factor.SetFloat64(0.001)
	case factor.Sign() == 0:
		return Value{}, failing(name, "unit not recognized")
	}
	n, ok := new(big.Rat).SetString(q.number)
	if !ok {
		return Value{}, failing(name, "could not parse amount to a number")
	}
	n.Mul(n, factor)
	if n.IsInt() {
		return vm.ofInt(n.Num())
	}
	return textNumber(n.FloatString(10)), nil
}

// parseBytes reads an amount of bytes, in any case.
func parseBytes(vm *VM, a []Value) (Value, error) {
	const name = "units.parse_bytes"
	s, err := strOperand(name, a, 0)
	if err != nil {
		return Value{}, err
	}
	q, err := quantityOf(name, strings.ReplaceAll(strings.ToLower(s), `"`, ""))
	if err != nil {
		return Value{}, err
	}
	if err := vm.boundedQuantity(name, q); err != nil {
		return Value{}, err
	}
	prefix := q.unit
	if len(prefix) > 1 {
		prefix = strings.TrimSuffix(prefix, "b")
	}
	factor, ok := unitPrefixes[prefix]
	if !ok {
		return Value{}, failing(name, "byte unit not recognized")
	}
	n, ok := new(big.Float).SetString(q.number)
	if !ok {
		return Value{}, failing(name, "could not parse byte amount to a number")
	}
	i, _ := n.Mul(n, new(big.Float).SetUint64(factor)).Int(nil)
	return vm.ofInt(i)
}
