package strict

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
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
	d := jsontext.NewDecoder(bytes.NewReader(b))
	offset := next(b, 0)
	for token := range jsontext.Pointer(e.Pointer).Tokens() {
		if !enter(d, token) {
			break
		}
		offset = next(b, d.InputOffset())
	}
	e.Line, e.Column = place(b, offset)
}

// enter goes into the array or object that comes next, to the value that token
// names.
func enter(d *jsontext.Decoder, token string) bool {
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

// next is the offset of the first byte at or after offset that is neither space
// nor separator.
func next(b []byte, offset int64) int64 {
	for offset < int64(len(b)) && strings.IndexByte(" \t\r\n,:", b[offset]) >= 0 {
		offset++
	}
	return offset
}

func place(b []byte, offset int64) (line, column int) {
	before := b[:min(max(offset, 0), int64(len(b)))]
	return 1 + bytes.Count(before, []byte{'\n'}), len(before) - bytes.LastIndexByte(before, '\n')
}
