package admission

import (
	"strings"
	"unicode/utf8"

	"keyward/policies"
)

// A location is where a request is aimed, read in the only way that it can be.
type location struct {
	path     string   // as sent, without query
	rawQuery string   // as sent, without "?"
	segments []string // percent-decoded, without empty ends
}

// locate reads :path, and puts its segments behind in. It refuses every spelling that a router, an upstream or a
// rule could read in another way: dot segments, empty segments, encoded
// slashes, backslashes, path parameters, double encoding, control bytes.
func locate(raw string, in []string) (location, bool) {
	path, query, _ := strings.Cut(raw, "?")
	if len(raw) > policies.MaxURIBytes || path == "" || path[0] != '/' {
		return location{}, false
	}
	for i := 0; i < len(raw); i++ {
		if c := raw[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '#' {
			return location{}, false
		}
	}
	l := location{path: path, rawQuery: query}
	trimmed := strings.TrimSuffix(path[1:], "/")
	if trimmed == "" {
		return l, path == "/"
	}
	l.segments = in
	for more := true; more; {
		var s string
		s, trimmed, more = strings.Cut(trimmed, "/")
		decoded, ok := segment(s)
		if !ok {
			return location{}, false
		}
		l.segments = append(l.segments, decoded)
	}
	return l, true
}

func segment(s string) (string, bool) {
	if strings.IndexByte(s, '%') >= 0 {
		d, ok := unescape(s, false)
		if !ok || strings.ContainsAny(d, "/\\%;") || !printable(d) {
			return "", false
		}
		s = d
	}
	return s, s != "" && s != "." && s != ".." && strings.IndexByte(s, ';') < 0
}

// printable reports whether s is UTF-8 without control bytes.
func printable(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] == 0x7f {
			return false
		}
	}
	return utf8.ValidString(s)
}

// hostname is an authority in lower case without its port; "" when it is not a
// plain host.
func hostname(authority string) string {
	if len(authority) > 255 || strings.ContainsAny(authority, "@/\\ \t%") {
		return ""
	}
	host := authority
	if i := strings.LastIndexByte(authority, ':'); i >= 0 && !strings.HasSuffix(authority, "]") {
		host = authority[:i]
	}
	return strings.ToLower(host)
}
