//go:build !lean

package engine

import (
	"net/netip"
	"strings"
	"unicode/utf8"
)

// isAddress reports whether a text is one mail address, with or without a name
// (RFC 5322 section 3.4), as net/mail has it: that package opens files when it is
// linked. What an encoded word in a name says is not looked at.
func isAddress(text string) bool {
	p := mailReader{text}
	n, ok := p.address(true)
	return ok && n == 1 && p.comments() && p.s == ""
}

// A mailReader reads what is left of a text.
type mailReader struct{ s string }

// address reads an address, or when it may be a group the n addresses of one.
func (p *mailReader) address(group bool) (n int, ok bool) {
	p.space()
	start := p.s
	if p.spec() {
		p.space()
		return 1, !p.at('(') || p.comment()
	}
	p.s = start
	if !p.at('<') && !p.phrase() {
		return 0, false
	}
	p.space()
	if group && p.take(':') {
		return p.group()
	}
	return 1, p.take('<') && p.spec() && p.take('>')
}

func (p *mailReader) group() (n int, ok bool) {
	if p.space(); p.take(';') {
		return 0, p.comments()
	}
	for {
		one, ok := p.address(false)
		if !ok || !p.comments() {
			return n, false
		}
		n += one
		if p.take(';') {
			return n, p.comments()
		}
		if !p.take(',') {
			return n, false
		}
	}
}

// spec reads local@domain.
func (p *mailReader) spec() bool {
	p.space()
	quoted := p.at('"')
	if quoted && (strings.HasPrefix(p.s, `""`) || !p.quoted()) || !quoted && !p.atom(false) || !p.take('@') {
		return false
	}
	p.space()
	if !p.at('[') {
		return p.atom(false)
	}
	literal, rest, ok := strings.Cut(p.s[1:], "]")
	a, err := netip.ParseAddr(literal)
	p.s = rest
	return ok && err == nil && a.Zone() == ""
}

// phrase reads the words of a name.
func (p *mailReader) phrase() bool {
	for n := 0; ; n++ {
		if n > 0 && !p.comments() {
			return false
		}
		p.space()
		word := func() bool { return p.atom(true) }
		if p.at('"') {
			word = p.quoted
		}
		if !word() {
			return n > 0
		}
	}
}

// atom reads characters of names and dots; unless lax these stand between them.
func (p *mailReader) atom(lax bool) bool {
	i := 0
	for i < len(p.s) {
		r, n := utf8.DecodeRuneInString(p.s[i:])
		if r == utf8.RuneError && n == 1 {
			return false
		}
		if !isVisible(r) || strings.ContainsRune(`()<>[]:;@\,"`, r) {
			break
		}
		i += n
	}
	a := p.s[:i]
	p.s = p.s[i:]
	return a != "" && (lax || a[0] != '.' && a[i-1] != '.' && !strings.Contains(a, ".."))
}

func (p *mailReader) quoted() bool {
	escaped := false
	for i, r := range p.s[1:] {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(p.s[1+i:], "\ufffd"), !isVisible(r) && r != ' ' && r != '\t':
			return false
		case escaped:
			escaped = false
		case r == '"':
			p.s = p.s[2+i:]
			return true
		default:
			escaped = r == '\\'
		}
	}
	return false
}

// comments reads space and comments, and reports whether they end.
func (p *mailReader) comments() bool {
	for p.space(); p.at('('); p.space() {
		if !p.comment() {
			return false
		}
	}
	return true
}

func (p *mailReader) comment() bool {
	depth := 0
	for i := 0; i < len(p.s); i++ {
		switch p.s[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				p.s = p.s[i+1:]
				return true
			}
		}
	}
	return false
}

func (p *mailReader) space() { p.s = strings.TrimLeft(p.s, " \t") }

func (p *mailReader) at(c byte) bool { return p.s != "" && p.s[0] == c }

func (p *mailReader) take(c byte) bool {
	if !p.at(c) {
		return false
	}
	p.s = p.s[1:]
	return true
}

func isVisible(r rune) bool { return '!' <= r && r <= '~' || r >= utf8.RuneSelf }
