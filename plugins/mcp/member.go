package mcp

import (
	"unicode"
	"unicode/utf8"
)

// Member names that the protocol defines, by level. A member that is none of
// them but looks like one is refused: some decoders match names without regard
// to case, or to _ and -, and would read what the policy never saw.
var (
	messageMembers = []string{"jsonrpc", "id", "method", "params", "result", "error"}
	paramsMembers  = []string{
		"name", "arguments", "_meta", "uri", "cursor", "ref", "taskId", "task", "inputResponses",
		"requestState", "protocolVersion", "capabilities", "clientInfo",
	}
	listMembers = []string{"tools", "nextCursor", "ttlMs", "cacheScope", "resultType", "_meta"}
	toolMembers = []string{"name", "title", "description", "inputSchema", "outputSchema", "annotations", "_meta"}
	metaMembers = []string{metaRevision, metaPrefix + "clientInfo", metaPrefix + "clientCapabilities", "progressToken"}
)

const (
	metaPrefix   = "io.modelcontextprotocol/"
	metaRevision = metaPrefix + "protocolVersion"
)

// variant reports whether name is one of members in another spelling.
func variant(name string, members []string) bool {
	for _, m := range members {
		if name == m {
			return false
		}
	}
	for _, m := range members {
		if sameFolded(name, m) {
			return true
		}
	}
	return false
}

// sameFolded compares a with the ASCII name b under simple Unicode case folding
// and without _ and -: the loosest matching of decoders in use.
func sameFolded(a, b string) bool {
	for {
		var c, d rune
		c, a = folded(a)
		d, b = folded(b)
		if c != d {
			return false
		}
		if c == end {
			return true
		}
	}
}

// end is what folded returns when nothing is left.
const end rune = -1

// folded returns the first rune of s that counts, in lower case, and what
// follows it.
func folded(s string) (rune, string) {
	for s != "" {
		c, n := utf8.DecodeRuneInString(s)
		s = s[n:]
		if c != '_' && c != '-' {
			return lower(c), s
		}
	}
	return end, ""
}

// lower returns the lower-case ASCII letter that c folds to, if it does to one:
// the Kelvin sign is a k, too.
func lower(c rune) rune {
	if c < utf8.RuneSelf {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		return c
	}
	for f := unicode.SimpleFold(c); f != c; f = unicode.SimpleFold(f) {
		if 'a' <= f && f <= 'z' {
			return f
		}
	}
	return c
}
