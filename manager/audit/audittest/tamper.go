// Package audittest makes keepers of logs, and changes exports of a log as somebody
// would who wants to hide something, for tests and benchmarks.
package audittest

import (
	"bytes"
	"math/rand/v2"
)

// Tamper returns export with one random change, and what it was: one byte
// edited, one line dropped, two lines swapped, or the end cut off.
func Tamper(r *rand.Rand, export []byte) (changed []byte, what string) {
	for {
		switch r.IntN(4) {
		case 0:
			changed, what = edit(r, export), "edit"
		case 1:
			changed, what = drop(r, export), "drop"
		case 2:
			changed, what = swap(r, export), "swap"
		default:
			changed, what = bytes.Clone(export[:r.IntN(len(export))]), "truncate"
		}
		if !bytes.Equal(changed, export) {
			return changed, what
		}
	}
}

func edit(r *rand.Rand, export []byte) []byte {
	b := bytes.Clone(export)
	b[r.IntN(len(b))] = byte(r.UintN(256))
	return b
}

func drop(r *rand.Rand, export []byte) []byte {
	from, to := line(r, export)
	return append(bytes.Clone(export[:from]), export[to:]...)
}

func swap(r *rand.Rand, export []byte) []byte {
	a, b := line(r, export)
	c, d := line(r, export)
	if a > c {
		a, b, c, d = c, d, a, b
	}
	if a == c {
		return export
	}
	return bytes.Join([][]byte{export[:a], export[c:d], export[b:c], export[a:b], export[d:]}, nil)
}

// line picks a line, with its end.
func line(r *rand.Rand, export []byte) (from, to int) {
	at := r.IntN(len(export))
	from = bytes.LastIndexByte(export[:at], '\n') + 1
	return from, at + bytes.IndexByte(export[at:], '\n') + 1
}
