// Package strict reads JSON documents that Keyward itself defines, without
// reflection: no unknown and no duplicate members, no null, no wrong types, valid
// UTF-8, every length bounded, and errors that say where.
package strict

import (
	"encoding/base64"
	"errors"
	"math"
	"strconv"

	"keyward/policies"
	"keyward/policies/engine"
)

// maxNumber bounds the text of a number in an [Reader.Any] value, in bytes.
const maxNumber = 64

// A Reader reads one document from front to back. Its methods take the next
// value, and fail with an [*Error].
type Reader struct {
	src   []byte
	d     *engine.JSONDecoder
	start int // offset of the value read last
}

// NewReader returns a reader of b, which must not change meanwhile.
func NewReader(b []byte) *Reader {
	return &Reader{src: b, d: newDecoder(b)}
}

// newDecoder bounds depth alone: each list of a document has a bound of its own.
func newDecoder(b []byte) *engine.JSONDecoder {
	return engine.NewJSONDecoder(b, engine.JSONLimits{Depth: policies.MaxDepth, Values: math.MaxInt})
}

// End fails unless the document is at its end.
func (r *Reader) End() error {
	if r.start = r.d.Next(); r.start < len(r.src) {
		return r.Fail("more than one JSON value")
	}
	return nil
}

// Fail returns an error at the value read last.
func (r *Reader) Fail(problem string) error {
	e := &Error{Pointer: r.d.Pointer(), Problem: problem}
	e.Line, e.Column = place(r.src, r.start)
	return e
}

// Unknown is the error for a member name that [Reader.Object] has just given
// and that nobody knows.
func (r *Reader) Unknown() error { return r.Fail("unknown member") }

// Object calls member with each name; member must take the value.
func (r *Reader) Object(member func(name string) error) error {
	if _, err := r.token('{', "an object"); err != nil {
		return err
	}
	start := r.start
	for r.d.PeekKind() == '"' {
		name, err := r.token('"', "a name")
		if err != nil {
			return err
		}
		if err := member(name.String()); err != nil {
			return err
		}
	}
	_, err := r.token('}', "the end of an object")
	r.start = start // what is missing in an object is said of the object
	return err
}

// Array calls item for each element, at most limit times; item must take it.
func (r *Reader) Array(limit int, item func() error) error {
	if _, err := r.token('[', "an array"); err != nil {
		return err
	}
	for n := 0; ; n++ {
		switch r.d.PeekKind() {
		case ']':
			_, err := r.token(']', "the end of an array")
			return err
		default:
			if n == limit {
				return r.Fail("more than " + strconv.Itoa(limit) + " elements")
			}
			if err := item(); err != nil {
				return err
			}
		}
	}
}

// String takes a string of at most limit bytes.
func (r *Reader) String(dst *string, limit int) error {
	t, err := r.token('"', "a string")
	if err != nil {
		return err
	}
	if *dst = t.String(); len(*dst) > limit {
		return r.Fail("longer than " + strconv.Itoa(limit) + " bytes")
	}
	return nil
}

// Base64 takes a string of standard base64 with padding (RFC 4648 section 4) of
// at most limit bytes when decoded.
func (r *Reader) Base64(dst *[]byte, limit int) error {
	var s string
	if err := r.String(&s, base64.StdEncoding.EncodedLen(limit)); err != nil {
		return err
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err != nil || base64.StdEncoding.EncodedLen(len(b)) != len(s) { // it skips line breaks
		return r.Fail("not base64")
	}
	*dst = b
	return nil
}

// Bool takes true or false.
func (r *Reader) Bool(dst *bool) error {
	t, err := r.token('t', "true or false", 'f')
	if err != nil {
		return err
	}
	*dst = t.Kind() == 't'
	return nil
}

// Int64 takes an integer without fraction and exponent.
func (r *Reader) Int64(dst *int64) error {
	t, err := r.token('0', "a whole number")
	if err != nil {
		return err
	}
	if *dst, err = strconv.ParseInt(t.String(), 10, 64); err != nil {
		return r.Fail("not a whole number within 64 bits")
	}
	return nil
}

// Uint64 takes an integer that is not negative.
func (r *Reader) Uint64(dst *uint64) error {
	t, err := r.token('0', "a whole number")
	if err != nil {
		return err
	}
	if *dst, err = strconv.ParseUint(t.String(), 10, 64); err != nil {
		return r.Fail("not a whole number of 0 or more within 64 bits")
	}
	return nil
}

// Any takes any value, at most depth deep: nil, bool, string, [policies.Number],
// []any or map[string]any.
func (r *Reader) Any(dst *any, depth, limit int) error {
	if depth == 0 {
		return r.Fail("nested too deeply")
	}
	switch r.d.PeekKind() {
	case '{':
		m := map[string]any{}
		*dst = m
		return r.Object(func(name string) error {
			if len(m) == limit {
				return r.Fail("more than " + strconv.Itoa(limit) + " members")
			}
			var v any
			err := r.Any(&v, depth-1, limit)
			m[name] = v
			return err
		})
	case '[':
		a := []any{}
		err := r.Array(limit, func() error {
			var v any
			err := r.Any(&v, depth-1, limit)
			a = append(a, v)
			return err
		})
		*dst = a
		return err
	default:
		return r.scalar(dst)
	}
}

// Text runs read, which takes one value, and returns the part of the document that
// it took.
func (r *Reader) Text(read func() error) ([]byte, error) {
	start := r.d.Next()
	err := read()
	return r.src[start:r.d.Offset():r.d.Offset()], err
}

// Skip takes any value.
func (r *Reader) Skip() error {
	r.start = r.d.Next()
	return r.syntax(r.d.SkipValue())
}

// Raw takes any value as its text, of at most limit bytes.
func (r *Reader) Raw(dst *string, limit int) error {
	start := r.d.Next()
	if err := r.Skip(); err != nil {
		return err
	}
	if *dst = string(r.src[start:r.d.Offset()]); len(*dst) > limit {
		return r.Fail("longer than " + strconv.Itoa(limit) + " bytes")
	}
	return nil
}

func (r *Reader) scalar(dst *any) error {
	t, err := r.read()
	if err != nil {
		return err
	}
	switch t.Kind() {
	case '"':
		*dst = t.String()
	case '0':
		if len(t.String()) > maxNumber {
			return r.Fail("number of more than " + strconv.Itoa(maxNumber) + " characters")
		}
		*dst = policies.Number(t.String())
	case 't', 'f':
		*dst = t.Kind() == 't'
	default:
		*dst = nil
	}
	return nil
}

// token takes a token of the wanted kind or of one of others.
func (r *Reader) token(kind byte, what string, others ...byte) (engine.JSONToken, error) {
	t, err := r.read()
	if err != nil {
		return t, err
	}
	if t.Kind() == kind {
		return t, nil
	}
	for _, k := range others {
		if t.Kind() == k {
			return t, nil
		}
	}
	return t, r.Fail("must be " + what)
}

func (r *Reader) read() (engine.JSONToken, error) {
	r.start = r.d.Next()
	t, err := r.d.ReadToken()
	return t, r.syntax(err)
}

// syntax is err of the decoder, which may be nil, as an [*Error].
func (r *Reader) syntax(err error) error {
	if err == nil {
		return nil
	}
	e := &Error{Pointer: r.d.Pointer(), Problem: "not valid JSON"}
	var syntax *engine.JSONError
	if errors.As(err, &syntax) {
		r.start = syntax.Offset
		switch syntax.Kind {
		case engine.JSONDuplicate:
			e.Problem = "duplicate member"
		case engine.JSONDepth:
			e.Problem = "nested too deeply"
		}
	}
	if r.start >= len(r.src) {
		e.Problem = "the document ends too early"
	}
	e.Line, e.Column = place(r.src, r.start)
	return e
}

// List takes an array of at most limit elements, each by read.
func List[T any](r *Reader, dst *[]T, limit int, read func(*T) error) error {
	return r.Array(limit, func() error {
		var v T
		err := read(&v)
		*dst = append(*dst, v)
		return err
	})
}

// Strings takes an array of at most limit strings of at most size bytes.
func Strings(r *Reader, dst *[]string, limit, size int) error {
	*dst = []string{} // an empty list is not an absent one
	return List(r, dst, limit, func(s *string) error { return r.String(s, size) })
}

// Map takes an object of at most limit members with names of at most size
// bytes, each value by read.
func Map[T any](r *Reader, dst *map[string]T, limit, size int, read func(*T) error) error {
	*dst = map[string]T{}
	return r.Object(func(name string) error {
		if len(name) > size {
			return r.Fail("name longer than " + strconv.Itoa(size) + " bytes")
		}
		if len(*dst) == limit {
			return r.Fail("more than " + strconv.Itoa(limit) + " members")
		}
		var v T
		err := read(&v)
		(*dst)[name] = v
		return err
	})
}
