package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
)

// The Go runtime's table of functions, as runtime.pcHeader and runtime._func
// describe it (Go 1.20 to 1.26). Numbers are little-endian; addresses have 8
// bytes on wasm.
var pcMagic = []byte{0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8}

const (
	pcHeaderSize = 72
	funcSize     = 44 // without the places of its tables
	unsafePoint  = 0  // the table that only asynchronous preemption reads, which wasm has not
)

// What stands in place of a function's name: the runtime takes names apart when
// a method is called through a nil pointer, and asks whether a goroutine is its
// own.
const (
	otherName   = "go.f"
	ownName     = "runtime.f"
	methodName  = "go.(*T).f"
	ownMethName = "runtime.(*T).f"
)

// kept are names that the runtime compares.
var kept = map[string]bool{"reflect.makeFuncStub": true, "reflect.methodValueCall": true}

var errSymbols = errors.New("the function table of the Go runtime is not in the known form")

// withSymbols calls do with the table in a module's memory, if there is one: other
// modules than the Go toolchain's have none.
func withSymbols(image []byte, do func(*symbols) error) (err error) {
	at := bytes.Index(image, pcMagic)
	if at < 0 {
		return nil
	}
	defer func() {
		if recover() != nil { // an index beyond the image
			err = errSymbols
		}
	}()
	t := &symbols{b: image[at:]}
	t.funcs = t.u64(8)
	for i, part := range []*uint64{&t.names, &t.units, &t.files, &t.tables, &t.end} {
		*part = t.u64(uint64(32 + 8*i))
	}
	if t.names < pcHeaderSize || t.units < t.names || t.files < t.units || t.tables < t.files || t.end < t.tables ||
		t.end > uint64(len(t.b)) || t.funcs > uint64(len(t.b))/funcSize {
		return errSymbols
	}
	return do(t)
}

// dropSymbols takes out of a module's memory what only tracebacks show: names,
// files and lines, a tenth of a plugin. The module before linking still has
// them.
func dropSymbols(image []byte) error { return withSymbols(image, (*symbols).drop) }

// symbols is a function table; its parts follow each other.
type symbols struct {
	b                                []byte
	names, units, files, tables, end uint64 // where parts begin
	funcs                            uint64 // how many
}

func (t *symbols) u32(at uint64) uint32      { return binary.LittleEndian.Uint32(t.b[at:]) }
func (t *symbols) u64(at uint64) uint64      { return binary.LittleEndian.Uint64(t.b[at:]) }
func (t *symbols) set(at uint64, v uint32)   { binary.LittleEndian.PutUint32(t.b[at:], v) }
func (t *symbols) function(i uint64) uint64  { return t.end + uint64(t.u32(t.end+8*i+4)) }
func (t *symbols) name(offset uint32) string { return text0(t.b[t.names+uint64(offset) : t.units]) }

// text0 is a string up to its zero byte.
func text0(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

func (t *symbols) drop() error {
	needed := make([]bool, t.end) // bytes of tables, by place
	names := []byte{0}
	places := map[string]uint32{}
	for i := range t.funcs {
		f := t.function(i)
		// Of pcsp, pcfile and pcln the first is needed: the size of frames.
		t.need(needed, t.u32(f+16))
		t.set(f+20, 0)
		t.set(f+24, 0)
		for table := range uint64(t.u32(f + 28)) {
			if place := f + funcSize + 4*table; table == unsafePoint {
				t.set(place, 0)
			} else {
				t.need(needed, t.u32(place))
			}
		}
		name := plain(t.name(t.u32(f + 4)))
		if places[name] == 0 {
			places[name] = uint32(len(names))
			names = append(append(names, name...), 0)
		}
		t.set(f+4, places[name])
	}
	if uint64(len(names)) > t.units-t.names {
		return errSymbols
	}
	clear(t.b[t.names:t.tables])
	copy(t.b[t.names:], names)
	for at := t.tables; at < t.end; at++ {
		if !needed[at] {
			t.b[at] = 0
		}
	}
	return nil
}

// plain is what is shown in place of a name.
func plain(name string) string {
	own, method := strings.HasPrefix(name, "runtime."), strings.Contains(name, ".(*")
	switch {
	case kept[name]:
		return name
	case own && method:
		return ownMethName
	case own:
		return ownName
	case method:
		return methodName
	default:
		return otherName
	}
}

// need marks one table: pairs of numbers up to one that begins with zero, which
// the first may.
func (t *symbols) need(needed []bool, offset uint32) {
	if offset == 0 {
		return
	}
	at := t.tables + uint64(offset)
	for first := true; first || t.b[at] != 0; first = false {
		for range 2 {
			for t.b[at]&0x80 != 0 {
				needed[at] = true
				at++
			}
			needed[at] = true
			at++
		}
	}
	needed[at] = true
}
