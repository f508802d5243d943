package audit

import (
	"cmp"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// A stack is a Merkle tree that grows to the right: of what it has, only the
// hashes of whole subtrees, one for each bit of its size.
type stack struct {
	size  uint64
	whole []tlog.Hash // largest first
}

func (s *stack) add(leaf tlog.Hash) {
	s.whole = append(s.whole, leaf)
	for n := s.size; n&1 == 1; n >>= 1 {
		k := len(s.whole) - 2
		s.whole[k] = tlog.NodeHash(s.whole[k], s.whole[k+1])
		s.whole = s.whole[:k+1]
	}
	s.size++
}

// root is the hash of the whole tree, which must not be empty; RFC 6962 section
// 2.1.
func (s *stack) root() tlog.Hash {
	h := s.whole[len(s.whole)-1]
	for i := len(s.whole) - 2; i >= 0; i-- {
		h = tlog.NodeHash(s.whole[i], h)
	}
	return h
}

func sortStates(list []signedState) {
	slices.SortStableFunc(list, func(a, b signedState) int { return cmp.Compare(a.Size, b.Size) })
}
