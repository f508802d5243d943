package engine

import (
	"math"
	"strconv"
	"unicode/utf8"
)

// AppendJSON appends v as JSON to dst. Members are in sort order, a set is an
// array, a key that is no string is the string of its own JSON, undefined is
// null. Numbers keep the text they were read from. What is not UTF-8 in a
// string becomes U+FFFD.
func (v Value) AppendJSON(dst []byte) []byte { return v.appendJSON(dst, false, math.MaxInt) }

// appendJSON is AppendJSON; html is as in appendString. It stops somewhere
// beyond limit bytes, for a caller that refuses so long a text.
func (v Value) appendJSON(dst []byte, html bool, limit int) []byte {
	if len(dst) > limit {
		return dst
	}
	switch v.Kind() {
	case KindBool:
		return strconv.AppendBool(dst, v.isTrue())
	case KindNumber:
		if v.p != nil {
			return append(dst, (*number)(v.p).text...)
		}
		i, _ := v.Int()
		return strconv.AppendInt(dst, i, 10)
	case KindString:
		return appendString(dst, v.str(), html)
	case KindArray, KindSet:
		dst = append(dst, '[')
		for i, e := range v.elems() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = e.appendJSON(dst, html, limit)
		}
		return append(dst, ']')
	case KindObject:
		dst = append(dst, '{')
		for i, m := range v.named().members() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendString(dst, m.Key.str(), html)
			dst = append(dst, ':')
			dst = m.Value.appendJSON(dst, html, limit)
		}
		return append(dst, '}')
	default:
		return append(dst, "null"...)
	}
}

// named returns an object whose keys are texts: JSON has no others. Of two that
// then are the same the last one counts, as in OPA.
func (v Value) named() Value {
	if v.isStringObject() || v.Kind() != KindObject {
		return v
	}
	members := make([]Member, v.Len())
	for i, m := range v.members() {
		members[i] = Member{String(keyText(m.Key)), m.Value}
	}
	return Object(members)
}

// keyText is k as the name of a member, which OPA always writes for HTML.
func keyText(k Value) string {
	if s, ok := k.Str(); ok {
		return s
	}
	return string(k.appendJSON(nil, true, math.MaxInt))
}

const hexDigits = "0123456789abcdef"

// appendString appends s as a JSON string; html also escapes what encoding/json
// escapes for the sake of HTML and JavaScript.
func appendString(dst []byte, s string, html bool) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			if c >= 0x20 && c != '"' && c != '\\' && !(html && (c == '<' || c == '>' || c == '&')) {
				i++
				continue
			}
			dst = append(dst, s[start:i]...)
			dst = appendEscape(dst, c)
			i++
			start = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			dst = append(dst, s[start:i]...)
			dst = append(dst, `\ufffd`...)
			start = i + n
		case html && (r == '\u2028' || r == '\u2029'):
			dst = append(dst, s[start:i]...)
			dst = append(dst, `\u202`...)
			dst = append(dst, hexDigits[r&0xf])
			start = i + n
		}
		i += n
	}
	dst = append(dst, s[start:]...)
	return append(dst, '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	default:
		return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
	}
}
