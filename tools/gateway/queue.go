package gateway

import (
	"context"
	"errors"
	"io"
	"sync"

	"keyward/tools/gateway/chain"
)

// highWater is how many bytes may wait for a slow reader before the other end
// is no longer read.
const highWater = 256 << 10

// An item is what a chain passed to one of its ends.
type item struct {
	headers  *chain.Headers
	body     []byte
	trailers *chain.Headers
	end      bool
}

// A queue takes what leaves a chain on one side to the goroutine that sends it
// on. It is a [chain.Sink]: adding never blocks.
type queue struct {
	mu    sync.Mutex
	items []item
	bytes int
	reset bool
	added chan struct{} // one token when there is something new
	taken chan struct{} // one token when there is room again
}

var _ chain.Sink = (*queue)(nil)

func newQueue() *queue {
	return &queue{added: make(chan struct{}, 1), taken: make(chan struct{}, 1)}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (q *queue) add(i item) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.reset {
		return
	}
	q.items = append(q.items, i)
	q.bytes += len(i.body)
	signal(q.added)
}

func (q *queue) Headers(h *chain.Headers, end bool) { q.add(item{headers: h, end: end}) }
func (q *queue) Body(b []byte, end bool)            { q.add(item{body: b, end: end}) }
func (q *queue) Trailers(h *chain.Headers)          { q.add(item{trailers: h, end: true}) }

func (q *queue) Reset() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.items, q.bytes, q.reset = nil, 0, true
	signal(q.added)
	signal(q.taken)
}

// next waits for an item. ok is false when the side was reset or ctx is done.
func (q *queue) next(ctx context.Context) (i item, ok bool) {
	for {
		q.mu.Lock()
		if len(q.items) > 0 {
			i = q.items[0]
			q.items[0] = item{}
			q.items = q.items[1:]
			q.bytes -= len(i.body)
			signal(q.taken)
			q.mu.Unlock()
			return i, true
		}
		over := q.reset
		q.mu.Unlock()
		if over {
			return item{}, false
		}
		select {
		case <-q.added:
		case <-ctx.Done():
			return item{}, false
		}
	}
}

// empty reports whether nothing waits to be sent.
func (q *queue) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items) == 0
}

// last returns the trailers if they have been added already.
func (q *queue) last() *chain.Headers {
	q.mu.Lock()
	defer q.mu.Unlock()
	if n := len(q.items); n > 0 {
		return q.items[n-1].trailers
	}
	return nil
}

// room waits until the reader has caught up.
func (q *queue) room(ctx context.Context) {
	for {
		q.mu.Lock()
		full := q.bytes > highWater && !q.reset
		q.mu.Unlock()
		if !full {
			return
		}
		select {
		case <-q.taken:
		case <-ctx.Done():
			return
		}
	}
}

// errCut ends a body that was reset.
var errCut = errors.New("stream was cut")

// A bodyReader reads the body of a queue whose headers have been taken. It
// leaves out trailers.
type bodyReader struct {
	ctx  context.Context
	q    *queue
	rest []byte
	end  bool
}

// Read implements io.Reader.
func (r *bodyReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		if r.end {
			return 0, io.EOF
		}
		i, ok := r.q.next(r.ctx)
		if !ok {
			return 0, errCut
		}
		r.rest, r.end = i.body, i.end
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// Close implements io.Closer.
func (r *bodyReader) Close() error { return nil }
