package admission

import (
	"keyward/plugins/mcp"
	"keyward/policies/engine"
)

// readers are those that no stream uses. A stream needs what it has read until
// it is done, for its record and should it be decided again; until then its
// reader is nobody else's.
type readers []*engine.JSONReader

const (
	maxReaders = maxEnded
	// maxReaderBody bounds the bodies whose readers are used again, as a reader
	// keeps room for what it has read, and the last body itself.
	maxReaderBody = 16 << 10
)

func (r *readers) take() *engine.JSONReader {
	last := len(*r) - 1
	if last < 0 {
		return new(engine.JSONReader)
	}
	reader := (*r)[last]
	(*r)[last] = nil
	*r = (*r)[:last]
	return reader
}

func (r *readers) put(reader *engine.JSONReader) {
	if len(*r) < maxReaders {
		*r = append(*r, reader)
	}
}

// read reads the message of the stream.
func (x *stream) read(body []byte) (mcp.Message, *mcp.Fault) {
	if len(body) > maxReaderBody {
		return mcp.Read(new(engine.JSONReader), body, &x.headers, settings(x.target))
	}
	x.reader = x.gate.spare.take()
	return mcp.Read(x.reader, body, &x.headers, settings(x.target))
}

// forget lets go of the message, and then of the reader that holds it.
func (x *stream) forget() {
	x.msg, x.call = mcp.Message{}, engine.Value{}
	if x.reader != nil {
		x.gate.spare.put(x.reader)
		x.reader = nil
	}
}
