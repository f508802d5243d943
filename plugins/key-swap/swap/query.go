package swap

import "strings"

// withParameter returns path with one query parameter name=key: all others that
// a server could take for it are gone. It is false for a path that has no place
// for a query.
func withParameter(path, name string, key []byte) (string, bool) {
	if !strings.HasPrefix(path, "/") || strings.IndexByte(path, '#') >= 0 {
		return "", false
	}
	path, query, _ := strings.Cut(path, "?")
	var b strings.Builder
	b.WriteString(path)
	b.WriteByte('?')
	// Some servers split at semicolons too.
	for query != "" {
		end := strings.IndexAny(query, "&;")
		if end < 0 {
			end = len(query)
		}
		if part := query[:end]; part != "" && !means(part, name) {
			b.WriteString(part)
			b.WriteByte('&')
		}
		query = query[min(end+1, len(query)):]
	}
	b.WriteString(name)
	b.WriteByte('=')
	escape(&b, key)
	return b.String(), true
}

// means reports whether a part of a query is the parameter name, to any server:
// percent-encoded, in another case, or with the brackets of a list.
func means(part, name string) bool {
	given, _, _ := strings.Cut(part, "=")
	given = unescape(given)
	given, _, _ = strings.Cut(given, "[")
	return strings.EqualFold(strings.TrimSpace(given), name)
}

// unescape decodes what is percent-encoded and leaves the rest, as lenient
// servers do.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '+':
			b = append(b, ' ')
		case s[i] == '%' && i+2 < len(s) && unhex(s[i+1]) >= 0 && unhex(s[i+2]) >= 0:
			b = append(b, byte(unhex(s[i+1])<<4|unhex(s[i+2])))
			i += 2
		default:
			b = append(b, s[i])
		}
	}
	return string(b)
}

func unhex(c byte) int { return strings.IndexByte("0123456789abcdef", c|0x20) }

// escape percent-encodes all but the unreserved characters; RFC 3986 section 2.3.
func escape(b *strings.Builder, s []byte) {
	const hex = "0123456789ABCDEF"
	for _, c := range s {
		if '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z' || strings.IndexByte("-._~", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
}
