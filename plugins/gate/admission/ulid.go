package admission

import (
	"encoding/binary"
	"math/rand/v2"
)

// ids makes decision IDs: ULIDs whose random half is 40 bits that name the VM
// and 40 bits that count within it, so that IDs sort by time and two VMs never
// make the same one but by a chance of 2^-40. They need not be hard to guess, so
// the runtime's generator will do: crypto/rand adds 200 KB to a plugin.
type ids struct {
	vm  [5]byte
	seq uint64
}

func newIDs() *ids {
	var random [8]byte
	binary.BigEndian.PutUint64(random[:], rand.Uint64())
	return &ids{vm: [5]byte(random[:5])}
}

// crockford is the ULID alphabet.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// next is a new ID; now is in Unix nanoseconds.
func (i *ids) next(now int64) string {
	i.seq++
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:8], uint64(now/1e6)<<16) // 48 bits of milliseconds
	copy(raw[6:11], i.vm[:])
	for k, shift := 11, 32; k < 16; k, shift = k+1, shift-8 {
		raw[k] = byte(i.seq >> shift)
	}
	hi, lo := binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])
	var out [26]byte
	for k := 25; k >= 0; k-- {
		out[k] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}
