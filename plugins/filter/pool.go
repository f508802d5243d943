package filter

// A Pool keeps what streams have used for those to come, so that a request needs
// little new memory: in WebAssembly making and collecting it was a fifth of what a
// request cost. The zero value is an empty pool. It is not safe for concurrent use.
type Pool[T any] struct{ spare []*T }

// maxSpare is how many a pool keeps.
const maxSpare = 64

// Take returns one that was put back, in whatever state that was, or a new one.
func (p *Pool[T]) Take() *T {
	last := len(p.spare) - 1
	if last < 0 {
		return new(T)
	}
	t := p.spare[last]
	p.spare[last] = nil
	p.spare = p.spare[:last]
	return t
}

// Put gives t back, to which nobody may refer any more.
func (p *Pool[T]) Put(t *T) {
	if len(p.spare) < maxSpare {
		p.spare = append(p.spare, t)
	}
}
