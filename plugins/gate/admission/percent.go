package admission

import "strings"

// unescape decodes percent-encoding; RFC 3986 section 2.1. With plus a "+" is a
// space, as in a query. It is here because net/url adds 60 KB to a plugin.
func unescape(s string, plus bool) (string, bool) {
	if strings.IndexByte(s, '%') < 0 && (!plus || strings.IndexByte(s, '+') < 0) {
		return s, true
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+' && plus:
			b = append(b, ' ')
		case s[i] != '%':
			b = append(b, s[i])
		default:
			if i+2 >= len(s) {
				return "", false
			}
			hi, ok1 := hexDigit(s[i+1])
			lo, ok2 := hexDigit(s[i+2])
			if !ok1 || !ok2 {
				return "", false
			}
			b = append(b, hi<<4|lo)
			i += 2
		}
	}
	return string(b), true
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// A parameter is one name and value of a query.
type parameter struct{ name, value string }

// maxParameters bounds a query; policies look at a few.
const maxParameters = 256

// parameters reads a query; WHATWG URL section 5.1. A semicolon is refused, as
// some parsers take it for a separator, and so is what is not UTF-8 or holds a
// control byte once it is decoded.
func parameters(raw string) ([]parameter, bool) {
	if strings.IndexByte(raw, ';') >= 0 {
		return nil, false
	}
	var list []parameter
	for pair := range strings.SplitSeq(raw, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		n, ok1 := unescape(name, true)
		v, ok2 := unescape(value, true)
		if !ok1 || !ok2 || !printable(n) || !printable(v) || len(list) == maxParameters {
			return nil, false
		}
		list = append(list, parameter{n, v})
	}
	return list, true
}
