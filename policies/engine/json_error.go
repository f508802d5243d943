package engine

import "strconv"

// JSONErrorKind says what is wrong with a JSON text.
type JSONErrorKind uint8

// What [ParseJSON] refuses.
const (
	JSONSyntax    JSONErrorKind = iota + 1 // not JSON (RFC 8259)
	JSONDuplicate                          // an object has one name twice, after decoding
	JSONUTF8                               // not UTF-8, or half of a surrogate pair
	JSONDepth                              // nested deeper than the limit
	JSONSize                               // more values than the limit, or a number out of bounds
	JSONTrailing                           // something follows the value
	JSONNumber                             // a number that no float64 holds
)

// A JSONError says why and where a text was refused. It holds none of the text.
type JSONError struct {
	Kind   JSONErrorKind
	Offset int // in bytes from the start
}

func (e *JSONError) Error() string {
	what := "syntax error"
	switch e.Kind {
	case JSONDuplicate:
		what = "duplicate name"
	case JSONUTF8:
		what = "invalid UTF-8"
	case JSONDepth:
		what = "nested too deep"
	case JSONSize:
		what = "too large"
	case JSONTrailing:
		what = "data after the value"
	case JSONNumber:
		what = "number that not every reader can hold"
	}
	return "json: " + what + " at byte " + strconv.Itoa(e.Offset)
}
