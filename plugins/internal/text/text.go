// Package text searches in what comes from upstreams.
package text

import "bytes"

// window is how far [First] looks for one byte before it looks for the other,
// in bytes.
const window = 64

// First is where in b the first of two bytes is; len(b): neither is there. It costs
// what comes before that, and a window at the most: a text full of one byte, with
// the other far away or nowhere, is not searched to its end each time.
func First(b []byte, one, other byte) int {
	for at := 0; at < len(b); at += window {
		w := b[at:min(at+window, len(b))]
		n := bytes.IndexByte(w, one)
		if n >= 0 {
			w = w[:n]
		}
		if m := bytes.IndexByte(w, other); m >= 0 {
			return at + m
		}
		if n >= 0 {
			return at + n
		}
	}
	return len(b)
}
