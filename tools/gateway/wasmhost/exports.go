package wasmhost

import (
	"encoding/binary"
	"errors"
)

var errModule = errors.New("not a wasm module")

// exportNames returns the names in a module's export section in their order,
// which decides about the ABI version (WebAssembly core, 5.5.10).
func exportNames(module []byte) ([]string, error) {
	const header = "\x00asm\x01\x00\x00\x00"
	if len(module) < len(header) || string(module[:len(header)]) != header {
		return nil, errModule
	}
	r := wasmReader{module[len(header):], nil}
	for len(r.b) > 0 && r.err == nil {
		const exportSection = 7
		id := r.byte()
		section := r.bytes(r.uint())
		if id == exportSection && r.err == nil {
			return readExports(section)
		}
	}
	return nil, r.err
}

func readExports(section []byte) ([]string, error) {
	r := wasmReader{section, nil}
	var names []string
	for n := r.uint(); n > 0 && r.err == nil; n-- {
		names = append(names, string(r.bytes(r.uint())))
		r.byte() // kind
		r.uint() // index
	}
	return names, r.err
}

// A wasmReader reads the binary format; after an error it reads zeros.
type wasmReader struct {
	b   []byte
	err error
}

func (r *wasmReader) fail() { r.b, r.err = nil, errModule }

func (r *wasmReader) byte() byte {
	if len(r.b) == 0 {
		r.fail()
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

// uint reads an unsigned LEB128.
func (r *wasmReader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *wasmReader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}
