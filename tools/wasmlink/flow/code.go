package flow

import (
	"errors"
)

// The opcodes that are told apart (WebAssembly core, section 5.4).
const (
	opUnreachable  = 0x00
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opElse         = 0x05
	opEnd          = 0x0b
	opBr           = 0x0c
	opBrIf         = 0x0d
	opBrTable      = 0x0e
	opReturn       = 0x0f
	opCall         = 0x10
	opCallIndirect = 0x11
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opI32Const     = 0x41
	opI64Const     = 0x42
	opI32Eqz       = 0x45
	opI32Sub       = 0x6b

	void    = 0x40
	typeI32 = 0x7f
)

var errCode = errors.New("code that is not known")

// An instruction is one of a function's body. Its value is that of its first
// immediate: a label, an index, a constant.
type instruction struct {
	op     byte
	value  int64
	offset uint32   // of loads and stores
	labels []uint32 // of br_table, the default last
	raw    []byte
}

// A cursor reads instructions. After the first error it returns ends.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) fail() {
	c.b, c.err = nil, errCode
}

func (c *cursor) byte() byte {
	if len(c.b) == 0 {
		c.fail()
		return opEnd
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) unsigned() uint32 {
	var v uint64
	for shift := 0; shift <= 28; shift += 7 {
		b := c.byte()
		v |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if v > 1<<32-1 {
				break
			}
			return uint32(v)
		}
	}
	c.fail()
	return 0
}

func (c *cursor) signed() int64 {
	var v int64
	for shift := 0; shift <= 63; shift += 7 {
		b := c.byte()
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if shift < 57 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	c.fail()
	return 0
}

func (c *cursor) skip(n int) {
	if n > len(c.b) {
		c.fail()
		return
	}
	c.b = c.b[n:]
}

// next reads one instruction: those of WebAssembly 1.0, and of what came later
// sign extension, saturating conversion, and copying and filling memory.
func (c *cursor) next() instruction {
	start := c.b
	i := instruction{op: c.byte()}
	switch op := i.op; {
	case op == opBlock || op == opLoop || op == opIf:
		i.value = int64(c.byte())
		if i.value < void {
			c.fail() // a type by its index
		}
	case op <= 0x01 || op == opElse || op == opEnd || op == opReturn || op == 0x1a || op == 0x1b || 0x45 <= op && op <= 0xc4:
	case op == opBr || op == opBrIf || op == opCall || opLocalGet <= op && op <= 0x24:
		i.value = int64(c.unsigned())
	case op == opBrTable:
		n := c.unsigned()
		for k := uint64(0); k <= uint64(n) && c.err == nil; k++ {
			i.labels = append(i.labels, c.unsigned())
		}
	case op == opCallIndirect || opLoads <= op && op <= opStoresEnd:
		i.value = int64(c.unsigned())
		i.offset = c.unsigned()
	case op == 0x3f || op == 0x40:
		c.skip(1)
	case op == opI32Const || op == opI64Const:
		i.value = c.signed()
	case op == 0x43:
		c.skip(4)
	case op == 0x44:
		c.skip(8)
	case op == opBulk:
		i.value = int64(c.unsigned())
		switch {
		case i.value < 8:
		case i.value == bulkCopy:
			c.skip(2)
		case i.value == bulkFill:
			c.skip(1)
		default:
			c.fail()
		}
	default:
		c.fail()
	}
	if c.err != nil {
		return instruction{op: opEnd}
	}
	i.raw = start[:len(start)-len(c.b)]
	return i
}
