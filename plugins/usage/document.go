package usage

// A document is one JSON value as it passes. It is followed as far as finding the
// places of usage takes: nesting, names at the first levels, texts and escapes.
type document struct {
	depth   int
	levels  [maxLevels]level
	done    bool // the value has ended
	broken  bool // it is none, or more than one
	fields  [fields]uint64
	has     [fields]bool
	model   []byte
	text    textState
	word    []byte // of the text or number under way, as far as it may tell something
	number  bool   // a number or word is under way
	useless bool   // what is under way tells nothing
}

// A level is an object or array that is open.
type level struct {
	object bool
	name   bool   // a name comes next, and no value
	member member // that a value is of
	field  field  // likewise, in a usage
}

// textState is where in a text the document is.
type textState uint8

const (
	noText textState = iota
	inText
	escaped // behind a backslash
)

// member is a name of interest.
type member uint8

const (
	otherMember member = iota
	usageMember
	wrapperMember // of events that have the answer in them
	modelMember
)

const (
	maxLevels = 3      // usage is an object at the second or third
	maxDepth  = 10_000 // of what is followed; nothing is kept of the levels beyond
	maxWord   = maxModel
	maxDigits = 12 // of a number of tokens: more than any model takes
)

func memberOf(name []byte) member {
	switch string(name) {
	case "usage":
		return usageMember
	case "response", "message":
		return wrapperMember
	case "model":
		return modelMember
	}
	return otherMember
}

func (d *document) write(b []byte) {
	for i := 0; i < len(b) && !d.broken; {
		if d.text != noText {
			i += d.inText(b[i:])
			continue
		}
		d.next(b[i])
		i++
	}
}

// inText takes what is inside of a text, and returns how much it was.
func (d *document) inText(b []byte) int {
	if d.text == escaped {
		d.text, d.useless = inText, true // a name or model that is spelt so is no known one
		return 1
	}
	n := 0
	for n < len(b) && b[n] != '"' && b[n] != '\\' {
		n++
	}
	d.keep(b[:n])
	if n == len(b) {
		return n
	}
	if b[n] == '\\' {
		d.text = escaped
	} else {
		d.text = noText
		d.endText()
	}
	return n + 1
}

func (d *document) keep(b []byte) {
	if d.useless {
		return
	}
	if len(d.word)+len(b) > maxWord {
		d.useless = true
		return
	}
	d.word = append(d.word, b...)
}

// next takes a byte outside of texts.
func (d *document) next(c byte) {
	if d.number {
		switch c {
		case ',', '}', ']', ' ', '\t', '\n', '\r':
			d.endNumber()
		default:
			d.keep([]byte{c})
			return
		}
	}
	switch c {
	case ' ', '\t', '\n', '\r':
		return
	}
	if d.done {
		d.broken = true
		return
	}
	switch c {
	case '"':
		d.text = inText
		d.begin()
	case '{', '[':
		d.open(c == '{')
	case '}', ']':
		d.close(c == '}')
	case ',':
		if l := d.top(); l != nil {
			l.name, l.member, l.field = l.object, otherMember, noField
		}
	case ':':
		if l := d.top(); l != nil {
			l.name = false
		}
	default:
		d.number = true
		d.begin()
		d.keep([]byte{c})
	}
	if d.depth == 0 && d.text == noText { // a text or number is no answer
		d.done = true
	}
}

// begin begins a text or number. Only at the first levels it may tell something.
func (d *document) begin() { d.word, d.useless = d.word[:0], d.top() == nil }

// top is the innermost object or array; nil: there is none, or it is too deep.
func (d *document) top() *level {
	if d.depth == 0 || d.depth > maxLevels {
		return nil
	}
	return &d.levels[d.depth-1]
}

func (d *document) open(object bool) {
	if d.depth++; d.depth > maxDepth {
		d.broken = true
		return
	}
	if l := d.top(); l != nil {
		*l = level{object: object, name: object, field: noField}
	}
}

func (d *document) close(object bool) {
	if l := d.top(); d.depth == 0 || l != nil && l.object != object {
		d.broken = true
		return
	}
	d.depth--
}

func (d *document) endText() {
	l := d.top()
	if l == nil || d.useless {
		return
	}
	switch {
	case l.object && l.name && d.inUsage():
		l.field = fieldOf(d.word)
	case l.object && l.name:
		l.member = memberOf(d.word)
	case l.object && l.member == modelMember && d.atAnswer() && printable(d.word):
		d.model = append(d.model[:0], d.word...)
	}
}

// endNumber takes a number of a usage. What is no plain number of tokens is not
// known.
func (d *document) endNumber() {
	d.number = false
	l := d.top()
	if l == nil || !l.object || l.name || l.field == noField || d.useless || len(d.word) > maxDigits {
		return
	}
	var n uint64
	for _, c := range d.word {
		if c < '0' || c > '9' {
			return
		}
		n = 10*n + uint64(c-'0')
	}
	d.fields[l.field], d.has[l.field] = n, true
}

// inUsage reports whether the innermost level is a usage, in one of its places.
func (d *document) inUsage() bool {
	if d.depth < 2 || d.depth > maxLevels || !d.levels[d.depth-1].object {
		return false
	}
	at := d.levels[d.depth-2]
	return at.object && at.member == usageMember && (d.depth == 2 || d.levels[0].object && d.levels[0].member == wrapperMember)
}

// atAnswer reports whether the innermost level is an answer, alone or in an event.
func (d *document) atAnswer() bool {
	return d.depth == 1 || d.depth == 2 && d.levels[0].object && d.levels[0].member == wrapperMember
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < 0x21 || c > 0x7e {
			return false
		}
	}
	return len(b) > 0
}
