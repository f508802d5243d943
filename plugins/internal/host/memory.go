package host

import "unsafe"

// memory is where a host puts what it returns. It is handed out from chunks,
// each byte once, so that what was returned may be kept for as long as anyone
// refers to it: the garbage collector frees a chunk as a whole. Allocating every
// value by itself was a tenth of what a request cost.
var memory arena

const (
	chunkBytes = 8 << 10
	chunkPairs = 128
)

type arena struct {
	free  []byte      // the rest of a chunk
	pairs [][2]string // likewise, for headers
	last  []byte      // what the host was given last, in the call that runs

	brief *scratch // to use first; nil: none
}

// A scratch is memory that is used again in every callback, so that it stays in
// the CPU's caches. What does not fit comes from chunks.
type scratch struct {
	bytes [2 * chunkBytes]byte
	pairs [chunkPairs][2]string

	usedBytes, usedPairs int
}

// brief has what streams return that no plugin keeps beyond a callback.
var brief scratch

// callback is called as one for a stream begins.
func callback() { brief.usedBytes, brief.usedPairs = 0, 0 }

// allocate gives the host size bytes.
func (a *arena) allocate(size uint32) *byte {
	n := max(int(size), 1) // a host may ask for nothing, and wants an address
	if s := a.brief; s != nil && n <= len(s.bytes)-s.usedBytes {
		from := s.usedBytes
		s.usedBytes += n
		a.last = s.bytes[from:s.usedBytes:s.usedBytes]
		return &a.last[0]
	}
	if n > chunkBytes/4 {
		a.last = make([]byte, n)
		return &a.last[0]
	}
	if n > len(a.free) {
		a.free = make([]byte, chunkBytes)
	}
	a.last, a.free = a.free[:n:n], a.free[n:]
	return &a.last[0]
}

// headers gives n pairs.
func (a *arena) headers(n int) [][2]string {
	if s := a.brief; s != nil && n <= len(s.pairs)-s.usedPairs {
		from := s.usedPairs
		s.usedPairs += n
		return s.pairs[from:s.usedPairs:s.usedPairs]
	}
	if n > chunkPairs/2 {
		return make([][2]string, n)
	}
	if n > len(a.pairs) {
		a.pairs = make([][2]string, chunkPairs)
	}
	list := a.pairs[:n:n]
	a.pairs = a.pairs[n:]
	return list
}

// slot is where a host says what it has returned. It is no variable of the
// caller's: a stack can move while the host asks for memory.
var slot struct{ data, size, version uint32 }

// expect is called before the host returns something: in a scratch, where there is
// one and room in it.
func expect(in *scratch) {
	slot.data, slot.size, slot.version = 0, 0, 0
	memory.last, memory.brief = nil, in
}

// returned is what the host has returned; nil for nothing at all. It fails
// unless that is in the memory which the host was given for it.
func returned(s status) ([]byte, error) {
	if s != done {
		return nil, s.err()
	}
	last := memory.last
	memory.last = nil
	if slot.data == 0 && slot.size == 0 {
		return nil, nil
	}
	if len(last) == 0 || slot.data != address(&last[0]) || uint64(slot.size) > uint64(len(last)) {
		return nil, errHost
	}
	return last[:slot.size:slot.size], nil
}

func address(b *byte) uint32 { return uint32(uintptr(unsafe.Pointer(b))) }

// first is the address of b's bytes and their number; nil for none.
func first(b []byte) (*byte, uint32) { return unsafe.SliceData(b), uint32(len(b)) }

func text(s string) (*byte, uint32) { return unsafe.StringData(s), uint32(len(s)) }
