//go:build !lean

package engine

import (
	"net/netip"
	"slices"
)

var netBuiltins = []builtin{
	{"net.cidr_contains", 2, func(vm *VM, a []Value) (Value, error) {
		cidr, other, err := strOperands("net.cidr_contains", a)
		if err != nil {
			return Value{}, err
		}
		return cidrContains("net.cidr_contains", cidr, other)
	}},
	{"net.cidr_intersects", 2, func(vm *VM, a []Value) (Value, error) {
		x, y, err := strOperands("net.cidr_intersects", a)
		if err != nil {
			return Value{}, err
		}
		p, ok1 := parseCIDR(x)
		q, ok2 := parseCIDR(y)
		if !ok1 || !ok2 {
			return Value{}, failing("net.cidr_intersects", "invalid CIDR address")
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

func cidrContains(name, cidr, other string) (Value, error) {
	p, ok := parseCIDR(cidr)
	if !ok {
		return Value{}, failing(name, "invalid CIDR address")
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

// cidrEntries returns the CIDRs of an operand with what stands for each in the
// result: its index, key or itself.
func cidrEntries(v Value) (cidrs []string, names []Value, ok bool) {
	if s, isString := v.Str(); isString {
		return []string{s}, []Value{v}, true
	}
	for key, e := range v.All() {
		if e.Kind() == KindArray {
			e = e.Index(0)
		}
		s, isString := e.Str()
		if !isString {
			return nil, nil, false
		}
		cidrs, names = append(cidrs, s), append(names, key)
	}
	return cidrs, names, true
}

func cidrMatches(vm *VM, a []Value) (Value, error) {
	const name = "net.cidr_contains_matches"
	x, xNames, ok1 := cidrEntries(a[0])
	y, yNames, ok2 := cidrEntries(a[1])
	if !ok1 || !ok2 {
		return Value{}, failing(name, "element must be string or non-empty array")
	}
	if !vm.charge(len(x) * len(y)) {
		return Value{}, errLimits
	}
	var found []Value
	for i := range x {
		for j := range y {
			v, err := cidrContains(name, x[i], y[j])
			if err != nil {
				return Value{}, err
			}
			if v.isTrue() {
				if !vm.alloc(4 * valueBytes) {
					return Value{}, errLimits
				}
				found = append(found, newArray([]Value{xNames[i], yNames[j]}))
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
