package chain

import (
	"slices"
	"strings"
)

// Headers is an ordered header map. Names are in lower case, duplicates are
// kept, pseudo-headers (":path") are among the rest. The zero value is empty.
type Headers struct{ list [][2]string }

// NewHeaders returns a map of its own with these headers, in this order.
func NewHeaders(list ...[2]string) *Headers {
	return &Headers{list: slices.Clone(list)}
}

// Len is the number of headers, duplicates counted.
func (h *Headers) Len() int { return len(h.list) }

// Pairs are all headers in order. The caller must not change them, and they are
// valid until the map is changed.
func (h *Headers) Pairs() [][2]string { return h.list }

// Get returns the values of every header of this name, joined with a comma.
func (h *Headers) Get(name string) (value string, found bool) {
	for _, p := range h.list {
		switch {
		case p[0] != name:
		case !found:
			value, found = p[1], true
		default:
			value += "," + p[1]
		}
	}
	return value, found
}

// Add appends a header.
func (h *Headers) Add(name, value string) {
	h.list = append(h.list, [2]string{name, value})
}

// Set leaves exactly one header of this name, at the place of the first.
func (h *Headers) Set(name, value string) {
	first := slices.IndexFunc(h.list, func(p [2]string) bool { return p[0] == name })
	if first < 0 {
		h.Add(name, value)
		return
	}
	h.list[first][1] = value
	rest := slices.DeleteFunc(h.list[first+1:], func(p [2]string) bool { return p[0] == name })
	h.list = h.list[:first+1+len(rest)]
}

// Remove removes every header of this name.
func (h *Headers) Remove(name string) {
	h.list = slices.DeleteFunc(h.list, func(p [2]string) bool { return p[0] == name })
}

// Replace puts list in place of all headers.
func (h *Headers) Replace(list [][2]string) { h.list = slices.Clone(list) }

// validName reports whether name may stand in an HTTP/2 header block
// (RFC 9113, section 8.2.1): a lower-case token, or a pseudo-header.
func validName(name string) bool {
	token := strings.TrimPrefix(name, ":")
	if token == "" {
		return false
	}
	for i := range len(token) {
		c := token[i]
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' {
			continue
		}
		if strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return true
}

// validValue reports whether value can't end its header line early.
func validValue(value string) bool {
	return !strings.ContainsAny(value, "\r\n\x00")
}
