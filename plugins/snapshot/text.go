package snapshot

import (
	"crypto/sha256"
	"slices"
	"strings"
)

// ValidID reports whether s has the form of every ID in a snapshot:
// [a-z0-9][a-z0-9._-]{0,127}.
func ValidID(s string) bool {
	if s == "" || len(s) > MaxIDBytes || !isAlphanumeric(s[0]) {
		return false
	}
	return all(s, func(c byte) bool { return isAlphanumeric(c) || c == '.' || c == '_' || c == '-' })
}

func isAlphanumeric(c byte) bool { return 'a' <= c && c <= 'z' || '0' <= c && c <= '9' }

func all(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

// printable reports whether s is visible ASCII without spaces.
func printable(s string) bool { return all(s, func(c byte) bool { return ' ' < c && c < 0x7f }) }

func hasControl(s string) bool {
	return !all(s, func(c byte) bool { return c >= ' ' && c != 0x7f })
}

// validHost takes names, IPv4 addresses and bracketed IPv6 addresses as they
// stand in an authority, in lower case.
func validHost(s string) bool {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return ok && inner != "" && all(inner, func(c byte) bool {
			return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || c == ':' || c == '.'
		})
	}
	return s != "" && len(s) <= MaxHostBytes && s[0] != '.' && s[len(s)-1] != '.' && !strings.Contains(s, "..") &&
		all(s, func(c byte) bool { return isAlphanumeric(c) || c == '.' || c == '_' || c == '-' })
}

// validPath takes "/" and paths that every reader splits into the same segments.
func validPath(s string) bool {
	if s == "/" {
		return true
	}
	if s == "" || s[0] != '/' || !all(s, isPathByte) {
		return false
	}
	for segment := range strings.SplitSeq(s[1:], "/") {
		if segment == "" || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

// isPathByte takes pchar of RFC 3986 section 3.3 and the slash, without the
// percent sign and the semicolon, which some readers act on.
func isPathByte(c byte) bool {
	return isAlphanumeric(c) || 'A' <= c && c <= 'Z' || strings.IndexByte("/-._~!$&'()*+,=:@", c) >= 0
}

func validMethod(s string) bool {
	return s != "" && all(s, func(c byte) bool { return 'A' <= c && c <= 'Z' || c == '-' })
}

// Digest decodes the SHA-256 of a [Token].
func Digest(s string) (d [sha256.Size]byte, ok bool) { return digest(s) }

// digest decodes 64 lower-case hex digits. It does without encoding/hex, whose
// errors bring package fmt into a plugin.
func digest(s string) (d [sha256.Size]byte, ok bool) {
	if len(s) != 2*len(d) {
		return d, false
	}
	for i := range d {
		hi, lo := hexDigit(s[2*i]), hexDigit(s[2*i+1])
		if hi < 0 || lo < 0 {
			return d, false
		}
		d[i] = byte(hi<<4 | lo)
	}
	return d, true
}

func hexDigit(c byte) int { return strings.IndexByte("0123456789abcdef", c) }

// isToken takes the characters of a header name, lower case; RFC 9110 section
// 5.6.2.
func isToken(c byte) bool { return isAlphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 }

// reserved are the headers that frame or route a message, so that no credential
// may take their place; RFC 9110 sections 7.2 and 7.6.1, RFC 9112.
var reserved = []string{
	"connection", "content-encoding", "content-length", "content-type", "expect", "host", "keep-alive",
	"proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}

func validHeader(s string) bool {
	return s != "" && all(s, isToken) && !slices.Contains(reserved, strings.ReplaceAll(s, "_", "-")) && !strings.HasPrefix(s, "x-envoy-")
}

func isQueryName(c byte) bool {
	return isAlphanumeric(c) || 'A' <= c && c <= 'Z' || strings.IndexByte("._-~", c) >= 0
}
