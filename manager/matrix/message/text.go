package message

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks is how many combining marks may follow each other: enough for
// every living script, too few to paint over the neighbouring lines.
const maxMarks = 2

// signs are the characters with which a line says its verdict and parts its
// columns. Text that holds them could pass for a column of ours.
const signs = "✅⛔⏸⚙⚠✂🔏📊·…"

// rightToLeft are the blocks whose unassigned characters are right-to-left
// too (Unicode DerivedBidiClass). Letters of these reorder what stands beside
// them without any mark, and a verdict must not change places.
var rightToLeft = &unicode.RangeTable{
	R16: []unicode.Range16{{0x0590, 0x08ff, 1}, {0xfb1d, 0xfdff, 1}, {0xfe70, 0xfeff, 1}},
	R32: []unicode.Range32{{0x10800, 0x10fff, 1}, {0x1e800, 0x1efff, 1}},
}

// invisible are characters that count as printable and show nothing.
var invisible = &unicode.RangeTable{
	R16: []unicode.Range16{
		{0x034f, 0x034f, 1},
		{0x115f, 0x1160, 1},
		{0x17b4, 0x17b5, 1},
		{0x180b, 0x180f, 1},
		{0x2800, 0x2800, 1},
		{0x3164, 0x3164, 1},
		{0xfe00, 0xfe0f, 1},
		{0xffa0, 0xffa0, 1},
	},
	R32: []unicode.Range32{{0xe0100, 0xe01ef, 1}},
}

// lookAlikes maps what software takes for a dot, a colon or an at sign when
// it looks for a host, a room or a user (UTS #46, NFKC).
var lookAlikes = map[rune]rune{
	'。': '.', '．': '.', '｡': '.', '․': '.', '﹒': '.',
	'：': ':', '﹕': ':', '＠': '@', '﹫': '@',
}

// Text makes untrusted text fit to be read in a room, in at most limit
// characters; a cut is shown by "…". What can't be seen, reorders or forges is
// written as \u{HEX}; what would become a link, a mention or a pill is put
// into brackets: evil[.]example, http[:]//, [@]room.
func Text(s string, limit int) string {
	w := writer{left: limit}
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		if !w.write(w.shown(r, size, s[size:])) {
			return w.cut()
		}
		w.remember(r)
		s = s[size:]
	}
	return w.b.String()
}

// A writer holds the text so far and as much of what came before as the next
// character needs to be judged.
type writer struct {
	b      strings.Builder
	left   int   // characters that may still be written
	last   int   // bytes of the last piece, which a cut takes away
	prev   rune  // 0 at the start
	marks  int   // combining marks in a row
	number digit // what prev ends
}

// digit is where in a number the text stands.
type digit uint8

const (
	noNumber digit = iota
	whole          // in digits
	point          // behind the point of a number
	fraction       // in the digits behind it
)

func (w *writer) write(piece string) bool {
	n := utf8.RuneCountInString(piece)
	if n > w.left {
		return false
	}
	w.left -= n
	w.last = len(piece)
	w.b.WriteString(piece)
	return true
}

// cut ends text that is too long, within the limit.
func (w *writer) cut() string {
	s := w.b.String()
	if w.left == 0 {
		s = s[:len(s)-w.last]
	}
	return s + "…"
}

func (w *writer) remember(r rune) {
	w.prev = r
	if unicode.Is(unicode.M, r) {
		w.marks++
	} else {
		w.marks = 0
	}
	switch isDigit := r >= '0' && r <= '9'; {
	case isDigit && (w.number == point || w.number == fraction):
		w.number = fraction
	case isDigit:
		w.number = whole
	case r == '.' && w.number == whole:
		w.number = point
	default:
		w.number = noNumber
	}
}

// shown returns how r, which took size bytes and is followed by rest, is
// written.
func (w *writer) shown(r rune, size int, rest string) string {
	if r == utf8.RuneError && size == 1 {
		return "\uFFFD"
	}
	if hidden(r) || unicode.Is(unicode.M, r) && w.marks >= maxMarks {
		return fmt.Sprintf(`\u{%x}`, r)
	}
	plain := r
	if a, ok := lookAlikes[r]; ok {
		plain = a
	}
	next := rune(' ') // as good as the end
	if rest != "" {
		next, _ = utf8.DecodeRuneInString(rest)
	}
	switch {
	case plain == '@',
		plain == '.' && w.joins(next),
		plain == ':' && joinsName(w.prev, next):
		return "[" + string(plain) + "]"
	case plain != r:
		return string(plain)
	}
	return string(r)
}

func hidden(r rune) bool {
	return !unicode.IsPrint(r) || strings.ContainsRune(signs, r) ||
		unicode.Is(rightToLeft, r) || unicode.Is(invisible, r)
}

// joins reports whether a dot before next may be one of a host name or of an
// IP address, rather than of a number or a sentence.
func (w *writer) joins(next rune) bool {
	if next >= '0' && next <= '9' {
		return w.number == fraction || unicode.IsLetter(w.prev)
	}
	return next > unicode.MaxASCII || unicode.IsLetter(next) || next == '-' || next == '_' || next == '%' || next == '['
}

// joinsName reports whether a colon may be one of a URI scheme, of a port or
// of a Matrix id, rather than of JSON or of a sentence.
func joinsName(prev, next rune) bool {
	if next == '/' {
		return true
	}
	switch prev {
	case 0, ' ', '"':
		return false
	}
	return next != ' ' && next != '"'
}
