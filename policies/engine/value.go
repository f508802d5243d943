package engine

import (
	"iter"
	"unsafe"
)

// Kind says what a [Value] is. Kinds are in Rego's sort order.
type Kind uint8

// The kinds. The zero Value is Undefined.
const (
	KindUndefined Kind = iota
	KindNull
	KindBool
	KindNumber
	KindString
	KindArray
	KindObject
	KindSet
	kindBuilder // a collection under construction, in a register of a VM only
)

// String returns the name of k as Rego's type_name gives it.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "invalid"
}

var kindNames = [...]string{"undefined", "null", "boolean", "number", "string", "array", "object", "set"}

// A Value is an immutable JSON or Rego value. The zero Value is undefined: the
// absence of a value. It is cheap to copy, and may be read by many goroutines.
type Value struct {
	_ [0]func() // not comparable with ==; use Equal

	// Two words say all, so that a value costs little to copy and nothing to
	// make. What p points to follows from the kind: the bytes of a string, the
	// first element of an array or set, the first member of an object, or a
	// *number that does not fit the payload.
	p unsafe.Pointer
	m uint64 // kind in the top byte; below it the length, truth or integer, and the size of a collection
}

const (
	kindShift    = 56
	payloadMask  = 1<<kindShift - 1
	stringKeys   = 1 << (kindShift - 1) // every key of the object is a string
	lenMask      = 1<<sizeShift - 1
	sizeShift    = 27
	maxSize      = 1<<28 - 1 // saturates
	maxInlineInt = 1<<(kindShift-1) - 1
	minInlineInt = -1 << (kindShift - 1)
)

// A Member is one name and value of an object.
type Member struct{ Key, Value Value }

// Null is JSON's null.
var Null = Value{m: uint64(KindNull) << kindShift}

var (
	falseValue  = Value{m: uint64(KindBool) << kindShift}
	trueValue   = Value{m: uint64(KindBool)<<kindShift | 1}
	emptyArray  = Value{m: uint64(KindArray) << kindShift}
	emptySet    = Value{m: uint64(KindSet) << kindShift}
	emptyObject = Value{m: uint64(KindObject)<<kindShift | stringKeys}
)

// Bool returns the boolean b.
func Bool(b bool) Value {
	if b {
		return trueValue
	}
	return falseValue
}

// String returns the string s.
func String(s string) Value {
	return Value{p: unsafe.Pointer(unsafe.StringData(s)), m: uint64(KindString)<<kindShift | uint64(len(s))}
}

// Array returns the array of elems, which the caller must not change any more.
// Undefined elements become null.
func Array(elems []Value) Value {
	for i := range elems {
		if elems[i].IsUndefined() {
			elems[i] = Null
		}
	}
	return newArray(elems)
}

// newArray is Array for elements that are known to be defined.
func newArray(elems []Value) Value {
	return Value{p: unsafe.Pointer(unsafe.SliceData(elems)), m: uint64(KindArray)<<kindShift | sizeOf(elems)<<sizeShift | uint64(len(elems))}
}

// Kind returns the kind of v.
func (v Value) Kind() Kind { return Kind(v.m >> kindShift) }

// IsUndefined reports whether v is the zero Value.
func (v Value) IsUndefined() bool { return v.m == 0 }

// isFalse reports whether v is the boolean false.
func (v Value) isFalse() bool { return v.m == uint64(KindBool)<<kindShift }

// isTrue reports whether v is the boolean true.
func (v Value) isTrue() bool { return v.m == uint64(KindBool)<<kindShift|1 }

// Bool returns the truth of v, and whether v is a boolean.
func (v Value) Bool() (truth, ok bool) {
	return v.m&1 == 1, v.Kind() == KindBool
}

// Str returns the text of v, and whether v is a string.
func (v Value) Str() (string, bool) {
	if v.Kind() != KindString {
		return "", false
	}
	return v.str(), true
}

func (v Value) str() string { return unsafe.String((*byte)(v.p), int(v.m&payloadMask)) }

// elems returns the elements of an array or set; they must not be changed.
func (v Value) elems() []Value { return unsafe.Slice((*Value)(v.p), int(v.m&lenMask)) }

// members returns the members of an object, sorted; they must not be changed.
func (v Value) members() []Member { return unsafe.Slice((*Member)(v.p), int(v.m&lenMask)) }

// size returns how many values are within the collection v, at any depth and
// as often as they occur: what it costs to walk it. Few values can make a large
// one, as parts may be shared. It is 0 for anything else.
func (v Value) size() int {
	if v.Kind() < KindArray {
		return 0
	}
	return int(v.m >> sizeShift & maxSize)
}

func sizeOf(elems []Value) uint64 {
	n := len(elems)
	for i := range elems {
		if elems[i].Kind() >= KindArray {
			n += elems[i].size()
		}
	}
	return uint64(min(n, maxSize))
}

// Len returns the number of elements of an array or set, of members of an
// object, and 0 of anything else.
func (v Value) Len() int {
	switch v.Kind() {
	case KindArray, KindSet, KindObject:
		return int(v.m & lenMask)
	}
	return 0
}

// Index returns element i of an array, or of a set in its sort order. It is
// undefined when there is none.
func (v Value) Index(i int) Value {
	if k := v.Kind(); (k != KindArray && k != KindSet) || uint(i) >= uint(v.m&lenMask) {
		return Value{}
	}
	return v.elems()[i]
}

// Get returns the member of an object with the given name, and whether there
// is one.
func (v Value) Get(name string) (Value, bool) {
	if v.Kind() != KindObject {
		return Value{}, false
	}
	e := findString(v.members(), name)
	return e, !e.IsUndefined()
}

// All returns keys and values: names of an object, indices of an array, and
// for a set each element as both. Objects and sets are in sort order.
func (v Value) All() iter.Seq2[Value, Value] {
	return func(yield func(Value, Value) bool) {
		switch v.Kind() {
		case KindArray:
			for i, e := range v.elems() {
				if !yield(Int(int64(i)), e) {
					return
				}
			}
		case KindSet:
			for _, e := range v.elems() {
				if !yield(e, e) {
					return
				}
			}
		case KindObject:
			for _, m := range v.members() {
				if !yield(m.Key, m.Value) {
					return
				}
			}
		}
	}
}

// Elems returns the elements of an array, or of a set in sort order.
func (v Value) Elems() iter.Seq[Value] {
	return func(yield func(Value) bool) {
		if k := v.Kind(); k != KindArray && k != KindSet {
			return
		}
		for _, e := range v.elems() {
			if !yield(e) {
				return
			}
		}
	}
}

// Members returns names and values of an object whose names are strings, in
// sort order. Members with other keys are left out.
func (v Value) Members() iter.Seq2[string, Value] {
	return func(yield func(string, Value) bool) {
		if v.Kind() != KindObject {
			return
		}
		for _, m := range v.members() {
			if name, ok := m.Key.Str(); ok && !yield(name, m.Value) {
				return
			}
		}
	}
}

// String returns v as JSON, or "undefined".
func (v Value) String() string {
	if v.IsUndefined() {
		return "undefined"
	}
	return string(v.AppendJSON(nil))
}
