package strict

import (
	"bytes"
	"strconv"
	"strings"

	"keyward/policies/engine"
)

// An Error says what is wrong with a document and where.
type Error struct {
	Line, Column int    // of the value's first byte, from 1, in bytes; 0: not known
	Pointer      string // JSON pointer (RFC 6901) to the value; "" is the whole document
	Problem      string // never holds a value, at most a name
}

func (e *Error) Error() string {
	var b strings.Builder
	if e.Line > 0 {
		b.WriteString("line " + strconv.Itoa(e.Line) + ", column " + strconv.Itoa(e.Column) + ": ")
	}
	if e.Pointer != "" {
		b.WriteString(e.Pointer + ": ")
	}
	b.WriteString(e.Problem)
	return b.String()
}

// Locate gives e the line and column of its pointer in b. A pointer that leads
// nowhere gets those of the last value on its way.
func (e *Error) Locate(b []byte) {
	d := newDecoder(b)
	offset := d.Next()
	for token := range strings.SplitSeq(strings.TrimPrefix(e.Pointer, "/"), "/") {
		if e.Pointer == "" || !enter(d, unescape(token)) {
			break
		}
		offset = d.Next()
	}
	e.Line, e.Column = place(b, offset)
}

// unescape decodes a token of a JSON pointer; RFC 6901 section 4.
func unescape(token string) string {
	return strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
}

// enter goes into the array or object that comes next, to the value that token
// names.
func enter(d *engine.JSONDecoder, token string) bool {
	start, err := d.ReadToken()
	if err != nil {
		return false
	}
	for i := 0; d.PeekKind() != ']' && d.PeekKind() != '}'; i++ {
		name := strconv.Itoa(i)
		if start.Kind() == '{' {
			t, err := d.ReadToken()
			if err != nil {
				return false
			}
			name = t.String()
		}
		if name == token {
			return true
		}
		if d.SkipValue() != nil {
			return false
		}
	}
	return false
}

func place(b []byte, offset int) (line, column int) {
	before := b[:min(max(offset, 0), len(b))]
	return 1 + bytes.Count(before, []byte{'\n'}), len(before) - bytes.LastIndexByte(before, '\n')
}
