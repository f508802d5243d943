package engine

import (
	"strings"
	"sync"
	"unsafe"
)

// JSONLimits bounds what [ParseJSON] reads. It does not bound the length of the
// text: whoever has the bytes has done that. Zero means the default.
type JSONLimits struct {
	Depth  int // nested arrays and objects; default 64, at most 1000
	Values int // names and values together; default 20,000
}

// Defaults and ceiling of [JSONLimits].
const (
	defaultDepth  = 64
	maxDepth      = 1000 // what walks a Value recurses, so no text may be deeper
	defaultValues = 20_000
)

// ParseJSON reads one JSON value (RFC 8259) that fills the whole of b but for
// white space. It is strict: it refuses a name that an object has twice, at any
// depth and after decoding, text that is not UTF-8, half a surrogate pair, a
// byte order mark, and anything after the value. The error is a [*JSONError].
//
// The value keeps no reference to b. Numbers keep their text.
func ParseJSON(b []byte, lim JSONLimits) (Value, error) { return parseJSON(b, lim, false) }

// parseJSON is ParseJSON, or when lenient takes what encoding/json takes: of
// names given twice the last one counts, and what is not UTF-8 becomes U+FFFD.
func parseJSON(b []byte, lim JSONLimits, lenient bool) (Value, error) {
	if lim.Depth <= 0 {
		lim.Depth = defaultDepth
	}
	if lim.Values <= 0 {
		lim.Values = defaultValues
	}
	r := readers.Get().(*jsonReader)
	defer r.release()
	r.s, r.maxDepth, r.left, r.lenient = string(b), min(lim.Depth, maxDepth), lim.Values, lenient
	if lenient {
		r.s = strings.ToValidUTF8(r.s, "\ufffd")
	}
	v, err := r.read()
	if err != nil {
		return Value{}, err
	}
	return v, nil
}

// A jsonReader reads one text. Values of open containers lie on one stack,
// names and values of objects in turn; a container that is closed moves to its
// final place. Nothing recurses.
type jsonReader struct {
	s        string
	pos      int
	maxDepth int
	left     int // values that may still come
	lenient  bool

	stack []Value
	open  []jsonFrame
	names []int   // offsets of the names on the stack, to tell where a double is
	room  []Value // where closed containers go, in chunks
	buf   []byte  // decodes escapes
}

// A jsonFrame is an open container.
type jsonFrame struct {
	start  int // of its values on the stack
	names  int // of its names
	object bool
}

var readers = sync.Pool{New: func() any { return new(jsonReader) }}

// release clears what refers to the text and keeps the room of ordinary size.
func (r *jsonReader) release() {
	const ordinary = 1024
	full := r.stack[:cap(r.stack)]
	if len(full) > ordinary {
		full = nil
	}
	clear(full)
	*r = jsonReader{stack: full[:0], open: r.open[:0], names: r.names[:0], buf: r.buf[:0]}
	if cap(r.names) > ordinary {
		r.names = nil
	}
	if cap(r.buf) > 16*ordinary {
		r.buf = nil
	}
	readers.Put(r)
}

func (r *jsonReader) fail(k JSONErrorKind) error { return r.failAt(k, r.pos) }

func (r *jsonReader) failAt(k JSONErrorKind, at int) error { return &JSONError{Kind: k, Offset: at} }

func (r *jsonReader) read() (Value, error) {
	for {
		v, opened, err := r.value()
		if err != nil {
			return Value{}, err
		}
		if opened {
			continue
		}
		for done := false; !done; { // v is complete: put it where it belongs
			if len(r.open) == 0 {
				r.space()
				if r.pos != len(r.s) {
					return Value{}, r.fail(JSONTrailing)
				}
				return v, nil
			}
			r.stack = append(r.stack, v)
			if v, done, err = r.next(); err != nil {
				return Value{}, err
			}
		}
	}
}

// value reads a scalar or an empty container, or opens a container up to where
// its first value starts.
func (r *jsonReader) value() (v Value, opened bool, err error) {
	if r.left--; r.left < 0 {
		return Value{}, false, r.fail(JSONSize)
	}
	r.space()
	if r.pos == len(r.s) {
		return Value{}, false, r.fail(JSONSyntax)
	}
	switch c := r.s[r.pos]; c {
	case '"':
		v, err = r.str()
		return v, false, err
	case '{', '[':
		return r.begin(c == '{')
	case 't':
		return r.literal("true", trueValue)
	case 'f':
		return r.literal("false", falseValue)
	case 'n':
		return r.literal("null", Null)
	default:
		v, err = r.number()
		return v, false, err
	}
}

func (r *jsonReader) begin(object bool) (v Value, opened bool, err error) {
	if len(r.open) >= r.maxDepth {
		return Value{}, false, r.fail(JSONDepth)
	}
	r.pos++
	r.space()
	end, empty := byte(']'), emptyArray
	if object {
		end, empty = '}', emptyObject
	}
	if r.pos < len(r.s) && r.s[r.pos] == end {
		r.pos++
		return empty, false, nil
	}
	r.open = append(r.open, jsonFrame{start: len(r.stack), names: len(r.names), object: object})
	if object {
		return Value{}, true, r.name()
	}
	return Value{}, true, nil
}

// next reads what follows a value within a container. When the container ends
// there, next returns it; otherwise done is true and a value comes next.
func (r *jsonReader) next() (closed Value, done bool, err error) {
	r.space()
	f := r.open[len(r.open)-1]
	c := byte(0)
	if r.pos < len(r.s) {
		c = r.s[r.pos]
	}
	switch {
	case c == ',':
		r.pos++
		if f.object {
			err = r.name()
		}
		return Value{}, true, err
	case c == ']' && !f.object:
		closed = newArray(r.keep(f.start))
	case c == '}' && f.object:
		if closed, err = r.endObject(f); err != nil {
			return Value{}, false, err
		}
	default:
		return Value{}, false, r.fail(JSONSyntax)
	}
	r.pos++
	r.open = r.open[:len(r.open)-1]
	return closed, false, nil
}

// name reads a member's name and the colon after it.
func (r *jsonReader) name() error {
	if r.left--; r.left < 0 {
		return r.fail(JSONSize)
	}
	r.space()
	if r.pos == len(r.s) || r.s[r.pos] != '"' {
		return r.fail(JSONSyntax)
	}
	r.names = append(r.names, r.pos)
	v, err := r.str()
	if err != nil {
		return err
	}
	r.stack = append(r.stack, v)
	r.space()
	if r.pos == len(r.s) || r.s[r.pos] != ':' {
		return r.fail(JSONSyntax)
	}
	r.pos++
	return nil
}

func (r *jsonReader) endObject(f jsonFrame) (Value, error) {
	inOrder := r.stack[f.start:]
	kept := r.keep(f.start)
	// A name and its value side by side are laid out as a Member is.
	members := unsafe.Slice((*Member)(unsafe.Pointer(unsafe.SliceData(kept))), len(kept)/2)
	double, found := sortNames(members)
	if !found {
		r.names = r.names[:f.names]
		return newObject(members), nil
	}
	if r.lenient {
		r.names = r.names[:f.names]
		copy(kept, inOrder)
		return Object(members), nil
	}
	seen := false
	for i := 0; i < len(inOrder); i += 2 {
		if inOrder[i].str() != double {
			continue
		}
		if seen {
			return Value{}, r.failAt(JSONDuplicate, r.names[f.names+i/2])
		}
		seen = true
	}
	return Value{}, r.fail(JSONDuplicate)
}

// keep moves what is on the stack from start on to its final place.
func (r *jsonReader) keep(start int) []Value {
	n := len(r.stack) - start
	if n > len(r.room) {
		r.room = make([]Value, max(n, min(512, max(16, len(r.s)/32))))
	}
	kept := r.room[:n:n]
	r.room = r.room[n:]
	copy(kept, r.stack[start:])
	r.stack = r.stack[:start]
	return kept
}

func (r *jsonReader) literal(text string, v Value) (Value, bool, error) {
	if len(r.s)-r.pos < len(text) || r.s[r.pos:r.pos+len(text)] != text {
		return Value{}, false, r.fail(JSONSyntax)
	}
	r.pos += len(text)
	return v, false, nil
}

func (r *jsonReader) space() {
	for r.pos < len(r.s) {
		switch r.s[r.pos] {
		case ' ', '\t', '\r', '\n':
			r.pos++
		default:
			return
		}
	}
}

func (r *jsonReader) number() (Value, error) {
	end, ok := scanNumber(r.s, r.pos)
	if !ok {
		r.pos = end
		return Value{}, r.fail(JSONSyntax)
	}
	v, ok := numberOf(r.s[r.pos:end])
	if !ok {
		return Value{}, r.fail(JSONSize)
	}
	r.pos = end
	return v, nil
}

// scanNumber returns where the number that starts at i ends, or where it goes
// wrong (RFC 8259 section 6).
func scanNumber(s string, i int) (end int, ok bool) {
	if i < len(s) && s[i] == '-' {
		i++
	}
	first := i
	if i = scanDigits(s, i); i == first {
		return i, false
	}
	if s[first] == '0' && i > first+1 {
		return first + 1, false
	}
	if i < len(s) && s[i] == '.' {
		point := i + 1
		if i = scanDigits(s, point); i == point {
			return i, false
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		exp := i
		if i = scanDigits(s, exp); i == exp {
			return i, false
		}
	}
	return i, true
}

func scanDigits(s string, i int) int {
	for i < len(s) && s[i]-'0' <= 9 {
		i++
	}
	return i
}
