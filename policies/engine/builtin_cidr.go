//go:build !lean

package engine

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
)

// An address is an IPv6 address, or an IPv4 one mapped into IPv6, as a number.
type address struct{ hi, lo uint64 }

func addressOf(a netip.Addr) address {
	b := a.As16()
	return address{binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])}
}

func (a address) addr() netip.Addr {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], a.hi)
	binary.BigEndian.PutUint64(b[8:], a.lo)
	return netip.AddrFrom16(b)
}

func (a address) compare(b address) int { return a.addr().Compare(b.addr()) }

// next returns the address n bits of host after a, and whether there is one.
func (a address) next(n int) (address, bool) {
	var step address
	switch {
	case n == 128:
		return address{}, false
	case n >= 64:
		step.hi = 1 << (n - 64)
	default:
		step.lo = 1 << n
	}
	lo, carry := bits.Add64(a.lo, step.lo, 0)
	hi, over := bits.Add64(a.hi, step.hi, carry)
	return address{hi, lo}, over == 0
}

// last returns the last address of a block with n bits of host.
func (a address) last(n int) address {
	if n >= 64 {
		return address{a.hi | (1<<(n-64) - 1), ^uint64(0)}
	}
	return address{a.hi, a.lo | (1<<n - 1)}
}

// A cidrRange is all from first to last; text is how it is written while it is
// one of the operands.
type cidrRange struct {
	first, last address
	v4          bool
	text        string
}

// cidrRangeOf reads a CIDR, or an IPv4 address, which stands for its class A, B
// or C network.
func cidrRangeOf(s string) (cidrRange, bool) {
	if ip, err := netip.ParseAddr(s); err == nil && ip.Zone() == "" {
		if ip = ip.Unmap(); !ip.Is4() {
			return cidrRange{}, false
		}
		n := 24
		switch b := ip.As4()[0]; {
		case b < 0x80:
			n = 8
		case b < 0xc0:
			n = 16
		}
		r := rangeOf(netip.PrefixFrom(ip, n).Masked())
		r.text = ip.String() + "/" + strconv.Itoa(n)
		return r, true
	}
	p, ok := parseCIDR(s)
	if !ok {
		return cidrRange{}, false
	}
	return rangeOf(p), true
}

func rangeOf(p netip.Prefix) cidrRange {
	first := addressOf(p.Addr())
	return cidrRange{first, first.last(p.Addr().BitLen() - p.Bits()), p.Addr().Is4(), p.String()}
}

// touches reports whether r begins within before or right after it; there is
// nothing right after the end of IPv4.
func (r cidrRange) touches(before cidrRange) bool {
	if r.first.compare(before.last) <= 0 {
		return true
	}
	next, ok := before.last.next(0)
	return ok && next == r.first && r.v4 == before.v4
}

// cidrs returns the fewest blocks that make r.
func (r cidrRange) cidrs() []string {
	width := 128
	if r.v4 {
		width = 32
	}
	var list []string
	for at, ok := r.first, true; ok && at.compare(r.last) <= 0; {
		n := bits.TrailingZeros64(at.lo)
		if at.lo == 0 {
			n = 64 + bits.TrailingZeros64(at.hi)
		}
		for n = min(n, width); at.last(n).compare(r.last) > 0; n-- {
		}
		list = append(list, netip.PrefixFrom(r.unmap(at), width-n).String())
		at, ok = at.next(n)
	}
	return list
}

func (r cidrRange) unmap(a address) netip.Addr {
	if r.v4 {
		return a.addr().Unmap()
	}
	return a.addr()
}

// cidrMerge joins blocks that overlap or touch.
func cidrMerge(vm *VM, a []Value) (Value, error) {
	const name = "net.cidr_merge"
	if k := a[0].Kind(); k != KindArray && k != KindSet {
		return Value{}, failing(name, "operand must be an array")
	}
	if !vm.charge(a[0].Len()*searchSteps) || !vm.alloc(a[0].Len()*80) {
		return Value{}, errLimits
	}
	ranges := make([]cidrRange, 0, a[0].Len())
	for e := range a[0].Elems() {
		s, ok := e.Str()
		r, valid := cidrRangeOf(s)
		if !ok || !valid {
			return Value{}, failing(name, "not a CIDR or IPv4 address")
		}
		ranges = append(ranges, r)
	}
	slices.SortFunc(ranges, func(a, b cidrRange) int {
		if c := a.last.compare(b.last); c != 0 {
			return c
		}
		return a.first.compare(b.first)
	})
	for i := len(ranges) - 1; i > 0; i-- {
		if r, before := ranges[i], ranges[i-1]; r.touches(before) {
			first, v4 := r.first, r.v4
			if before.first.compare(first) < 0 {
				first, v4 = before.first, before.v4
			}
			ranges[i-1] = cidrRange{first: first, last: r.last, v4: v4}
			ranges = slices.Delete(ranges, i, i+1)
		}
	}
	var elems []Value
	for _, r := range ranges {
		list := []string{r.text}
		if r.text == "" {
			list = r.cidrs()
		}
		for _, s := range list {
			if !vm.alloc(valueBytes+len(s)) || !vm.charge(searchSteps) {
				return Value{}, errLimits
			}
			elems = append(elems, String(s))
		}
	}
	return Set(elems), nil
}
