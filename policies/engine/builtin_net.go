//go:build !lean

package engine

import (
	"iter"
	"net/netip"
	"slices"
)

var netBuiltins = []builtin{
	{"net.cidr_contains", 2, func(vm *VM, a []Value) (Value, error) {
		return cidrContains("net.cidr_contains", a[0], a[1])
	}},
	{"net.cidr_intersects", 2, func(vm *VM, a []Value) (Value, error) {
		p, err := cidrOperand("net.cidr_intersects", 1, a[0])
		if err != nil {
			return Value{}, err
		}
		q, err := cidrOperand("net.cidr_intersects", 2, a[1])
		if err != nil {
			return Value{}, err
		}
		return Bool(p.Overlaps(q)), nil
	}},
	{"net.cidr_is_valid", 1, func(vm *VM, a []Value) (Value, error) {
		s, _ := a[0].Str()
		_, ok := parseCIDR(s)
		return Bool(ok), nil
	}},
	{"net.cidr_contains_matches", 2, cidrMatches},
	{"net.cidr_expand", 1, cidrExpand},
	{"net.cidr_merge", 1, cidrMerge},
}

// parseCIDR reads a CIDR as package net does: an IPv4 address in IPv6 form stays
// IPv6 here, and is IPv4 as soon as it is an address.
func parseCIDR(s string) (netip.Prefix, bool) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, false
	}
	if p.Addr().Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	return p.Masked(), true
}

// cidrOperand is an operand as a network. Builtins look at one operand after the
// other, as OPA does: which of two errors there is depends on it.
func cidrOperand(name string, position int, v Value) (netip.Prefix, error) {
	s, ok := v.Str()
	if !ok {
		return netip.Prefix{}, wrongType(name, position, "string")
	}
	p, ok := parseCIDR(s)
	if !ok {
		return netip.Prefix{}, failing(name, "invalid CIDR address")
	}
	return p, nil
}

func cidrContains(name string, a, b Value) (Value, error) {
	p, err := cidrOperand(name, 1, a)
	if err != nil {
		return Value{}, err
	}
	other, ok := b.Str()
	if !ok {
		return Value{}, wrongType(name, 2, "string")
	}
	if ip, err := netip.ParseAddr(other); err == nil && ip.Zone() == "" {
		return Bool(p.Contains(ip.Unmap())), nil
	}
	q, ok := parseCIDR(other)
	if !ok {
		return Value{}, failing(name, "not a valid textual representation of an IP address or CIDR")
	}
	return Bool(p.Bits() <= q.Bits() && p.Contains(q.Addr())), nil
}

// cidrEntries gives what stands for each CIDR of an operand in the result, its
// index, key or itself, and the CIDR: undefined where there can't be one.
func cidrEntries(v Value) iter.Seq2[Value, Value] {
	if v.Kind() != KindString {
		return func(yield func(Value, Value) bool) {
			for key, e := range v.All() {
				switch e.Kind() {
				case KindString:
				case KindArray:
					e = e.Index(0)
				default:
					e = Value{}
				}
				if !yield(key, e) {
					return
				}
			}
		}
	}
	return func(yield func(Value, Value) bool) { yield(v, v) }
}

func cidrMatches(vm *VM, a []Value) (Value, error) {
	const name = "net.cidr_contains_matches"
	if !vm.charge(max(a[0].Len(), 1) * max(a[1].Len(), 1)) {
		return Value{}, errLimits
	}
	var found []Value
	for xName, x := range cidrEntries(a[0]) {
		if x.IsUndefined() {
			return Value{}, failing(name, "element must be string or non-empty array")
		}
		for yName, y := range cidrEntries(a[1]) {
			if y.IsUndefined() {
				return Value{}, failing(name, "element must be string or non-empty array")
			}
			v, err := cidrContains(name, x, y)
			if err != nil {
				return Value{}, err
			}
			if v.isTrue() {
				if !vm.alloc(4 * valueBytes) {
					return Value{}, errLimits
				}
				found = append(found, newArray([]Value{xName, yName}))
			}
		}
	}
	return Set(found), nil
}

func cidrExpand(vm *VM, a []Value) (Value, error) {
	s, err := strOperand("net.cidr_expand", a, 0)
	if err != nil {
		return Value{}, err
	}
	p, ok := parseCIDR(s)
	if !ok {
		return Value{}, failing("net.cidr_expand", "invalid CIDR address")
	}
	var list []Value
	for ip := p.Addr(); p.Contains(ip); ip = ip.Next() {
		if !vm.alloc(3*valueBytes) || !vm.charge(2) {
			return Value{}, errLimits
		}
		list = append(list, String(ip.String()))
	}
	slices.SortFunc(list, Compare)
	return newSet(list), nil
}
