package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// A program is: magic, format version, digest of the rest, the rest.
const (
	programMagic   = "KWRP"
	programVersion = 2
	digestBytes    = 16
	headerBytes    = len(programMagic) + 1 + digestBytes
)

// Encode returns m as a program for [Load]. The same image gives the same
// bytes. It fails when Load would refuse the result.
func (m *Image) Encode() ([]byte, error) {
	if len(m.Locs) != len(m.Code) {
		return nil, errors.New("image: not one location for each instruction")
	}
	e := encoder{strings: map[string]uint64{}}
	e.image(m)
	// Strings come first in the program, but are known last.
	text := e.text()
	body := append(text, e.b...)
	out := make([]byte, 0, headerBytes+len(body))
	out = append(out, programMagic...)
	out = append(out, programVersion)
	sum := sha256.Sum256(body)
	out = append(out, sum[:digestBytes]...)
	out = append(out, body...)
	if _, err := Load(out); err != nil {
		return nil, err
	}
	return out, nil
}

type encoder struct {
	b       []byte
	strings map[string]uint64
	list    []string
}

func (e *encoder) uint(n uint64) { e.b = binary.AppendUvarint(e.b, n) }
func (e *encoder) int(n int32)   { e.b = binary.AppendVarint(e.b, int64(n)) }

func (e *encoder) string(s string) {
	i, ok := e.strings[s]
	if !ok {
		i = uint64(len(e.list))
		e.strings[s] = i
		e.list = append(e.list, s)
	}
	e.uint(i)
}

func (e *encoder) text() []byte {
	b := binary.AppendUvarint(nil, uint64(len(e.list)))
	for _, s := range e.list {
		b = binary.AppendUvarint(b, uint64(len(s)))
		b = append(b, s...)
	}
	return b
}

func (e *encoder) image(m *Image) {
	e.uint(uint64(len(m.Consts)))
	for _, v := range m.Consts {
		e.value(v)
	}
	e.value(m.Data)
	e.uint(uint64(len(m.Files)))
	for _, s := range m.Files {
		e.string(s)
	}
	e.uint(uint64(len(m.Rules)))
	for _, r := range m.Rules {
		e.int(r.File)
		e.int(r.Row)
		e.string(r.Title)
	}
	e.uint(uint64(len(m.Builtins)))
	for _, b := range m.Builtins {
		e.string(b.Name)
		e.int(b.Arity)
	}
	e.uint(uint64(len(m.Funcs)))
	for _, f := range m.Funcs {
		e.uint(uint64(len(f.Path)))
		for _, s := range f.Path {
			e.string(s)
		}
		for _, n := range []int32{f.End - f.Start, f.Params, f.Regs, f.Slots, f.Decide} {
			e.int(n)
		}
	}
	e.uint(uint64(len(m.Entrypoints)))
	for _, p := range m.Entrypoints {
		e.string(p.Name)
		e.int(p.Func)
		e.int(p.Decide)
	}
	e.uint(uint64(len(m.Operands)))
	for _, n := range m.Operands {
		e.int(n)
	}
	e.code(m)
}

func (e *encoder) code(m *Image) {
	e.uint(uint64(len(m.Code)))
	for pc, in := range m.Code {
		e.b = append(e.b, byte(in.Op))
		if in.Op >= opCount {
			continue // Load refuses it
		}
		s := shapes[in.Op]
		for _, f := range []struct {
			kind field
			n    int32
		}{{s.a, in.A}, {s.b, in.B}, {s.c, in.C}, {s.t, in.T}} {
			switch f.kind {
			case unused:
			case target:
				e.int(f.n - int32(pc))
			default:
				e.int(f.n)
			}
		}
	}
	for i := 0; i < len(m.Locs); { // runs of one place
		n := i
		for n < len(m.Locs) && m.Locs[n] == m.Locs[i] {
			n++
		}
		e.uint(uint64(n - i))
		e.int(m.Locs[i].File)
		e.int(m.Locs[i].Row)
		i = n
	}
}

func (e *encoder) value(v Value) {
	e.b = append(e.b, byte(v.Kind()))
	switch v.Kind() {
	case KindBool:
		t, _ := v.Bool()
		e.b = append(e.b, map[bool]byte{false: 0, true: 1}[t])
	case KindNumber:
		e.string(v.Text())
	case KindString:
		e.string(v.str())
	case KindArray, KindSet:
		e.uint(uint64(v.Len()))
		for _, x := range v.elems() {
			e.value(x)
		}
	case KindObject:
		e.uint(uint64(v.Len()))
		for _, x := range v.members() {
			e.value(x.Key)
			e.value(x.Value)
		}
	}
}
