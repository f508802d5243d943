//go:build !lean

package engine

import (
	"cmp"
	"strconv"
	"strings"
)

var semverBuiltins = []builtin{
	{"semver.is_valid", 1, func(_ *VM, a []Value) (Value, error) {
		s, ok := a[0].Str()
		if ok {
			_, ok = parseVersion(s)
		}
		return Bool(ok), nil
	}},
	{"semver.compare", 2, func(vm *VM, a []Value) (Value, error) {
		x, y, err := strOperands("semver.compare", a)
		if err != nil {
			return Value{}, err
		}
		v, ok1 := parseVersion(x)
		w, ok2 := parseVersion(y)
		if !ok1 || !ok2 {
			return Value{}, failing("semver.compare", "not a valid SemVer")
		}
		return Int(int64(v.compare(w))), vm.work(len(x) + len(y))
	}},
}

// A semver is a version as https://semver.org defines it, after an optional "v".
type semver struct {
	core [3]int64
	pre  string // "" when it is a release
}

func parseVersion(s string) (semver, bool) {
	var v semver
	s, meta, hasMeta := strings.Cut(strings.TrimPrefix(s, "v"), "+")
	s, pre, hasPre := strings.Cut(s, "-")
	if hasMeta && !identifiers(meta, false) || hasPre && !identifiers(pre, true) {
		return semver{}, false
	}
	v.pre = pre
	for i := range v.core {
		part, rest, more := strings.Cut(s, ".")
		n, err := strconv.ParseInt(part, 10, 64)
		if more != (i < 2) || err != nil || part[0] < '0' || part[0] == '0' && len(part) > 1 {
			return semver{}, false
		}
		v.core[i], s = n, rest
	}
	return v, true
}

// identifiers reports whether s is a list of identifiers with dots between; in
// strict ones a number has no leading zero.
func identifiers(s string, strict bool) bool {
	for id := range strings.SplitSeq(s, ".") {
		if id == "" || strict && len(id) > 1 && id[0] == '0' && allDigits(id) {
			return false
		}
		for i := range len(id) {
			c := id[i] | 0x20
			if id[i] != '-' && (id[i] < '0' || id[i] > '9') && (c < 'a' || c > 'z') {
				return false
			}
		}
	}
	return true
}

func allDigits(s string) bool { return strings.Trim(s, "0123456789") == "" && s != "" }

func (v semver) compare(w semver) int {
	for i := range v.core {
		if c := cmp.Compare(v.core[i], w.core[i]); c != 0 {
			return c
		}
	}
	if v.pre == "" || w.pre == "" { // a release comes after what precedes it
		return cmp.Compare(min(len(w.pre), 1), min(len(v.pre), 1))
	}
	a, b := strings.Split(v.pre, "."), strings.Split(w.pre, ".")
	for i := range min(len(a), len(b)) {
		if c := compareIdentifiers(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

// compareIdentifiers compares numbers by value, and puts them before texts.
func compareIdentifiers(a, b string) int {
	x, y := allDigits(a), allDigits(b)
	switch {
	case x && y:
		return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) // no leading zeros
	case x:
		return -1
	case y:
		return 1
	}
	return strings.Compare(a, b)
}
