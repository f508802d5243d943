package audit

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"keyward/manager/store"
)

// step is between two levels of the tree that are kept: a proof reads at most
// 1<<step hashes for each of its own.
const step = 8

// hashes is what a tree reads; [store.Store] has it.
type hashes interface {
	LogHashes(ctx context.Context, from uint64, n int) ([][32]byte, error)
	LogNodes(ctx context.Context, level int, from uint64, n int) ([][32]byte, error)
}

// A tree reads hashes of the log's Merkle tree. Inner ones that nobody has kept
// yet are made from those below, and remembered in made.
type tree struct {
	ctx  context.Context
	src  hashes
	made map[[2]uint64]tlog.Hash // level and number, of kept levels
}

func newTree(ctx context.Context, src hashes) *tree {
	return &tree{ctx: ctx, src: src, made: map[[2]uint64]tlog.Hash{}}
}

// ReadHashes is for [tlog.HashReader].
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		level, n := tlog.SplitStoredHashIndex(x)
		h, err := t.node(level, uint64(n))
		if err != nil {
			return nil, err
		}
		list[i] = h
	}
	return list, nil
}

// node is the hash over the entries [n<<level, (n+1)<<level).
func (t *tree) node(level int, n uint64) (tlog.Hash, error) {
	base := level / step * step
	below, err := t.row(base, n<<(level-base), 1<<(level-base))
	if err != nil {
		return tlog.Hash{}, err
	}
	return fold(below), nil
}

// row is count hashes of a kept level.
func (t *tree) row(level int, from uint64, count int) ([]tlog.Hash, error) {
	var kept [][32]byte
	var err error
	if level == 0 {
		kept, err = t.src.LogHashes(t.ctx, from, count)
	} else {
		kept, err = t.src.LogNodes(t.ctx, level, from, count)
	}
	if err != nil {
		return nil, err
	}
	list := make([]tlog.Hash, 0, count)
	for _, h := range kept {
		list = append(list, h)
	}
	for n := from + uint64(len(list)); len(list) < count; n++ {
		key := [2]uint64{uint64(level), n}
		h, ok := t.made[key]
		if !ok {
			below, err := t.row(level-step, n<<step, 1<<step)
			if err != nil {
				return nil, err
			}
			h = fold(below)
			t.made[key] = h
		}
		list = append(list, h)
	}
	return list, nil
}

// nodes are the hashes that had to be made.
func (t *tree) nodes() []store.LogNode {
	list := make([]store.LogNode, 0, len(t.made))
	for key, h := range t.made {
		list = append(list, store.LogNode{Level: int(key[0]), Number: key[1], Hash: h})
	}
	return list
}

// fold is the hash over a power of two of hashes.
func fold(list []tlog.Hash) tlog.Hash {
	for len(list) > 1 {
		up := make([]tlog.Hash, len(list)/2)
		for i := range up {
			up[i] = tlog.NodeHash(list[2*i], list[2*i+1])
		}
		list = up
	}
	return list[0]
}

// root is the hash over the first size entries.
func (t *tree) root(size uint64) (tlog.Hash, error) {
	h, err := tlog.TreeHash(int64(size), t)
	if err != nil {
		return h, fmt.Errorf("audit: tree of %d entries: %w", size, err)
	}
	return h, nil
}
