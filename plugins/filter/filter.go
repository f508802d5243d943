// Package filter is what a Keyward plugin knows of its host: one HTTP stream,
// its headers, bodies and properties, in plain Go types.
//
// A plugin written against it runs natively, on wazero and in Envoy without a
// changed line: plugins/internal/host binds it to proxy-wasm, tools/gateway to
// an in-process chain.
package filter

import "errors"

// An Action tells the host what to do with what a callback was shown.
type Action uint8

// The actions.
const (
	Continue Action = iota // pass it on
	Hold                   // keep it, and all that follows, until a later Continue
)

// Side is a direction of a stream, or its trailers.
type Side uint8

// The sides of a stream. The trailers of a side have header fields only, and
// only while the callback for them runs.
const (
	Request          Side = iota // from the client to the upstream
	Response                     // back
	RequestTrailers              // after a request's body
	ResponseTrailers             // after a response's body
)

// Level is the importance of a log line.
type Level uint8

// The levels, least important first.
const (
	Debug Level = iota
	Info
	Warn
	Error
)

// ErrNotFound reports a header, property or body that is not there.
var ErrNotFound = errors.New("not found")

// A Host is what one VM offers to the plugin in it.
type Host interface {
	// Log writes one line. The line never holds a secret, a body or a client's
	// raw bytes.
	Log(level Level, line string)
	// Now is the current time in Unix nanoseconds.
	Now() int64
	// Getenv reads the VM's environment; "" when it is not set.
	Getenv(name string) string
}

// A Stream is one HTTP exchange as its plugin sees it. What a method returns is
// valid until the callback that asked for it returns; a plugin that is shown
// request bodies may keep a request's headers and body.
type Stream interface {
	// Headers are the headers of a side, in order, duplicates kept, names in
	// lower case, pseudo-headers (:method, :path, :authority, :status) among them.
	Headers(side Side) ([][2]string, error)
	// SetHeader leaves exactly one header of this name.
	SetHeader(side Side, name, value string) error
	// AddHeader adds a header beside those of the same name.
	AddHeader(side Side, name, value string) error
	// RemoveHeader removes every header of this name; none is no error.
	RemoveHeader(side Side, name string) error
	// Body returns up to limit bytes of what the host holds of a side's body
	// in this callback. ErrNotFound means that there is none.
	Body(side Side, limit int) ([]byte, error)
	// ReplaceBody puts body in place of all that the host holds of it; it works
	// in body callbacks only, in the last one also when nothing is held. It does
	// not mend content-length.
	ReplaceBody(side Side, body []byte) error
	// Property reads a stream property. ErrNotFound when it is not set.
	Property(path ...string) ([]byte, error)
	// SetProperty sets a property that later plugins of this stream can read and
	// no client can.
	SetProperty(name string, value []byte) error
	// Reply answers the client in the upstream's place and ends the exchange.
	// The callback that calls it must return Hold. Once response headers have
	// gone out it resets the stream.
	Reply(r Reply) error
}

// A Reply is a local answer.
type Reply struct {
	Status  int
	Headers [][2]string
	Body    []byte
	Detail  string // for the access log; no secret, no client's text
}

// A Handler sees one stream, callback by callback, on one goroutine.
//
// A request body's end is announced in exactly one of three places: headers
// with end set, body with end set, or trailers (HTTP/2 with trailers never ends
// in the body callback).
type Handler interface {
	RequestHeaders(end bool) Action
	RequestBody(size int, end bool) Action // size: bytes held so far
	RequestTrailers() Action
	ResponseHeaders(end bool) Action
	ResponseBody(size int, end bool) Action // size: bytes held so far
	ResponseTrailers() Action
	// Done is called once, last, also for a stream that was cut short.
	Done()
}

// A Plugin is one plugin in one VM. Its methods and its handlers' are never
// called concurrently.
type Plugin interface {
	// Configure takes a new configuration. On an error it keeps the last good
	// one, or denies everything while there is none.
	Configure(config []byte) error
	// NewStream returns the handler of a new stream.
	NewStream(s Stream) Handler
}
