package flow

import "keyward/tools/wasmlink/leb"

// A function is one of the Go compiler's: nodes of code, and a dispatcher in
// front of them that goes to the node which its only parameter names.
type function struct {
	locals   []byte // the declarations
	scratch  uint32 // index of the first local beyond them
	nodes    []node
	table    []int  // node by PC_B
	recovers int    // node where it goes on after a recovered panic; 0: none
	unwinds  bool   // some call may end it in the middle
	spare    uint32 // locals from scratch on that are used
}

// A node is code between two places that can be jumped to.
type node struct {
	pieces  []piece
	falls   bool // its end is reached, and the next node follows
	resumed bool // a goroutine may go on here
}

// A piece is some instructions as they are, or one way out of a node.
type piece struct {
	kind  kind
	raw   []byte
	to    int // node; of jumps
	depth int // explicit blocks around it
}

type kind uint8

const (
	plain  kind = iota
	jump        // to another node
	jumpIf      // likewise, if what is on the stack is not 0
	unwind      // out of the function, which returns 1
	unwindIf
)

// What a label of the code stands for.
type mark int

const (
	markLocal mark = -1 - iota
	markFunction
	markUnwind
	markDispatch // the loop around the dispatcher
	// from 0: the block whose end a node begins at
)

// prologue copies the stack pointer into a local; a function that does not begin
// so is not of the usual form.
var prologue = [...]byte{opGlobalGet, 0, opLocalSet, 1}

// parse reads a function body, without its size. It fails for what the Go compiler
// would not have written like that.
func parse(body []byte, facts Facts) (*function, error) {
	c := &cursor{b: body}
	f := &function{scratch: 1}
	for n := c.unsigned(); n > 0 && c.err == nil; n-- {
		f.scratch += c.unsigned()
		c.byte()
	}
	f.locals = body[:len(body)-len(c.b)]
	for _, want := range prologue {
		if c.byte() != want {
			return nil, errCode
		}
	}
	marks, err := f.dispatcher(c)
	if err != nil {
		return nil, err
	}
	return f, f.read(c, marks, facts)
}

// dispatcher reads what leads to the first node.
func (f *function) dispatcher(c *cursor) ([]mark, error) {
	tail := c.b
	marks := []mark{markFunction}
	blocks, looped := 0, false
	i := c.next()
	for ; i.op == opBlock || i.op == opLoop && !looped && blocks <= 1; i = c.next() {
		if i.value != void {
			return nil, errCode
		}
		if i.op == opLoop {
			looped = true
			if f.unwinds = blocks == 1; f.unwinds {
				marks = append(marks, markUnwind)
			}
			marks, blocks = append(marks, markDispatch), 0
			continue
		}
		blocks++
	}
	table := c.next()
	if i.op != opLocalGet || i.value != 0 || table.op != opBrTable || c.next().op != opEnd || c.err != nil {
		return nil, errCode
	}
	most := uint32(0)
	for _, l := range table.labels {
		most = max(most, l)
		f.table = append(f.table, int(l))
	}
	n := int(most) + 1
	if !looped && blocks == n+1 {
		f.unwinds, marks, blocks = true, append(marks, markUnwind), n
	}
	if blocks != n || n > len(tail) {
		return nil, errCode
	}
	f.nodes = make([]node, n)
	for k := n - 1; k > 0; k-- {
		marks = append(marks, mark(k))
	}
	return marks, nil
}

// read reads the nodes. The last one ends with the dispatcher's loop, or with the
// function.
func (f *function) read(c *cursor, marks []mark, facts Facts) error {
	outer := len(marks) // labels that are not explicit
	at := 0
	n := &f.nodes[0]
	n.falls = true
	var before []instruction // since the last piece that is not plain
	flush := func(keep int, condition bool) {
		var raw []byte
		for _, i := range f.shorten(before[:keep], condition) {
			raw = append(raw, f.instead(i)...)
		}
		if len(raw) > 0 {
			n.pieces = append(n.pieces, piece{raw: raw})
		}
		before = before[:0]
	}
	returns, ends := -1, false // where the last call comes back, a node; if it does
	for {
		i := c.next()
		if c.err != nil {
			return c.err
		}
		depth := len(marks) - outer
		switch i.op {
		case opBlock, opLoop, opIf:
			marks = append(marks, markLocal)
		case opEnd:
			m := marks[len(marks)-1]
			marks = marks[:len(marks)-1]
			if m == markLocal {
				break
			}
			if depth != 0 {
				return errCode
			}
			outer--
			flush(len(before), false)
			if m < 0 {
				return f.finish(c, m, marks, facts.DeferReturn)
			}
			if k := len(n.pieces); n.falls && k > 0 && n.pieces[k-1].kind == unwindIf && n.pieces[k-1].depth == 0 {
				if returns != at+1 {
					return errCode
				}
				f.nodes[at+1].resumed = true
				if ends {
					n.falls = false
					n.pieces = append(n.pieces, piece{raw: []byte{opUnreachable}})
				}
			}
			if at++; at != int(m) {
				return errCode
			}
			n = &f.nodes[at]
			n.falls, returns = true, -1
			continue
		case opI64Const:
			if i.value>>16 == int64(facts.Number) {
				place := int(i.value & 0xffff)
				if place >= len(f.table) {
					return errCode
				}
				returns = f.table[place]
			}
		case opCall:
			ends = facts.Ends != nil && facts.Ends(uint32(i.value))
		case opCallIndirect:
			ends = false
		case opBr, opBrIf:
			target := mark(markLocal)
			if k := len(marks) - 1 - int(i.value); k < 0 {
				return errCode
			} else {
				target = marks[k]
			}
			switch {
			case target == markLocal:
			case target == markUnwind:
				flush(len(before), i.op == opBrIf)
				p := piece{kind: unwind, depth: depth}
				if i.op == opBrIf {
					p.kind = unwindIf
				}
				n.pieces = append(n.pieces, p)
				n.falls = n.falls && (i.op == opBrIf || depth > 0)
				continue
			case target == markDispatch && i.op == opBr:
				k := len(before)
				if k < 2 || before[k-1].op != opLocalSet || before[k-1].value != 0 || before[k-2].op != opI32Const {
					return errCode
				}
				place := before[k-2].value
				if place < 0 || place >= int64(len(f.table)) {
					return errCode
				}
				p := piece{kind: jump, to: f.table[place], depth: depth}
				if k >= 3 && before[k-3].op == opIf && len(c.b) > 0 && c.b[0] == opEnd {
					c.byte()
					marks = marks[:len(marks)-1]
					p.kind, p.depth = jumpIf, depth-1
					k--
				}
				flush(k-2, p.kind == jumpIf)
				n.pieces = append(n.pieces, p)
				n.falls = n.falls && (p.kind == jumpIf || p.depth > 0)
				continue
			default:
				return errCode
			}
		case opBrTable:
			return errCode
		case opReturn, opUnreachable:
			n.falls = n.falls && depth > 0
		}
		before = append(before, i)
	}
}

// instead is i as it is written: code that uses the function's parameter as a
// place of its own gets another local for that.
func (f *function) instead(i instruction) []byte {
	if i.value != 0 || i.op < opLocalGet || i.op > opLocalTee {
		return i.raw
	}
	f.spare = max(f.spare, 1)
	return leb.AppendUnsigned([]byte{i.op}, f.scratch)
}

// finish reads what is behind the last node, which ended the label m.
func (f *function) finish(c *cursor, m mark, marks []mark, deferReturn uint32) error {
	last := &f.nodes[len(f.nodes)-1]
	if m == markDispatch {
		if c.byte() != opUnreachable {
			return errCode
		}
		last.pieces = append(last.pieces, piece{raw: []byte{opUnreachable}})
		if m = marks[len(marks)-1]; c.byte() != opEnd {
			return errCode
		}
	}
	last.falls = false
	if m == markUnwind && (c.byte() != opI32Const || c.byte() != 1 || c.byte() != opEnd) {
		return errCode
	}
	if c.err != nil || len(c.b) > 0 || int(deferReturn) >= len(f.table) {
		return errCode
	}
	f.nodes[0].resumed = true
	if deferReturn > 0 {
		f.recovers = f.table[deferReturn]
		f.nodes[f.recovers].resumed = true
	}
	return nil
}
