//go:build !lean

package engine

import (
	"math/bits"
	"regexp"
	"strings"
	"unicode/utf8"

	gintersect "github.com/yashtewari/glob-intersection"
)

var templateBuiltins = []builtin{
	{"regex.template_match", 4, templateMatch},
	{"regex.globs_match", 2, globsMatch},
}

// templateMatch matches a text with regular expressions between delimiters.
func templateMatch(vm *VM, a []Value) (Value, error) {
	const name = "regex.template_match"
	var s [4]string
	for i := range s {
		var err error
		if s[i], err = strOperand(name, a, i); err != nil {
			return Value{}, err
		}
	}
	if len(s[2]) != 1 || len(s[3]) != 1 {
		return Value{}, failing(name, "a delimiter has to be exactly one character long")
	}
	if len(s[0]) > maxPatternBytes || !vm.charge(len(s[0])) {
		return Value{}, failing(name, "pattern too long")
	}
	pattern, ok := templatePattern(s[0], s[2][0], s[3][0])
	if !ok {
		return Value{}, failing(name, "invalid template")
	}
	re, err := vm.regex(name, pattern, s[1])
	if err != nil {
		return Value{}, err
	}
	return Bool(re.MatchString(s[1])), nil
}

// templatePattern returns the regular expression of a template, whose parts
// between outermost delimiters are regular expressions on their own.
func templatePattern(template string, open, end byte) (pattern string, ok bool) {
	var b strings.Builder
	b.WriteByte('^')
	level, from := 0, 0
	for i := range len(template) {
		switch template[i] {
		case open:
			if level++; level == 1 {
				b.WriteString(regexp.QuoteMeta(template[from:i]))
				from = i + 1
			}
		case end:
			if level--; level < 0 {
				return "", false
			}
			if level == 0 {
				part := template[from:i]
				if _, err := regexp.Compile("^" + part + "$"); err != nil {
					return "", false
				}
				b.WriteString("(" + part + ")")
				from = i + 1
			}
		}
	}
	if level != 0 {
		return "", false
	}
	b.WriteString(regexp.QuoteMeta(template[from:]) + "$")
	return b.String(), true
}

// globsMatch reports whether some text matches both of two simple patterns.
func globsMatch(vm *VM, a []Value) (Value, error) {
	const name = "regex.globs_match"
	x, y, err := strOperands(name, a)
	if err != nil {
		return Value{}, err
	}
	// The search tries every way to share a text between two stars, and a range
	// is kept as all of its characters.
	stars := min(strings.Count(x, "*")+strings.Count(x, "+"), strings.Count(y, "*")+strings.Count(y, "+")+1)
	if bits.Len(uint(len(x)+len(y)))+stars > 40 || !vm.charge((len(x)+len(y)+4)<<stars+rangeWidths(x)+rangeWidths(y)) {
		vm.budget = -1
		return Value{}, errLimits
	}
	both, err := gintersect.NonEmpty(x, y)
	if err != nil {
		return Value{}, failing(name, "invalid pattern")
	}
	return Bool(both), nil
}

// rangeWidths returns at least how many characters the ranges of a pattern have.
func rangeWidths(pattern string) int {
	total := 0
	for i := strings.IndexByte(pattern, '-'); i >= 0 && i < len(pattern); i++ {
		if pattern[i] == '-' {
			r, n := utf8.DecodeRuneInString(pattern[i+1:])
			after, _ := utf8.DecodeRuneInString(pattern[min(i+1+n, len(pattern)):])
			total += int(max(r, after))
		}
	}
	return total
}
