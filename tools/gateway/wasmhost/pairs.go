package wasmhost

import (
	"encoding/binary"
	"errors"
)

// A header map crosses the ABI as: count; per pair the sizes of name and value;
// then per pair name, NUL, value, NUL. Numbers are 32-bit little-endian.

var errPairs = errors.New("malformed header map")

// pairsSize is how many bytes list takes.
func pairsSize(list [][2]string) int {
	n := 4
	for _, p := range list {
		n += 8 + len(p[0]) + 1 + len(p[1]) + 1
	}
	return n
}

// putPairs writes list to b, which has pairsSize bytes.
func putPairs(b []byte, list [][2]string) {
	binary.LittleEndian.PutUint32(b, uint32(len(list)))
	sizes, data := b[4:], b[4+8*len(list):]
	for _, p := range list {
		for _, s := range p {
			binary.LittleEndian.PutUint32(sizes, uint32(len(s)))
			sizes = sizes[4:]
			copy(data, s)
			data[len(s)] = 0
			data = data[len(s)+1:]
		}
	}
}

// getPairs reads a header map; nothing at all is an empty one.
func getPairs(b []byte) ([][2]string, error) {
	if len(b) == 0 {
		return nil, nil
	}
	if len(b) < 4 {
		return nil, errPairs
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	if n*8 > uint64(len(b)-4) {
		return nil, errPairs
	}
	sizes, data := b[4:], b[4+8*n:]
	list := make([][2]string, n)
	for i := range list {
		for j := range 2 {
			size := uint64(binary.LittleEndian.Uint32(sizes))
			sizes = sizes[4:]
			if size >= uint64(len(data)) || data[size] != 0 {
				return nil, errPairs
			}
			list[i][j] = string(data[:size])
			data = data[size+1:]
		}
	}
	if len(data) != 0 {
		return nil, errPairs
	}
	return list, nil
}
