// Package redact takes a secret out of what an upstream answers: every byte of
// it, in every spelling, becomes a mask of the same length, so that nothing that
// counts bytes has to change.
//
// It is for honest upstreams that echo: an error text, a debug endpoint, a
// redirect. An upstream that wants to give a key away can always spell it in a
// way that nobody looks for.
package redact

import "bytes"

// A Matcher finds the spellings of one secret. It is immutable.
type Matcher struct {
	patterns [][]byte
	mask     byte // occurs in no spelling
	window   int  // length of the shortest spelling, at most maxWindow
	// shift is a Wu-Manber table: how far the window may move on when it ends in
	// these two bytes; 0: look closer. Text that has nothing of the secret is
	// passed in strides of nearly the window's length.
	shift [tableSize]uint8
}

const (
	tableSize = 1 << 12
	maxWindow = 256
)

// masks are tried in order; the first is in no base64, hex or UUID.
const masks = "*#xX0123456789abcdefghijklmnopqrstuvwyzABCDEFGHIJKLMNOPQRSTUVWYZ-_.~"

// New returns a matcher of secret, which must have 8 bytes or more.
func New(secret []byte) *Matcher {
	m := &Matcher{patterns: forms(secret), mask: masks[0], window: maxWindow}
	for _, p := range m.patterns {
		m.window = min(m.window, len(p))
	}
	for i := range m.shift {
		m.shift[i] = uint8(m.window - 1)
	}
	for _, p := range m.patterns {
		for i := 1; i < m.window; i++ {
			h := hash(p[i-1], p[i])
			m.shift[h] = min(m.shift[h], uint8(m.window-1-i))
		}
	}
	for i := range len(masks) {
		if !m.contain(masks[i]) {
			m.mask = masks[i]
			break
		}
	}
	return m
}

func (m *Matcher) contain(c byte) bool {
	for _, p := range m.patterns {
		if bytes.IndexByte(p, c) >= 0 {
			return true
		}
	}
	return false
}

func hash(a, b byte) int { return (int(a)<<5 ^ int(b)) & (tableSize - 1) }

// Mask masks the secret in b, a whole value, in place. It reports whether it was
// there.
func (m *Matcher) Mask(b []byte) bool {
	found := m.find(b, nil)
	m.cover(b, found)
	return len(found) > 0
}

// In reports whether the secret is in s.
func (m *Matcher) In(s string) bool { return len(m.find([]byte(s), nil)) > 0 }

// Open reports whether b ends in what may be the beginning of the secret.
func (m *Matcher) Open(b []byte) bool { return m.open(b) < len(b) }

// Zero overwrites the spellings. The matcher finds nothing afterwards.
func (m *Matcher) Zero() {
	for _, p := range m.patterns {
		clear(p)
	}
	m.patterns = nil
}

// A span is a part of a text, from its first byte to after its last.
type span struct{ from, to int }

// find appends the parts of b that are spellings of the secret, in order,
// overlapping ones as one. spans may hold one that begins at 0.
func (m *Matcher) find(b []byte, spans []span) []span {
	for end := m.window - 1; end < len(b); {
		if s := m.shift[hash(b[end-1], b[end])]; s > 0 {
			end += int(s)
			continue
		}
		start := end - m.window + 1
		for _, p := range m.patterns {
			if bytes.HasPrefix(b[start:], p) {
				spans = join(spans, span{start, start + len(p)})
			}
		}
		end++
	}
	return spans
}

// join appends s, which begins at or after the last span's beginning.
func join(spans []span, s span) []span {
	if n := len(spans); n > 0 && s.from <= spans[n-1].to {
		spans[n-1].to = max(spans[n-1].to, s.to)
		return spans
	}
	return append(spans, s)
}

func (m *Matcher) cover(b []byte, spans []span) {
	for _, s := range spans {
		for i := s.from; i < min(s.to, len(b)); i++ {
			b[i] = m.mask
		}
	}
}

// open is where the longest end of b begins that may be the beginning of a
// spelling; len(b) when there is none.
func (m *Matcher) open(b []byte) int {
	at := len(b)
	for _, p := range m.patterns {
		for i := max(0, len(b)-len(p)+1); i < at; i++ {
			next := bytes.IndexByte(b[i:at], p[0])
			if next < 0 {
				break
			}
			if i += next; bytes.HasPrefix(p, b[i:]) {
				at = i
			}
		}
	}
	return at
}
