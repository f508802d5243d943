package engine

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
)

// ErrProgram reports bytes that are no program this version can run.
var ErrProgram = errors.New("not a valid policy program")

// maxConstDepth bounds how deep a constant nests.
const maxConstDepth = 512

// A decoder reads a program. The first thing that is wrong makes it fail for
// good, and everything read afterwards is empty.
type decoder struct {
	s       string
	pos     int
	failed  bool
	strings []string
}

func decodeImage(b []byte) (m Image, digest []byte, err error) {
	if len(b) < headerBytes || string(b[:len(programMagic)]) != programMagic || b[len(programMagic)] != programVersion {
		return Image{}, nil, ErrProgram
	}
	digest = b[headerBytes-digestBytes : headerBytes]
	if sum := sha256.Sum256(b[headerBytes:]); string(sum[:digestBytes]) != string(digest) {
		return Image{}, nil, ErrProgram
	}
	d := decoder{s: string(b[headerBytes:])}
	d.strings = make([]string, d.count(1))
	for i := range d.strings {
		n := d.count(1)
		d.strings[i] = d.s[d.pos : d.pos+n]
		d.pos += n
	}
	m = d.image()
	if d.failed || d.pos != len(d.s) {
		return Image{}, nil, ErrProgram
	}
	return m, digest, nil
}

func (d *decoder) fail() {
	d.failed = true
	d.pos = len(d.s)
}

func (d *decoder) byte() byte {
	if d.pos >= len(d.s) {
		d.fail()
		return 0
	}
	d.pos++
	return d.s[d.pos-1]
}

func (d *decoder) uint() uint64 {
	var n uint64
	for shift := 0; shift < 7*binary.MaxVarintLen64; shift += 7 {
		c := d.byte()
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
	d.fail()
	return 0
}

func (d *decoder) int() int32 {
	u := d.uint()
	n := int64(u>>1) ^ -int64(u&1)
	if n < math.MinInt32 || n > math.MaxInt32 {
		d.fail()
		return 0
	}
	return int32(n)
}

// count reads how many things of at least size bytes follow.
func (d *decoder) count(size int) int {
	n := d.uint()
	if n > uint64((len(d.s)-d.pos)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) string() string {
	i := d.uint()
	if i >= uint64(len(d.strings)) {
		d.fail()
		return ""
	}
	return d.strings[i]
}

func (d *decoder) image() (m Image) {
	m.Consts = make([]Value, d.count(1))
	for i := range m.Consts {
		m.Consts[i] = d.value(0)
	}
	m.Data = d.value(0)
	m.Files = make([]string, d.count(1))
	for i := range m.Files {
		m.Files[i] = d.string()
	}
	m.Rules = make([]RuleRef, d.count(3))
	for i := range m.Rules {
		m.Rules[i] = RuleRef{File: d.int(), Row: d.int(), Title: d.string()}
	}
	m.Builtins = make([]BuiltinRef, d.count(2))
	for i := range m.Builtins {
		m.Builtins[i] = BuiltinRef{Name: d.string(), Arity: d.int()}
	}
	m.Funcs = make([]Function, d.count(6))
	start := int32(0)
	for i := range m.Funcs {
		f := &m.Funcs[i]
		if n := d.count(1); n > 0 {
			f.Path = make([]string, n)
			for j := range f.Path {
				f.Path[j] = d.string()
			}
		}
		n := d.int()
		if n < 0 || n > math.MaxInt32-start {
			d.fail()
		}
		f.Start, f.End = start, start+n
		start = f.End
		f.Params, f.Regs, f.Slots, f.Decide = d.int(), d.int(), d.int(), d.int()
	}
	m.Entrypoints = make([]EntrypointRef, d.count(3))
	for i := range m.Entrypoints {
		m.Entrypoints[i] = EntrypointRef{Name: d.string(), Func: d.int(), Decide: d.int()}
	}
	m.Operands = make([]int32, d.count(1))
	for i := range m.Operands {
		m.Operands[i] = d.int()
	}
	d.code(&m)
	return m
}

func (d *decoder) code(m *Image) {
	m.Code = make([]Instr, d.count(1))
	for pc := range m.Code {
		in := &m.Code[pc]
		if in.Op = Op(d.byte()); in.Op >= opCount {
			d.fail()
			return
		}
		s := &shapes[in.Op]
		in.A = d.field(s.a, pc)
		in.B = d.field(s.b, pc)
		in.C = d.field(s.c, pc)
		in.T = d.field(s.t, pc)
	}
	m.Locs = make([]Loc, 0, len(m.Code))
	for len(m.Locs) < len(m.Code) && !d.failed {
		n := d.uint()
		l := Loc{File: d.int(), Row: d.int()}
		if n == 0 || n > uint64(len(m.Code)-len(m.Locs)) {
			d.fail()
			return
		}
		for range n {
			m.Locs = append(m.Locs, l)
		}
	}
}

func (d *decoder) field(f field, pc int) int32 {
	switch f {
	case unused:
		return 0
	case target:
		n := int64(d.int()) + int64(pc)
		if n != int64(int32(n)) {
			d.fail()
			return 0
		}
		return int32(n)
	default:
		return d.int()
	}
}

func (d *decoder) value(depth int) Value {
	if depth > maxConstDepth {
		d.fail()
		return Value{}
	}
	switch Kind(d.byte()) {
	case KindNull:
		return Null
	case KindBool:
		return Bool(d.byte() == 1)
	case KindNumber:
		v, err := Number(d.string())
		if err != nil {
			d.fail()
		}
		return v
	case KindString:
		return String(d.string())
	case KindArray:
		return newArray(d.values(depth))
	case KindSet:
		elems := d.values(depth)
		for i := 1; i < len(elems); i++ {
			if Compare(elems[i-1], elems[i]) >= 0 {
				d.fail()
			}
		}
		return newSet(elems)
	case KindObject:
		members := make([]Member, d.count(2))
		for i := range members {
			members[i] = Member{Key: d.value(depth + 1), Value: d.value(depth + 1)}
			if i > 0 && Compare(members[i-1].Key, members[i].Key) >= 0 {
				d.fail()
			}
		}
		return newObject(members)
	default:
		d.fail()
		return Value{}
	}
}

func (d *decoder) values(depth int) []Value {
	elems := make([]Value, d.count(1))
	for i := range elems {
		elems[i] = d.value(depth + 1)
	}
	return elems
}
