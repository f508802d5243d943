package flow

import "slices"

// A region is a loop, or with no head of its own all of a function: what stands
// in it, in the order in which it is written. Every way between its items goes
// forward, and every way back to its head.
type region struct {
	head  int // node
	items []item
}

// An item is a node, or a loop by its head.
type item struct {
	node int
	loop *region // nil: none
}

// regions finds the loops of a function. It fails for one that can be entered in
// the middle, but by a goroutine that goes on there.
func (f *function) regions() (*region, error) {
	g := newGraph(f)
	root := &region{head: -1}
	inner := make([]*region, len(f.nodes)) // innermost loop by node
	parents := map[*region]*region{}
	heads := map[int]*region{}
	for i := range inner {
		inner[i] = root
	}
	// In post-order an outer loop's head comes after the inner ones', so go the
	// other way: inner loops overwrite outer ones.
	for _, h := range g.order {
		body, err := g.loop(h)
		if err != nil {
			return nil, err
		}
		if body == nil {
			continue
		}
		r := &region{head: h}
		heads[h], parents[r] = r, inner[h]
		for _, n := range body {
			inner[n] = r
		}
	}
	g.arrange(root, inner, parents, heads)
	return root, nil
}

// A graph is the ways between the nodes that can be reached from the first.
type graph struct {
	next, before [][]int
	falls        []bool
	order        []int // reverse post-order
	place        []int // of a node in order; -1: not reached
	dominator    []int // immediate
}

func newGraph(f *function) *graph {
	n := len(f.nodes)
	g := &graph{next: make([][]int, n), before: make([][]int, n), falls: make([]bool, n), place: make([]int, n), dominator: make([]int, n)}
	for i := range f.nodes {
		g.falls[i] = f.nodes[i].falls
		if f.nodes[i].falls {
			g.next[i] = append(g.next[i], i+1)
		}
		for _, p := range f.nodes[i].pieces {
			if (p.kind == jump || p.kind == jumpIf) && !slices.Contains(g.next[i], p.to) {
				g.next[i] = append(g.next[i], p.to)
			}
		}
		g.dominator[i] = -1
	}
	if g.number(); g.place[f.recovers] < 0 { // a function that always panics
		g.next[0] = append(g.next[0], f.recovers)
		g.number()
	}
	for _, i := range g.order {
		for _, t := range g.next[i] {
			g.before[t] = append(g.before[t], i)
		}
	}
	g.dominate()
	return g
}

// number fills order and place by a depth-first walk.
func (g *graph) number() {
	type step struct{ node, next int }
	seen := make([]bool, len(g.next))
	seen[0] = true
	g.order = nil
	for i := range g.place {
		g.place[i] = -1
	}
	for stack := []step{{0, 0}}; len(stack) > 0; {
		s := &stack[len(stack)-1]
		if s.next == len(g.next[s.node]) {
			g.order = append(g.order, s.node)
			stack = stack[:len(stack)-1]
			continue
		}
		t := g.next[s.node][s.next]
		s.next++
		if !seen[t] {
			seen[t] = true
			stack = append(stack, step{t, 0})
		}
	}
	slices.Reverse(g.order)
	for k, i := range g.order {
		g.place[i] = k
	}
}

// dominate finds dominators: Cooper, Harvey, Kennedy, "A Simple, Fast Dominance
// Algorithm".
func (g *graph) dominate() {
	g.dominator[0] = 0
	for changed := true; changed; {
		changed = false
		for _, i := range g.order[1:] {
			d := -1
			for _, b := range g.before[i] {
				switch {
				case g.dominator[b] < 0:
				case d < 0:
					d = b
				default:
					d = g.common(d, b)
				}
			}
			if d != g.dominator[i] {
				g.dominator[i], changed = d, true
			}
		}
	}
}

func (g *graph) common(a, b int) int {
	for a != b {
		for g.place[a] > g.place[b] {
			a = g.dominator[a]
		}
		for g.place[b] > g.place[a] {
			b = g.dominator[b]
		}
	}
	return a
}

func (g *graph) dominates(a, b int) bool {
	for g.place[b] > g.place[a] {
		b = g.dominator[b]
	}
	return a == b
}

// loop is the natural loop with this head; nil: it is none's.
func (g *graph) loop(head int) ([]int, error) {
	var body []int
	seen := map[int]bool{head: true}
	for _, b := range g.before[head] {
		if g.place[b] < g.place[head] {
			continue
		}
		if !g.dominates(head, b) {
			return nil, errCode
		}
		if len(body) == 0 {
			body = append(body, head)
		}
		if !seen[b] {
			seen[b] = true
			body = append(body, b)
		}
	}
	for k := 1; k < len(body); k++ {
		for _, b := range g.before[body[k]] {
			if !seen[b] {
				seen[b] = true
				body = append(body, b)
			}
		}
	}
	return body, nil
}

// arrange fills the items of every region, each after all that leads to it: what
// follows without a jump next, else what stood first.
func (g *graph) arrange(root *region, inner []*region, parents map[*region]*region, heads map[int]*region) {
	// within is the item of r that node n is in; false: it is outside of r.
	within := func(r *region, n int) (int, bool) {
		at := n
		for in := inner[n]; in != r; in = parents[in] {
			if in == nil || in == root {
				return 0, false
			}
			at = in.head
		}
		return at, true
	}
	members := map[*region][]int{}
	for _, i := range g.order {
		r := inner[i]
		if r.head == i {
			members[parents[r]] = append(members[parents[r]], i)
		}
		members[r] = append(members[r], i)
	}
	for r, list := range members {
		waits := map[int]int{} // ways to an item that have not been written
		ways := map[int][]int{}
		for _, i := range g.order {
			from, ok := within(r, i)
			if !ok {
				continue
			}
			for _, t := range g.next[i] {
				to, ok := within(r, t)
				if ok && to != from && to != r.head {
					waits[to]++
					ways[from] = append(ways[from], to)
				}
			}
		}
		slices.Sort(list)
		last := -1 // the node that was written last, where it falls
		for len(list) > 0 {
			k := slices.Index(list, last+1)
			if last < 0 || k < 0 || waits[last+1] > 0 {
				k = slices.IndexFunc(list, func(i int) bool { return waits[i] == 0 })
			}
			i := list[k]
			list = slices.Delete(list, k, k+1)
			for _, t := range ways[i] {
				waits[t]--
			}
			it := item{node: i}
			if l := heads[i]; l != nil && l != r {
				it.loop = l
			}
			r.items = append(r.items, it)
			last = -1
			if it.loop == nil && g.falls[i] {
				last = i
			}
		}
	}
}
