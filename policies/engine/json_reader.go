package engine

import "unsafe"

// A JSONReader reads one JSON text after the other, as [ParseJSON] does but in
// memory that it uses anew each time: most texts cost no allocation. The zero
// value is ready. It must not be used by two goroutines at once.
type JSONReader struct {
	r    jsonReader
	room []Value
}

// Read reads the one value of b. The value, and whatever an evaluation made from
// it, refers to b and to the reader: it is of no use any more when b changes or
// the next text is read.
func (j *JSONReader) Read(b []byte, lim JSONLimits) (Value, error) {
	r := &j.r
	r.stack, r.open, r.names, r.buf = r.stack[:0], r.open[:0], r.names[:0], r.buf[:0]
	r.room, r.kept, r.pos = j.room, 0, 0
	r.start(unsafe.String(unsafe.SliceData(b), len(b)), lim)
	v, err := r.read()
	r.s = ""
	if r.kept > len(j.room) && r.kept <= maxKeptValues {
		j.room = make([]Value, r.kept+r.kept/4)
	}
	if cap(r.stack) > maxKeptValues {
		r.stack = nil
	}
	return v, err
}

// maxKeptValues is how many values a reader keeps room for: 64 KiB, as larger
// texts are rare.
const maxKeptValues = 4096
