package engine

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"unsafe"
)

// fewMembers is how many members are still searched, or sorted, one by one.
const fewMembers = 12

// Object returns the object of members. Of members with equal keys the last
// one counts; members without key or value are left out. The caller must not
// use members any more. Members that are in sort order cost least.
func Object(members []Member) Value {
	n, sorted := 0, true
	for _, m := range members {
		if m.Key.IsUndefined() || m.Value.IsUndefined() {
			continue
		}
		sorted = sorted && (n == 0 || Compare(members[n-1].Key, m.Key) < 0)
		members[n] = m
		n++
	}
	members = members[:n]
	if sorted {
		return newObject(members)
	}
	sort.Stable(byKey(members))
	n = 0
	for i, m := range members {
		if i+1 < len(members) && m.Key.Equal(members[i+1].Key) {
			continue
		}
		members[n] = m
		n++
	}
	return newObject(members[:n])
}

// Sorting through an interface is one piece of code for all that is sorted,
// where generic functions would be one for each type: it matters in a plugin.
type (
	byKey   []Member
	byValue []Value
)

func (s byKey) Len() int             { return len(s) }
func (s byKey) Less(i, j int) bool   { return Compare(s[i].Key, s[j].Key) < 0 }
func (s byKey) Swap(i, j int)        { s[i], s[j] = s[j], s[i] }
func (s byValue) Len() int           { return len(s) }
func (s byValue) Less(i, j int) bool { return Compare(s[i], s[j]) < 0 }
func (s byValue) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }

// newObject is Object for members that are sorted, distinct and defined.
func newObject(members []Member) Value {
	flag := uint64(stringKeys)
	// Sort order puts kinds together, so the ends tell of all between.
	if n := len(members); n > 0 && (members[0].Key.Kind() != KindString || members[n-1].Key.Kind() != KindString) {
		flag = 0
	}
	n := len(members)
	for i := range members {
		if v := &members[i].Value; v.Kind() >= KindArray {
			n += v.size()
		}
		if flag == 0 {
			n += members[i].Key.size()
		}
	}
	return Value{p: unsafe.Pointer(unsafe.SliceData(members)), m: uint64(KindObject)<<kindShift | flag | uint64(min(n, maxSize))<<sizeShift | uint64(len(members))}
}

// namedObject is newObject for members whose keys are known to be strings.
func namedObject(members []Member) Value {
	n := len(members)
	for i := range members {
		if v := &members[i].Value; v.Kind() >= KindArray {
			n += v.size()
		}
	}
	return Value{p: unsafe.Pointer(unsafe.SliceData(members)), m: uint64(KindObject)<<kindShift | stringKeys | uint64(min(n, maxSize))<<sizeShift | uint64(len(members))}
}

// Set returns the set of elems, without doubles and undefined ones. The caller
// must not use elems any more.
func Set(elems []Value) Value {
	elems = slices.DeleteFunc(elems, Value.IsUndefined)
	sort.Sort(byValue(elems))
	return newSet(slices.CompactFunc(elems, Value.Equal))
}

// newSet is Set for elements that are sorted, distinct and defined.
func newSet(elems []Value) Value {
	return Value{p: unsafe.Pointer(unsafe.SliceData(elems)), m: uint64(KindSet)<<kindShift | sizeOf(elems)<<sizeShift | uint64(len(elems))}
}

// An ObjectBuilder collects members with string names. The zero value is ready.
type ObjectBuilder struct{ members []Member }

// Grow makes room for n more members.
func (b *ObjectBuilder) Grow(n int) { b.members = slices.Grow(b.members, n) }

// Set sets the member called name; an undefined v leaves the object as it is.
func (b *ObjectBuilder) Set(name string, v Value) {
	if !v.IsUndefined() {
		b.members = append(b.members, Member{String(name), v})
	}
}

// Value returns the object and empties the builder.
func (b *ObjectBuilder) Value() Value {
	v := Object(b.members)
	b.members = nil
	return v
}

// lookup returns what the reference v[key] means: undefined when there is none.
func (v Value) lookup(key Value) Value {
	switch v.Kind() {
	case KindObject:
		if key.Kind() == KindString {
			if v.m&stringKeys != 0 {
				return findString(v.members(), key.str())
			}
		} else if v.m&stringKeys != 0 {
			return Value{}
		}
		if i, ok := slices.BinarySearchFunc(v.members(), key, func(m Member, k Value) int { return Compare(m.Key, k) }); ok {
			return v.members()[i].Value
		}
	case KindArray:
		if i, ok := key.Int(); ok && uint64(i) < v.m&lenMask {
			return v.elems()[i]
		}
	case KindSet:
		if i, ok := searchSet(v.elems(), key); ok {
			return v.elems()[i]
		}
	}
	return Value{}
}

// contains reports whether the set v has the element e.
func (v Value) contains(e Value) bool {
	_, ok := searchSet(v.elems(), e)
	return ok
}

func searchSet(elems []Value, e Value) (int, bool) {
	return slices.BinarySearchFunc(elems, e, Compare)
}

// isStringObject reports whether v is an object whose keys are all strings.
func (v Value) isStringObject() bool {
	return v.m&^(payloadMask^stringKeys) == uint64(KindObject)<<kindShift|stringKeys
}

// findString searches sorted members for a string key; it returns undefined when
// there is none.
func findString(members []Member, name string) Value {
	if len(members) > fewMembers {
		return searchString(members, name)
	}
	want := uint64(KindString)<<kindShift | uint64(len(name))
	for i := range members {
		if members[i].Key.m == want && members[i].Key.str() == name {
			return members[i].Value
		}
	}
	return Value{}
}

func searchString(members []Member, name string) Value {
	lo, hi := 0, len(members)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		k := members[mid].Key
		c := cmp.Compare(k.Kind(), KindString)
		if c == 0 {
			c = strings.Compare(k.str(), name)
		}
		switch {
		case c == 0:
			return members[mid].Value
		case c < 0:
			lo = mid + 1
		default:
			hi = mid
		}
	}
	return Value{}
}

// sortNames sorts members by their string keys and returns the key that occurs
// twice, if one does.
func sortNames(members []Member) (double string, found bool) {
	if len(members) > fewMembers {
		sort.Sort(byKey(members))
		for i := 1; i < len(members); i++ {
			if members[i].Key.str() == members[i-1].Key.str() {
				return members[i].Key.str(), true
			}
		}
		return "", false
	}
	for i := 1; i < len(members); i++ {
		m := members[i]
		name := m.Key.str()
		j := i
		for ; j > 0; j-- {
			before := members[j-1].Key.str()
			if len(before) > 0 && len(name) > 0 && before[0] != name[0] { // which is usual, and no call
				if before[0] < name[0] {
					break
				}
			} else if c := strings.Compare(before, name); c == 0 {
				return name, true
			} else if c < 0 {
				break
			}
			members[j] = members[j-1]
		}
		if j != i {
			members[j] = m
		}
	}
	return "", false
}
