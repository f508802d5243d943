//go:build !lean

package engine

import "math/big"

// numbers are the keywords about numbers.
func (k keywords) numbers(s *schema) (err error) {
	if v, ok := k.v.Get("multipleOf"); ok {
		if s.multipleOf = k.vm.rat(v); s.multipleOf == nil {
			return notOfType("Number", "multipleOf")
		}
		if s.multipleOf.Sign() <= 0 {
			return schemaFault("multipleOf must be strictly greater than 0")
		}
	}
	if s.minimum, s.above, err = k.limit("minimum", "exclusiveMinimum"); err != nil {
		return err
	}
	s.maximum, s.below, err = k.limit("maximum", "exclusiveMaximum")
	return err
}

// limit reads a limit and the one that excludes it: a number of its own, or until
// draft 4 a truth about the other.
func (k keywords) limit(key, exclusive string) (limit, beyond *big.Rat, err error) {
	if v, ok := k.v.Get(key); ok {
		if limit = k.vm.rat(v); limit == nil {
			return nil, nil, mustBeA(key, "Number")
		}
	}
	v, ok := k.v.Get(exclusive)
	if !ok {
		return limit, nil, nil
	}
	truth, isBool := v.Bool()
	switch {
	case isBool && (k.draft == draft4 || k.draft == draftMixed):
		if limit == nil {
			return nil, nil, schemaFault(exclusive + " cannot be used without " + key)
		}
		if truth {
			return nil, limit, nil
		}
		return limit, nil, nil
	case v.Kind() == KindNumber && k.draft != draft4:
		return limit, k.vm.rat(v), nil
	case k.draft == draft4:
		return nil, nil, notOfType("boolean", exclusive)
	case k.draft == draftMixed:
		return nil, nil, notOfType("boolean/number", exclusive)
	}
	return nil, nil, notOfType("number", exclusive)
}

// rat returns the number v, or nil when it is none.
func (vm *VM) rat(v Value) *big.Rat {
	if v.Kind() != KindNumber {
		return nil
	}
	if i, ok := v.Int(); ok {
		return new(big.Rat).SetInt64(i)
	}
	vm.budget -= 500 // an exponent may be large
	r, _ := new(big.Rat).SetString(v.Text())
	return r
}

func typeOf(vm *VM, v Value) string {
	if v.Kind() != KindNumber {
		return v.Kind().String()
	}
	if vm.isWhole(v) {
		return "integer"
	}
	return "number"
}

func (vm *VM) isWhole(v Value) bool {
	if _, ok := v.Int(); ok {
		return true
	}
	r := vm.rat(v)
	return r != nil && r.IsInt()
}

func (c *schemaCheck) number(s *schema, v Value, at *trail, r *schemaResult) {
	r.score++
	if s.multipleOf == nil && s.minimum == nil && s.maximum == nil && s.above == nil && s.below == nil {
		return
	}
	x := c.vm.rat(v)
	if x == nil {
		return
	}
	if m := s.multipleOf; m != nil && !new(big.Rat).Quo(x, m).IsInt() {
		c.fault(r, at, "multiple_of", "Must be a multiple of "+ratText(m))
	}
	if m := s.maximum; m != nil && x.Cmp(m) > 0 {
		c.fault(r, at, "number_lte", "Must be less than or equal to "+ratText(m))
	}
	if m := s.below; m != nil && x.Cmp(m) >= 0 {
		c.fault(r, at, "number_lt", "Must be less than "+ratText(m))
	}
	if m := s.minimum; m != nil && x.Cmp(m) < 0 {
		c.fault(r, at, "number_gte", "Must be greater than or equal to "+ratText(m))
	}
	if m := s.above; m != nil && x.Cmp(m) <= 0 {
		c.fault(r, at, "number_gt", "Must be greater than "+ratText(m))
	}
}

func ratText(x *big.Rat) string { return new(big.Float).SetRat(x).Text('g', -1) }
