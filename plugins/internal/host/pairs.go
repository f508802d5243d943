package host

import (
	"encoding/binary"
	"errors"
	"unsafe"
)

// Headers travel as one block of bytes: their number, the sizes of each name
// and value, then each name and value with a zero byte behind it.

var errPairs = errors.New("the host's headers are not in their form")

// readPairs reads headers. They share memory with b, which nobody may change
// from here on.
func readPairs(b []byte) ([][2]string, error) {
	if len(b) < 4 {
		return nil, errPairs
	}
	n := uint64(binary.LittleEndian.Uint32(b))
	sizes := b[4:]
	if n > uint64(len(sizes)/8) {
		return nil, errPairs
	}
	list := memory.headers(int(n))
	rest := sizes[8*n:]
	for i := range list {
		name, value := binary.LittleEndian.Uint32(sizes), binary.LittleEndian.Uint32(sizes[4:])
		sizes = sizes[8:]
		size := uint64(name) + uint64(value) + 2
		if size > uint64(len(rest)) {
			return nil, errPairs
		}
		all := unsafe.String(unsafe.SliceData(rest), int(size))
		list[i] = [2]string{all[:name], all[name+1 : size-1]}
		rest = rest[size:]
	}
	return list, nil
}

// appendPairs writes headers.
func appendPairs(b []byte, list [][2]string) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(len(list)))
	for _, h := range list {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(h[0])))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(h[1])))
	}
	for _, h := range list {
		b = append(append(b, h[0]...), 0)
		b = append(append(b, h[1]...), 0)
	}
	return b
}
