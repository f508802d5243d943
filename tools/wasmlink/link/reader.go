package link

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

var (
	errShort = errors.New("ends too early")
	errLEB   = errors.New("number is not a 32-bit LEB128")
)

// A reader takes the binary format apart. After the first error every method
// returns a zero value, and err keeps that error.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.fail(errShort)
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

// u32 reads an unsigned LEB128 of at most 32 bits (section 5.2.2).
func (r *reader) u32() uint32 {
	var v uint32
	for shift := 0; ; shift += 7 {
		c := r.byte()
		if r.err != nil {
			return 0
		}
		if shift == 28 && c > 0x0f {
			r.fail(errLEB)
			return 0
		}
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
}

// bytes reads a length and as many bytes.
func (r *reader) bytes() []byte {
	n := r.u32()
	if r.err == nil && uint64(n) > uint64(len(r.b)) {
		r.fail(errShort)
	}
	if r.err != nil {
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

// name reads a name: a byte vector in UTF-8 (section 5.2.4).
func (r *reader) name() string {
	b := r.bytes()
	if !utf8.Valid(b) {
		r.fail(fmt.Errorf("name %q is not UTF-8", b))
		return ""
	}
	return string(b)
}

// vector reads a count and calls element as often. An element takes at least
// one byte, so a count that lies ends in an error after len(b) calls.
func (r *reader) vector(element func()) {
	for n := r.u32(); n > 0 && r.err == nil; n-- {
		element()
	}
}

// end checks that nothing is left.
func (r *reader) end() error {
	if r.err == nil && len(r.b) > 0 {
		r.err = fmt.Errorf("has %d bytes too many", len(r.b))
	}
	return r.err
}
