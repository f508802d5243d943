package engine

import (
	"cmp"
	"errors"
	"math"
	"strconv"
	"strings"
	"unsafe"
)

// Bounds of a number, so that arithmetic on it stays cheap.
const (
	maxNumberBytes    = 1024   // length of its text
	maxNumberExponent = 25_000 // decimal exponent, either way
)

// A number is one that a Value does not hold inline: it keeps its text, so that
// it is written as it was read.
type number struct {
	text  string
	i     int64
	isInt bool // i is its value
}

var errNumber = errors.New("not a JSON number within bounds")

// Int returns the number i.
func Int(i int64) Value {
	if minInlineInt <= i && i <= maxInlineInt {
		return Value{m: uint64(KindNumber)<<kindShift | uint64(i)&payloadMask}
	}
	return boxNumber(&number{text: strconv.FormatInt(i, 10), i: i, isInt: true})
}

// Float returns the number f, written in its shortest form. It is undefined
// when f is not finite.
func Float(f float64) Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return Value{}
	}
	if i := int64(f); float64(i) == f && minInlineInt <= i && i <= maxInlineInt {
		return Int(i)
	}
	return textNumber(strconv.FormatFloat(f, 'g', -1, 64))
}

// Number returns the number written as text, which must be a JSON number
// (RFC 8259 section 6) of at most 1024 bytes with an exponent within ±25,000.
// The value keeps the text.
func Number(text string) (Value, error) {
	n, ok := scanNumber(text, 0)
	if !ok || n != len(text) {
		return Value{}, errNumber
	}
	v, ok := numberOf(text)
	if !ok {
		return Value{}, errNumber
	}
	return v, nil
}

func boxNumber(n *number) Value {
	return Value{p: unsafe.Pointer(n), m: uint64(KindNumber) << kindShift}
}

// numberOf returns the number of a well-formed text, if it is within bounds.
func numberOf(text string) (Value, bool) {
	if i, ok := plainInt(text); ok {
		return Int(i), true
	}
	if len(text) > maxNumberBytes || !exponentInBounds(text) {
		return Value{}, false
	}
	return textNumber(text), true
}

// textNumber returns the number of a text that is known to be fine.
func textNumber(text string) Value {
	if i, ok := plainInt(text); ok {
		return Int(i)
	}
	n := &number{text: text}
	n.i, n.isInt = integral(text)
	return boxNumber(n)
}

// maxPlainDigits is how long an integer may be that certainly fits inline.
const maxPlainDigits = 16

// plainInt reads an integer that would be written back the same and certainly
// fits inline.
func plainInt(s string) (int64, bool) {
	t := s
	if len(t) > 1 && t[0] == '-' {
		t = t[1:]
	}
	if len(t) == 0 || len(t) > maxPlainDigits || t[0] == '0' && len(s) > 1 {
		return 0, false
	}
	var n int64
	for i := range len(t) {
		d := t[i] - '0'
		if d > 9 {
			return 0, false
		}
		n = n*10 + int64(d)
	}
	if len(t) != len(s) {
		n = -n
	}
	return n, true
}

func exponentInBounds(text string) bool {
	i := strings.IndexAny(text, "eE")
	if i < 0 {
		return true
	}
	e, err := strconv.Atoi(text[i+1:])
	return err == nil && -maxNumberExponent <= e && e <= maxNumberExponent
}

// integral returns the value of text when it is written as an integer, with or
// without a fraction of zeros, and fits. Like OPA it takes no exponent.
func integral(text string) (int64, bool) {
	if dot := strings.IndexByte(text, '.'); dot >= 0 {
		if strings.Trim(text[dot+1:], "0") != "" {
			return 0, false
		}
		text = text[:dot]
	}
	i, err := strconv.ParseInt(text, 10, 64)
	return i, err == nil
}

// Int returns the value of v, and whether v is a number written as an integer
// of 64 bits.
func (v Value) Int() (int64, bool) {
	if v.Kind() != KindNumber {
		return 0, false
	}
	if v.p == nil {
		return int64(v.m<<(64-kindShift)) >> (64 - kindShift), true
	}
	n := (*number)(v.p)
	return n.i, n.isInt
}

// Float returns the value of v as far as a float64 can hold it, and whether v
// is a number in the range of a float64.
func (v Value) Float() (float64, bool) {
	if v.Kind() != KindNumber {
		return 0, false
	}
	if i, ok := v.Int(); ok {
		return float64(i), true
	}
	f, err := strconv.ParseFloat((*number)(v.p).text, 64)
	return f, err == nil
}

// Text returns the text of a number as it was written, and "" for any other
// value.
func (v Value) Text() string {
	if v.Kind() != KindNumber {
		return ""
	}
	if v.p != nil {
		return (*number)(v.p).text
	}
	i, _ := v.Int()
	return strconv.FormatInt(i, 10)
}

func compareNumbers(a, b Value) int {
	i, iok := a.Int()
	j, jok := b.Int()
	if iok && jok {
		return cmp.Compare(i, j)
	}
	x, y := a.Text(), b.Text()
	if x == y {
		return 0
	}
	p, q := decimalOf(x), decimalOf(y)
	// OPA holds two long fractions equal when their float64s are.
	if (len(p.digits) > exactDigits || len(q.digits) > exactDigits) && fractional(x) && fractional(y) {
		f, fok := a.Float()
		g, gok := b.Float()
		if fok && gok && f == g {
			return 0
		}
	}
	return p.compare(q)
}

// exactDigits is up to how many digits OPA compares numbers exactly whatever
// their form.
const exactDigits = 19

// fractional reports whether the text has digits other than 0 after its point;
// an exponent counts as such.
func fractional(text string) bool {
	return strings.IndexByte(strings.TrimRight(text, ".0"), '.') >= 0
}

// A decimal is ±0.digits × 10^exp. digits has no zeros at its ends; it is empty
// for 0.
type decimal struct {
	digits string
	exp    int
	neg    bool
}

func decimalOf(text string) decimal {
	var d decimal
	if text[0] == '-' {
		d.neg = true
		text = text[1:]
	}
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		d.exp, _ = strconv.Atoi(text[i+1:]) // bounded when the number was made
		text = text[:i]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	d.exp += len(whole)
	d.digits = whole
	if fraction != "" {
		d.digits = whole + fraction
	}
	trimmed := strings.TrimLeft(d.digits, "0")
	d.exp -= len(d.digits) - len(trimmed)
	d.digits = strings.TrimRight(trimmed, "0")
	if d.digits == "" {
		return decimal{}
	}
	return d
}

func (d decimal) compare(o decimal) int {
	if d.neg != o.neg {
		if d.neg {
			return -1
		}
		return 1
	}
	c := 0
	switch {
	case d.digits == "" && o.digits == "":
		return 0
	case d.digits == "":
		c = -1
	case o.digits == "":
		c = 1
	default:
		c = cmp.Or(cmp.Compare(d.exp, o.exp), strings.Compare(d.digits, o.digits))
	}
	if d.neg {
		return -c
	}
	return c
}
