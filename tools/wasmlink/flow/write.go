package flow

import "keyward/tools/wasmlink/leb"

// A writer writes a function with its loops as loops.
type writer struct {
	f      *function
	out    []byte
	labels []label // open ones
}

// A label is a block that ends where a node begins, or a loop that begins there.
type label struct {
	node int
	loop bool
	far  bool // a loop with a dispatcher of its own
}

const (
	labelUnwind = -1
	labelOther  = -2
)

// write is the body of f again, without its size.
func (f *function) write(root *region) []byte {
	w := &writer{f: f}
	w.declare()
	w.out = append(w.out, prologue[:]...)
	if f.unwinds {
		w.open(opBlock, label{node: labelUnwind})
	}
	w.region(root, -1)
	w.out = append(w.out, opUnreachable)
	if f.unwinds {
		w.close()
		w.out = append(w.out, opI32Const, 1)
	}
	w.out = append(w.out, opEnd)
	return w.out
}

// declare writes the locals, with those that are new.
func (w *writer) declare() {
	c := &cursor{b: w.f.locals}
	groups := c.unsigned()
	if w.f.spare == 0 {
		w.out = append(w.out, w.f.locals...)
		return
	}
	w.out = append(leb.AppendUnsigned(w.out, groups+1), c.b...)
	w.out = append(leb.AppendUnsigned(w.out, w.f.spare), typeI32)
}

func (w *writer) open(op byte, l label) {
	w.out = append(w.out, op, void)
	w.labels = append(w.labels, l)
}

func (w *writer) close() {
	w.out = append(w.out, opEnd)
	w.labels = w.labels[:len(w.labels)-1]
}

// region writes a region. follow is the node that is written next after it; -1:
// none is.
func (w *writer) region(r *region, follow int) {
	place := map[int]int{} // of the item that a node is in
	for k, it := range r.items {
		it.each(func(n int) { place[n] = k })
	}
	targets := w.targets(r, place)
	dispatches := false
	for n, k := range place {
		dispatches = dispatches || k > 0 && w.f.nodes[n].resumed
	}
	if r.head >= 0 {
		w.open(opLoop, label{r.head, true, dispatches})
	}
	for k := len(r.items) - 1; k > 0; k-- {
		if targets[k] {
			w.open(opBlock, label{node: r.items[k].node})
		}
	}
	if dispatches {
		w.dispatch(r, place)
	}
	for k, it := range r.items {
		if k > 0 && targets[k] {
			w.close()
		}
		next := follow
		if k+1 < len(r.items) {
			next = r.items[k+1].node
		}
		if it.loop != nil {
			w.region(it.loop, next)
		} else {
			w.node(it.node, next)
		}
	}
	if r.head >= 0 {
		w.close()
	}
}

// each calls do for every node of an item.
func (it item) each(do func(int)) {
	if it.loop == nil {
		do(it.node)
		return
	}
	for _, in := range it.loop.items {
		in.each(do)
	}
}

// targets are the items that something jumps to.
func (w *writer) targets(r *region, place map[int]int) []bool {
	targets := make([]bool, len(r.items))
	for n, k := range place {
		targets[k] = targets[k] || w.f.nodes[n].resumed
		for _, p := range w.f.nodes[n].pieces {
			if to, ok := place[p.to]; ok && (p.kind == jump || p.kind == jumpIf) {
				targets[to] = true
			}
		}
		if to, ok := place[n+1]; ok && w.f.nodes[n].falls {
			targets[to] = true
		}
	}
	return targets
}

// dispatch goes to the item in which a goroutine goes on; in the usual case, when
// there is none, to the first one.
func (w *writer) dispatch(r *region, place map[int]int) {
	w.open(opBlock, label{node: labelOther})
	w.out = append(w.out, opLocalGet, 0, opI32Eqz, opBrIf, 0)
	from, to := -1, 0
	for at, n := range w.f.table {
		if _, ok := place[n]; ok && w.f.nodes[n].resumed {
			if from < 0 {
				from = at
			}
			to = at + 1
		}
	}
	root := r.head < 0
	if root {
		w.open(opBlock, label{node: labelOther}) // for places where nobody can go on
	}
	w.out = append(w.out, opLocalGet, 0)
	if from > 0 {
		w.out = leb.AppendSigned(append(w.out, opI32Const), int64(from))
		w.out = append(w.out, opI32Sub)
	}
	w.out = leb.AppendUnsigned(append(w.out, opBrTable), uint32(to-from))
	for _, n := range w.f.table[from:to] {
		k, ok := place[n]
		switch {
		case !ok || !w.f.nodes[n].resumed:
			w.out = append(w.out, 0)
		case k == 0 && root:
			w.out = append(w.out, 1)
		case k == 0:
			w.out = append(w.out, 0)
		default:
			w.out = leb.AppendUnsigned(w.out, w.depth(r.items[k].node))
		}
	}
	w.out = append(w.out, 0)
	if root {
		w.close()
		w.out = append(w.out, opUnreachable)
	}
	w.close()
}

func (w *writer) depth(node int) uint32 {
	for k := len(w.labels) - 1; k >= 0; k-- {
		if w.labels[k].node == node {
			return uint32(len(w.labels) - 1 - k)
		}
	}
	panic("no label for a node")
}

func (w *writer) node(n, next int) {
	for _, p := range w.f.nodes[n].pieces {
		switch p.kind {
		case plain:
			w.out = append(w.out, p.raw...)
		case jump:
			w.jump(p.to, p.depth)
		case jumpIf:
			w.jumpIf(p.to, p.depth)
		case unwind:
			w.out = leb.AppendUnsigned(append(w.out, opBr), w.depth(labelUnwind)+uint32(p.depth))
		case unwindIf:
			w.out = leb.AppendUnsigned(append(w.out, opBrIf), w.depth(labelUnwind)+uint32(p.depth))
		}
	}
	if w.f.nodes[n].falls && n+1 != next {
		w.jump(n+1, 0)
	}
}

// jump goes to a node through depth explicit blocks. On the way back to the
// beginning of a loop nothing is left of where a goroutine went on.
func (w *writer) jump(to, depth int) {
	d := w.depth(to)
	if w.labels[len(w.labels)-1-int(d)].far {
		w.out = append(w.out, opI32Const, 0, opLocalSet, 0)
	}
	w.out = leb.AppendUnsigned(append(w.out, opBr), d+uint32(depth))
}

func (w *writer) jumpIf(to, depth int) {
	d := w.depth(to)
	if w.labels[len(w.labels)-1-int(d)].far {
		w.out = append(w.out, opIf, void)
		w.jump(to, depth+1)
		w.out = append(w.out, opEnd)
		return
	}
	w.out = leb.AppendUnsigned(append(w.out, opBrIf), d+uint32(depth))
}
