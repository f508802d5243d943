package flow

import (
	"slices"

	"keyward/tools/wasmlink/leb"
)

// More opcodes.
const (
	opI64Load    = 0x29
	opLoads      = 0x28 // from here
	opStores     = 0x36 // from here
	opStoresEnd  = 0x3e
	opI64Eqz     = 0x50
	opI32Add     = 0x6a
	opI64Add     = 0x7c
	opWrap       = 0xa7 // i32.wrap_i64
	opExtend     = 0xad // i64.extend_i32_u
	opBulk       = 0xfc
	bulkCopy     = 10
	bulkFill     = 11
	mostUnrolled = 128 // bytes that are copied or cleared one by one: a host takes longer for a call
)

// A shortener writes instructions anew in fewer, or cheaper ones. What it knows of
// WebAssembly's stack is what they have put there themselves.
type shortener struct {
	f     *function
	out   []instruction
	stack []operand
}

// An operand is a value on the stack.
type operand struct {
	at    int // where in out its instructions begin
	kind  operandKind
	value int64 // of a constant, or what is added to the stack pointer
}

type operandKind uint8

const (
	anything operandKind = iota
	constant
	pointer32 // the stack pointer with something added, as an address
	pointer64 // likewise, as Go's pointer
)

// shorten returns the same instructions in another form. condition: the last value
// is asked for zero or not alone.
func (f *function) shorten(list []instruction, condition bool) []instruction {
	s := &shortener{f: f}
	for _, i := range list {
		s.add(i)
	}
	if condition {
		s.negations()
	}
	return s.out
}

func (s *shortener) add(i instruction) {
	switch op := i.op; {
	case op == opLocalGet || op == opGlobalGet:
		o := operand{at: len(s.out)}
		if op == opLocalGet && i.value == 1 {
			o.kind = pointer32
		}
		s.out, s.stack = append(s.out, i), append(s.stack, o)
	case op == opI32Const || op == opI64Const:
		s.stack = append(s.stack, operand{len(s.out), constant, i.value})
		s.out = append(s.out, i)
	case opLoads <= op && op < opStores:
		s.load(i)
	case opStores <= op && op <= opStoresEnd:
		s.store(i)
	case op == opI64Eqz && s.last() == opExtend:
		s.out[len(s.out)-1] = simple(opI32Eqz)
		s.push(1, anything, 0)
	case op == opWrap && s.last() == opExtend && s.top(0).kind != pointer64:
		s.out = s.out[:len(s.out)-1]
	case takesOne(op):
		s.unary(i)
	case takesTwo(op):
		s.binary(i)
	case op == opLocalSet || op == 0x24 || op == 0x1a: // set, global.set, drop
		s.pop(1)
		s.out = append(s.out, i)
	case op == opLocalTee:
		s.out = append(s.out, i)
		s.push(1, anything, 0)
	case op == opBulk:
		s.bulk(i)
	default:
		if op == opIf || op == opBrIf {
			s.negations()
		}
		s.out, s.stack = append(s.out, i), s.stack[:0]
	}
}

func simple(op byte) instruction { return instruction{op: op, raw: []byte{op}} }

func numbered(op byte, value int64) instruction {
	i := instruction{op: op, value: value}
	if op == opI32Const || op == opI64Const {
		i.raw = leb.AppendSigned([]byte{op}, value)
	} else {
		i.raw = leb.AppendUnsigned([]byte{op}, uint32(value))
	}
	return i
}

// access is a load or store; value is the exponent of its alignment.
func access(op byte, align int64, offset uint32) instruction {
	return instruction{op: op, value: align, offset: offset, raw: leb.AppendUnsigned(leb.AppendUnsigned([]byte{op}, uint32(align)), offset)}
}

func (s *shortener) last() byte {
	if len(s.out) == 0 {
		return opEnd
	}
	return s.out[len(s.out)-1].op
}

// top is the n-th operand from the top.
func (s *shortener) top(n int) operand {
	if n >= len(s.stack) {
		return operand{at: -1}
	}
	return s.stack[len(s.stack)-1-n]
}

// pop takes n operands and returns the lowest; its place is -1 where it was put
// on the stack before.
func (s *shortener) pop(n int) operand {
	if n > len(s.stack) {
		s.stack = s.stack[:0]
		return operand{at: -1}
	}
	o := s.top(n - 1)
	s.stack = s.stack[:len(s.stack)-n]
	return o
}

// push puts the result of the last n operands in their place.
func (s *shortener) push(n int, kind operandKind, value int64) {
	if o := s.pop(n); o.at >= 0 {
		s.stack = append(s.stack, operand{o.at, kind, value})
	}
}

// negations drops two of them in front of what asks for zero or not alone.
func (s *shortener) negations() {
	for n := len(s.out); n >= 2 && s.out[n-1].op == opI32Eqz && s.out[n-2].op == opI32Eqz; n = len(s.out) {
		s.out = s.out[:n-2]
	}
}

func (s *shortener) unary(i instruction) {
	switch o := s.top(0); {
	case i.op == opExtend && o.kind == pointer32:
		s.out = append(s.out, i)
		s.push(1, pointer64, o.value)
	case i.op == opWrap && o.kind == pointer64 && s.address(o.at, len(s.out)):
		s.out = append(s.out[:o.at], numbered(opLocalGet, 1))
		if o.value != 0 {
			s.out = append(s.out, numbered(opI32Const, o.value), simple(opI32Add))
		}
		s.push(1, pointer32, o.value)
	default:
		s.out = append(s.out, i)
		s.push(1, anything, 0)
	}
}

func (s *shortener) binary(i instruction) {
	a, b := s.top(1), s.top(0)
	s.out = append(s.out, i)
	if i.op == opI64Add && a.kind == pointer64 && b.kind == constant && foldable(a.value+b.value) {
		s.push(2, pointer64, a.value+b.value)
		return
	}
	s.push(2, anything, 0)
}

// address reports whether instructions do no more than to reckon an address from
// the stack pointer, so that they may be left out.
func (s *shortener) address(from, to int) bool {
	return !slices.ContainsFunc(s.out[from:to], func(i instruction) bool {
		switch i.op {
		case opI32Const, opI64Const, opExtend, opI64Add, opI32Add:
			return false
		}
		return i.op != opLocalGet || i.value != 1
	})
}

// foldable reports whether a distance from the stack pointer can be an offset of
// a load or store: no frame is larger, and so no sum wraps around.
func foldable(distance int64) bool { return 0 <= distance && distance < 1<<20 }

func (s *shortener) load(i instruction) {
	if o := s.top(0); o.kind == pointer32 && o.value > 0 && s.address(o.at, len(s.out)) {
		s.out = append(s.out[:o.at], numbered(opLocalGet, 1))
		i = access(i.op, i.value, i.offset+uint32(o.value))
	}
	s.out = append(s.out, i)
	s.push(1, anything, 0)
}

func (s *shortener) store(i instruction) {
	if o, v := s.top(1), s.top(0); o.kind == pointer32 && o.value > 0 && s.address(o.at, v.at) {
		s.out = slices.Replace(s.out, o.at, v.at, numbered(opLocalGet, 1))
		i = access(i.op, i.value, i.offset+uint32(o.value))
	}
	s.pop(2)
	s.out = append(s.out, i)
}

// bulk unrolls a copy or a clearing of few bytes.
func (s *shortener) bulk(i instruction) {
	switch size := s.top(0); {
	case i.value < bulkCopy: // a conversion
		s.out = append(s.out, i)
		s.push(1, anything, 0)
		return
	case size.kind != constant || size.value <= 0 || size.value > mostUnrolled || size.at != len(s.out)-1 || !s.steady(s.top(2).at):
		s.out = append(s.out, i)
	case i.value == bulkCopy:
		s.copy(s.top(2), s.top(1), size)
	case s.top(1).kind == constant && s.top(1).value == 0 && s.top(1).at == size.at-1:
		s.clear(s.top(2), size)
	default:
		s.out = append(s.out, i)
	}
	s.pop(3)
}

// steady reports whether the instructions from a place on leave alone the locals
// that an unrolled copy needs.
func (s *shortener) steady(from int) bool {
	return from >= 0 && !slices.ContainsFunc(s.out[from:], func(i instruction) bool {
		return (i.op == opLocalSet || i.op == opLocalTee) && (i.value == 1 || i.value > int64(s.f.scratch))
	})
}

func (s *shortener) copy(to, from, size operand) {
	source := slices.Clone(s.out[from.at:size.at])
	s.out = s.out[:from.at]
	to = s.base(to, s.f.scratch+1)
	from.at = len(s.out)
	s.out = append(s.out, source...)
	from = s.base(from, s.f.scratch+2)
	for _, p := range parts(size.value) {
		s.out = append(s.out, numbered(opLocalGet, int64(to.at)), numbered(opLocalGet, int64(from.at)),
			access(p.load, 0, uint32(from.value+p.at)), access(p.store, 0, uint32(to.value+p.at)))
	}
}

func (s *shortener) clear(to, size operand) {
	s.out = s.out[:size.at-1]
	to = s.base(to, s.f.scratch+1)
	for _, p := range parts(size.value) {
		zero := numbered(opI32Const, 0)
		if p.load == opI64Load {
			zero = numbered(opI64Const, 0)
		}
		s.out = append(s.out, numbered(opLocalGet, int64(to.at)), zero, access(p.store, 0, uint32(to.value+p.at)))
	}
}

// base keeps the last operand of out in a local; of the result the place is the
// local. What is counted from the stack pointer needs none.
func (s *shortener) base(o operand, local uint32) operand {
	if o.kind == pointer32 && s.address(o.at, len(s.out)) {
		s.out = s.out[:o.at]
		return operand{at: 1, value: o.value}
	}
	s.f.spare = max(s.f.spare, local-s.f.scratch+1)
	s.out = append(s.out, numbered(opLocalSet, int64(local)))
	return operand{at: int(local)} // a place and nothing added
}

// A part is some bytes of a copy.
type part struct {
	at          int64
	load, store byte
}

func parts(n int64) (list []part) {
	for at := int64(0); at < n; {
		switch rest := n - at; {
		case rest >= 8:
			list, at = append(list, part{at, opI64Load, 0x37}), at+8
		case rest >= 4:
			list, at = append(list, part{at, 0x28, 0x36}), at+4
		case rest >= 2:
			list, at = append(list, part{at, 0x2f, 0x3b}), at+2
		default:
			list, at = append(list, part{at, 0x2d, 0x3a}), at+1
		}
	}
	return list
}

// takesOne and takesTwo are the numeric instructions by what they take.
func takesOne(op byte) bool {
	switch {
	case op == 0x45, op == 0x50, 0x67 <= op && op <= 0x69, 0x79 <= op && op <= 0x7b,
		0x8b <= op && op <= 0x91, 0x99 <= op && op <= 0x9f, 0xa7 <= op && op <= 0xc4:
		return true
	}
	return false
}

func takesTwo(op byte) bool { return 0x46 <= op && op <= 0xa6 && !takesOne(op) }
