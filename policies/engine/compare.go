package engine

import (
	"cmp"
	"strings"
)

// Compare returns how a and b stand in Rego's order of all values: -1, 0 or 1.
// Kinds are ordered as listed with [Kind]; undefined comes first.
func Compare(a, b Value) int {
	k := a.Kind()
	if c := cmp.Compare(k, b.Kind()); c != 0 {
		return c
	}
	switch k {
	case KindBool:
		return cmp.Compare(a.m, b.m)
	case KindNumber:
		return compareNumbers(a, b)
	case KindString:
		return strings.Compare(a.str(), b.str())
	case KindArray, KindSet:
		return compareElems(a.elems(), b.elems())
	case KindObject:
		return compareMembers(a.members(), b.members())
	}
	return 0
}

func compareElems(a, b []Value) int {
	for i := range min(len(a), len(b)) {
		if c := Compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func compareMembers(a, b []Member) int {
	for i := range min(len(a), len(b)) {
		if c := Compare(a[i].Key, b[i].Key); c != 0 {
			return c
		}
		if c := Compare(a[i].Value, b[i].Value); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// Equal reports whether v and w are the same value. Numbers are equal when
// they are numerically so, however they were written.
func (v Value) Equal(w Value) bool {
	k := v.Kind()
	if k != w.Kind() {
		return false
	}
	switch k {
	case KindNumber:
		if v.p == nil && w.p == nil {
			return v.m == w.m
		}
		return compareNumbers(v, w) == 0
	case KindString:
		return v.m == w.m && v.str() == w.str()
	case KindArray, KindSet:
		return v.m == w.m && equalElems(v, w)
	case KindObject:
		return v.m == w.m && equalMembers(v, w)
	default:
		return v.m == w.m
	}
}

func equalElems(v, w Value) bool {
	if v.p == w.p {
		return true
	}
	a, b := v.elems(), w.elems()
	for i := range a {
		if !a[i].Equal(b[i]) {
			return false
		}
	}
	return true
}

func equalMembers(v, w Value) bool {
	if v.p == w.p {
		return true
	}
	a, b := v.members(), w.members()
	for i := range a {
		if !a[i].Key.Equal(b[i].Key) || !a[i].Value.Equal(b[i].Value) {
			return false
		}
	}
	return true
}
