package engine

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
	"unsafe"
)

// str reads a string, whose opening quote is at pos. A string without escapes
// is a part of the text itself.
func (r *jsonReader) str() (Value, error) {
	start := r.pos + 1
	i := start
	for i < len(r.s) {
		c := r.s[i]
		switch {
		case c == '"':
			r.pos = i + 1
			return String(r.s[start:i]), nil
		case c == '\\':
			r.buf = append(r.buf[:0], r.s[start:i]...)
			r.pos = i
			return r.escaped()
		case c < 0x20:
			return Value{}, r.failAt(JSONSyntax, i)
		case c < utf8.RuneSelf:
			i = scanPlain(r.s, i)
		default:
			ru, n := utf8.DecodeRuneInString(r.s[i:])
			if ru == utf8.RuneError && n == 1 {
				return Value{}, r.failAt(JSONUTF8, i)
			}
			i += n
		}
	}
	return Value{}, r.failAt(JSONSyntax, i)
}

// scanPlain returns where the first byte at or after i is that is not plain: a
// quote, a backslash, a control character or a part of a rune beyond ASCII. It
// is len(s) when there is none.
func scanPlain(s string, i int) int {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	b := unsafe.Slice(unsafe.StringData(s), len(s))
	for ; i+8 <= len(b); i += 8 {
		// Eight bytes at a time: (x - n) &^ x has the top bit of the first byte
		// below n set; bytes above it may be wrong, but that one never is.
		x := binary.LittleEndian.Uint64(b[i:])
		quote, slash := x^'"'*ones, x^'\\'*ones
		if found := (x | (x-0x20*ones)&^x | (quote-ones)&^quote | (slash-ones)&^slash) & tops; found != 0 {
			return i + bits.TrailingZeros64(found)/8
		}
	}
	for i < len(s) && s[i] >= 0x20 && s[i] < utf8.RuneSelf && s[i] != '"' && s[i] != '\\' {
		i++
	}
	return i
}

// escaped reads the rest of a string from its first escape on.
func (r *jsonReader) escaped() (Value, error) {
	for r.pos < len(r.s) {
		c := r.s[r.pos]
		switch {
		case c == '"':
			r.pos++
			return String(string(r.buf)), nil
		case c == '\\':
			if err := r.escape(); err != nil {
				return Value{}, err
			}
		case c < 0x20:
			return Value{}, r.fail(JSONSyntax)
		case c < utf8.RuneSelf:
			end := scanPlain(r.s, r.pos)
			r.buf = append(r.buf, r.s[r.pos:end]...)
			r.pos = end
		default:
			ru, n := utf8.DecodeRuneInString(r.s[r.pos:])
			if ru == utf8.RuneError && n == 1 {
				return Value{}, r.fail(JSONUTF8)
			}
			r.buf = append(r.buf, r.s[r.pos:r.pos+n]...)
			r.pos += n
		}
	}
	return Value{}, r.fail(JSONSyntax)
}

// simpleEscapes maps the letter of an escape to what it stands for.
var simpleEscapes = [256]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

// escape reads one escape; a surrogate pair is two escapes and one rune.
func (r *jsonReader) escape() error {
	start := r.pos
	if start+1 >= len(r.s) {
		return r.failAt(JSONSyntax, len(r.s))
	}
	letter := r.s[start+1]
	if letter != 'u' {
		c := simpleEscapes[letter]
		if c == 0 {
			return r.fail(JSONSyntax)
		}
		r.buf = append(r.buf, c)
		r.pos += 2
		return nil
	}
	ru, ok := hex4(r.s, start+2)
	if !ok {
		return r.fail(JSONSyntax)
	}
	r.pos += 6
	if utf16.IsSurrogate(ru) {
		pair, err := r.lowSurrogate(ru)
		if err != nil {
			return err
		}
		if ru = pair; ru == utf8.RuneError && !r.lenient {
			return r.failAt(JSONUTF8, start)
		}
	}
	r.buf = utf8.AppendRune(r.buf, ru)
	return nil
}

// lowSurrogate reads the escape after a surrogate, and returns the rune of both:
// U+FFFD when they are no pair, the second one then being left alone.
func (r *jsonReader) lowSurrogate(high rune) (rune, error) {
	if r.pos+1 >= len(r.s) || r.s[r.pos] != '\\' || r.s[r.pos+1] != 'u' {
		return utf8.RuneError, nil
	}
	low, ok := hex4(r.s, r.pos+2)
	if !ok {
		return 0, r.fail(JSONSyntax)
	}
	ru := utf16.DecodeRune(high, low)
	if ru != utf8.RuneError {
		r.pos += 6
	}
	return ru, nil
}

func hex4(s string, i int) (rune, bool) {
	if i+4 > len(s) {
		return 0, false
	}
	var ru rune
	for _, c := range []byte(s[i : i+4]) {
		switch {
		case c-'0' <= 9:
			c -= '0'
		case c-'a' <= 5:
			c -= 'a' - 10
		case c-'A' <= 5:
			c -= 'A' - 10
		default:
			return 0, false
		}
		ru = ru<<4 | rune(c)
	}
	return ru, true
}
