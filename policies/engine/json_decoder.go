package engine

import "strconv"

// A JSONToken is one token of a JSON text: a delimiter, a string or another
// scalar. Its kind is its first byte, but '0' for every number and 0 for none.
type JSONToken struct {
	kind byte
	text string
}

// Kind is one of { } [ ] " 0 t f n.
func (t JSONToken) Kind() byte { return t.kind }

// String is the text of a string without quotes and escapes, and of everything
// else as it stands.
func (t JSONToken) String() string { return t.text }

// A JSONDecoder reads one JSON value token by token, as strictly as [ParseJSON]:
// for those who need to know where in the text a value stands. Nothing recurses.
type JSONDecoder struct {
	r      jsonReader
	levels []jsonLevel
	names  []string // of the open objects
	done   bool     // the one value is complete
}

// A jsonLevel is an open container.
type jsonLevel struct {
	object bool
	n      int                 // names and values read in it
	names  int                 // where its names begin
	seen   map[string]struct{} // its names, once they are many
}

// manyNames is how many names are still searched one by one.
const manyNames = 16

// NewJSONDecoder returns a decoder of b; zero limits mean their defaults.
func NewJSONDecoder(b []byte, lim JSONLimits) *JSONDecoder {
	if lim.Depth <= 0 {
		lim.Depth = defaultDepth
	}
	if lim.Values <= 0 {
		lim.Values = defaultValues
	}
	return &JSONDecoder{r: jsonReader{s: string(b), maxDepth: min(lim.Depth, maxDepth), left: lim.Values}}
}

// Offset is where the token read last ends, in bytes.
func (d *JSONDecoder) Offset() int { return d.r.pos }

// Next is where the next token begins, or the end of the text.
func (d *JSONDecoder) Next() int {
	i := d.r.pos
	for i < len(d.r.s) {
		switch d.r.s[i] {
		case ' ', '\t', '\r', '\n', ',', ':':
			i++
		default:
			return i
		}
	}
	return i
}

// PeekKind is the kind that the next token has if it is well formed; 0 at the
// end of the text.
func (d *JSONDecoder) PeekKind() byte {
	i := d.Next()
	if i == len(d.r.s) {
		return 0
	}
	if c := d.r.s[i]; c != '-' && c-'0' > 9 {
		return c
	}
	return '0'
}

// End fails with JSONTrailing when anything but white space is left.
func (d *JSONDecoder) End() error {
	d.r.space()
	if !d.done || d.r.pos != len(d.r.s) {
		return d.r.fail(JSONTrailing)
	}
	return nil
}

// SkipValue reads the next value to its end.
func (d *JSONDecoder) SkipValue() error {
	depth := len(d.levels)
	for {
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		if len(d.levels) <= depth {
			return nil
		}
	}
}

// ReadToken reads the next token. The error is a [*JSONError].
func (d *JSONDecoder) ReadToken() (JSONToken, error) {
	r := &d.r
	r.space()
	if len(d.levels) == 0 {
		if d.done {
			return JSONToken{}, r.fail(JSONTrailing)
		}
		return d.value()
	}
	l := &d.levels[len(d.levels)-1]
	if c := d.at(); c == '}' && l.object && l.n%2 == 0 || c == ']' && !l.object {
		r.pos++
		d.names = d.names[:l.names]
		d.levels = d.levels[:len(d.levels)-1]
		d.done = len(d.levels) == 0
		return JSONToken{c, ""}, nil
	}
	if sep := l.separator(); sep != 0 {
		if d.at() != sep {
			return JSONToken{}, r.fail(JSONSyntax)
		}
		r.pos++
		r.space()
	}
	l.n++
	if l.object && l.n%2 == 1 {
		return d.name(l)
	}
	return d.value()
}

// at is the byte at the position, 0 at the end.
func (d *JSONDecoder) at() byte {
	if d.r.pos == len(d.r.s) {
		return 0
	}
	return d.r.s[d.r.pos]
}

// separator is what must come before the next name or value; 0 for nothing.
func (l *jsonLevel) separator() byte {
	switch {
	case l.object && l.n%2 == 1:
		return ':'
	case l.n > 0:
		return ','
	}
	return 0
}

func (d *JSONDecoder) name(l *jsonLevel) (JSONToken, error) {
	r := &d.r
	if d.at() != '"' {
		return JSONToken{}, r.fail(JSONSyntax)
	}
	if r.left--; r.left < 0 {
		return JSONToken{}, r.fail(JSONSize)
	}
	start := r.pos
	v, err := r.str()
	if err != nil {
		return JSONToken{}, err
	}
	name := v.str()
	if l.has(name, d.names) {
		return JSONToken{}, r.failAt(JSONDuplicate, start)
	}
	d.names = append(d.names, name)
	if l.seen != nil {
		l.seen[name] = struct{}{}
	}
	return JSONToken{'"', name}, nil
}

func (l *jsonLevel) has(name string, names []string) bool {
	own := names[l.names:]
	if len(own) < manyNames {
		for _, n := range own {
			if n == name {
				return true
			}
		}
		return false
	}
	if l.seen == nil {
		l.seen = make(map[string]struct{}, 2*manyNames)
		for _, n := range own {
			l.seen[n] = struct{}{}
		}
	}
	_, found := l.seen[name]
	return found
}

func (d *JSONDecoder) value() (t JSONToken, err error) {
	r := &d.r
	if r.left--; r.left < 0 {
		return JSONToken{}, r.fail(JSONSize)
	}
	switch c := d.at(); c {
	case '{', '[':
		if len(d.levels) >= r.maxDepth {
			return JSONToken{}, r.fail(JSONDepth)
		}
		r.pos++
		d.levels = append(d.levels, jsonLevel{object: c == '{', names: len(d.names)})
		return JSONToken{c, ""}, nil
	case '"':
		var v Value
		if v, err = r.str(); err == nil {
			t = JSONToken{'"', v.str()}
		}
	case 't':
		t, err = d.literal("true")
	case 'f':
		t, err = d.literal("false")
	case 'n':
		t, err = d.literal("null")
	default:
		t, err = d.number()
	}
	d.done = len(d.levels) == 0
	return t, err
}

func (d *JSONDecoder) literal(text string) (JSONToken, error) {
	_, err := d.r.literal(text, Null)
	return JSONToken{text[0], text}, err
}

func (d *JSONDecoder) number() (JSONToken, error) {
	r := &d.r
	end, ok := scanNumber(r.s, r.pos)
	if !ok {
		return JSONToken{}, r.failAt(JSONSyntax, end)
	}
	text := r.s[r.pos:end]
	r.pos = end
	return JSONToken{'0', text}, nil
}

// Pointer is the JSON pointer (RFC 6901) of the value or name read last.
func (d *JSONDecoder) Pointer() string {
	var p []byte
	for i := range d.levels {
		l := &d.levels[i]
		if l.n == 0 || l.object && len(d.names) == l.names {
			break // nothing is read in it yet, or its first name can't be
		}
		p = append(p, '/')
		if !l.object {
			p = strconv.AppendInt(p, int64(l.n-1), 10)
			continue
		}
		last := len(d.names)
		if i+1 < len(d.levels) {
			last = d.levels[i+1].names
		}
		for _, c := range []byte(d.names[last-1]) {
			switch c {
			case '~':
				p = append(p, "~0"...)
			case '/':
				p = append(p, "~1"...)
			default:
				p = append(p, c)
			}
		}
	}
	return string(p)
}

// AppendJSONString appends s as a JSON string. What is not UTF-8 becomes U+FFFD.
func AppendJSONString(dst []byte, s string) []byte { return appendString(dst, s, false) }
