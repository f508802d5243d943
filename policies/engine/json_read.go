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
	// Doubles refuses numbers that a float64 does not hold, to the digit that it is
	// written back with: readers that know no other numbers, JavaScript's among
	// them, take them for other ones (RFC 7493 section 2.2).
	Doubles bool
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
	r := readers.Get().(*jsonReader)
	defer r.release()
	r.start(string(b), lim)
	r.lenient = lenient
	if lenient {
		r.s = strings.ToValidUTF8(r.s, "\ufffd")
	}
	return r.read()
}

// A jsonReader reads one text. Values of open containers lie on one stack,
// names and values of objects in turn; a container that is closed moves to its
// final place. Nothing recurses.
type jsonReader struct {
	s        string
	pos      int
	maxDepth int
	left     int // values that may still come
	doubles  bool
	lenient  bool

	stack []Value
	open  []jsonFrame
	names []int   // offsets of the names on the stack, to tell where a double is
	room  []Value // where closed containers go, in chunks
	kept  int     // how many values have gone there
	buf   []byte  // decodes escapes
}

// start makes the reader begin with s.
func (r *jsonReader) start(s string, lim JSONLimits) {
	r.s, r.maxDepth, r.left, r.doubles = s, defaultDepth, defaultValues, lim.Doubles
	if lim.Depth > 0 {
		r.maxDepth = min(lim.Depth, maxDepth)
	}
	if lim.Values > 0 {
		r.left = lim.Values
	}
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

// read reads the whole text. It is one function with the position in a local
// variable, as calls and fields cost much in WebAssembly.
func (r *jsonReader) read() (Value, error) {
	s, i, left := r.s, 0, r.left
	var f jsonFrame // the innermost open container
	for name := false; ; {
		if left--; left < 0 {
			return Value{}, r.failAt(JSONSize, i)
		}
		for i < len(s) && isSpace(s[i]) {
			i++
		}
		if i == len(s) {
			return Value{}, r.failAt(JSONSyntax, i)
		}
		var v Value
		switch c := s[i]; {
		case c == '"':
			if name {
				r.names = append(r.names, i)
			}
			if end := scanPlain(s, i+1); end < len(s) && s[end] == '"' {
				v = String(s[i+1 : end])
				i = end + 1
			} else {
				var err error
				r.pos = i
				if v, err = r.str(); err != nil {
					return Value{}, err
				}
				i = r.pos
			}
			if name {
				for i < len(s) && isSpace(s[i]) {
					i++
				}
				if i == len(s) || s[i] != ':' {
					return Value{}, r.failAt(JSONSyntax, i)
				}
				i++
				r.stack = append(r.stack, v)
				name = false
				continue
			}
		case name:
			return Value{}, r.failAt(JSONSyntax, i)
		case c == '{' || c == '[':
			r.pos = i
			empty, err := r.begin(c == '{')
			if err != nil {
				return Value{}, err
			}
			i = r.pos
			if empty.IsUndefined() {
				f = r.open[len(r.open)-1]
				name = f.object
				continue
			}
			v = empty
		case c-'1' < 9: // most numbers are small integers; see plainInt
			n, end := uint64(c-'0'), i+1
			for end < len(s) && s[end]-'0' <= 9 && end-i < maxPlainDigits {
				n = n*10 + uint64(s[end]-'0')
				end++
			}
			if end < len(s) && (s[end] == ',' || s[end] == '}' || s[end] == ']') && n <= maxExactInt {
				v = Value{m: uint64(KindNumber)<<kindShift | n}
				i = end
				break
			}
			fallthrough
		default:
			var err error
			r.pos = i
			if v, err = r.scalar(c); err != nil {
				return Value{}, err
			}
			i = r.pos
		}
		for { // v is complete: put it where it belongs
			for i < len(s) && isSpace(s[i]) {
				i++
			}
			if len(r.open) == 0 {
				if i != len(s) {
					return Value{}, r.failAt(JSONTrailing, i)
				}
				return v, nil
			}
			r.stack = append(r.stack, v)
			if i < len(s) && s[i] == ',' {
				i++
				name = f.object
				break
			}
			r.pos = i
			var err error
			if v, err = r.end(f); err != nil {
				return Value{}, err
			}
			i++
			if n := len(r.open); n > 0 {
				f = r.open[n-1]
			}
		}
	}
}

func isSpace(c byte) bool { return c <= ' ' && (c == ' ' || c == '\n' || c == '\r' || c == '\t') }

// scalar reads a value that starts with c, which is no string and no container.
func (r *jsonReader) scalar(c byte) (v Value, err error) {
	switch c {
	case 't':
		return r.literal("true", trueValue)
	case 'f':
		return r.literal("false", falseValue)
	case 'n':
		return r.literal("null", Null)
	default:
		return r.number()
	}
}

// begin opens a container, or returns it when it is empty.
func (r *jsonReader) begin(object bool) (empty Value, err error) {
	if len(r.open) >= r.maxDepth {
		return Value{}, r.fail(JSONDepth)
	}
	r.pos++
	r.space()
	end, empty := byte(']'), emptyArray
	if object {
		end, empty = '}', emptyObject
	}
	if r.pos < len(r.s) && r.s[r.pos] == end {
		r.pos++
		return empty, nil
	}
	r.open = append(r.open, jsonFrame{start: len(r.stack), names: len(r.names), object: object})
	return Value{}, nil
}

// end closes the container f at the position.
func (r *jsonReader) end(f jsonFrame) (closed Value, err error) {
	c := byte(0)
	if r.pos < len(r.s) {
		c = r.s[r.pos]
	}
	switch {
	case c == ']' && !f.object:
		closed = newArray(r.keep(f.start))
	case c == '}' && f.object:
		if closed, err = r.endObject(f); err != nil {
			return Value{}, err
		}
	default:
		return Value{}, r.fail(JSONSyntax)
	}
	r.open = r.open[:len(r.open)-1]
	return closed, nil
}

func (r *jsonReader) endObject(f jsonFrame) (Value, error) {
	inOrder := r.stack[f.start:]
	kept := r.keep(f.start)
	// A name and its value side by side are laid out as a Member is.
	members := unsafe.Slice((*Member)(unsafe.Pointer(unsafe.SliceData(kept))), len(kept)/2)
	double, found := sortNames(members)
	if !found {
		r.names = r.names[:f.names]
		return namedObject(members), nil
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
	r.kept += n
	if n > len(r.room) {
		r.room = make([]Value, max(n, min(512, max(16, len(r.s)/12))))
	}
	kept := r.room[:n:n]
	r.room = r.room[n:]
	copy(kept, r.stack[start:])
	r.stack = r.stack[:start]
	return kept
}

func (r *jsonReader) literal(text string, v Value) (Value, error) {
	if len(r.s)-r.pos < len(text) || r.s[r.pos:r.pos+len(text)] != text {
		return Value{}, r.fail(JSONSyntax)
	}
	r.pos += len(text)
	return v, nil
}

func (r *jsonReader) space() {
	for r.pos < len(r.s) && isSpace(r.s[r.pos]) {
		r.pos++
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
	if r.doubles && !isDouble(r.s[r.pos:end]) {
		return Value{}, r.fail(JSONNumber)
	}
	r.pos = end
	return v, nil
}
